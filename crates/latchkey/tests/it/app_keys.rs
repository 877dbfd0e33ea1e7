//! Story 2, "At home": an app asks, a person decides, the app has its own key, until it is revoked.

use http::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::harness::home::{ANN, BOB, Browser, EVE, Home};
use crate::harness::http::{Generated, Request};
use crate::harness::open::{camera, camera_ended, push_socket, socket_ended};
use crate::harness::stack::latchkey;
use crate::harness::within;

/// An app's side of the workflow up to its first question.
async fn ask(home: &Home, app: &str) -> (String, String) {
    let asked = Request::post(home.url("/plugin/appkeys/request")).json(&json!({"app": app}));
    let asked = asked.send().await.read().await;
    assert_eq!(asked.status, StatusCode::CREATED, "{asked:?}");
    let location = asked.header("location").to_owned();
    (
        location,
        asked.json()["app_token"].as_str().unwrap().to_owned(),
    )
}

async fn poll(location: &str) -> (u16, Value) {
    let answer = Request::get(location).send().await.read().await;
    (answer.status.as_u16(), answer.json())
}

/// The user token of the one request that waits.
async fn pending(browser: &mut Browser) -> String {
    let list = browser.get("/api/plugin/appkeys").await.json();
    let pending = list["pending"].as_object().unwrap();
    assert_eq!(pending.len(), 1, "{list}");
    pending.keys().next().unwrap().clone()
}

async fn allow(home: &Home, browser: &mut Browser, app: &str, scope: &str) -> String {
    let (location, _) = ask(home, app).await;
    assert_eq!(poll(&location).await.0, 202);
    let token = pending(browser).await;
    let decision = json!({"decision": true, "scope": scope});
    let decided = browser
        .post(&format!("/plugin/appkeys/decision/{token}"), &decision)
        .await;
    assert_eq!(decided.status, StatusCode::NO_CONTENT, "{decided:?}");
    let (status, body) = poll(&location).await;
    assert_eq!(status, 200);
    assert_eq!(poll(&location).await.0, 404, "it is fetched once");
    body["api_key"].as_str().unwrap().to_owned()
}

fn with(key: &str, method: Method, url: String) -> Request {
    Request::new(method, url).header("X-Api-Key", key)
}

#[tokio::test]
async fn an_app_asks_a_person_allows_and_the_key_works_until_it_is_revoked() {
    let home = Home::start().await;
    let mut bob = home.sign_in(BOB).await;
    let key = allow(&home, &mut bob, "Fieldglass", "full").await;

    let version = with(&key, Method::GET, home.url("/api/version"))
        .send()
        .await;
    assert_eq!(version.status(), StatusCode::OK);
    let bearer = Request::get(home.url("/api/job")).bearer(&key).send().await;
    assert_eq!(bearer.status(), StatusCode::OK);
    let query = Request::get(home.url(&format!("/api/job?apikey={key}")))
        .send()
        .await;
    assert_eq!(query.status(), StatusCode::OK);
    let stranger = Request::get(home.url("/api/version")).send().await;
    assert_eq!(stranger.status(), StatusCode::FORBIDDEN);
    let wrong = with("wrong-key-wrong-key", Method::GET, home.url("/api/version"))
        .send()
        .await;
    assert_eq!(wrong.status(), StatusCode::FORBIDDEN);

    // Everything that an app keeps open.
    let mut stream = camera(&home, &key).await;
    let mut socket = push_socket(&home, &key, BOB.name).await;

    let revoke = json!({"command": "revoke", "app": "FIELDGLASS"});
    let revoked = bob.post("/api/plugin/appkeys", &revoke).await;
    assert_eq!(revoked.status, StatusCode::NO_CONTENT, "{revoked:?}");
    let since = Instant::now();
    camera_ended(&mut stream).await;
    let camera = since.elapsed();
    socket_ended(&mut socket).await;
    let push = since.elapsed();
    println!("after a revocation the camera ended in {camera:?}, the push socket in {push:?}");
    let refused = with(&key, Method::GET, home.url("/api/version"))
        .send()
        .await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    let again = with(&key, Method::POST, home.url("/api/job")).json(&json!({"command": "cancel"}));
    // Like no key at all, and then the CSRF token is what is missing first.
    assert!(matches!(again.send().await.status().as_u16(), 400 | 403));
}

#[tokio::test]
async fn a_key_for_watching_changes_nothing() {
    let home = Home::start().await;
    let mut ann = home.sign_in(ANN).await;
    let view = allow(&home, &mut ann, "Watcher", "view").await;
    let full = allow(&home, &mut ann, "Fieldglass", "full").await;
    for path in [
        "/api/version",
        "/api/job",
        "/api/printer",
        "/api/files",
        "/webcam/?action=snapshot",
    ] {
        let seen = with(&view, Method::GET, home.url(path)).send().await;
        assert_eq!(seen.status(), StatusCode::OK, "{path}");
    }
    for (path, body) in [
        ("/api/job", json!({"command": "start"})),
        (
            "/api/printer/tool",
            json!({"command": "target", "targets": {"tool0": 200}}),
        ),
        ("/api/printer/command", json!({"command": "M112"})),
        (
            "/api/plugin/appkeys",
            json!({"command": "generate", "app": "More"}),
        ),
        ("/api/settings", json!({})),
        ("/api/whatever/comes", json!({})),
    ] {
        let refused = with(&view, Method::POST, home.url(path))
            .json(&body)
            .send()
            .await;
        assert_eq!(refused.status(), StatusCode::FORBIDDEN, "{path}");
    }
    let upload = with(&view, Method::POST, home.url("/api/files/local"));
    let upload = upload.upload(
        "file",
        "x.gcode",
        Generated {
            size: 1000,
            seed: 1,
        },
    );
    assert_eq!(upload.send().await.status(), StatusCode::FORBIDDEN);
    let list = with(
        &view,
        Method::GET,
        home.url("/api/plugin/appkeys?app=Fieldglass"),
    );
    let list = list.send().await.read().await;
    assert!(
        !list.text().contains(&full),
        "a watching app learns no other key"
    );
    // It decides about no other app either.
    ask(&home, "Accomplice").await;
    let token = pending(&mut ann).await;
    let decide = home.url(&format!("/plugin/appkeys/decision/{token}"));
    let decided = with(&view, Method::POST, decide).json(&json!({"decision": true}));
    assert_eq!(decided.send().await.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn people_go_as_far_as_their_group() {
    let home = Home::start().await;
    let settings = json!({"appearance": {"name": "x"}});
    let start = json!({"command": "start"});
    for (person, looks, prints, administers) in [
        (ANN, 200, true, true),
        (BOB, 200, true, false),
        (EVE, 200, false, false),
    ] {
        let mut browser = home.sign_in(person).await;
        let seen = browser.get("/api/version").await.status.as_u16();
        assert_eq!(seen, looks, "{}", person.name);
        let printed = browser.post("/api/job", &start).await.status.as_u16();
        assert_eq!(printed != 403, prints, "{}: {printed}", person.name);
        let set = browser
            .post("/api/settings", &settings)
            .await
            .status
            .as_u16();
        assert_eq!(set != 403, administers, "{}: {set}", person.name);
    }
}

#[tokio::test]
async fn a_browser_without_a_session_is_led_to_the_sign_in_and_back() {
    let home = Home::start().await;
    let page = Request::get(home.url("/?tab=control")).header("Accept", "text/html");
    let led = page.send().await.read().await;
    assert_eq!(led.status, StatusCode::FOUND);
    assert_eq!(
        led.header("location"),
        "/login/?redirect=%2F%3Ftab%3Dcontrol"
    );
    let mut browser = home.browser();
    let sign_in = browser.get("/login/?redirect=%2F").await;
    assert_eq!(sign_in.status, StatusCode::OK);
    let fields = [
        ("user", BOB.name),
        ("pass", BOB.password),
        ("redirect", "/"),
    ];
    let signed_in = browser.submit("/login/", &fields).await;
    assert!(signed_in.status.is_redirection(), "{signed_in:?}");
    assert_eq!(signed_in.header("location"), "/");
    let shown = browser
        .request(Method::GET, "/")
        .header("Accept", "text/html");
    assert_eq!(browser.send(shown).await.status, StatusCode::OK);
}

#[tokio::test]
async fn uses_of_a_key_are_counted() {
    let mut home = Home::start().await;
    let mut bob = home.sign_in(BOB).await;
    let key = allow(&home, &mut bob, "Fieldglass", "full").await;
    for _ in 0..7 {
        let called = with(&key, Method::GET, home.url("/api/version"))
            .send()
            .await;
        assert_eq!(called.status(), StatusCode::OK);
    }
    // Written at the latest when the host stops.
    home.host.stop().await;
    home.start_host().await;
    let mut bob = home.sign_in(BOB).await;
    let list = bob.get("/api/plugin/appkeys").await.json();
    let facts = &list["keys"][0]["latchkey"];
    assert!(facts["requests"].as_u64().unwrap() >= 7, "{facts}");
    assert_eq!(facts["last_network"], "127.0.0.0/24");
    assert!(facts["last_used"].as_i64() >= facts["created"].as_i64());
}

#[tokio::test]
async fn a_user_removed_on_the_command_line_loses_what_is_open() {
    let home = Home::start().await;
    let mut bob = home.sign_in(BOB).await;
    let key = allow(&home, &mut bob, "Fieldglass", "full").await;
    let stream = home.url("/webcam/?action=stream");
    let mut stream = with(&key, Method::GET, stream).send().await;
    assert!(stream.chunk().await.unwrap().is_some());
    let removed = latchkey()
        .args(["user", "remove", BOB.name, "--config"])
        .arg(home.config())
        .output();
    let removed = within("the command", removed).await.unwrap();
    assert!(removed.status.success(), "{removed:?}");
    within("the camera's stream to end", async {
        while let Ok(Some(_)) = stream.chunk().await {}
    })
    .await;
    let refused = with(&key, Method::GET, home.url("/api/version"))
        .send()
        .await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
}
