//! Plain requests to the push socket's paths, and upgrades that are refused.

use http::{Method, Request, StatusCode};
use http_body_util::BodyExt;
use latchkey_net::body;

use super::*;
use crate::upstream::Answer;

fn request(method: Method, path: &str, fields: &[(&str, &str)]) -> Request<body::Body> {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    request.body(body::empty()).unwrap()
}

async fn plain(
    bench: &Bench,
    method: Method,
    path: &str,
    fields: &[(&str, &str)],
) -> http::Response<body::Body> {
    let request = request(method, path, fields);
    match bench.push.answer(request, &inbound(false)).await {
        Answer::Plain(response) => response,
        Answer::WebSocket(..) | Answer::OwnSocket(..) => panic!("nobody asked for a socket"),
    }
}

#[tokio::test]
async fn info_has_the_contracted_members() {
    let bench = Bench::new(None);
    let response = plain(
        &bench,
        Method::GET,
        "/sockjs/info",
        &[("origin", "http://evil.example")],
    )
    .await;
    assert_eq!(response.headers()["access-control-allow-origin"], "*");
    assert!(
        response.headers()["cache-control"]
            .to_str()
            .unwrap()
            .contains("no-store")
    );
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let info: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(info["websocket"], true);
    assert_eq!(info["cookie_needed"], false);
    assert_eq!(info["origins"], json!(["*:*"]));
    assert!(info["entropy"].is_u64());
}

#[tokio::test]
async fn paths_and_methods_have_their_statuses() {
    let bench = Bench::new(None);
    for (method, path, status) in [
        (Method::GET, "/sockjs", 200),
        (Method::HEAD, "/sockjs/", 200),
        (Method::POST, "/sockjs", 405),
        (Method::HEAD, "/sockjs/info", 200),
        (Method::OPTIONS, "/sockjs/info", 204),
        (Method::POST, "/sockjs/info", 405),
        (Method::GET, "/sockjs/websocket", 400),
        (Method::POST, "/sockjs/1/a/websocket", 405),
        (Method::GET, "/sockjs/1/a/xhr", 405),
        (Method::OPTIONS, "/sockjs/1/a/xhr_send", 204),
        (Method::POST, "/sockjs/1/a/xhr_send", 404),
        (Method::GET, "/sockjs/1/a/eventsource", 404),
        (Method::GET, "/sockjs/nothing", 404),
    ] {
        let response = plain(&bench, method.clone(), path, &[]).await;
        assert_eq!(response.status(), status, "{method} {path}");
        assert_eq!(
            response.headers().contains_key("allow"),
            [204, 405].contains(&status)
        );
    }
    assert!(Push::is_ours("/sockjs") && Push::is_ours("/sockjs/x"));
    assert!(!Push::is_ours("/sockjsx") && !Push::is_ours("/api/sockjs"));
}

#[tokio::test]
async fn a_page_from_elsewhere_neither_listens_nor_speaks() {
    let bench = Bench::new(None);
    for (origin, allowed) in [
        (None, true),
        (Some("http://octopi.local:5010"), true),
        (Some("https://octopi.local:5010"), true),
        (Some("http://inner:80"), true),
        (Some("http://octopi.local"), false),
        (Some("http://evil.example"), false),
        (Some("file://octopi.local:5010"), false),
        (Some("null"), false),
    ] {
        let mut fields = vec![
            ("host", "inner"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        fields.extend(origin.map(|origin| ("origin", origin)));
        let asked = request(Method::GET, "/sockjs/websocket", &fields);
        let opened = match bench.push.answer(asked, &inbound(true)).await {
            Answer::OwnSocket(fields, _) => {
                // The example of RFC 6455 section 1.3.
                assert_eq!(
                    fields["sec-websocket-accept"],
                    "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
                );
                true
            }
            Answer::Plain(response) => {
                assert_eq!(response.status(), StatusCode::FORBIDDEN);
                false
            }
            Answer::WebSocket(..) => panic!("there is no upstream"),
        };
        assert_eq!(opened, allowed, "{origin:?}");
        for path in ["/sockjs/1/a/xhr_send", "/sockjs/1/b/xhr"] {
            let status = plain(&bench, Method::POST, path, &fields).await.status();
            assert_eq!(status == StatusCode::FORBIDDEN, !allowed, "{origin:?}");
        }
    }
}

#[tokio::test]
async fn an_upgrade_that_cannot_be_one_is_refused() {
    let bench = Bench::new(None);
    let key = ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    for (path, fields, status) in [
        ("/sockjs/websocket", vec![], 400),
        (
            "/sockjs/websocket",
            vec![key, ("sec-websocket-version", "8")],
            426,
        ),
        ("/sockjs/1/a.b/websocket", vec![key], 404),
        ("/sockjs/info", vec![key], 200),
    ] {
        let asked = request(Method::GET, path, &fields);
        let Answer::Plain(response) = bench.push.answer(asked, &inbound(true)).await else {
            panic!("{path} opened");
        };
        assert_eq!(response.status(), status, "{path}");
    }
}

#[tokio::test]
async fn a_full_house_answers_503() {
    let bench = Bench::new(None);
    let seats: Vec<_> = (0..256)
        .map(|_| {
            let seat = bench.push.0.seats.take(SOMEBODY).unwrap();
            seat.set_known(true);
            seat
        })
        .collect();
    let key = ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    let asked = || request(Method::GET, "/sockjs/websocket", &[key]);
    let Answer::Plain(response) = bench.push.answer(asked(), &inbound(true)).await else {
        panic!("opened");
    };
    assert_eq!(response.status(), 503);
    let polled = plain(&bench, Method::POST, "/sockjs/1/a/xhr", &[]).await;
    assert_eq!(polled.status(), 503);
    drop(seats);
    let answer = bench.push.answer(asked(), &inbound(true)).await;
    assert!(matches!(answer, Answer::OwnSocket(..)));
}
