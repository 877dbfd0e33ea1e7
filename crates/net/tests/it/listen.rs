//! How long, how many and how much: what a caller can hold of a listener.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::{Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use hyper_util::rt::TokioIo;
use latchkey_net::body::{self, Body};
use latchkey_net::listen::{Call, ListenSettings};
use latchkey_net::proxy::pace::TooSlow;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc};
use tokio_rustls::TlsConnector;

use crate::caller::{DEADLINE, Dropped, Recorder, Server, With, endless, read_answer, soon};

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const SHORT: Duration = Duration::from_millis(150);

/// Limits no test reaches; each test shortens the one it is about.
fn patient() -> ListenSettings {
    ListenSettings {
        handshake_timeout: 2 * DEADLINE,
        head_timeout: 2 * DEADLINE,
        idle_timeout: 2 * DEADLINE,
        write_stall: 2 * DEADLINE,
        silence_after_fin: 2 * DEADLINE,
        body_stall: 2 * DEADLINE,
        ..ListenSettings::default()
    }
}

/// An answer whose body says one thing and then waits for ever.
fn stuck(guard: Dropped) -> Response<Body> {
    let frames = stream::unfold((guard, false), async |(guard, said)| {
        if said {
            std::future::pending::<()>().await;
        }
        Some((
            Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"x"))),
            (guard, true),
        ))
    });
    Response::new(body::boxed(StreamBody::new(Box::pin(frames))))
}

fn ok() -> Response<Body> {
    Response::new(body::full("ok"))
}

async fn closed(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    let _ = soon("the end of the connection", stream.read_to_end(&mut rest)).await;
    assert_eq!(String::from_utf8_lossy(&rest), "");
}

fn reset(stream: TcpStream) {
    socket2::SockRef::from(&stream)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
    drop(stream);
}

/// Sends one byte after the other until the other end has enough of it.
async fn trickle(stream: &mut TcpStream) {
    let (mut reader, mut writer) = stream.split();
    let mut rest = Vec::new();
    tokio::select! {
        _ = soon("the end of the connection", reader.read_to_end(&mut rest)) => {}
        () = async {
            for byte in b"GET / HTTP/1.1\r\nHost: a\r\nX: ".iter().chain([b'x'].iter().cycle()) {
                if writer.write_all(&[*byte]).await.is_err() {
                    std::future::pending::<()>().await;
                }
                tokio::time::sleep(SHORT / 10).await;
            }
        } => {}
    }
    assert_eq!(String::from_utf8_lossy(&rest), "");
}

#[tokio::test]
async fn a_silent_connection_is_closed() {
    let settings = ListenSettings {
        handshake_timeout: SHORT,
        ..patient()
    };
    let server = Server::start(settings, Recorder::default()).await;
    closed(&mut server.connect().await).await;
}

#[tokio::test]
async fn a_connection_is_closed_after_idling_between_requests() {
    let settings = ListenSettings {
        idle_timeout: Duration::from_secs(1),
        ..patient()
    };
    let server = Server::start(settings, Recorder::default()).await;
    let mut stream = server.connect().await;
    for _ in 0..2 {
        stream.write_all(GET).await.unwrap();
        assert_eq!(read_answer(&mut stream).await.status, 200);
    }
    closed(&mut stream).await;
}

#[tokio::test]
async fn a_trickled_head_is_cut() {
    let settings = ListenSettings {
        head_timeout: SHORT,
        ..patient()
    };
    let server = Server::start(settings, Recorder::default()).await;
    trickle(&mut server.connect().await).await;
}

#[tokio::test]
async fn a_trickled_head_is_cut_after_answered_requests() {
    let settings = ListenSettings {
        head_timeout: SHORT,
        ..patient()
    };
    let server = Server::start(settings, Recorder::default()).await;
    for first in [
        &b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..],
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
    ] {
        let mut stream = server.connect().await;
        stream.write_all(first).await.unwrap();
        assert_eq!(read_answer(&mut stream).await.status, 200);
        trickle(&mut stream).await;
    }
}

#[tokio::test]
async fn a_slow_request_body_is_not_taken_for_a_slow_head() {
    let settings = ListenSettings {
        head_timeout: SHORT,
        idle_timeout: SHORT,
        ..patient()
    };
    let server = Server::start(settings, Recorder::default()).await;
    let mut stream = server.connect().await;
    stream
        .write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\n")
        .await
        .unwrap();
    for _ in 0..8 {
        tokio::time::sleep(SHORT / 4).await;
        stream.write_all(b"x").await.unwrap();
    }
    assert_eq!(read_answer(&mut stream).await.status, 200);
}

#[tokio::test]
async fn a_stalled_body_is_too_slow_and_the_answer_closes() {
    let settings = ListenSettings {
        body_stall: SHORT,
        ..patient()
    };
    let handler = With(async |request: Request<Body>, _| {
        let error = request.into_body().collect().await.map(|_| ()).unwrap_err();
        let mut response = ok();
        if error.is::<TooSlow>() {
            *response.status_mut() = StatusCode::REQUEST_TIMEOUT;
        }
        response
    });
    let server = Server::start(settings, handler).await;
    let mut stream = server.connect().await;
    stream
        .write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\nbody")
        .await
        .unwrap();
    let answer = read_answer(&mut stream).await;
    assert_eq!(answer.status, 408);
    assert!(answer.closes());
    stream.shutdown().await.unwrap();
    closed(&mut stream).await;
}

#[tokio::test]
async fn a_caller_that_stops_reading_is_cut() {
    let settings = ListenSettings {
        write_stall: SHORT,
        ..patient()
    };
    let (dropped, mut drops) = mpsc::channel(1);
    let handler = With(move |_, _| std::future::ready(endless(Dropped(dropped.clone()))));
    let server = Server::start(settings, handler).await;
    let mut stream = server.connect().await;
    stream.write_all(GET).await.unwrap();
    soon("the body to be dropped", drops.recv()).await.unwrap();
}

#[tokio::test]
async fn a_reset_ends_a_waiting_request() {
    let (dropped, mut drops) = mpsc::channel(1);
    let (entered, mut entries) = mpsc::channel(1);
    let handler = With(move |_, _| {
        let (guard, entered) = (Dropped(dropped.clone()), entered.clone());
        async move {
            entered.send(()).await.unwrap();
            std::future::pending::<()>().await;
            drop(guard);
            ok()
        }
    });
    let server = Server::start(patient(), handler).await;
    let mut stream = server.connect().await;
    stream.write_all(GET).await.unwrap();
    entries.recv().await.unwrap();
    reset(stream);
    soon("the handler to be dropped", drops.recv())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_caller_that_leaves_releases_the_answer() {
    type Leave = fn(TcpStream);
    type Reply = fn(Dropped) -> Response<Body>;
    let cases: [(&str, Reply, Leave); 3] = [
        ("reset while data flows", endless, reset),
        ("close while data flows", endless, drop),
        ("reset while nothing flows", stuck, reset),
    ];
    for (name, reply, leave) in cases {
        let (dropped, mut drops) = mpsc::channel(1);
        let handler = With(move |_, _| std::future::ready(reply(Dropped(dropped.clone()))));
        let server = Server::start(patient(), handler).await;
        let mut stream = server.connect().await;
        stream.write_all(GET).await.unwrap();
        stream.read_exact(&mut [0; 40]).await.unwrap();
        leave(stream);
        soon(name, drops.recv()).await.unwrap();
    }
}

#[tokio::test]
async fn a_half_closed_caller_is_still_answered() {
    let release = Arc::new(Notify::new());
    let released = Arc::clone(&release);
    let (entered, mut entries) = mpsc::channel(1);
    let handler = With(move |_, call: Call| {
        let (entered, released) = (entered.clone(), Arc::clone(&released));
        async move {
            entered.send(()).await.unwrap();
            tokio::select! {
                () = released.notified() => {}
                () = call.watch.gone() => {}
            }
            ok()
        }
    });
    let server = Server::start(patient(), handler).await;
    let mut stream = server.connect().await;
    stream.write_all(GET).await.unwrap();
    stream.shutdown().await.unwrap();
    entries.recv().await.unwrap();
    release.notify_one();
    assert_eq!(read_answer(&mut stream).await.status, 200);
}

#[tokio::test]
async fn silence_after_a_fin_ends_a_waiting_request_without_an_answer() {
    let settings = ListenSettings {
        silence_after_fin: SHORT,
        ..patient()
    };
    for unread in [&b""[..], b"GET /next HTTP/1.1\r\n"] {
        let (entered, mut entries) = mpsc::channel(1);
        let handler = With(move |_, _| {
            let entered = entered.clone();
            async move {
                entered.send(()).await.unwrap();
                std::future::pending().await
            }
        });
        let server = Server::start(settings.clone(), handler).await;
        let mut stream = server.connect().await;
        stream.write_all(GET).await.unwrap();
        entries.recv().await.unwrap();
        stream.write_all(unread).await.unwrap();
        stream.shutdown().await.unwrap();
        closed(&mut stream).await;
    }
}

/// Uploads to a handler that reads only after the silence a FIN begins would have ended,
/// and half-closes at once.
async fn upload_and_half_close(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let block = vec![b'x'; UPLOAD];
    let head = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {UPLOAD}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&block).await.unwrap();
    stream.shutdown().await.unwrap();
    let answer = read_answer(&mut stream).await;
    assert_eq!(answer.body, UPLOAD.to_string().as_bytes());
}

/// Fits into the buffers of the two kernels, but not into hyper's.
const UPLOAD: usize = 100 * 1024;

#[tokio::test]
async fn a_fin_does_not_end_an_upload_that_is_still_being_read() {
    let handler = With(async |request: Request<Body>, call: Call| {
        let gone = tokio::time::timeout(8 * SHORT, call.watch.gone()).await;
        assert!(gone.is_err(), "the caller is taken for gone");
        let body = request.into_body().collect().await.unwrap().to_bytes();
        Response::new(body::full(body.len().to_string()))
    });
    let settings = ListenSettings {
        silence_after_fin: SHORT,
        ..patient()
    };
    let server = Server::start(settings, handler.clone()).await;
    upload_and_half_close(server.connect().await).await;
    let (settings, connector) = tls(&[]);
    let settings = ListenSettings {
        silence_after_fin: SHORT,
        ..settings
    };
    let server = Server::start(settings, handler).await;
    upload_and_half_close(connect_tls(&server, &connector).await).await;
}

#[tokio::test]
async fn silence_after_a_fin_counts_once_nobody_reads_the_upload() {
    let settings = ListenSettings {
        silence_after_fin: SHORT,
        ..patient()
    };
    let handler = With(async |request: Request<Body>, _| {
        drop(request);
        std::future::pending().await
    });
    let server = Server::start(settings, handler).await;
    let mut stream = server.connect().await;
    stream
        .write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\nbody")
        .await
        .unwrap();
    stream.shutdown().await.unwrap();
    closed(&mut stream).await;
}

#[tokio::test]
async fn the_total_of_connections_is_bounded_and_upgraded_ones_count() {
    let settings = ListenSettings {
        max_connections: 1,
        ..patient()
    };
    let (upgraded, mut sockets) = mpsc::channel(1);
    let handler = With(move |mut request: Request<Body>, _| {
        let upgraded = upgraded.clone();
        let upgrade = hyper::upgrade::on(&mut request);
        async move {
            let task = async move { upgraded.send(upgrade.await.unwrap()).await.unwrap() };
            tokio_util::task::TaskTracker::new().spawn(task);
            let mut response = Response::new(body::empty());
            *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
            response
                .headers_mut()
                .insert("upgrade", "websocket".parse().unwrap());
            response
        }
    });
    let server = Server::start(settings, handler).await;
    let mut first = server.connect().await;
    first
        .write_all(
            b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        )
        .await
        .unwrap();
    assert_eq!(read_answer(&mut first).await.status, 101);
    let socket = sockets.recv().await.unwrap();
    closed(&mut server.connect().await).await;
    // Who asks is told.
    let mut refused = server.connect().await;
    refused.write_all(GET).await.unwrap();
    let told = read_answer(&mut refused).await;
    assert_eq!(told.status, 503);
    assert!(
        told.head.contains("Retry-After: 5") && told.closes(),
        "{}",
        told.head
    );
    let mut socket = TokioIo::new(socket);
    socket.write_all(b"raw").await.unwrap();
    first.read_exact(&mut [0; 3]).await.unwrap();
    drop(socket);
    closed(&mut first).await;
    // The place is free once the server's descriptor is closed, right after its FIN.
    soon("a place", async {
        loop {
            let mut next = server.connect().await;
            let _ = next.write_all(GET).await;
            let mut start = [0; 12];
            if next.read_exact(&mut start).await.is_ok() && start != *b"HTTP/1.1 503" {
                return;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_soft_stop_finishes_running_requests_and_ends_idle_connections() {
    let release = Arc::new(Notify::new());
    let released = Arc::clone(&release);
    let (entered, mut entries) = mpsc::channel(1);
    let handler = With(move |request: Request<Body>, _| {
        let (entered, released) = (entered.clone(), Arc::clone(&released));
        async move {
            if request.uri().path() == "/slow" {
                entered.send(()).await.unwrap();
                released.notified().await;
            }
            ok()
        }
    });
    let server = Server::start(patient(), handler).await;
    let mut fresh = server.connect().await;
    let mut idle = server.connect().await;
    idle.write_all(GET).await.unwrap();
    assert!(!read_answer(&mut idle).await.closes());
    let mut running = server.connect().await;
    running
        .write_all(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .unwrap();
    entries.recv().await.unwrap();

    server.stop.soft.cancel();
    closed(&mut idle).await;
    closed(&mut fresh).await;
    release.notify_one();
    assert!(read_answer(&mut running).await.closes());
    closed(&mut running).await;
    server.tracker.close();
    soon("the listener to end", server.tracker.wait()).await;
    assert!(TcpStream::connect(server.address).await.is_err());
}

#[tokio::test]
async fn a_hard_stop_cuts_what_runs() {
    let (dropped, mut drops) = mpsc::channel(1);
    let handler = With(move |_, _| std::future::ready(endless(Dropped(dropped.clone()))));
    let server = Server::start(patient(), handler).await;
    let mut stream = server.connect().await;
    stream.write_all(GET).await.unwrap();
    stream.read_exact(&mut [0; 40]).await.unwrap();
    server.stop.hard.cancel();
    soon("the body to be dropped", drops.recv()).await.unwrap();
    server.tracker.close();
    soon("the listener to end", server.tracker.wait()).await;
}

#[tokio::test]
async fn a_large_upload_streams_through_in_little_memory() {
    const BLOCKS: usize = 4096;
    let block = vec![b'x'; 64 * 1024];
    let handler = With(async |request: Request<Body>, _| {
        let mut body = request.into_body();
        let mut length = 0;
        while let Some(frame) = body.frame().await {
            length += frame.unwrap().into_data().unwrap().len();
        }
        Response::new(body::full(length.to_string()))
    });
    let server = Server::start(patient(), handler).await;
    let mut stream = server.connect().await;
    let head = format!(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n",
        BLOCKS * block.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let before = resident();
    let mut most = before;
    for _ in 0..BLOCKS {
        soon("the upload", stream.write_all(&block)).await.unwrap();
        most = most.max(resident());
    }
    let answer = read_answer(&mut stream).await;
    assert_eq!(answer.body, (BLOCKS * block.len()).to_string().as_bytes());
    // Tests beside this one take some too; a buffered body would take 256 MiB.
    assert!(
        most - before < 64 << 20,
        "{} MiB more",
        (most - before) >> 20
    );
}

#[tokio::test]
async fn an_unread_upload_is_held_back_in_the_callers_own_buffers() {
    let server = Server::start(patient(), With(|_, _| std::future::pending())).await;
    let mut stream = server.connect().await;
    stream
        .write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 268435456\r\n\r\n")
        .await
        .unwrap();
    let (block, mut sent) = (vec![b'x'; 64 * 1024], 0);
    while let Ok(count) = tokio::time::timeout(4 * SHORT, stream.write(&block)).await {
        sent += count.unwrap();
        assert!(sent < 32 << 20, "{sent} bytes were taken in");
    }
}

/// Bytes of memory this process occupies.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

/// A listener's TLS and a caller that trusts it.
fn tls(protocols: &[&[u8]]) -> (ListenSettings, TlsConnector) {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let certified = rcgen::generate_simple_self_signed(["relay.test".to_owned()]).unwrap();
    let certificate = certified.cert.der().clone();
    let key = PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
    let mut server = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate).unwrap();
    let mut client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    client.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    let settings = ListenSettings {
        tls: Some(Arc::new(server)),
        ..patient()
    };
    (settings, TlsConnector::from(Arc::new(client)))
}

type TlsStream = tokio_rustls::client::TlsStream<TcpStream>;

async fn connect_tls(server: &Server, connector: &TlsConnector) -> TlsStream {
    let name = ServerName::try_from("relay.test").unwrap();
    connector
        .connect(name, server.connect().await)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_call_over_tls_tells_name_exporter_and_scheme() {
    let (settings, connector) = tls(&[b"http/1.1"]);
    let (calls, mut called) = mpsc::channel(1);
    let handler = With(move |_, call| {
        let calls = calls.clone();
        async move {
            calls.send(call).await.unwrap();
            ok()
        }
    });
    let server = Server::start(settings, handler).await;
    let mut stream = connect_tls(&server, &connector).await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    stream.write_all(GET).await.unwrap();
    assert_eq!(read_answer(&mut stream).await.status, 200);
    let call = called.recv().await.unwrap();
    assert_eq!(call.server_name.as_deref(), Some("relay.test"));
    assert!(call.caller.scheme.is_secure());
    assert_eq!(
        call.exporter,
        latchkey_net::tls::client_exporter(&stream).ok()
    );
    assert!(call.exporter.is_some());
}

#[tokio::test]
async fn http2_is_agreed_on_in_the_tls_handshake() {
    let (settings, connector) = tls(&[b"h2", b"http/1.1"]);
    let recorder = Recorder::default();
    let server = Server::start(settings, recorder.clone()).await;
    let stream = connect_tls(&server, &connector).await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (mut sender, connection) = hyper::client::conn::http2::handshake(
        hyper_util::rt::TokioExecutor::new(),
        TokioIo::new(stream),
    )
    .await
    .unwrap();
    server.tracker.spawn(connection);
    let request = Request::post("https://relay.test/x")
        .body(body::full("body"))
        .unwrap();
    let response = soon("an answer", sender.send_request(request))
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
    let seen = recorder.take();
    assert_eq!(seen[0].authority, "relay.test");
    assert_eq!(seen[0].body.as_deref(), Some(&b"body"[..]));
}

#[tokio::test]
async fn plain_bytes_on_a_tls_port_are_turned_away() {
    let (settings, _) = tls(&[]);
    let server = Server::start(settings, Recorder::default()).await;
    let mut stream = server.connect().await;
    stream.write_all(GET).await.unwrap();
    let mut alert = Vec::new();
    let _ = soon("the end", stream.read_to_end(&mut alert)).await;
    assert!(!alert.starts_with(b"HTTP"));
}

#[tokio::test]
async fn a_tls_handshake_that_stands_still_is_cut() {
    let (settings, _) = tls(&[]);
    let settings = ListenSettings {
        handshake_timeout: SHORT,
        ..settings
    };
    let server = Server::start(settings, Recorder::default()).await;
    let mut stream = server.connect().await;
    stream.write_all(&[0x16, 3, 1]).await.unwrap();
    closed(&mut stream).await;
}

#[tokio::test]
async fn a_caller_that_leaves_is_noticed_under_tls() {
    for with_reset in [false, true] {
        let (settings, connector) = tls(&[]);
        let settings = ListenSettings {
            silence_after_fin: SHORT,
            ..settings
        };
        let (dropped, mut drops) = mpsc::channel(1);
        let (entered, mut entries) = mpsc::channel(1);
        let handler = With(move |_, _| {
            let (guard, entered) = (Dropped(dropped.clone()), entered.clone());
            async move {
                entered.send(()).await.unwrap();
                std::future::pending::<()>().await;
                drop(guard);
                ok()
            }
        });
        let server = Server::start(settings, handler).await;
        let mut stream = connect_tls(&server, &connector).await;
        stream.write_all(GET).await.unwrap();
        entries.recv().await.unwrap();
        let kept = if with_reset {
            reset(stream.into_inner().0);
            None
        } else {
            // A farewell and a FIN. Dropping the stream would reset it: tickets are unread.
            stream.shutdown().await.unwrap();
            Some(stream)
        };
        soon("the handler to be dropped", drops.recv())
            .await
            .unwrap();
        drop(kept);
    }
}
