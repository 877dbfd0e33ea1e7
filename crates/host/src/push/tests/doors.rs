//! The push socket through both doors, over HTTP/1.1 and as a stream of the tunnel.

use bytes::Bytes;
use http::{Method, Request, Version};
use http_body_util::{BodyExt, Empty};
use hyper::ext::Protocol;
use hyper::service::service_fn;
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioIo};
use latchkey_net::body;
use latchkey_net::listen::{self, ListenSettings, Stop};
use latchkey_net::tunnel::{Scope, StreamHead, StreamService};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use super::*;
use crate::app_connections::AppConnections;
use crate::app_keys::through_relay::{KeysThroughRelay, Maker};
use crate::doors::{Doors, LanDoor, TunnelDoor};
use crate::pages::Pages;
use crate::service::{ByWhom, Service};
use crate::sessions::tests::{config, local_api};
use crate::upstream::Upstream;
use crate::upstream::probe::Trust;
use crate::upstream_authority::UpstreamAuthority;

fn doors(bench: &Bench) -> Doors {
    let upstream = Upstream::new(config(), Trust::default());
    // Nobody is asked: the push socket answers everything.
    let by_whom = ByWhom::Upstream(UpstreamAuthority {
        local_api: local_api(),
        session_keys: None,
    });
    Doors {
        service: Service::new(upstream, by_whom).with_push(bench.push.clone()),
        metrics: Arc::default(),
        ids: Arc::default(),
        tracker: bench.tracker.clone(),
        stopping: bench.stopping.clone(),
    }
}

async fn heard<S>(socket: &mut WebSocketStream<S>) -> Value
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let message = timeout(LIMIT, socket.next()).await.unwrap().unwrap();
    serde_json::from_str(message.unwrap().to_text().unwrap()).unwrap()
}

async fn close_code<S>(socket: &mut WebSocketStream<S>) -> u16
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let message = timeout(LIMIT, socket.next()).await.unwrap().unwrap();
    let Message::Close(Some(frame)) = message.unwrap() else {
        panic!("no goodbye");
    };
    frame.code.into()
}

#[tokio::test]
async fn at_home_it_opens_with_101_and_ends_with_the_host() {
    let bench = Bench::new(None);
    let lan = LanDoor {
        doors: doors(&bench),
        pages: Pages {
            name: "host".into(),
            relay: crate::relay::tests::unset(),
            upstream_kind: "Printer server",
            webcam: None,
            trust: Trust::default(),
        },
        hostnames: Arc::default(),
    };
    let listener = listen::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = Stop::default();
    let (settings, tracker) = (ListenSettings::default(), bench.tracker.clone());
    let serving = listen::serve(listener, settings, lan, stop.clone(), tracker.clone());
    tracker.spawn(serving);

    let stream = || async { TcpStream::connect(address).await.unwrap() };
    let url = format!("ws://{address}/sockjs/websocket");
    // The client checks the status and the accepted key.
    let (mut socket, answer) = client_async(&url, stream().await).await.unwrap();
    assert_eq!(answer.status(), 101);
    assert!(heard(&mut socket).await["connected"].is_object());
    let mut foreign = url.into_client_request().unwrap();
    let origin = "http://evil.example".parse().unwrap();
    foreign.headers_mut().insert("origin", origin);
    let refused = client_async(foreign, stream().await).await.unwrap_err();
    let tokio_tungstenite::tungstenite::Error::Http(refused) = refused else {
        panic!("{refused}");
    };
    assert_eq!(refused.status(), 403);

    let client = legacy::Client::builder(TokioExecutor::new()).build_http();
    let poll = || {
        let url = format!("http://{address}/sockjs/1/abc/xhr");
        let polled = client.request(Request::post(url).body(body::empty()).unwrap());
        async {
            polled
                .await
                .unwrap()
                .into_body()
                .collect()
                .await
                .unwrap()
                .to_bytes()
        }
    };
    assert_eq!(poll().await, "o\n");
    assert!(poll().await.starts_with(b"a[{\"connected\":"));
    let waiting = poll();

    let ((), goodbye) = tokio::join!(
        async {
            while !bench.push.0.xhr.is_receiving() {
                tokio::task::yield_now().await;
            }
            stop.soft.cancel();
            bench.stopping.cancel();
        },
        timeout(LIMIT, waiting)
    );
    assert_eq!(goodbye.unwrap(), "c[1001,\"Go away!\"]\n");
    assert_eq!(close_code(&mut socket).await, 1001);
    drop(socket);
    bench.tracker.close();
    timeout(LIMIT, bench.tracker.wait()).await.unwrap();
}

#[tokio::test]
async fn in_the_tunnel_it_opens_with_200_and_a_refusal_is_none() {
    let bench = Bench::new(None);
    let door = TunnelDoor {
        app_connections: AppConnections::default(),
        doors: doors(&bench),
        relay_is_local: false,
        keys: KeysThroughRelay::new(
            crate::relay::tests::unset(),
            Maker::Nobody,
            bench.tracker.clone(),
        ),
        local_api: local_api(),
        printing: None,
        coder: None,
    };
    let (near, far) = tokio::io::duplex(64 * 1024);
    let serve = service_fn(move |request| {
        let door = door.clone();
        async move {
            let head = StreamHead {
                caller: SOMEBODY,
                scheme: Scheme::Https,
                scope: Scope::Full,
                request: "0123456789abcdef".to_owned(),
                app_connection: Some("connection".to_owned()),
                may_code: false,
            };
            Ok::<_, std::convert::Infallible>(door.serve(request, head).await)
        }
    });
    let mut server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    server.enable_connect_protocol();
    let ends = TaskTracker::new();
    ends.spawn(server.serve_connection(TokioIo::new(far), serve));
    let client = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    let (mut client, connection) = client.handshake(TokioIo::new(near)).await.unwrap();
    ends.spawn(connection);

    let asked = |path: &str, origin: &str| {
        let mut request = Request::new(Empty::<Bytes>::new());
        *request.method_mut() = Method::CONNECT;
        *request.version_mut() = Version::HTTP_2;
        *request.uri_mut() = format!("https://app-x.example.net{path}").parse().unwrap();
        request
            .headers_mut()
            .insert("origin", origin.parse().unwrap());
        request
            .extensions_mut()
            .insert(Protocol::from_static("websocket"));
        request
    };
    let own = "https://app-x.example.net";
    for (path, origin, refused) in [
        ("/sockjs/websocket", "https://evil.example", "403"),
        ("/sockjs/info", own, "405"),
    ] {
        client.ready().await.unwrap();
        let answer = client.send_request(asked(path, origin)).await.unwrap();
        assert_eq!(answer.status(), 599);
        assert_eq!(answer.headers()["latchkey-refused-upgrade"], refused);
    }
    client.ready().await.unwrap();
    let mut answer = client
        .send_request(asked("/sockjs/websocket", own))
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    assert!(answer.headers().get("sec-websocket-accept").is_none());
    let stream = TokioIo::new(hyper::upgrade::on(&mut answer).await.unwrap());
    let mut socket = WebSocketStream::from_raw_socket(stream, Role::Client, None).await;
    assert!(heard(&mut socket).await["connected"].is_object());
    bench.stopping.cancel();
    assert_eq!(close_code(&mut socket).await, 1001);
    drop(socket);
    bench.tracker.close();
    timeout(LIMIT, bench.tracker.wait()).await.unwrap();
}
