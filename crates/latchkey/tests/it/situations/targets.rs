//! A relay that turned hostile: whatever it asks of a host lands at the configured printer, or nowhere.

use futures_util::FutureExt as _;
use http::{Method, Request};
use hyper::ext::Protocol;
use latchkey_host::config::{AuthorityMode, Credential, UpstreamKind};
use latchkey_net::body;
use latchkey_net::tunnel::{Acceptor, AcceptorConfig, Scheme, Scope, Settings, StreamHead, Tunnel};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::task::TaskTracker;

use crate::harness::inproc::{Printer, RunningHost, running_host};
use crate::harness::raw::RawConnection;
use crate::harness::within;

const KEY: &str = "planted-upstream-key";

/// A relay that is nothing but the other end of a tunnel.
async fn hostile_relay(printer: &Printer, kind: UpstreamKind) -> (Tunnel, RunningHost) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let url = format!("http://localhost:{port}").parse().unwrap();
    let host = running_host(printer.address(), Some(url), |host| {
        host.upstream.credential = Credential::new(KEY);
        host.upstream.kind = kind;
        host.authority = AuthorityMode::Host;
    });
    let (host, ()) = tokio::join!(host, printer.answer_probe("403 Forbidden"));
    let (stream, _) = within("the host to dial", listener.accept()).await.unwrap();
    let mut dialled = RawConnection::over(stream);
    let asked = dialled.read_request().await;
    assert_eq!(asked.line, "GET /latchkey/tunnel HTTP/1.1");
    dialled
        .send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: latchkey/1\r\n\r\n")
        .await;
    let config = AcceptorConfig {
        relay_name: format!("localhost:{port}"),
        version: "0".to_owned(),
        settings: Settings::default(),
    };
    let acceptor = Acceptor::new(config, TaskTracker::new());
    let arrival = within("the hello", acceptor.accept(dialled.into_stream(), None))
        .await
        .unwrap();
    (arrival.welcome("t", None).await.unwrap(), host)
}

fn stream_head(app_connection: Option<&str>) -> StreamHead {
    StreamHead {
        caller: "192.0.2.7".parse().unwrap(),
        scheme: Scheme::Https,
        app_connection: app_connection.map(str::to_owned),
        scope: Scope::Full,
        request: "r".to_owned(),
        may_code: false,
    }
}

/// Answers everything up to `/last`; returns the request lines.
async fn serve_until_last(printer: Printer) -> Vec<String> {
    const LAST: &str = "GET /last HTTP/1.1";
    let mut lines = Vec::new();
    let mut connections = JoinSet::new();
    let (seen, mut requests) = mpsc::channel(64);
    while lines.last().is_none_or(|line| line != LAST) {
        tokio::select! {
            mut upstream = printer.accept() => {
                let seen = seen.clone();
                connections.spawn(async move {
                    loop {
                        let request = upstream.read_request().await;
                        // Only the last one may find nobody left to tell.
                        let _ = seen.send(request).await;
                        upstream
                            .send("HTTP/1.1 200 OK\r\nX-Printer: yes\r\nContent-Length: 0\r\n\r\n")
                            .await;
                    }
                });
            }
            Some(request) = requests.recv() => {
                assert_eq!(request.field("host"), Some(&*printer.address().to_string()));
                lines.push(request.line);
            }
        }
    }
    // The answer to the last one may still be on its way.
    connections.detach_all();
    lines
}

#[tokio::test]
async fn whatever_the_relay_asks_for_lands_at_the_configured_printer_or_nowhere() {
    let printer = Printer::start().await;
    let elsewhere = Printer::start().await;
    // The kind at which no spelling of a path is refused.
    let (tunnel, _host) = hostile_relay(&printer, UpstreamKind::Generic).await;
    let other = elsewhere.address();
    let serving = tokio::spawn(serve_until_last(printer));
    let mut landed = 0;
    for (method, uri) in [
        ("GET", format!("http://{other}/")),
        ("GET", format!("https://{other}/")),
        ("GET", "http://169.254.169.254/latest/meta-data/".to_owned()),
        ("GET", "http://[::1]:22/".to_owned()),
        ("GET", format!("http://door/http://{other}/")),
        ("GET", format!("http://door//{other}/x")),
        ("GET", format!("http://door/@{other}/")),
        ("GET", format!("http://door/%40{other}/%2e%2e/")),
        ("GET", "http://door/../../etc/passwd".to_owned()),
        ("GET", "http://door/..//..%2f..%5c".to_owned()),
        ("GET", "http://door/?url=http://evil.example/#".to_owned()),
        ("GET", format!("http://user:pass@{other}/")),
        ("GET", format!("http://{other}@door/")),
        ("OPTIONS", "http://door/*".to_owned()),
        ("CONNECT", format!("http://{other}/")),
        ("CONNECT", "http://door/".to_owned()),
        ("TRACE", "http://door/".to_owned()),
        ("PROXY", format!("http://{other}/")),
    ] {
        let Ok(uri) = uri.parse::<http::Uri>() else {
            panic!("{uri}");
        };
        for websocket in [false, true] {
            let mut request = Request::builder()
                .method(method)
                .uri(uri.clone())
                .header("host", other.to_string())
                .header("x-forwarded-host", other.to_string())
                .header("x-original-url", format!("http://{other}/"))
                .body(body::empty())
                .unwrap();
            if websocket {
                *request.method_mut() = Method::CONNECT;
                let protocol = Protocol::from_static("websocket");
                request.extensions_mut().insert(protocol);
            }
            let answer = within("an answer", tunnel.send(request, &stream_head(Some("a")))).await;
            // Refused by the host, or already by the HTTP/2 of this relay.
            let Ok(answer) = answer else { continue };
            let at_printer = answer.headers().contains_key("x-printer");
            landed += usize::from(at_printer);
            let status = answer.status().as_u16();
            assert!(
                at_printer || (400..500).contains(&status),
                "{method} {uri}: {answer:?}"
            );
            assert!(method != "CONNECT" || websocket || !at_printer, "{uri}");
        }
    }
    let last = Request::get("http://door/last")
        .body(body::empty())
        .unwrap();
    within("an answer", tunnel.send(last, &stream_head(Some("a"))))
        .await
        .unwrap();
    let lines = within("the printer", serving).await.unwrap();
    assert_eq!(lines.len(), landed + 1, "{lines:?}");
    assert!(landed > 20, "{lines:?}");
    assert!(
        elsewhere.accept().now_or_never().is_none(),
        "the host went elsewhere"
    );
}

#[tokio::test]
async fn hosts_key_is_only_for_callers_the_relay_vouches_for() {
    let printer = Printer::start().await;
    let (tunnel, _host) = hostile_relay(&printer, UpstreamKind::OctoPrint).await;
    let request = || Request::get("http://door/").body(body::empty()).unwrap();
    let answered = async {
        let mut upstream = printer.accept().await;
        let seen = upstream.read_request().await;
        assert_eq!(seen.field("x-api-key"), Some(KEY));
        let echo = format!(
            "HTTP/1.1 200 OK\r\nX-Api-Key: {KEY}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        upstream.send(echo).await;
    };
    let head = stream_head(Some("a"));
    let (answer, ()) = tokio::join!(tunnel.send(request(), &head), answered);
    let told = format!("{:?}", answer.unwrap().headers());
    assert!(!told.contains(KEY), "{told}");
    // Nobody vouches: refused at the host, before the printer hears of it.
    let refused = tunnel.send(request(), &stream_head(None)).await.unwrap();
    assert_eq!(refused.status(), 403);
}
