//! A transfer whose permission ends, as its caller sees it.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use latchkey_net::body::{self, Body};
use latchkey_net::listen::ListenSettings;
use latchkey_net::proxy::cut::cut;
use latchkey_net::proxy::endings::Endings;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

use crate::caller::{Dropped, Server, With, endless};

/// How soon everything has to be over.
const SOON: Duration = Duration::from_secs(1);

/// Whose transfer it is.
const CALLER: char = 'a';

/// A listener that sends without end until the caller ends, and who hears that it let go.
async fn sending(allowed: &Endings<char>) -> (Server, mpsc::Receiver<()>) {
    let (dropped, drops) = mpsc::channel(1);
    let allowed = allowed.clone();
    let handler = With(move |request: Request<Body>, _| {
        if request.uri().path() == "/other" {
            return std::future::ready(Response::new(body::empty()));
        }
        let hold = allowed.hold(CALLER);
        let answer: Response<Body> = endless(Dropped(dropped.clone()));
        std::future::ready(answer.map(|body| cut(body, hold, ())))
    });
    (
        Server::start(ListenSettings::default(), handler).await,
        drops,
    )
}

async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    let in_time = tokio::time::timeout(SOON, future).await;
    in_time.unwrap_or_else(|_| panic!("{what} did not come within a second"))
}

#[tokio::test]
async fn over_http1_the_connection_ends_without_the_end_of_the_body() {
    let allowed = Endings::default();
    let (server, mut drops) = sending(&allowed).await;
    let mut stream = server.connect().await;
    let request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    stream.write_all(request).await.unwrap();
    stream.read_exact(&mut vec![0; 100_000]).await.unwrap();
    assert!(allowed.end(&CALLER));
    let mut rest = Vec::new();
    // A reset would be an end as well.
    let _ = soon("the end", stream.read_to_end(&mut rest)).await;
    assert!(!rest.ends_with(b"0\r\n\r\n"), "taken for whole");
    soon("letting go of the source", drops.recv())
        .await
        .unwrap();
}

#[tokio::test]
async fn over_http2_the_stream_is_reset_and_the_connection_goes_on() {
    let allowed = Endings::default();
    let (server, mut drops) = sending(&allowed).await;
    let io = TokioIo::new(server.connect().await);
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), io);
    let (mut client, connection) = handshake.await.unwrap();
    server.tracker.spawn(connection);
    let request = |url| Request::get(url).body(Empty::<Bytes>::new()).unwrap();
    let sent = client.send_request(request("http://a/")).await;
    let mut body = sent.unwrap().into_body();
    body.frame().await.unwrap().unwrap();
    assert!(allowed.end(&CALLER));
    let reset = async { while body.frame().await.unwrap().is_ok() {} };
    soon("the reset", reset).await;
    soon("letting go of the source", drops.recv())
        .await
        .unwrap();
    let next = soon(
        "another answer",
        client.send_request(request("http://a/other")),
    )
    .await;
    assert_eq!(next.unwrap().status(), 200);
}
