//! Clients without a WebSocket.

use http::{Request, Response};
use http_body_util::BodyExt;
use latchkey_model::access::KeyScope;
use latchkey_net::body::{self, Body};
use tokio::time::Instant;

use super::*;
use crate::upstream::Answer;

async fn post(bench: &Bench, path: &str, text: &str) -> Response<Body> {
    post_by(bench, path, text, &inbound(false)).await
}

async fn post_by(bench: &Bench, path: &str, text: &str, inbound: &Inbound) -> Response<Body> {
    let request = Request::post(path)
        .body(body::full(text.to_owned()))
        .unwrap();
    match bench.push.answer(request, inbound).await {
        Answer::Plain(response) => response,
        Answer::WebSocket(..) | Answer::OwnSocket(..) => panic!("nobody asked for a socket"),
    }
}

async fn poll(bench: &Bench) -> String {
    let response = post(bench, "/sockjs/1/abc/xhr", "").await;
    let kind = &response.headers()["content-type"];
    assert_eq!(kind, "application/javascript; charset=UTF-8");
    whole(response).await
}

async fn whole(response: Response<Body>) -> String {
    let body = tokio::time::timeout(LIMIT * 2, response.into_body().collect());
    let bytes = body.await.unwrap().unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

async fn say(bench: &Bench, text: &str) -> u16 {
    post(bench, "/sockjs/1/abc/xhr_send", text)
        .await
        .status()
        .as_u16()
}

/// The next piece of a streaming answer.
async fn piece(body: &mut Body) -> Option<String> {
    let frame = tokio::time::timeout(LIMIT * 2, body.frame())
        .await
        .unwrap()?;
    let bytes = frame.unwrap().into_data().unwrap();
    Some(String::from_utf8(bytes.to_vec()).unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_polling_client_says_who_it_is_and_hears_of_requests() {
    let bench = Bench::new(None);
    bench.admit("ada", "s", true, false);
    assert_eq!(poll(&bench).await, "o\n");
    assert!(poll(&bench).await.starts_with("a[{\"connected\":"));
    assert_eq!(say(&bench, r#"["{\"auth\":\"ada:s\"}"]"#).await, 204);
    bench.settle().await;
    bench.notify(asked("one", None));
    bench.notify(asked("two", None));
    bench.settle().await;
    let heard = poll(&bench).await;
    let heard: Value = serde_json::from_str(heard.strip_prefix('a').unwrap()).unwrap();
    let heard: Vec<_> = heard.as_array().unwrap().iter().map(told_of).collect();
    assert_eq!(
        heard,
        [("request_access", "one"), ("request_access", "two")]
    );
}

#[tokio::test(start_paused = true)]
async fn a_poll_without_news_ends_with_a_heartbeat() {
    let bench = Bench::new(None);
    poll(&bench).await;
    poll(&bench).await;
    let began = Instant::now();
    assert_eq!(poll(&bench).await, "h\n");
    assert_eq!(began.elapsed(), Duration::from_secs(25));
}

#[tokio::test(start_paused = true)]
async fn a_streaming_answer_goes_on_for_128_kib() {
    let bench = Bench::new(None);
    bench.admit("ada", "s", true, false);
    let response = post(&bench, "/sockjs/1/abc/xhr_streaming", "").await;
    let mut stream = response.into_body();
    assert_eq!(piece(&mut stream).await.unwrap(), "h".repeat(2048) + "\n");
    assert_eq!(piece(&mut stream).await.unwrap(), "o\n");
    assert!(
        piece(&mut stream)
            .await
            .unwrap()
            .starts_with("a[{\"connected\":")
    );
    assert_eq!(say(&bench, r#"["{\"auth\":\"ada:s\"}"]"#).await, 204);
    bench.settle().await;
    let long = "x".repeat(50 * 1024);
    for _ in 0..2 {
        bench.notify(asked(&long, None));
        assert!(piece(&mut stream).await.unwrap().len() > long.len());
    }
    bench.notify(asked(&long, None));
    assert!(piece(&mut stream).await.is_some());
    assert!(piece(&mut stream).await.is_none());
    // The next goes on where this one ended, without a second opening.
    let response = post(&bench, "/sockjs/1/abc/xhr_streaming", "").await;
    let mut stream = response.into_body();
    piece(&mut stream).await.unwrap();
    bench.notify(asked("more", None));
    assert!(piece(&mut stream).await.unwrap().contains("more"));
}

#[tokio::test(start_paused = true)]
async fn a_session_has_one_receiver_at_a_time() {
    let bench = Bench::new(None);
    poll(&bench).await;
    poll(&bench).await;
    let waiting = post(&bench, "/sockjs/1/abc/xhr", "").await;
    assert_eq!(
        poll(&bench).await,
        "c[2010,\"Another connection still open\"]\n"
    );
    // The one that was refused took nothing from the one that waits.
    assert_eq!(whole(waiting).await, "h\n");
    let waiting = post(&bench, "/sockjs/1/abc/xhr", "").await;
    drop(waiting);
    bench.settle().await;
    assert_eq!(poll(&bench).await, "c[1002,\"Connection interrupted!\"]\n");
    assert_eq!(say(&bench, "[]").await, 404);
}

#[tokio::test(start_paused = true)]
async fn a_session_nobody_receives_is_over_after_5_seconds() {
    let bench = Bench::new(None);
    poll(&bench).await;
    tokio::time::sleep(Duration::from_millis(4900)).await;
    assert!(poll(&bench).await.starts_with("a["));
    tokio::time::sleep(Duration::from_millis(5100)).await;
    assert_eq!(poll(&bench).await, "c[1000,\"Go away!\"]\n");
    tokio::time::sleep(Duration::from_secs(5)).await;
    bench.settle().await;
    assert!(bench.push.0.xhr.is_empty());
    assert_eq!(poll(&bench).await, "o\n");
}

#[tokio::test(start_paused = true)]
async fn what_is_posted_must_be_an_array_of_texts() {
    let bench = Bench::new(None);
    poll(&bench).await;
    for (text, status, words) in [
        ("", 500, "Payload expected."),
        ("[\"x", 500, "Broken JSON encoding."),
        ("{}", 500, "Broken JSON encoding."),
        ("[\"x\"]", 204, ""),
        ("[]", 204, ""),
    ] {
        let response = post(&bench, "/sockjs/1/abc/xhr_send", text).await;
        assert_eq!(response.status(), status, "{text}");
        assert_eq!(whole(response).await, words);
    }
    assert_eq!(
        say(&bench, &format!("[\"{}\"]", "x".repeat(64 * 1024))).await,
        413
    );
}

#[tokio::test(start_paused = true)]
async fn a_session_belongs_to_the_way_its_client_came() {
    let bench = Bench::new(None);
    poll(&bench).await;
    let away = |id: &str| Inbound {
        door: Door::Tunnel {
            app_connection: Some(id.to_owned()),
            scope: KeyScope::Full,
        },
        ..inbound(false)
    };
    let path = "/sockjs/1/abc/xhr_send";
    assert_eq!(post_by(&bench, path, "[]", &away("a")).await.status(), 404);
    let begun = post_by(&bench, "/sockjs/1/abc/xhr", "", &away("a")).await;
    assert_eq!(whole(begun).await, "o\n");
    assert_eq!(post_by(&bench, path, "[]", &away("b")).await.status(), 404);
    assert_eq!(post_by(&bench, path, "[]", &away("a")).await.status(), 204);
}

#[tokio::test(start_paused = true)]
async fn a_stopping_host_ends_what_waits() {
    let bench = Bench::new(None);
    poll(&bench).await;
    poll(&bench).await;
    let waiting = post(&bench, "/sockjs/1/abc/xhr", "").await;
    bench.stopping.cancel();
    assert_eq!(whole(waiting).await, "c[1001,\"Go away!\"]\n");
    bench.tracker.close();
    bench.tracker.wait().await;
    assert!(bench.push.0.xhr.is_empty());
}

#[tokio::test(start_paused = true)]
async fn who_listens_is_asked_with_the_door_the_session_came_by() {
    let bench = Bench::new(None);
    bench.admit("ada", "s", true, false);
    let through = Inbound {
        door: Door::Tunnel {
            app_connection: Some("c1".to_owned()),
            scope: KeyScope::View,
        },
        ..inbound(false)
    };
    whole(post_by(&bench, "/sockjs/1/abc/xhr", "", &through).await).await;
    let auth = r#"["{\"auth\":\"ada:s\"}"]"#;
    let sent = post_by(&bench, "/sockjs/1/abc/xhr_send", auth, &through).await;
    assert_eq!(sent.status(), 204);
    bench.settle().await;
    assert_eq!(*bench.people.doors.lock().unwrap(), [through.door]);
}
