//! Requests, bodies and sockets inside a tunnel.

use super::*;
use hyper::ext::Protocol;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;

#[tokio::test]
async fn request_arrives_as_the_caller_sent_it() {
    let bench = Bench::new();
    let service = async |request: Request<Incoming>, head: StreamHead| {
        let ours: Vec<_> = request
            .headers()
            .keys()
            .filter(|name| name.as_str().starts_with("latchkey") || *name == "host")
            .collect();
        assert!(ours.is_empty(), "{ours:?}");
        let line = format!("{} {} {head:?}", request.method(), request.uri());
        let body = request.into_body().collect().await.unwrap().to_bytes();
        Response::new(body::full(format!("{line} {}", body.len())))
    };
    let service = move |request, head| service(request, head);
    let (tunnel, _host) = bench.tunnel(service).await;
    let mut upload = request(
        "POST",
        "/api/%2e%2e//files?x=%20;y",
        body::full(vec![1; 300_000]),
    );
    for forged in [
        "latchkey-kind",
        "latchkey-caller",
        "latchkey_client",
        "latchkey-anything",
    ] {
        upload
            .headers_mut()
            .append(forged, "control".parse().unwrap());
    }
    upload
        .headers_mut()
        .insert("host", "elsewhere.example".parse().unwrap());
    let response = tunnel.send(upload, &head()).await.unwrap();
    assert_eq!(
        text(response).await,
        format!(
            "POST https://app-1.example.net/api/%2e%2e//files?x=%20;y {:?} 300000",
            head()
        )
    );
}

#[test]
fn head_refuses_duplicates_and_nonsense() {
    let mut good = http::HeaderMap::new();
    head().encode(&mut good).unwrap();
    assert_eq!(StreamHead::decode(&mut good.clone()), Ok(head()));
    for (name, value) in [
        ("latchkey-caller", "203.0.113.9"),
        ("latchkey-scheme", "https"),
        ("latchkey-request", "req-1"),
        ("latchkey-app-connection", "app-7"),
    ] {
        let mut twice = good.clone();
        twice.append(name, value.parse().unwrap());
        assert!(
            matches!(StreamHead::decode(&mut twice), Err(HeadError::Duplicate(_))),
            "{name}"
        );
        assert!(twice.is_empty(), "{name}: removed even so");
        let mut nonsense = good.clone();
        nonsense.insert(name, "203.0.113.9, evil".parse().unwrap());
        assert!(
            matches!(
                StreamHead::decode(&mut nonsense),
                Err(HeadError::Invalid(_))
            ),
            "{name}"
        );
    }
    for name in ["latchkey-caller", "latchkey-scheme", "latchkey-request"] {
        let mut missing = good.clone();
        missing.remove(name);
        assert!(
            matches!(StreamHead::decode(&mut missing), Err(HeadError::Missing(_))),
            "{name}"
        );
    }
    let garbage = StreamHead {
        scope: Scope::Full,
        request: "a b".to_owned(),
        ..head()
    };
    assert!(garbage.encode(&mut http::HeaderMap::new()).is_err());
}

#[test]
fn a_host_codes_only_for_a_relay_that_undoes_what_it_knows() {
    let asking = StreamHead {
        may_code: true,
        ..head()
    };
    let mut fields = http::HeaderMap::new();
    asking.encode(&mut fields).unwrap();
    assert_eq!(StreamHead::decode(&mut fields.clone()), Ok(asking));
    for (codings, may_code) in [
        ("deflate", true),
        ("of-tomorrow,  deflate", true),
        ("of-tomorrow", false),
        ("deflated", false),
        ("", false),
    ] {
        fields.insert("latchkey-codings", codings.parse().unwrap());
        let read = StreamHead::decode(&mut fields.clone()).unwrap();
        assert_eq!(read.may_code, may_code, "{codings}");
    }
}

#[tokio::test]
async fn stalled_streams_do_not_stop_others() {
    let bench = Bench::new();
    let service = async |request: Request<Incoming>, _: StreamHead| {
        if request.uri().path() == "/bulk" {
            Response::new(body::full(vec![0; 8 * 1024 * 1024]))
        } else {
            Response::new(body::full("small"))
        }
    };
    let (tunnel, _host) = bench.tunnel(service).await;
    let mut stalled = Vec::new();
    for _ in 0..100 {
        stalled.push(tunnel.send(get("/bulk"), &head()).await.unwrap());
    }
    for _ in 0..20 {
        let small = tunnel.send(get("/small"), &head()).await.unwrap();
        assert_eq!(text(small).await, "small");
    }
    // The stalled ones were held, not lost.
    let bulk = stalled.pop().unwrap().into_body().collect().await.unwrap();
    assert_eq!(bulk.to_bytes().len(), 8 * 1024 * 1024);
}

#[tokio::test]
async fn uploads_flow_while_the_answer_flows() {
    let bench = Bench::new();
    let echo = async |request: Request<Incoming>, _: StreamHead| {
        Response::new(body::boxed(request.into_body()))
    };
    let (tunnel, _host) = bench.tunnel(echo).await;
    let (feed, upload) = channel_body();
    let mut response = tunnel
        .send(request("POST", "/", upload), &head())
        .await
        .unwrap();
    for number in 0..50_u8 {
        feed.send(Ok(vec![number; 1000].into())).await.unwrap();
        let mut back = Vec::new();
        while back.len() < 1000 {
            let frame = response.body_mut().frame().await.unwrap().unwrap();
            back.extend_from_slice(&frame.into_data().unwrap());
        }
        assert_eq!(back, vec![number; 1000]);
    }
    drop(feed);
    assert_eq!(text(response).await, "");
}

#[tokio::test]
async fn caller_that_leaves_stops_the_work_on_the_host() {
    let bench = Bench::new();
    let (at_work, mut working) = mpsc::channel::<oneshot::Receiver<()>>(1);
    let service = move |request: Request<Incoming>, _: StreamHead| {
        let at_work = at_work.clone();
        async move {
            let (alive, gone) = oneshot::channel::<()>();
            at_work.send(gone).await.unwrap();
            if request.uri().path() == "/slow" {
                std::future::pending::<()>().await;
            }
            // The feed stays open as long as the body is alive.
            let stream = futures_util::stream::poll_fn(move |_| {
                let _held = &alive;
                std::task::Poll::<Option<Result<http_body::Frame<Bytes>, body::BodyError>>>::Pending
            });
            Response::new(body::boxed(http_body_util::StreamBody::new(stream)))
        }
    };
    let (tunnel, _host) = bench.tunnel(service).await;
    let sender = tunnel.clone();
    let waiting = bench
        .tracker
        .spawn(async move { sender.send(get("/slow"), &head()).await.map(drop) });
    let gone = working.recv().await.unwrap();
    assert_eq!(tunnel.active_streams(), 1);
    waiting.abort();
    assert!(gone.await.is_err(), "the service's future is dropped");

    let response = tunnel.send(get("/stream"), &head()).await.unwrap();
    let gone = working.recv().await.unwrap();
    drop(response);
    assert!(gone.await.is_err(), "the answer's body is dropped");
    assert!(waiting.await.unwrap_err().is_cancelled());
    assert_eq!(tunnel.active_streams(), 0);
    assert!(tunnel.probe(std::time::Duration::from_mins(1)).await);
}

#[tokio::test]
async fn broken_bodies_never_look_complete() {
    let bench = Bench::new();
    let (broken_upload, mut uploads) = mpsc::channel::<bool>(1);
    let service = move |request: Request<Incoming>, _: StreamHead| {
        let broken_upload = broken_upload.clone();
        async move {
            if request.method() == "POST" {
                let failed = request.into_body().collect().await.is_err();
                broken_upload.send(failed).await.unwrap();
                return Response::new(body::empty());
            }
            let frames = [
                Ok(http_body::Frame::data(Bytes::from("half"))),
                Err("printer fell over"),
            ];
            let stream = futures_util::stream::iter(frames);
            Response::new(body::boxed(http_body_util::StreamBody::new(stream)))
        }
    };
    let (tunnel, _host) = bench.tunnel(service).await;
    let response = tunnel.send(get("/"), &head()).await;
    // Head and reset may overtake each other; a clean end is the only wrong outcome.
    if let Ok(response) = response {
        assert!(response.into_body().collect().await.is_err());
    }
    let (feed, upload) = channel_body();
    let sender = tunnel.clone();
    bench.tracker.spawn(async move {
        let _ = sender.send(request("POST", "/", upload), &head()).await;
    });
    feed.send(Ok("half".into())).await.unwrap();
    feed.send(Err("caller went away".into())).await.unwrap();
    assert_eq!(uploads.recv().await, Some(true));
}

#[tokio::test]
async fn websocket_bytes_pass_both_ways_and_half_close() {
    let bench = Bench::new();
    let tracker = bench.tracker.clone();
    let service = move |mut request: Request<Incoming>, _: StreamHead| {
        let protocol = request
            .extensions()
            .get::<Protocol>()
            .map(|p| p.as_str().to_owned());
        assert_eq!(protocol.as_deref(), Some("websocket"));
        assert_eq!(request.uri().path(), "/sockjs/websocket");
        tracker.spawn(async move {
            let upgraded = hyper::upgrade::on(&mut request).await.unwrap();
            let mut socket = TokioIo::new(upgraded);
            let mut all = Vec::new();
            socket.write_all(b"hello ").await.unwrap();
            socket.read_to_end(&mut all).await.unwrap();
            // The other direction is closed by now; this one still works.
            socket.write_all(&all).await.unwrap();
            socket.shutdown().await.unwrap();
        });
        async { Response::new(body::empty()) }
    };
    let (tunnel, _host) = bench.tunnel(service).await;
    let mut connect = request("CONNECT", "/sockjs/websocket", body::empty());
    connect
        .extensions_mut()
        .insert(Protocol::from_static("websocket"));
    let mut response = tunnel.send(connect, &head()).await.unwrap();
    assert_eq!(response.status(), 200);
    let active = response.extensions().get::<ActiveStream>().cloned();
    let mut socket = TokioIo::new(hyper::upgrade::on(&mut response).await.unwrap());
    drop(response);
    assert_eq!(tunnel.active_streams(), 1);
    let mut greeting = [0; 6];
    socket.read_exact(&mut greeting).await.unwrap();
    assert_eq!(&greeting, b"hello ");
    socket.write_all(&vec![5; 100_000]).await.unwrap();
    socket.shutdown().await.unwrap();
    let mut back = Vec::new();
    socket.read_to_end(&mut back).await.unwrap();
    assert_eq!(back, vec![5; 100_000]);
    drop(active);
    assert_eq!(tunnel.active_streams(), 0);
}

#[tokio::test]
async fn connect_without_a_protocol_is_refused_before_the_service() {
    let bench = Bench::new();
    let (tunnel, _host) = bench.tunnel(ok).await;
    let connect = request("CONNECT", "/", body::empty());
    let outcome = tunnel.send(connect, &head()).await;
    assert!(!outcome.is_ok_and(|response| response.status().is_success()));
    let plain = tunnel.send(get("/"), &head()).await.unwrap();
    assert_eq!(text(plain).await, "ok");
}

/// h2 counts empty DATA frames over a connection's life and ends it after a hundred.
#[tokio::test]
async fn empty_frames_do_not_use_up_the_tunnel() {
    let bench = Bench::new();
    let service = async |request: Request<Incoming>, _: StreamHead| {
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let frames = (0..150).map(|_| Bytes::new()).chain([body]);
        let frames = frames.map(|data| Ok::<_, std::io::Error>(http_body::Frame::data(data)));
        Response::new(body::boxed(http_body_util::StreamBody::new(
            futures_util::stream::iter(frames),
        )))
    };
    let (tunnel, _host) = bench.tunnel(service).await;
    let (feed, upload) = channel_body();
    let sender = tunnel.clone();
    let answer = bench
        .tracker
        .spawn(async move { sender.send(request("POST", "/", upload), &head()).await });
    for _ in 0..150 {
        feed.send(Ok(Bytes::new())).await.unwrap();
    }
    feed.send(Ok("end".into())).await.unwrap();
    drop(feed);
    assert_eq!(text(answer.await.unwrap().unwrap()).await, "end");
    assert_eq!(
        text(tunnel.send(get("/"), &head()).await.unwrap()).await,
        ""
    );
}

/// A page that navigates away cancels everything at once.
#[tokio::test]
async fn bursts_of_cancelled_requests_leave_the_tunnel_up() {
    let bench = Bench::new();
    let service = async |request: Request<Incoming>, _: StreamHead| {
        if request.uri().path() == "/slow" {
            std::future::pending::<()>().await;
        }
        Response::new(body::full("ok"))
    };
    let (tunnel, _host) = bench.tunnel(service).await;
    let head = head();
    for _ in 0..40 {
        let sends: Vec<_> = (0..60)
            .map(|_| Box::pin(tunnel.send(get("/slow"), &head)))
            .collect();
        let mut all = futures_util::future::join_all(sends);
        let _ = futures_util::poll!(&mut all);
        tokio::task::yield_now().await;
        drop(all);
    }
    assert_eq!(
        text(tunnel.send(get("/"), &head).await.unwrap()).await,
        "ok"
    );
}

#[tokio::test]
async fn more_streams_than_allowed_are_told_apart_from_lost_ones() {
    let mut bench = Bench::new();
    bench.settings.max_streams = 2;
    let (tunnel, _host) = bench
        .tunnel(|_, _| async {
            let (feed, body) = channel_body();
            std::mem::forget(feed);
            Response::new(body)
        })
        .await;
    let first = tunnel.send(get("/a"), &head()).await.unwrap();
    let _second = tunnel.send(get("/b"), &head()).await.unwrap();
    let refused = tunnel.send(get("/c"), &head()).await.unwrap_err();
    assert!(matches!(refused, SendError::Full(request) if request.uri().path() == "/c"));
    assert!(
        tunnel.probe(std::time::Duration::from_mins(1)).await,
        "control has room of its own"
    );
    drop(first);
    tunnel.send(get("/d"), &head()).await.unwrap();
}
