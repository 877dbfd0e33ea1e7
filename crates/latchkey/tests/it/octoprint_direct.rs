//! What a real OctoPrint does when nothing of ours is in between: the ground the other stories stand on.

use std::time::Duration;

use http::StatusCode;
use serde_json::json;
use tokio::time::sleep;

use crate::harness::http::{Cookies, Generated, Request, websocket};
use crate::harness::octoprint::{ADMIN, ADMIN_API_KEY, OctoPrint, Person, USER};
use crate::harness::within;

/// Signs in as OctoPrint's own login page does. The cookie names carry the port that the browser sees.
async fn sign_in(octoprint: &OctoPrint, person: Person) -> (Cookies, String) {
    let mut cookies = Cookies::default();
    cookies.learn(
        &Request::get(octoprint.url("login/"))
            .send()
            .await
            .read()
            .await
            .headers,
    );
    let csrf = cookies
        .get(&format!("csrf_token_P{}", octoprint.port()))
        .unwrap()
        .to_owned();
    let login = Request::post(octoprint.url("api/login"))
        .cookies(&cookies)
        .header("X-CSRF-Token", &csrf)
        .json(&json!({"user": person.name, "pass": person.password, "remember": false}));
    let response = login.send().await.read().await;
    assert_eq!(response.status, StatusCode::OK, "{response:?}");
    assert_eq!(response.json()["name"], person.name);
    cookies.learn(&response.headers);
    let csrf = cookies
        .get(&format!("csrf_token_P{}", octoprint.port()))
        .unwrap()
        .to_owned();
    (cookies, csrf)
}

#[tokio::test]
async fn version_needs_a_key_and_is_1_11_8() {
    let octoprint = OctoPrint::start().await;
    let refused = Request::get(octoprint.url("api/version")).send().await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);

    let asked = Request::get(octoprint.url("api/version")).header("X-Api-Key", ADMIN_API_KEY);
    assert_eq!(asked.send().await.read().await.json()["server"], "1.11.8");
}

#[tokio::test]
async fn sign_in_needs_password_and_csrf_token() {
    let octoprint = OctoPrint::start().await;
    let (cookies, csrf) = sign_in(&octoprint, USER).await;
    assert!(
        cookies
            .get(&format!("session_P{}", octoprint.port()))
            .is_some()
    );

    let me = Request::get(octoprint.url("api/currentuser"))
        .cookies(&cookies)
        .send()
        .await
        .read()
        .await
        .json();
    assert_eq!(
        (me["name"].as_str(), &me["groups"]),
        (Some(USER.name), &json!(["users"]))
    );

    // Only a request that changes something needs the token, and only one that cookies speak for.
    let change = || {
        Request::post(octoprint.url("api/connection"))
            .cookies(&cookies)
            .json(&json!({"command": "disconnect"}))
    };
    assert_eq!(change().send().await.status(), StatusCode::BAD_REQUEST);
    assert_eq!(
        change().header("X-CSRF-Token", &csrf).send().await.status(),
        StatusCode::NO_CONTENT
    );

    let wrong = json!({"user": ADMIN.name, "pass": "wrong"});
    let attempt = || Request::post(octoprint.url("api/login")).json(&wrong);
    assert_eq!(attempt().send().await.status(), StatusCode::BAD_REQUEST);
    let with_token = attempt().cookies(&cookies).header("X-CSRF-Token", &csrf);
    assert_eq!(with_token.send().await.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn uploaded_file_comes_back_byte_for_byte() {
    let octoprint = OctoPrint::start().await;
    let content = Generated {
        seed: 11,
        size: 5_000_001,
    };
    let upload = Request::post(octoprint.url("api/files/local")).header("X-Api-Key", ADMIN_API_KEY);
    let response = upload
        .upload("file", "cube.gcode", content)
        .send()
        .await
        .read()
        .await;
    assert_eq!(response.status, StatusCode::CREATED, "{response:?}");

    let stored = std::fs::metadata(octoprint.folder().join("uploads/cube.gcode")).unwrap();
    assert_eq!(stored.len(), content.size as u64);
    let download = || {
        Request::get(octoprint.url("downloads/files/local/cube.gcode"))
            .header("X-Api-Key", ADMIN_API_KEY)
    };
    assert_eq!(
        download().send().await.digest().await,
        (content.size, content.sha256())
    );

    let part = download().range(100, 199).send().await.read().await;
    assert_eq!(
        (part.status, part.body),
        (StatusCode::PARTIAL_CONTENT, content.bytes().slice(100..200))
    );
}

#[tokio::test]
async fn app_keys_workflow_is_there_and_survives_a_restart() {
    let mut octoprint = OctoPrint::start().await;
    let probe = Request::get(octoprint.url("plugin/appkeys/probe"))
        .send()
        .await;
    assert_eq!(probe.status(), StatusCode::NO_CONTENT);

    let request =
        Request::post(octoprint.url("plugin/appkeys/request")).json(&json!({"app": "Test app"}));
    let response = request.send().await.read().await;
    assert_eq!(response.status, StatusCode::CREATED);
    let poll = response.header("location").to_owned();
    assert_eq!(
        Request::get(&poll).send().await.status(),
        StatusCode::ACCEPTED
    );

    let token = poll.rsplit('/').next().unwrap();
    let (cookies, csrf) = sign_in(&octoprint, USER).await;
    let pending = Request::get(octoprint.url("api/plugin/appkeys"))
        .cookies(&cookies)
        .send()
        .await
        .read()
        .await
        .json();
    let user_token = pending["pending"]
        .as_object()
        .unwrap()
        .keys()
        .next()
        .unwrap();
    assert_ne!(user_token, token);
    let decide = Request::post(octoprint.url(&format!("plugin/appkeys/decision/{user_token}")));
    let decided = decide
        .cookies(&cookies)
        .header("X-CSRF-Token", &csrf)
        .json(&json!({"decision": true}));
    assert_eq!(decided.send().await.status(), StatusCode::NO_CONTENT);
    let key = Request::get(&poll).send().await.read().await.json()["api_key"]
        .as_str()
        .unwrap()
        .to_owned();

    octoprint.restart().await;
    let me = Request::get(octoprint.url("api/currentuser"))
        .header("X-Api-Key", &key)
        .send()
        .await
        .read()
        .await
        .json();
    assert_eq!(me["name"], USER.name);
    assert!(octoprint.log().contains("Listening on"));

    octoprint.stop().await;
    assert!(Request::get(octoprint.base_url()).try_send().await.is_err());
}

#[tokio::test]
async fn push_socket_opens_and_settings_can_be_laid_over() {
    let octoprint = OctoPrint::start_with("appearance: {name: Overlaid}").await;
    let settings = Request::get(octoprint.url("api/settings")).header("X-Api-Key", ADMIN_API_KEY);
    assert_eq!(
        settings.send().await.read().await.json()["appearance"]["name"],
        "Overlaid"
    );

    let (mut socket, _) = websocket(octoprint.url("sockjs/websocket"), &[])
        .await
        .unwrap();
    let greeting = futures_util::StreamExt::next(&mut socket)
        .await
        .unwrap()
        .unwrap();
    assert!(
        greeting
            .to_text()
            .unwrap()
            .contains("\"version\": \"1.11.8\""),
        "{greeting}"
    );
}

#[tokio::test]
async fn virtual_printer_connects_and_reports_temperatures() {
    let octoprint = OctoPrint::start().await;
    let connect = json!({"command": "connect", "port": "VIRTUAL"});
    let connect = Request::post(octoprint.url("api/connection")).json(&connect);
    let connect = connect.header("X-Api-Key", ADMIN_API_KEY);
    assert_eq!(connect.send().await.status(), StatusCode::NO_CONTENT);

    let temperatures = within("the virtual printer", async {
        loop {
            let printer = Request::get(octoprint.url("api/printer"));
            let answer = printer.header("X-Api-Key", ADMIN_API_KEY).send().await;
            // 409 until the printer is operational.
            if answer.status() == StatusCode::OK {
                return answer.read().await.json()["temperature"].clone();
            }
            sleep(Duration::from_millis(50)).await;
        }
    });
    assert!(temperatures.await.is_object());
}
