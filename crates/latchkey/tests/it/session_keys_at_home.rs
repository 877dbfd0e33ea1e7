//! Apps that sign for a session key, at a host with a simulated printer: registered in files that change while it runs,
//! away through an app connection, cut off, and with a printer's server that judges callers itself.

use std::fmt::Write as _;
use std::fs;
use std::process::Output;

use http::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::harness::demo::Demo;
use crate::harness::home::{ANN, Home};
use crate::harness::http::Request;
use crate::harness::open::{camera, camera_ended, push_socket, socket_ended};
use crate::harness::session_keys::{APP, PRIVATE_KEY, PUBLIC_KEY, documented, documented_entry};
use crate::harness::stack::{Simulator, latchkey};
use crate::harness::{eventually, within};

/// An app in version 1.0 that may do everything, and in version `view` one that watches.
fn full_and_view() -> Value {
    let mut watching = documented_entry();
    watching["scope"] = json!("view");
    json!({"apps": {format!("{APP}:1.0"): documented_entry(), format!("{APP}:view"): watching}})
}

/// The app's side, by our own command.
async fn sign_in(url: &str, version: &str) -> Output {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("app.pem");
    fs::write(&file, PRIVATE_KEY).unwrap();
    let mut command = latchkey();
    command
        .args(["key", "session", url, "--id", APP, "--version", version])
        .arg("--private-key")
        .arg(file);
    within("the command", command.output()).await.unwrap()
}

async fn key(url: &str, version: &str) -> String {
    let output = sign_in(url, version).await;
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

async fn status(home: &Home, method: Method, path: &str, key: &str) -> u16 {
    let asked = Request::new(method, home.url(path)).header("X-Api-Key", key);
    asked.send().await.status().as_u16()
}

fn drop_file(home: &Home, name: &str, text: &str) {
    let folder = home.folder().join("apps.d");
    fs::create_dir_all(&folder).unwrap();
    // As packages do: whole or not at all.
    let fresh = folder.join(".fresh");
    fs::write(&fresh, text).unwrap();
    fs::rename(fresh, folder.join(name)).unwrap();
}

fn package(version: &str, enabled: bool) -> String {
    format!(
        "\"{APP}:{version}\":\n  pubkey: {PUBLIC_KEY}\n  allow_weak_keys: true\n  enabled: {enabled}\n"
    )
}

#[tokio::test]
async fn files_are_followed_while_the_host_runs() {
    let mut home = Home::start().await;
    let offered = async || Request::get(home.url("/apps/auth")).send().await.status();
    assert_eq!(offered().await, StatusCode::NOT_FOUND);

    drop_file(&home, "fieldglass.yaml", &package("2.0", true));
    eventually("the package's app", async || {
        offered().await == StatusCode::OK
    })
    .await;
    let key_of_package = key(&home.url(""), "2.0").await;
    assert_eq!(
        status(&home, Method::GET, "/api/job", &key_of_package).await,
        200
    );

    // Broken, it says what it said; the log tells the line.
    drop_file(&home, "fieldglass.yaml", "\"a:1\":\n  pubkey: [\n");
    home.host.await_line("apps of a file do not count").await;
    assert!(
        home.host.whole_log().await.contains("line 2"),
        "{}",
        home.host.whole_log().await
    );
    assert_eq!(
        status(&home, Method::GET, "/api/job", &key_of_package).await,
        200
    );
    let mut ann = home.sign_in(ANN).await;
    let page = ann.get("/latchkey/apps").await;
    assert!(page.text().contains("apps.d/fieldglass.yaml"), "{page:?}");
    assert!(page.text().contains("still counts"));

    // In the host's own file, beside other settings.
    home.configure("api", documented());
    eventually("the host's own app", async || {
        sign_in(&home.url(""), "1.0").await.status.success()
    })
    .await;

    // Switched off: what is open ends.
    let mut stream = camera(&home, &key_of_package).await;
    drop_file(&home, "fieldglass.yaml", &package("2.0", false));
    camera_ended(&mut stream).await;
    assert_eq!(
        status(&home, Method::GET, "/api/job", &key_of_package).await,
        403
    );
    let refused = sign_in(&home.url(""), "2.0").await;
    assert_eq!(refused.status.code(), Some(1));
    fs::remove_file(home.folder().join("apps.d/fieldglass.yaml")).unwrap();
    let refused = sign_in(&home.url(""), "2.0").await;
    assert_eq!(refused.status.code(), Some(1));
}

async fn only_the_full_key_moves(home: &Home, full: &str, view: &str) {
    let home_all = json!({"command": "home", "axes": ["x"]});
    for (key, expected) in [(full, 204), (view, 403)] {
        let moved = Request::post(home.url("/api/printer/printhead")).header("X-Api-Key", key);
        let moved = moved.json(&home_all).send().await;
        assert_eq!(moved.status(), expected);
    }
}

#[tokio::test]
async fn a_key_goes_as_far_as_its_apps_scope_until_its_app_is_switched_off() {
    let home = Home::start_with(&[("api", full_and_view())]).await;
    let (full, view) = (
        key(&home.url(""), "1.0").await,
        key(&home.url(""), "view").await,
    );
    for (path, full_may, view_may) in [
        ("/api/printer", 200, 200),
        ("/webcam/?action=snapshot", 200, 200),
        ("/api/system/commands", 403, 403),
        ("/api/plugin/appkeys", 403, 403),
    ] {
        assert_eq!(
            status(&home, Method::GET, path, &full).await,
            full_may,
            "{path}"
        );
        assert_eq!(
            status(&home, Method::GET, path, &view).await,
            view_may,
            "{path}"
        );
    }
    only_the_full_key_moves(&home, &full, &view).await;

    let mut stream = camera(&home, &full).await;
    let mut socket = push_socket(&home, &full, "_api").await;
    let mut ann = home.sign_in(ANN).await;
    let page = "/latchkey/apps/com%2Eexample%2Emy_octoprint_app%3A1%2E0";
    let off = ann.submit(&format!("{page}/disable"), &[]).await;
    assert_eq!(off.status, StatusCode::SEE_OTHER, "{off:?}");
    let since = Instant::now();
    camera_ended(&mut stream).await;
    let after = since.elapsed();
    socket_ended(&mut socket).await;
    println!(
        "after its app was switched off the camera ended in {after:?}, the push socket in {:?}",
        since.elapsed()
    );
    assert_eq!(status(&home, Method::GET, "/api/printer", &full).await, 403);
    assert_eq!(status(&home, Method::GET, "/api/printer", &view).await, 200);
    let shown = ann.get(page).await.text().to_owned();
    for word in ["Ended early", "127.0.0.0/24", "Switched off"] {
        assert!(shown.contains(word), "{word}");
    }
}

#[tokio::test]
async fn the_demo_lets_the_documented_app_in_at_home_and_away() {
    let folder = TempDir::new().unwrap();
    let demo = Demo::start(&folder.path().join("demo")).await;
    let at_home = demo.text("host_url").to_owned();
    let with_pair = demo
        .connections()
        .into_iter()
        .find(|one| one["access"] == "basic")
        .unwrap();
    let text = |member: &str| with_pair[member].as_str().unwrap();
    let away = text("url").replacen(
        "://",
        &format!("://{}:{}@", text("user"), text("password")),
        1,
    );
    for url in [&at_home, &away] {
        let key = key(url, "1.0").await;
        let asked = Request::get(format!("{at_home}/api/currentuser")).header("X-Api-Key", &key);
        assert_eq!(asked.send().await.read().await.json()["name"], "_api");
        let off = sign_in(url, "0.9").await;
        assert_eq!(off.status.code(), Some(1));
        let said = String::from_utf8_lossy(&off.stderr);
        assert!(said.contains("0.9"), "{said}");
    }
    // What an app looks for before it opens the portal.
    for path in ["/api/plugin/octoeverywhere", "/api/plugin/latchkey"] {
        let told = Request::get(format!("{at_home}{path}"))
            .send()
            .await
            .read()
            .await;
        assert_eq!(told.status, StatusCode::OK, "{told:?}");
        let id = if path.ends_with("latchkey") {
            "printer_id"
        } else {
            "PrinterId"
        };
        assert_eq!(told.json()[id], demo.text("printer_id"), "{path}");
    }
    let host = Request::get(format!("{at_home}/api/plugin/latchkey"));
    let host = host.send().await.read().await.json();
    for (member, expected) in [
        ("authority", json!("host")),
        ("upstream", json!({"kind": "octoprint"})),
        ("paired", json!(true)),
        ("app_keys", json!(true)),
        ("session_keys", json!(true)),
        ("addresses", json!([at_home.trim_end_matches('/')])),
    ] {
        assert_eq!(host[member], expected, "{host}");
    }
    assert_eq!(host["relay"]["connected"], true, "{host}");
    demo.stop().await;
}

#[tokio::test]
async fn a_restart_ends_all_keys_and_keeps_the_log() {
    let mut home = Home::start_with(&[("api", documented())]).await;
    let key = key(&home.url(""), "1.0").await;
    assert_eq!(status(&home, Method::GET, "/api/job", &key).await, 200);
    home.host.stop().await;
    home.start_host().await;
    assert_eq!(status(&home, Method::GET, "/api/job", &key).await, 403);
    let mut ann = home.sign_in(ANN).await;
    let page = ann.get("/latchkey/apps").await.text().to_owned();
    assert!(
        page.contains("Ended early") && page.contains("1 request."),
        "{page}"
    );
}

#[tokio::test]
async fn before_a_server_that_judges_callers_itself_a_session_key_still_opens_the_printer() {
    let mut home =
        Home::start_with(&[("api", full_and_view()), ("authority", json!("upstream"))]).await;
    let (full, view) = (
        key(&home.url(""), "1.0").await,
        key(&home.url(""), "view").await,
    );
    assert_eq!(status(&home, Method::GET, "/api/printer", &full).await, 200);
    assert_eq!(status(&home, Method::GET, "/api/printer", &view).await, 200);
    // The printer's own key goes through untouched, and a strange one is the server's to refuse.
    assert_eq!(
        status(&home, Method::GET, "/api/printer", Simulator::KEY).await,
        200
    );
    assert_eq!(
        status(&home, Method::GET, "/api/printer", "wrong").await,
        403
    );
    only_the_full_key_moves(&home, &full, &view).await;
    let mut stream = camera(&home, &full).await;
    home.configure("api", json!({"apps": {}}));
    camera_ended(&mut stream).await;
    assert_eq!(status(&home, Method::GET, "/api/printer", &full).await, 403);
    home.host.await_line("a session key ended").await;
    let log = home.host.whole_log().await;
    for said in [
        "an app signed for a session key",
        "a session key ended",
        "com.example.my_octoprint_app:1.0",
    ] {
        assert!(log.contains(said), "{said}: {log}");
    }
    assert!(!log.contains(&full), "{log}");

    let told = Request::get(home.url("/api/plugin/latchkey"))
        .send()
        .await
        .read()
        .await
        .json();
    assert_eq!(told["authority"], "upstream");
    assert_eq!(told["session_keys"], false);
    assert_eq!(
        (&told["relay"], &told["paired"]),
        (&Value::Null, &json!(false))
    );
    let port = json!({"command": "setFrontendLocalPort", "port": 80, "isHttps": false, "url": "http://octopi.local/"});
    let change = |origin: Option<String>| {
        let asked = Request::post(home.url("/api/plugin/octoeverywhere")).json(&port);
        match origin {
            Some(origin) => asked.header("Origin", origin),
            None => asked,
        }
    };
    let foreign = change(Some("http://evil.example".to_owned())).send().await;
    assert_eq!(foreign.status(), StatusCode::FORBIDDEN);
    let own = change(Some(home.url("").trim_end_matches('/').to_owned()))
        .send()
        .await;
    assert_eq!(own.status(), StatusCode::NO_CONTENT);
    let told = Request::get(home.url("/api/plugin/latchkey"))
        .send()
        .await
        .read()
        .await
        .json();
    assert_eq!(told["frontend"], json!({"port": 80, "https": false}));
}

/// Many callers at once over real sockets: what a stranger can cause stays within its bounds.
#[tokio::test]
async fn strangers_who_ask_for_keys_take_no_memory_of_the_host() {
    const CONNECTIONS: usize = 4;
    const EACH: usize = 5000;
    let home = Home::start_with(&[("api", documented())]).await;
    let flood = async |first: usize| {
        let asking =
            (0..CONNECTIONS).map(|connection| ask_often(&home, first + connection * EACH, EACH));
        futures_util::future::join_all(asking).await;
    };
    flood(0).await;
    let before = home.host.resident();
    flood(CONNECTIONS * EACH).await;
    // Somebody else signs in meanwhile, and afterwards.
    let key = key(&home.url(""), "1.0").await;
    assert_eq!(status(&home, Method::GET, "/api/job", &key).await, 200);
    let grown = home.host.resident().saturating_sub(before);
    println!(
        "{} unauthenticated requests: {} KiB more",
        CONNECTIONS * EACH,
        grown / 1024
    );
    assert!(grown < 1 << 20, "{grown} bytes");
}

async fn ask_often(home: &Home, first: usize, times: usize) {
    let mut socket = TcpStream::connect(home.address()).await.unwrap();
    let mut answers = vec![0; 64 * 1024];
    for number in (first..first + times).step_by(20) {
        let mut requests = String::new();
        for number in number..number + 20 {
            let [.., b, c, d] = number.to_be_bytes();
            let host = home.address();
            write!(
                requests,
                "GET /apps/auth HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-For: 10.{b}.{c}.{d}\r\n\r\n"
            )
            .unwrap();
        }
        socket.write_all(requests.as_bytes()).await.unwrap();
        let mut ended = 0;
        while ended < 20 {
            let read = within("answers", socket.read(&mut answers)).await.unwrap();
            assert_ne!(read, 0, "the host hung up");
            // Each answer is JSON that ends so.
            ended += answers[..read]
                .windows(2)
                .filter(|pair| pair == b"}\n")
                .count();
        }
    }
}
