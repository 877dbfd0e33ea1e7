//! Who is told what, with time that stands still.

use std::time::Duration;

use latchkey_model::access::KeyScope;
use serde_json::json;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use super::super::outbox::PATIENCE;
use super::super::{EndReason, Notice};
use super::*;

#[tokio::test(start_paused = true)]
async fn everybody_hears_first_what_this_is() {
    let bench = Bench::new(None);
    let mut raw = bench.connect(Framing::Raw).await;
    assert_eq!(raw.next().await["connected"]["version"], "1.11.8");
    let mut framed = bench.connect(Framing::SockJs).await;
    assert_eq!(framed.text().await, "o");
    let first = framed.text().await;
    assert!(first.starts_with("a[{\"connected\":{"), "{first}");
    assert!(first.ends_with("}]"), "{first}");
}

#[tokio::test(start_paused = true)]
async fn there_is_a_heartbeat_every_25_seconds() {
    let bench = Bench::new(None);
    let mut framed = bench.connect(Framing::SockJs).await;
    let began = Instant::now();
    while framed.text().await != "h" {}
    assert_eq!(began.elapsed(), Duration::from_secs(25));
}

#[tokio::test(start_paused = true)]
async fn a_framed_client_is_understood() {
    let bench = Bench::new(None);
    bench.admit("ada", "s:1", true, false);
    let mut client = bench.connect(Framing::SockJs).await;
    client
        .send(r#"["{\"auth\":\"ada:s:1\"}"]"#.to_owned())
        .await;
    bench.settle().await;
    bench.notify(asked("t", None));
    assert_eq!(client.text().await, "o");
    assert!(client.text().await.contains("connected"));
    assert!(client.text().await.contains("request_access"));
}

#[tokio::test(start_paused = true)]
async fn a_wrong_session_stays_as_guest_and_may_try_again() {
    let bench = Bench::new(None);
    bench.admit("ada", "s", true, false);
    let mut client = bench.listen("ada:wrong").await;
    let stale = json!({ "reauthRequired": { "reason": "stale" } });
    assert_eq!(client.next().await, stale);
    bench.notify(asked("t", None));
    client.say(json!({ "auth": "ada:s" })).await;
    assert_eq!(told_of(&client.next().await), ("request_access", "t"));
}

#[tokio::test(start_paused = true)]
async fn nonsense_is_ignored() {
    let bench = Bench::new(None);
    let mut client = bench.connect(Framing::Raw).await;
    client.next().await;
    for nonsense in [
        "",
        "x",
        "[",
        "{\"auth\":\"nocolon\"}",
        "{\"auth\":1}",
        "{\"x\":{}}",
    ] {
        client.send(nonsense.to_owned()).await;
    }
    client.hears_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn who_may_decide_hears_of_requests_and_nobody_else() {
    let bench = Bench::new(None);
    let mut ada = bench.decider("ada").await;
    let mut bob = bench.decider("bob").await;
    bench.admit("eve", "s", false, false);
    let mut eve = bench.listen("eve:s").await;
    bench.settle().await;
    bench.notify(asked("for-all", None));
    bench.notify(asked("for-bob", Some("bob")));
    for (token, user) in [("for-bob", Some("bob")), ("for-all", None)] {
        let user = user.map(str::to_owned);
        bench.notify(Notice::RequestEnded {
            user_token: token.to_owned(),
            user,
        });
    }
    assert_eq!(told_of(&bob.next().await), ("request_access", "for-all"));
    assert_eq!(told_of(&bob.next().await), ("request_access", "for-bob"));
    assert_eq!(told_of(&bob.next().await), ("end_request", "for-bob"));
    assert_eq!(told_of(&bob.next().await), ("end_request", "for-all"));
    assert_eq!(told_of(&ada.next().await), ("request_access", "for-all"));
    assert_eq!(told_of(&ada.next().await), ("end_request", "for-all"));
    ada.hears_nothing().await;
    eve.hears_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn what_happened_before_the_authentication_is_delivered_upon_it() {
    let bench = Bench::new(None);
    bench.admit("ada", "s", true, false);
    let mut client = bench.connect(Framing::Raw).await;
    client.next().await;
    for index in 0..120 {
        bench.notify(asked(&index.to_string(), (index == 50).then_some("bob")));
    }
    bench.settle().await;
    client.say(json!({ "auth": "ada:s" })).await;
    // The oldest gave way, and one is none of ada's business.
    for index in (20..120).filter(|index| *index != 50) {
        let message = client.next().await;
        assert_eq!(told_of(&message), ("request_access", &*index.to_string()));
    }
    client.hears_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn a_subscription_without_appkeys_is_silent_about_them() {
    let bench = Bench::new(None);
    let mut client = bench.decider("ada").await;
    let subscribe = |plugins| json!({ "subscribe": { "state": true, "plugins": plugins } });
    client.say(subscribe(json!(["other"]))).await;
    bench.settle().await;
    bench.notify(asked("unheard", None));
    bench.settle().await;
    client.say(subscribe(json!(["appkeys"]))).await;
    bench.settle().await;
    bench.notify(asked("heard", None));
    assert_eq!(told_of(&client.next().await), ("request_access", "heard"));
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_session_makes_guests_of_its_sockets_alone() {
    let bench = Bench::new(None);
    let mut ada = bench.decider("ada").await;
    bench.admit("ada", "other", true, false);
    let mut other = bench.listen("ada:other").await;
    bench.settle().await;
    let ended = |session: &str, reason| Notice::SessionEnded {
        session: session.to_owned(),
        reason,
    };
    bench.notify(ended("s", EndReason::Logout));
    bench.notify(asked("later", None));
    let told = ada.next().await;
    assert_eq!(told, json!({ "reauthRequired": { "reason": "logout" } }));
    ada.hears_nothing().await;
    assert_eq!(told_of(&other.next().await), ("request_access", "later"));
}

#[tokio::test(start_paused = true)]
async fn a_changed_user_has_to_sign_in_again_everywhere() {
    let bench = Bench::new(None);
    for (reason, word) in [
        (EndReason::Modified, "modified"),
        (EndReason::Removed, "removed"),
    ] {
        let mut ada = bench.decider("ada").await;
        let mut bob = bench.decider("bob").await;
        let user = "ada".to_owned();
        bench.notify(Notice::UserChanged { user, reason });
        let told = ada.next().await;
        assert_eq!(told, json!({ "reauthRequired": { "reason": word } }));
        ada.hears_nothing().await;
        bob.hears_nothing().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_changed_password_makes_guests_of_all_sockets_but_those_of_the_session_that_stays() {
    let bench = Bench::new(None);
    let holder = bench.admit("ada", "s", true, false);
    bench.admit("ada", "stays", true, false);
    bench.admit("bob", "s", true, false);
    let mut ended = bench.listen("ada:s").await;
    let mut stays = bench.listen("ada:stays").await;
    let mut bob = bench.listen("bob:s").await;
    bench.settle().await;
    bench.people.endings.end(&holder);
    let user = "ada".to_owned();
    bench.notify(Notice::PasswordChanged { user });
    let told = ended.next().await;
    assert_eq!(told, json!({ "reauthRequired": { "reason": "modified" } }));
    ended.hears_nothing().await;
    bench.notify(asked("later", None));
    assert_eq!(told_of(&stays.next().await), ("request_access", "later"));
    assert_eq!(told_of(&bob.next().await), ("request_access", "later"));
}

#[tokio::test(start_paused = true)]
async fn a_session_is_asked_after_every_minute() {
    let bench = Bench::new(None);
    let mut ada = bench.decider("ada").await;
    bench.forget("ada:s");
    let began = Instant::now();
    let told = loop {
        if let Ok(Some(message)) = tokio::time::timeout(LIMIT, ada.socket.next()).await
            && let Message::Text(text) = message.unwrap()
        {
            break text;
        }
    };
    assert_eq!(told.as_str(), r#"{"reauthRequired":{"reason":"stale"}}"#);
    assert_eq!(began.elapsed(), Duration::from_mins(1));
}

#[tokio::test(start_paused = true)]
async fn who_missed_notices_is_asked_after_at_once() {
    let bench = Bench::new(None);
    let mut ada = bench.decider("ada").await;
    bench.forget("ada:s");
    let began = Instant::now();
    // More than the queue holds, without a chance to take any.
    for _ in 0..300 {
        bench.notify(asked("flood", None));
    }
    loop {
        let told = ada.next().await;
        if told["reauthRequired"]["reason"] == "stale" {
            break;
        }
    }
    assert!(began.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_key_ends_its_socket_at_once() {
    let bench = Bench::new(None);
    let holder = bench.admit("ada", "s", true, false);
    let mut ada = bench.listen("ada:s").await;
    let mut guest = bench.connect(Framing::Raw).await;
    bench.settle().await;
    let began = Instant::now();
    bench.people.endings.end(&holder);
    assert_eq!(ada.close_code().await, 1008);
    assert!(began.elapsed() < Duration::from_secs(1));
    assert!(guest.next().await["connected"].is_object());
    guest.hears_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn a_session_that_ends_with_a_reason_leaves_a_guest_whichever_is_heard_first() {
    for ended_first in [true, false] {
        let bench = Bench::new(None);
        let holder = bench.admit("ada", "s", true, false);
        let mut ada = bench.listen("ada:s").await;
        bench.settle().await;
        let (session, reason) = ("s".to_owned(), EndReason::Logout);
        let notice = Notice::SessionEnded { session, reason };
        if ended_first {
            bench.people.endings.end(&holder);
            bench.settle().await;
            bench.notify(asked("between", None));
            bench.notify(notice);
        } else {
            bench.notify(notice);
            bench.settle().await;
            bench.people.endings.end(&holder);
        }
        let told = ada.next().await;
        assert_eq!(told, json!({ "reauthRequired": { "reason": "logout" } }));
        ada.hears_nothing().await;
        if ended_first {
            ada.say(json!({ "auth": "ada:s" })).await;
            assert_eq!(ada.close_code().await, 1008);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_loses_its_socket_when_its_key_ends() {
    let bench = Bench::new(None);
    let holder = bench.admit("ada", "s", true, false);
    let mut ada = bench.listen("ada:s").await;
    bench.settle().await;
    let long = "x".repeat(600 * 1024);
    for _ in 0..4 {
        bench.notify(asked(&long, None));
    }
    bench.settle().await;
    bench.people.endings.end(&holder);
    bench.tracker.close();
    let began = Instant::now();
    bench.tracker.wait().await;
    assert!(began.elapsed() <= Duration::from_secs(2));
    // What was on the way when it ended is cut off.
    while let Some(Ok(_)) = ada.socket.next().await {}
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_for_a_minute_is_let_go() {
    let bench = Bench::new(None);
    let _ada = bench.decider("ada").await;
    let long = "x".repeat(600 * 1024);
    for _ in 0..4 {
        bench.notify(asked(&long, None));
    }
    let began = Instant::now();
    bench.tracker.close();
    bench.tracker.wait().await;
    let took = began.elapsed();
    assert!(
        took >= PATIENCE && took <= PATIENCE + Duration::from_secs(2),
        "{took:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_message_of_more_than_64_kib_ends_the_socket() {
    let bench = Bench::new(None);
    let mut client = bench.connect(Framing::Raw).await;
    client.send("x".repeat(64 * 1024 + 1)).await;
    assert_eq!(client.close_code().await, 1009);
    let mut client = bench.connect(Framing::Raw).await;
    for code in [Data::Text, Data::Continue, Data::Continue] {
        let piece = Frame::message("x".repeat(40 * 1024), OpCode::Data(code), false);
        client.socket.send(Message::Frame(piece)).await.unwrap();
    }
    assert_eq!(client.close_code().await, 1009);
}

#[tokio::test(start_paused = true)]
async fn a_stopping_host_says_goodbye() {
    let bench = Bench::new(None);
    let mut raw = bench.connect(Framing::Raw).await;
    let mut framed = bench.connect(Framing::SockJs).await;
    bench.settle().await;
    bench.stopping.cancel();
    assert_eq!(raw.close_code().await, 1001);
    let mut last = String::new();
    let code = loop {
        match framed.socket.next().await.unwrap().unwrap() {
            Message::Text(text) => last = text.to_string(),
            Message::Close(frame) => break u16::from(frame.unwrap().code),
            _ => {}
        }
    };
    assert_eq!((last.as_str(), code), ("c[1001,\"Go away!\"]", 1001));
    // Each answers the goodbye, or has had its second for it.
    bench.tracker.close();
    bench.tracker.wait().await;
}

#[tokio::test(start_paused = true)]
async fn without_an_upstream_there_is_an_empty_past() {
    let bench = Bench::new(None);
    bench.admit("ada", "s", true, true);
    let mut ada = bench.listen("ada:s").await;
    assert_eq!(ada.next().await["history"]["state"]["text"], "Offline");
    assert_eq!(ada.next().await, json!({ "timelapse": null }));
    tokio::time::sleep(Duration::from_mins(3)).await;
    ada.hears_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn a_seat_is_free_again_when_its_client_has_gone() {
    let bench = Bench::new(None);
    let guests: Vec<_> =
        futures_util::future::join_all((0..64).map(|_| bench.connect(Framing::Raw))).await;
    bench.settle().await;
    drop(guests);
    bench.tracker.close();
    bench.tracker.wait().await;
    let mut one = bench.connect(Framing::Raw).await;
    one.next().await;
    for _ in 0..63 {
        bench.push.0.seats.take(SOMEBODY).unwrap();
    }
    one.hears_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn it_is_asked_who_listens_with_the_door_they_came_by() {
    let bench = Bench::new(None);
    bench.admit("ada", "s", true, false);
    let door = Door::Tunnel {
        app_connection: Some("c1".to_owned()),
        scope: KeyScope::View,
    };
    let mut client = bench.connect_by(door.clone(), Framing::Raw).await;
    client.next().await;
    client.say(json!({ "auth": "ada:s" })).await;
    bench.settle().await;
    tokio::time::sleep(Duration::from_secs(61)).await;
    let asked = bench.people.doors.lock().unwrap().clone();
    assert_eq!(asked, [door.clone(), door], "at first, and a minute later");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_was_only_let_go_is_told_that_it_may_come_back() {
    let bench = Bench::new(None);
    for (framing, farewell) in [
        (Framing::Raw, None),
        (Framing::SockJs, Some("c[1001,\"Sign in again\"]")),
    ] {
        let holder = bench.admit("ada", "s", true, false);
        let mut client = bench.connect(framing).await;
        client.say(json!({ "auth": "ada:s" })).await;
        bench.settle().await;
        assert!(bench.people.endings.let_go(&holder));
        if let Some(farewell) = farewell {
            while client.text().await != farewell {}
        }
        assert_eq!(client.close_code().await, 1001);
        bench.forget("ada:s");
    }
}
