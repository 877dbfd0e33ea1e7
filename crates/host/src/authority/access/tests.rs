use Access::{Admin, Operate, View};
use UpstreamKind::{Generic, Moonraker, OctoPrint, PrusaLink};

use std::fmt::Write as _;

use super::*;

const KINDS: [UpstreamKind; 4] = [OctoPrint, Moonraker, PrusaLink, Generic];

fn get(kind: UpstreamKind, path: &str) -> Access {
    needed(kind, &Method::GET, path, None, false)
}

fn post(kind: UpstreamKind, path: &str) -> Access {
    needed(kind, &Method::POST, path, None, false)
}

#[test]
fn requests_need_the_level_of_what_they_do() {
    for (kind, path, reading, writing) in [
        (OctoPrint, "/", View, Operate),
        (OctoPrint, "/api/version", View, Operate),
        (OctoPrint, "/api/job", View, Operate),
        (OctoPrint, "/api/files/local/a/b.gcode", View, Operate),
        (OctoPrint, "/api/settings", View, Admin),
        (OctoPrint, "/api/settings/", View, Admin),
        (OctoPrint, "/api/settings/apikey", Admin, Admin),
        (OctoPrint, "/api/settings/templates", Admin, Admin),
        (OctoPrint, "/api/printerprofiles/_default", View, Admin),
        (OctoPrint, "/api/access/users", Admin, Admin),
        (OctoPrint, "/api/users/admin/apikey", Admin, Admin),
        (OctoPrint, "/api/system/commands/core/restart", Admin, Admin),
        (OctoPrint, "/api/setup/wizard", Admin, Admin),
        (OctoPrint, "/api/plugin/psucontrol", Operate, Operate),
        (OctoPrint, "/api/plugin/pluginmanager", Admin, Admin),
        (OctoPrint, "/api/plugin/virtual_printer", Admin, Admin),
        (OctoPrint, "/plugin/pluginmanager/plugins", Admin, Admin),
        (OctoPrint, "/plugin/backup/download/x.zip", Admin, Admin),
        (OctoPrint, "/plugin/unheard_of/anything", Admin, Admin),
        (OctoPrint, "/plugin/unheard_of/static/x.js", View, Admin),
        (OctoPrint, "/downloads/files/local/x.gcode", View, Operate),
        (OctoPrint, "/downloads/logs/octoprint.log", Admin, Admin),
        (OctoPrint, "/downloads/systeminfo.zip", Admin, Admin),
        (OctoPrint, "/api/login", Admin, Admin),
        (OctoPrint, "/api/currentuser", Admin, Admin),
        (OctoPrint, "/plugin/appkeys/probe", Admin, Admin),
        (OctoPrint, "/sockjs/000/x/xhr_send", View, View),
        (OctoPrint, "/unheard/of", Operate, Operate),
        (OctoPrint, "/api/printer/command", Operate, Operate),
        (Moonraker, "/printer/info", View, Operate),
        (Moonraker, "/printer/objects/query", View, Operate),
        (Moonraker, "/printer/gcode/script", Operate, Operate),
        (Moonraker, "/printer/print/start", Operate, Operate),
        (Moonraker, "/printer/emergency_stop", Operate, Operate),
        (Moonraker, "/printer/objects/subscribe", Operate, Operate),
        (Moonraker, "/server/files/gcodes/a.gcode", View, Operate),
        (
            Moonraker,
            "/server/files/config/moonraker.conf",
            Admin,
            Admin,
        ),
        (Moonraker, "/server/files/moonraker.log", Admin, Admin),
        (Moonraker, "/server/config", Admin, Admin),
        (Moonraker, "/server/restart", Admin, Admin),
        (Moonraker, "/server/jsonrpc", Admin, Admin),
        (Moonraker, "/access/api_key", Admin, Admin),
        (Moonraker, "/access/user", Admin, Admin),
        (Moonraker, "/access/oneshot_token", Operate, Operate),
        (Moonraker, "/access/info", View, Admin),
        (Moonraker, "/machine/reboot", Admin, Admin),
        (Moonraker, "/machine/proc_stats", View, Admin),
        (Moonraker, "/machine/device_power/devices", View, Operate),
        (Moonraker, "/machine/device_power/on", Operate, Operate),
        (PrusaLink, "/api/v1/status", View, Operate),
        (PrusaLink, "/api/v1/job/5", Operate, Operate),
        (PrusaLink, "/api/v1/files/usb/a.gcode", View, Operate),
        (PrusaLink, "/api/settings", Admin, Admin),
        (PrusaLink, "/api/settings/apikey", Admin, Admin),
        (PrusaLink, "/api/system/commands/core/reboot", Admin, Admin),
        (PrusaLink, "/api/v1/cameras/x/snap", View, Operate),
        (Generic, "/", Operate, Operate),
        (Generic, "/a//b", Operate, Operate),
    ] {
        assert_eq!(get(kind, path), reading, "GET {path} of {kind:?}");
        assert_eq!(post(kind, path), writing, "POST {path} of {kind:?}");
    }
}

#[test]
fn only_reading_methods_are_ever_looking() {
    for kind in KINDS {
        for row in rows(kind).unwrap_or_default() {
            for pattern in row.paths {
                let path = pattern.replace("/**", "/x").replace('*', "x");
                for method in ["POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "get"] {
                    let method = Method::from_bytes(method.as_bytes()).unwrap();
                    let level = needed(kind, &method, &path, None, false);
                    assert!(
                        level > View || path.starts_with("/sockjs"),
                        "{method} {path}"
                    );
                }
            }
        }
    }
}

/// Spellings by which one server or another could be brought to read a path as another one.
fn disguises(path: &str) -> Vec<String> {
    let inner = path.strip_prefix('/').unwrap();
    let (first, rest) = inner.split_once('/').unwrap();
    let mut encoded = String::new();
    for byte in inner.bytes() {
        write!(encoded, "%{byte:02x}").unwrap();
    }
    let twice = encoded.replace('%', "%25");
    vec![
        format!("/{}", inner.to_uppercase()),
        format!("/{inner}/"),
        format!("//{inner}"),
        format!("/{first}//{rest}"),
        format!("/{first}/./{rest}"),
        format!("/./{inner}"),
        format!("/static/../{inner}"),
        format!("/static/%2e%2e/{inner}"),
        format!("/static/.%2E/{inner}"),
        format!("/static/..%2f{inner}"),
        format!("/static/x/..;/..;/{inner}"),
        format!("/static%2f..%2f{inner}"),
        format!("/static/..\\{inner}"),
        format!("/static/..%5c{inner}"),
        format!("/static/%252e%252e/{inner}"),
        format!("/api/files/local/..%2f..%2f..%2f{inner}"),
        format!("/{first}%2f{rest}"),
        format!("/{first}%2F{rest}"),
        format!("/{first}%252f{rest}"),
        format!("/{first}%5c{rest}"),
        format!("/{first};x=y/{rest}"),
        format!("/{inner};x"),
        format!("/{inner}%3bx"),
        format!("/{inner}%00"),
        format!("/{inner}%0a"),
        format!("/{inner}%23"),
        format!("/{inner}%3f"),
        format!("/{inner}%"),
        format!("/{inner}%ff"),
        format!("/{inner}%c0%af"),
        format!("/{inner}/%2e"),
        format!("/{inner}/%20../"),
        format!("/{encoded}"),
        format!("/{twice}"),
    ]
}

#[test]
fn no_spelling_makes_administration_less() {
    for (kind, path) in [
        (OctoPrint, "/api/access/users"),
        (OctoPrint, "/api/settings/apikey"),
        (OctoPrint, "/downloads/logs/octoprint.log"),
        (OctoPrint, "/api/login"),
        (Moonraker, "/access/api_key"),
        (Moonraker, "/server/config"),
        (Moonraker, "/server/files/config/moonraker.conf"),
        (PrusaLink, "/api/settings/apikey"),
    ] {
        for disguise in disguises(path) {
            assert_eq!(get(kind, &disguise), Admin, "{disguise}");
            assert_eq!(post(kind, &disguise), Admin, "{disguise}");
        }
    }
}

#[test]
fn no_spelling_makes_operating_look_like_looking() {
    for (kind, path) in [
        (Moonraker, "/printer/gcode/script"),
        (Moonraker, "/printer/emergency_stop"),
        (OctoPrint, "/api/plugin/psucontrol"),
        (PrusaLink, "/api/v1/unheard_of"),
    ] {
        for disguise in disguises(path) {
            assert!(get(kind, &disguise) > View, "{disguise}");
        }
    }
}

#[test]
fn names_of_files_may_be_written_as_apps_write_them() {
    for (kind, path) in [
        (OctoPrint, "/api/files/local/folder%2Fa%20b.gcode"),
        (OctoPrint, "/api/files/local/100%25%20infill..v2.gcode"),
        (
            OctoPrint,
            "/downloads/files/local/K%C3%B6rper%20%2831%29.gcode",
        ),
        (Moonraker, "/server/files/gcodes/folder%2Fa+b.gcode"),
    ] {
        assert_eq!(get(kind, path), View, "{path}");
        assert_eq!(post(kind, path), Operate, "{path}");
    }
}

#[test]
fn a_moonraker_socket_needs_operating_and_a_raw_one_administration() {
    let socket = |kind, path| needed(kind, &Method::GET, path, None, true);
    assert_eq!(socket(Moonraker, "/websocket"), Operate);
    assert_eq!(socket(Moonraker, "/klippysocket"), Admin);
    assert_eq!(socket(Moonraker, "/printer/info"), Operate);
    assert_eq!(socket(OctoPrint, "/sockjs/websocket"), View);
    assert_eq!(socket(OctoPrint, "/api/job"), Operate);
}

#[test]
fn a_camera_is_looked_at_and_not_commanded() {
    for (method, query, websocket, level) in [
        (Method::GET, Some("action=stream"), false, View),
        (Method::HEAD, None, false, View),
        (Method::GET, Some("action=command&id=1"), false, Operate),
        (Method::GET, Some("x&%61ction=command"), false, Operate),
        (Method::POST, None, false, Operate),
        (Method::GET, None, true, Operate),
    ] {
        assert_eq!(
            needed_at_camera(&method, query, websocket),
            level,
            "{method} {query:?}"
        );
        if !websocket {
            let beside = needed(OctoPrint, &method, "/webcam/", query, false);
            assert_eq!(beside, level, "{method} {query:?}");
        }
    }
}

/// Home Assistant sets the bed's temperature so.
#[test]
fn a_doubled_slash_at_the_beginning_costs_no_more_than_the_stricter_of_its_readings() {
    let level = |method: &Method, path: &str| needed(OctoPrint, method, path, None, false);
    for (path, reading, writing) in [
        ("//api/printer/bed", Operate, Operate),
        ("//api/system/commands/core/shutdown", Admin, Admin),
        ("//x/api/settings", Operate, Admin),
        ("//api/settings", Operate, Admin),
        ("///api/printer/bed", Admin, Admin),
        ("//api//printer/bed", Admin, Admin),
        ("//../api/printer", Admin, Admin),
        ("//", View, Operate),
    ] {
        assert_eq!(level(&Method::GET, path), reading, "GET {path}");
        assert_eq!(level(&Method::POST, path), writing, "POST {path}");
    }
}

#[test]
fn settings_are_recognised_in_every_spelling() {
    for path in [
        "/api/settings",
        "/api/settings/",
        "/%61pi/settings",
        "/api%2fsettings",
        "//api/settings",
    ] {
        assert!(is_settings(OctoPrint, path), "{path}");
    }
    assert!(!is_settings(OctoPrint, "/api/settings/apikey"));
    assert!(!is_settings(Moonraker, "/api/settings"));
}

#[test]
fn the_documentation_shows_the_tables() {
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/reference/access-levels.md"
    );
    let page = std::fs::read_to_string(file).unwrap();
    let missing: Vec<String> = KINDS
        .into_iter()
        .filter_map(rows)
        .map(shown)
        .filter(|table| !page.contains(table.as_str()))
        .collect();
    assert!(
        missing.is_empty(),
        "{file} needs:\n\n{}",
        missing.join("\n")
    );
}

/// A table for people.
fn shown(rows: &[Row]) -> String {
    let mut table = String::from("| needs | requests | paths |\n| --- | --- | --- |\n");
    for row in rows {
        let requests = match row.requests {
            Requests::Reading => "GET, HEAD, OPTIONS",
            Requests::WebSocket => "WebSocket",
            Requests::All => "all",
        };
        let paths: Vec<String> = row.paths.iter().map(|path| format!("`{path}`")).collect();
        writeln!(
            table,
            "| {:?} | {requests} | {} |",
            row.level,
            paths.join(" ")
        )
        .unwrap();
    }
    table
}

#[test]
fn commands_that_are_taken_by_get_are_known_as_such() {
    for (kind, target, is) in [
        (Moonraker, "/printer/gcode/script?script=M112", true),
        (Moonraker, "/PRINTER/emergency_stop", true),
        (Moonraker, "/%70rinter/emergency_stop", true),
        (Moonraker, "/x/../printer/emergency_stop", true),
        (Moonraker, "/machine/reboot", true),
        (Moonraker, "/printer/info", false),
        (Moonraker, "/assets/index.js", false),
        (Moonraker, "/", false),
        (PrusaLink, "/api/settings/apikey", true),
        (PrusaLink, "/api/v1/status", false),
        (OctoPrint, "/api/job", false),
        (OctoPrint, "/webcam/?action=command&id=1", true),
        (Generic, "/anything", false),
    ] {
        let (path, query) = target
            .split_once('?')
            .map_or((target, None), |(p, q)| (p, Some(q)));
        assert_eq!(
            is_command_by_get(kind, path, query),
            is,
            "{kind:?} {target}"
        );
    }
}
