//! Keys, versions, faults and the bench routes.

use axum::body::Body;
use http::StatusCode;
use serde_json::json;

use crate::harness::{Bench, KEY};

const PROTECTED: [&str; 9] = [
    "/api/version",
    "/api/server",
    "/api/job",
    "/api/printer",
    "/api/settings",
    "/api/files",
    "/sim/faults",
    "/sim/echo",
    "/downloads/files/local/latchkey-vase.gcode",
];

#[tokio::test]
async fn wrong_key_is_answered_403() {
    let bench = Bench::start().await;
    for path in PROTECTED {
        for key in [None, Some("wrong"), Some("")] {
            let mut request = bench.request("GET", path);
            if let Some(key) = key {
                request = request.header("x-api-key", key);
            }
            let answer = bench.send(request.body(Body::empty()).unwrap()).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path} {key:?}");
            assert!(answer.json()["error"].is_string());
        }
        assert_eq!(bench.get(path).await.status, StatusCode::OK, "{path}");
    }
    bench.stop().await;
}

#[tokio::test]
async fn version_is_one_that_apps_accept() {
    let bench = Bench::start().await;
    let request = bench
        .request("GET", "/api/version")
        .header("authorization", format!("Bearer {KEY}"));
    let answer = bench.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.header("cache-control"), "max-age=0");
    assert_eq!(answer.header("vary"), "Cookie");
    let version = answer.json();
    assert_eq!(
        (&version["api"], &version["server"]),
        (&json!("0.1"), &json!("1.11.8"))
    );
    assert!(
        version["text"]
            .as_str()
            .unwrap()
            .starts_with("OctoPrint 1.11.8")
    );
    let settings = bench.get("/api/settings").await.json();
    assert_eq!(settings["webcam"]["streamUrl"], "/webcam/?action=stream");
    assert_eq!(settings["feature"]["sdSupport"], false);
    assert_eq!(
        settings["plugins"]["discovery"]["upnpUuid"]
            .as_str()
            .unwrap()
            .len(),
        36
    );
    bench.stop().await;
}

#[tokio::test]
async fn passive_login_says_who_calls() {
    let bench = Bench::start().await;
    let login = bench
        .post("/api/login", &json!({ "passive": true }))
        .await
        .json();
    assert_eq!(login["name"], "_api");
    assert!(login["session"].is_string());
    let form = || {
        let form = bench.request("POST", "/api/login");
        form.header("content-type", "application/x-www-form-urlencoded")
    };
    // The word itself does not matter.
    for passive in ["passive=True", "passive=false", "passive="] {
        let form = form().header("x-api-key", KEY);
        let login = bench.send(form.body(Body::from(passive)).unwrap()).await;
        assert_eq!(login.json()["name"], "_api", "{passive}");
    }
    let login = bench.post("/api/login", &json!({ "passive": false })).await;
    assert!(login.json()["session"].is_string());
    let neither = bench.post("/api/login", &json!({})).await;
    assert_eq!(neither.status, StatusCode::BAD_REQUEST);
    let anonymous = bench
        .send(form().body(Body::from("passive=true")).unwrap())
        .await;
    assert_eq!(anonymous.status, StatusCode::OK);
    assert!(anonymous.json().get("session").is_none());
    let nobody = bench
        .send(
            bench
                .request("GET", "/api/currentuser")
                .body(Body::empty())
                .unwrap(),
        )
        .await
        .json();
    assert_eq!(nobody["groups"], json!(["guests"]));
    bench.stop().await;
}

#[tokio::test]
async fn nonsense_is_answered_with_the_right_refusal() {
    let bench = Bench::start().await;
    for (path, body, status) in [
        ("/api/job", json!({}), 400),
        ("/api/job", json!({ "command": "dance" }), 400),
        ("/api/job", json!({ "command": "start" }), 409),
        ("/api/printer/tool", json!({ "command": "target" }), 400),
        (
            "/api/printer/tool",
            json!({ "command": "target", "targets": { "tool7": 1 } }),
            400,
        ),
        (
            "/api/printer/chamber",
            json!({ "command": "target", "target": 50 }),
            409,
        ),
        ("/api/printer/printhead", json!({ "command": "jog" }), 400),
        (
            "/api/printer/bed",
            json!({ "command": "target", "target": 60 }),
            204,
        ),
        (
            "/api/printer/command",
            json!({ "commands": ["G28", "M104 S50"] }),
            204,
        ),
        (
            "/api/files/local/none.gcode",
            json!({ "command": "select" }),
            404,
        ),
        ("/sim/faults", json!({ "ofline": true }), 400),
    ] {
        let answer = bench.post(path, &body).await;
        assert_eq!(answer.status.as_u16(), status, "{path} {body}");
        assert_eq!(answer.body.is_empty(), status == 204);
    }
    assert_eq!(
        bench.get("/api/nothing").await.status,
        StatusCode::NOT_FOUND
    );
    bench.stop().await;
}

#[tokio::test]
async fn bodies_of_another_type_are_answered_415() {
    let bench = Bench::start().await;
    for (kind, body, status) in [
        (None, "{}", 415),
        (
            Some("text/plain"),
            r#"{"command": "target", "target": 30}"#,
            415,
        ),
        (
            Some("application/x-www-form-urlencoded"),
            "command=target",
            415,
        ),
        (Some("application/jsonp"), "{}", 415),
        (Some("application/json"), "", 400),
        (Some("application/json"), "[]", 400),
        (
            Some("application/json; charset=utf-8"),
            r#"{"command": "target", "target": 30}"#,
            204,
        ),
        (
            Some("application/vnd.app+json"),
            r#"{"command": "target", "target": 30}"#,
            204,
        ),
    ] {
        let mut request = bench
            .request("POST", "/api/printer/bed")
            .header("x-api-key", KEY);
        if let Some(kind) = kind {
            request = request.header("content-type", kind);
        }
        let answer = bench.send(request.body(Body::from(body)).unwrap()).await;
        assert_eq!(answer.status.as_u16(), status, "{kind:?} {body}");
    }
    bench.stop().await;
}

#[tokio::test]
async fn members_of_a_command_may_be_repeated_in_the_query() {
    let bench = Bench::start().await;
    let command = json!({ "command": "connect", "port": "VIRTUAL" });
    let answer = bench
        .post("/api/connection?command=connect&port=VIRTUAL", &command)
        .await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    assert_eq!(answer.header("content-type"), "text/plain");
    bench.stop().await;
}

#[tokio::test]
async fn a_doubled_leading_slash_is_one() {
    let bench = Bench::start().await;
    let target = json!({ "command": "target", "target": 30, "offset": 0 });
    let answer = bench.post("//api/printer/bed", &target).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    let keyless = bench.request("GET", "//api/version");
    let keyless = bench.send(keyless.body(Body::empty()).unwrap()).await;
    assert_eq!(keyless.status, StatusCode::FORBIDDEN);
    bench.stop().await;
}

#[tokio::test]
async fn what_clients_look_up_is_there_or_missed_as_at_octoprint() {
    let bench = Bench::start().await;
    for (path, member) in [
        ("/api/connection", "/options/printerProfiles/0/name"),
        ("/api/files", "/free"),
        ("/api/job", "/job/file"),
        ("/api/languages", "/language_packs"),
        ("/api/printer/command/custom", "/controls"),
        ("/api/printer/error", "/reason"),
        ("/api/printerprofiles/_default", "/volume"),
        ("/api/settings", "/webcam/snapshotSslValidation"),
        ("/api/settings", "/webcam/snapshotUrl"),
        ("/api/system/commands/core", ""),
    ] {
        let answer = bench.get(path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        assert!(answer.json().pointer(member).is_some(), "{path} {member}");
    }
    for path in [
        "/api/plugin/nothing",
        "/api/system/commands/nothing",
        "/plugin/DisplayLayerProgress/values",
    ] {
        assert_eq!(
            bench.get(path).await.status,
            StatusCode::NOT_FOUND,
            "{path}"
        );
    }
    let command = json!({ "command": "any" });
    let answer = bench.post("/api/plugin/nothing", &command).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    bench.stop().await;
}

#[tokio::test]
async fn a_printer_that_is_off_answers_409() {
    let bench = Bench::start().await;
    let faults = bench
        .post("/sim/faults", &json!({ "offline": true }))
        .await
        .json();
    assert_eq!(faults["offline"], true);
    assert_eq!(bench.get("/api/printer").await.status, StatusCode::CONFLICT);
    assert_eq!(bench.get("/api/job").await.json()["state"], "Offline");
    bench
        .post("/sim/faults", &json!({ "offline": false }))
        .await;
    assert_eq!(
        bench.get("/api/printer?history=true&limit=2").await.json()["state"]["flags"]["operational"],
        true
    );
    bench.stop().await;
}

#[tokio::test]
async fn echo_says_what_arrived() {
    let bench = Bench::start().await;
    let request = bench
        .request("PUT", "/sim/echo?a=%20b&a=")
        .header("x-api-key", KEY)
        .header("x-twice", "1")
        .header("x-twice", "2");
    let echo = bench
        .send(request.body(Body::from("123456789")).unwrap())
        .await
        .json();
    assert_eq!(
        (&echo["method"], &echo["target"]),
        (&json!("PUT"), &json!("/sim/echo?a=%20b&a="))
    );
    let twice = echo["headers"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|pair| pair[0] == "x-twice")
        .count();
    assert_eq!(twice, 2);
    assert_eq!(
        echo["body"],
        json!({ "bytes": 9, "crc32": "cbf43926", "starts": "123456789" })
    );
    assert_eq!(bench.get("/sim/count?n=3").await.body, "0\n1\n2\n");
    bench.stop().await;
}

#[tokio::test]
async fn page_allows_nothing_inline() {
    let bench = Bench::start().await;
    let page = bench
        .send(bench.request("GET", "/").body(Body::empty()).unwrap())
        .await;
    assert!(
        page.header("content-security-policy")
            .contains("default-src 'none'")
    );
    let html = String::from_utf8(page.body.to_vec()).unwrap();
    assert!(!html.contains("style=") && !html.contains("<style") && !html.contains("onclick"));
    for asset in ["sim.css", "sim.js", "sim.svg"] {
        assert!(html.contains(&format!("static/{asset}")));
        let answer = bench
            .send(
                bench
                    .request("GET", &format!("/static/{asset}"))
                    .body(Body::empty())
                    .unwrap(),
            )
            .await;
        assert_eq!(answer.status, StatusCode::OK);
    }
    bench.stop().await;
}
