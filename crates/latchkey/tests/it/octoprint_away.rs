//! Away from home: what an app and OctoPrint's own pages do, through a relay and a host. OctoPrint judges callers here,
//! and the host has no key to it.

use futures_util::{SinkExt as _, StreamExt as _};
use http::{HeaderMap, StatusCode};
use latchkey_model::app_connection::AccessMode;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::harness::http::{Cookies, Generated, Request, WebSocket, websocket};
use crate::harness::octoprint::{ADMIN_API_KEY, OctoPrint, USER};
use crate::harness::stack::{Connection, Stack, assert_relay_status};
use crate::harness::within;

async fn octoprint_and_stack() -> (OctoPrint, Stack) {
    let octoprint = OctoPrint::start().await;
    let stack = Stack::before(octoprint.base_url()).start().await;
    (octoprint, stack)
}

/// Signs in as OctoPrint's own login page does; the browser is at the connection's address.
async fn sign_in(connection: &Connection) -> (Cookies, String) {
    let mut cookies = Cookies::default();
    let page = connection.get("/login/").send().await.read().await;
    assert_eq!(page.status, StatusCode::OK, "{page:?}");
    cookies.learn(&page.headers);
    let csrf = cookies.get(&csrf_cookie(connection)).unwrap().to_owned();
    let login = connection
        .post("/api/login")
        .cookies(&cookies)
        .header("X-CSRF-Token", &csrf)
        .json(&json!({"user": USER.name, "pass": USER.password, "remember": true}));
    let response = login.send().await.read().await;
    assert_eq!(response.status, StatusCode::OK, "{response:?}");
    assert_eq!(response.json()["name"], USER.name);
    cookies.learn(&response.headers);
    let csrf = cookies.get(&csrf_cookie(connection)).unwrap().to_owned();
    (cookies, csrf)
}

fn csrf_cookie(connection: &Connection) -> String {
    format!("csrf_token_P{}", connection.port())
}

#[tokio::test]
async fn app_calls_with_either_credential_and_its_own_key() {
    let (octoprint, stack) = octoprint_and_stack().await;
    let enhanced = stack.connection(AccessMode::Enhanced);
    let (user, password) = enhanced.basic.as_ref().unwrap();
    let version =
        || Request::get(enhanced.address("/api/version")).header("X-Api-Key", ADMIN_API_KEY);
    let by_basic = version().basic(user, password);
    let by_bearer = version().bearer(enhanced.bearer.as_ref().unwrap());
    for request in [by_basic, by_bearer] {
        let response = request.send().await.read().await;
        assert_eq!(response.status, StatusCode::OK, "{response:?}");
        assert_eq!(response.json()["server"], "1.11.8");
    }

    // OctoPrint itself refuses who has no key, and its words come back unchanged.
    let direct = Request::get(octoprint.url("api/version"))
        .send()
        .await
        .read()
        .await;
    let refused = enhanced.get("/api/version").send().await.read().await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert_eq!(refused.body, direct.body);
}

#[tokio::test]
async fn credential_of_the_connection_stays_at_the_relay() {
    let (octoprint, stack) = octoprint_and_stack().await;
    // OctoPrint takes a bearer token for a key of its own, so it would see one that came through.
    let direct = Request::get(octoprint.url("api/version")).bearer(ADMIN_API_KEY);
    assert_eq!(direct.send().await.status(), StatusCode::OK);
    let open = stack.connection(AccessMode::None);
    let through = Request::get(open.address("/api/version")).bearer(ADMIN_API_KEY);
    assert_eq!(through.send().await.status(), StatusCode::FORBIDDEN);

    for access in AccessMode::ALL {
        let me = stack
            .connection(access)
            .get("/api/currentuser")
            .send()
            .await;
        let me = me.read().await;
        assert_eq!(me.status, StatusCode::OK, "{access}: {me:?}");
        assert_eq!(me.json()["name"], Value::Null, "{access}");
    }
}

#[tokio::test]
async fn person_signs_in_and_out_on_octoprints_pages() {
    let (_octoprint, stack) = octoprint_and_stack().await;
    let connection = stack.connection(AccessMode::Enhanced);
    let (mut cookies, csrf) = sign_in(connection).await;
    // Its page looks for the cookie of the port in the address bar.
    let session = format!("session_P{}", connection.port());
    assert!(cookies.get(&session).is_some(), "{cookies:?}");

    let passive = || {
        connection
            .post("/api/login")
            .json(&json!({"passive": true}))
    };
    let known = passive().cookies(&cookies).header("X-CSRF-Token", &csrf);
    let known = known.send().await.read().await;
    assert_eq!(
        (known.status, &known.json()["name"]),
        (StatusCode::OK, &json!(USER.name))
    );

    // Its protection against forged requests still works through two proxies.
    let forged = passive().cookies(&cookies).send().await;
    assert_eq!(forged.status(), StatusCode::BAD_REQUEST);
    let made_up = passive()
        .cookies(&cookies)
        .header("X-CSRF-Token", "made-up");
    assert_eq!(made_up.send().await.status(), StatusCode::BAD_REQUEST);

    let logout = connection.post("/api/logout").cookies(&cookies);
    let logout = logout.header("X-CSRF-Token", &csrf).json(&json!({}));
    let gone = logout.send().await.read().await;
    assert_eq!(gone.status, StatusCode::OK, "{gone:?}");
    cookies.learn(&gone.headers);
    let me = connection.get("/api/currentuser").cookies(&cookies);
    assert_eq!(me.send().await.read().await.json()["name"], Value::Null);
}

#[tokio::test]
async fn cookies_come_one_by_one_and_without_a_domain() {
    let (_octoprint, stack) = octoprint_and_stack().await;
    let connection = stack.connection(AccessMode::None);
    let page = connection.get("/login/").send().await.read().await;
    let set: Vec<_> = page.headers.get_all("set-cookie").iter().collect();
    assert!(set.len() >= 2, "{set:?}");
    for cookie in set {
        let cookie = cookie.to_str().unwrap().to_ascii_lowercase();
        assert!(!cookie.contains("domain="), "{cookie}");
        assert_eq!(cookie.matches("path=").count(), 1, "{cookie}");
    }
}

/// The next message that has a member of this name.
async fn message_with(socket: &mut WebSocket, member: &str) -> Value {
    loop {
        let message = within("a message", socket.next()).await.unwrap().unwrap();
        if let Message::Text(text) = message {
            let message: Value = serde_json::from_str(&text).unwrap();
            if let Some(found) = message.get(member) {
                return found.clone();
            }
        }
    }
}

#[tokio::test]
async fn push_socket_keeps_reporting() {
    let (octoprint, stack) = octoprint_and_stack().await;
    let connection = stack.connection(AccessMode::Enhanced);
    let api = |path: &str| connection.post(path).header("X-Api-Key", ADMIN_API_KEY);

    let authorization = connection.authorization().unwrap();
    let headers = [("Authorization", authorization.as_str())];
    let opened = websocket(connection.address("/sockjs/websocket"), &headers).await;
    let (mut socket, head): (_, HeaderMap) = opened.unwrap();
    assert!(!head.contains_key("latchkey-failure"), "{head:?}");
    let greeting = message_with(&mut socket, "connected").await;
    assert_eq!(greeting["version"], "1.11.8");

    let session = api("/api/login")
        .json(&json!({"passive": true}))
        .send()
        .await;
    let session = session.read().await.json();
    let auth = format!(
        "{}:{}",
        session["name"].as_str().unwrap(),
        session["session"].as_str().unwrap()
    );
    let auth = json!({ "auth": auth }).to_string();
    within("the socket", socket.send(Message::text(auth)))
        .await
        .unwrap();

    // A printer that is connected has temperatures to report all the time.
    let connect = api("/api/connection").json(&json!({"command": "connect", "port": "VIRTUAL"}));
    assert_eq!(connect.send().await.status(), StatusCode::NO_CONTENT);
    let mut seen = 0;
    while seen < 5 {
        let current = message_with(&mut socket, "current").await;
        seen += usize::from(current["state"]["flags"]["operational"] == true);
    }

    socket.close(None).await.unwrap();
    let closing = async { while let Some(Ok(_)) = socket.next().await {} };
    within("the end of the socket", closing).await;
    assert!(octoprint.log().contains("Listening on"));
}

#[tokio::test]
async fn push_socket_is_refused_before_it_opens() {
    let (_octoprint, stack) = octoprint_and_stack().await;
    let connection = stack.connection(AccessMode::Enhanced);
    for headers in [&[][..], &[("Authorization", "Bearer wrong")][..]] {
        let opened = websocket(connection.address("/sockjs/websocket"), headers).await;
        assert_relay_status(&opened.unwrap_err(), 606);
        // Apps that cannot see a refused handshake ask once more in plain HTTP.
        let again = Request::get(connection.address("/sockjs/websocket"));
        let again = headers
            .iter()
            .fold(again, |again, (name, value)| again.header(name, value));
        assert_relay_status(&again.send().await.read().await, 606);
    }
}

#[tokio::test]
async fn push_socket_opens_for_octoprints_own_pages_and_no_others() {
    let (_octoprint, stack) = octoprint_and_stack().await;
    let foreign = "http://elsewhere.example";
    for access in AccessMode::ALL {
        let connection = stack.connection(access);
        let authorization = connection.authorization();
        for (origin, opens) in [(connection.url.as_str(), true), (foreign, false)] {
            let mut headers = vec![("Origin", origin)];
            headers.extend(
                authorization
                    .iter()
                    .map(|value| ("Authorization", &**value)),
            );
            let opened = websocket(connection.address("/sockjs/websocket"), &headers).await;
            match opened {
                Ok((mut socket, _)) => {
                    assert!(opens, "{access} from {origin}");
                    message_with(&mut socket, "connected").await;
                }
                Err(refused) => {
                    assert!(!opens, "{access} from {origin}: {refused:?}");
                    assert_eq!(refused.status, StatusCode::FORBIDDEN);
                }
            }
        }
    }
}

#[tokio::test]
async fn large_file_goes_up_and_comes_back_byte_for_byte() {
    let (octoprint, stack) = octoprint_and_stack().await;
    let connection = stack.connection(AccessMode::Basic);
    let content = Generated {
        seed: 64,
        size: 64 << 20,
    };
    let upload = connection
        .post("/api/files/local")
        .header("X-Api-Key", ADMIN_API_KEY);
    let stored = upload
        .upload("file", "Bench 1.gcode", content)
        .send()
        .await
        .read()
        .await;
    assert_eq!(stored.status, StatusCode::CREATED, "{stored:?}");
    // OctoPrint puts the address together from what the host tells it.
    let location = stored.header("location");
    assert!(
        location.starts_with(&connection.address("/api/files/local/")),
        "{location}"
    );

    let expected = content.bytes();
    let name = location.rsplit('/').next().unwrap();
    let path = format!("/downloads/files/local/{name}");
    let on_disk = std::fs::metadata(
        octoprint
            .folder()
            .join("uploads")
            .join(stored.json()["files"]["local"]["name"].as_str().unwrap()),
    );
    assert_eq!(on_disk.unwrap().len(), 64 << 20);

    let download = || connection.get(&path).header("X-Api-Key", ADMIN_API_KEY);
    let mut answer = download().send().await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["content-length"], "67108864");
    let modified = answer.headers()["last-modified"]
        .to_str()
        .unwrap()
        .to_owned();
    let mut at = 0;
    while let Some(chunk) = answer.chunk().await.unwrap() {
        assert!(
            expected[at..].starts_with(&chunk),
            "differs within {} bytes after {at}",
            chunk.len()
        );
        at += chunk.len();
    }
    assert_eq!(at, expected.len());

    let part = download()
        .range(1_000_000, 1_065_535)
        .send()
        .await
        .read()
        .await;
    assert_eq!(part.status, StatusCode::PARTIAL_CONTENT);
    assert_eq!(
        part.header("content-range"),
        "bytes 1000000-1065535/67108864"
    );
    assert_eq!(part.body, expected.slice(1_000_000..1_065_536));

    let unchanged = download()
        .header("If-Modified-Since", &modified)
        .send()
        .await;
    assert_eq!(unchanged.status(), StatusCode::NOT_MODIFIED);
}

#[tokio::test]
async fn unchanged_page_is_not_sent_again() {
    let (_octoprint, stack) = octoprint_and_stack().await;
    let connection = stack.connection(AccessMode::Bearer);
    let asked = || {
        connection
            .get("/api/settings")
            .header("X-Api-Key", ADMIN_API_KEY)
    };
    let first = asked().send().await.read().await;
    assert_eq!(first.status, StatusCode::OK);
    let tag = first.header("etag").to_owned();
    let second = asked()
        .header("If-None-Match", &tag)
        .send()
        .await
        .read()
        .await;
    assert_eq!(
        (second.status, second.body.len()),
        (StatusCode::NOT_MODIFIED, 0)
    );
    let changed = asked().header("If-None-Match", "\"another\"").send().await;
    assert_eq!(changed.status(), StatusCode::OK);
}
