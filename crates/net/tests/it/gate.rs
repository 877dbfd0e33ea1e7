//! What the gate makes of raw HTTP/1, over a real socket.
//!
//! Each vector is followed by one more good request on the same connection. Whether
//! that one is answered tells whether the connection was closed, and proves that
//! nothing after a refused request is believed.

use latchkey_net::listen::ListenSettings;
use proptest::prelude::*;
use tokio::io::AsyncWriteExt;

use crate::caller::{Answer, Recorder, Seen, Server, read_answer, read_answers, soon};

const FOLLOWING: &str = "GET /following HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

/// What must become of a vector.
#[derive(Debug, Clone, Copy)]
enum Fate {
    /// Answered with this status and closed; the handler sees nothing.
    Refused(u16),
    /// Seen by the handler with this body and answered; the next request is served.
    Taken(&'static str),
    /// As `Taken`, but the connection ends with it.
    TakenLast(&'static str),
    /// Seen by the handler, whose body fails; the connection ends.
    Broken,
    /// A good request is answered first; what follows is refused.
    SecondRefused(u16),
}
use Fate::{Broken, Refused, SecondRefused, Taken, TakenLast};

macro_rules! get {
    ($($rest:literal),*) => { concat!("GET / HTTP/1.1\r\nHost: a\r\n", $($rest),*) };
}
macro_rules! post {
    ($($rest:literal),*) => { concat!("POST / HTTP/1.1\r\nHost: a\r\n", $($rest),*) };
}
macro_rules! chunked {
    ($($rest:literal),*) => { post!("Transfer-Encoding: chunked\r\n\r\n", $($rest),*) };
}

#[rustfmt::skip] // One vector per line.
const LENGTHS: &[(&str, Fate)] = &[
    (post!("Content-Length: 4\r\n\r\nbody"), Taken("body")),
    (post!("content-length: 4\r\n\r\nbody"), Taken("body")),
    (post!("Content-Length: 0\r\n\r\n"), Taken("")),
    (post!("Content-Length: 004\r\n\r\nbody"), Taken("body")),
    (post!("\r\n"), Taken("")),
    (get!("Content-Length: 4\r\n\r\nbody"), Taken("body")),
    (post!("Content-Length: 4\r\nContent-Length: 4\r\n\r\nbody"), Taken("body")),
    (post!("Content-Length: 4\r\nContent-Length: 5\r\n\r\nbody"), Refused(400)),
    (post!("Content-Length: 4, 4\r\n\r\nbody"), Refused(400)),
    (post!("Content-Length: 4,5\r\n\r\nbody"), Refused(400)),
    (post!("Content-Length: +4\r\n\r\nbody"), Refused(400)),
    (post!("Content-Length: -4\r\n\r\nbody"), Refused(400)),
    (post!("Content-Length: 0x4\r\n\r\nbody"), Refused(400)),
    (post!("Content-Length: 4.0\r\n\r\nbody"), Refused(400)),
    (post!("Content-Length: 4 4\r\n\r\nbody"), Refused(400)),
    (post!("Content-Length: four\r\n\r\nbody"), Refused(400)),
    (post!("Content-Length:\r\n\r\nbody"), Refused(400)),
    (post!("Content-Length: 99999999999999999999\r\n\r\nbody"), Refused(400)),
    (post!("Content-Length: 18446744073709551615\r\n\r\nbody"), Refused(431)),
    (post!("Content-Length: 9223372036854775807\r\n\r\nbody"), Broken),
    (post!("Content-Length : 4\r\n\r\nbody"), Refused(400)),
    (post!("Content-Length\t: 4\r\n\r\nbody"), Refused(400)),
    (post!(" Content-Length: 4\r\n\r\nbody"), Refused(400)),
    (post!("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), Refused(400)),
    (post!("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n"), Refused(400)),
    (post!("transfer-ENCODING: chunked\r\ncontent-LENGTH: 4\r\n\r\n0\r\n\r\n"), Refused(400)),
    (post!("Content-Length: 4\r\nX: a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), Refused(400)),
    (post!("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), Refused(400)),
    (post!("Transfer-Encoding: chunked\nContent-Length: 4\n\n0\r\n\r\n"), Refused(400)),
    (get!("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), Refused(400)),
    (chunked!("4\r\nbody\r\n0\r\n\r\n"), Taken("body")),
    (get!("Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n"), Taken("body")),
    (post!("Transfer-Encoding: CHUNKED\r\n\r\n4\r\nbody\r\n0\r\n\r\n"), Taken("body")),
    (post!("Transfer-Encoding: \tchunked \r\n\r\n4\r\nbody\r\n0\r\n\r\n"), Taken("body")),
    (post!("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), Refused(400)),
    (post!("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), Refused(400)),
    (post!("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n"), Refused(400)),
    (post!("Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"), Refused(400)),
    (post!("Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"), Refused(400)),
    (post!("Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n"), Refused(400)),
    (post!("Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"), Refused(400)),
    (post!("Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n"), Refused(400)),
    (post!("Transfer-Encoding: ,chunked\r\n\r\n0\r\n\r\n"), Refused(400)),
    (post!("Transfer-Encoding: chunked,\r\n\r\n0\r\n\r\n"), Refused(400)),
    (post!("Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n"), Refused(400)),
    (post!("Transfer-Encoding: identity\r\n\r\n"), Refused(400)),
    (post!("Transfer-Encoding:\r\n\r\n"), Refused(400)),
    (post!("Transfer-Encoding: \u{b}chunked\r\n\r\n0\r\n\r\n"), Refused(400)),
    (post!("Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n"), Refused(400)),
    (post!("Transfer-Encoding: gzip,\r\n chunked\r\n\r\n0\r\n\r\n"), Refused(400)),
    ("POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Refused(400)),
    ("POST / HTTP/1.0\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody", TakenLast("body")),
];

#[rustfmt::skip] // One vector per line.
const CHUNKS: &[(&str, Fate)] = &[
    (chunked!("0\r\n\r\n"), Taken("")),
    (chunked!("2\r\nbo\r\n2;name=value\r\ndy\r\n000\r\n\r\n"), Taken("body")),
    (chunked!("A\r\n0123456789\r\n0\r\n\r\n"), Taken("0123456789")),
    (chunked!("4\r\nbody\r\n0\r\nX-Trailer: 1\r\n\r\n"), Taken("body")),
    (chunked!("4\r\nbody\r\n0\r\nContent-Length: 9\r\nX-Api-Key: k\r\nTransfer-Encoding: gzip\r\nHost: b\r\n\r\n"), Taken("body")),
    (chunked!("zz\r\nbody\r\n0\r\n\r\n"), Broken),
    (chunked!("-4\r\nbody\r\n0\r\n\r\n"), Broken),
    (chunked!("+4\r\nbody\r\n0\r\n\r\n"), Broken),
    (chunked!("0x4\r\nbody\r\n0\r\n\r\n"), Broken),
    (chunked!("4 4\r\nbody\r\n0\r\n\r\n"), Broken),
    (chunked!("\r\nbody\r\n0\r\n\r\n"), Broken),
    (chunked!("FFFFFFFFFFFFFFFFF\r\nbody\r\n0\r\n\r\n"), Broken),
    (chunked!("10000000000000004\r\nbody\r\n0\r\n\r\n"), Broken),
    (chunked!("FFFFFFFFFFFFFFFF\r\nbody\r\n0\r\n\r\n"), Broken),
    (chunked!("4;a\nb\r\nbody\r\n0\r\n\r\n"), Broken),
    (chunked!("4\nbody\r\n0\r\n\r\n"), Broken),
    (chunked!("4\rbody\r\n0\r\n\r\n"), Broken),
    (chunked!("4\r\nbody0\r\n\r\n"), Broken),
    (chunked!("4\r\nbody\n0\r\n\r\n"), Broken),
    (chunked!("3\r\nbody\r\n0\r\n\r\n"), Broken),
    (chunked!("5\r\nbody\r\n0\r\n\r\n"), Broken),
    (chunked!("4\r\nbody\r\n0\r\nno colon\r\n\r\n"), Broken),
    (chunked!("0\r\n\r\nrubbish\r\n\r\n"), SecondRefused(400)),
];

#[rustfmt::skip] // One vector per line.
const SYNTAX: &[(&str, Fate)] = &[
    (get!("X: a\rb\r\n\r\n"), Refused(400)),
    (get!("X: a\r\r\n\r\n"), Refused(400)),
    (get!("X: a\0b\r\n\r\n"), Refused(400)),
    (get!("X\0: a\r\n\r\n"), Refused(400)),
    (get!("X: a\u{1}b\r\n\r\n"), Refused(400)),
    (get!("X: a\r\n folded\r\n\r\n"), Refused(400)),
    (get!("X: a\r\n\tfolded\r\n\r\n"), Refused(400)),
    (get!("X : a\r\n\r\n"), Refused(400)),
    (get!(": a\r\n\r\n"), Refused(400)),
    (get!("no colon\r\n\r\n"), Refused(400)),
    (get!("X(Y): a\r\n\r\n"), Refused(400)),
    (get!("X Y: a\r\n\r\n"), Refused(400)),
    (get!("X\u{e9}: a\r\n\r\n"), Refused(400)),
    (get!("X: \u{e9}\r\n\r\n"), Taken("")),
    (get!("X:\r\n\r\n"), Taken("")),
    ("GET / HTTP/1.1\nHost: a\n\n", Taken("")),
    ("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", Taken("")),
    ("GET /\r\n", Refused(400)),
    ("GET / \r\nHost: a\r\n\r\n", Refused(400)),
    ("GET / HTTP/0.9\r\nHost: a\r\n\r\n", Refused(400)),
    ("GET / HTTP/1.2\r\nHost: a\r\n\r\n", Refused(400)),
    ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", Refused(400)),
    ("GET / HTTP/11\r\nHost: a\r\n\r\n", Refused(400)),
    ("GET / http/1.1\r\nHost: a\r\n\r\n", Refused(400)),
    ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
    ("GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
    ("GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
    ("GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
    (" GET / HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
    ("G(T / HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
    ("GET / HTTP/1.1\rHost: a\r\r", Refused(400)),
    ("\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}\u{fc}\u{3}\u{3}", Refused(400)),
    ("PRI * HTTP/2.0\r\n\r\n", Refused(400)),
    ("PRI * HTTP/2.0\r\n\r\nSX\r\n\r\n", Refused(400)),
    ("PRI * HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
];

#[rustfmt::skip] // One vector per line.
const AUTHORITY: &[(&str, Fate)] = &[
    ("GET / HTTP/1.1\r\n\r\n", Refused(400)),
    ("GET / HTTP/1.0\r\n\r\n", Refused(400)),
    ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", Refused(400)),
    ("GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\nhost: b\r\n\r\n", Refused(400)),
    ("GET / HTTP/1.1\r\nHost:\r\n\r\n", Refused(400)),
    ("GET / HTTP/1.1\r\nHost: .\r\n\r\n", Refused(400)),
    ("GET / HTTP/1.1\r\nHost: :80\r\n\r\n", Refused(400)),
    ("GET / HTTP/1.1\r\nHost: user@a\r\n\r\n", Refused(400)),
    ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", Refused(400)),
    ("GET / HTTP/1.1\r\nHost: a?b\r\n\r\n", Refused(400)),
    ("GET / HTTP/1.1\r\nHost: a#b\r\n\r\n", Refused(400)),
    ("GET / HTTP/1.1\r\nHost: a,b\r\n\r\n", Refused(400)),
    ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", Refused(400)),
    ("GET / HTTP/1.1\r\nHost: a\\b\r\n\r\n", Refused(400)),
    ("GET / HTTP/1.1\r\nHost: a%2eb\r\n\r\n", Refused(400)),
    ("GET / HTTP/1.1\r\nHost: http://a\r\n\r\n", Refused(400)),
    ("GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", Refused(400)),
    ("GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n", Refused(400)),
    ("GET / HTTP/1.1\r\nHost: a:80:80\r\n\r\n", Refused(400)),
    ("GET / HTTP/1.1\r\nHost: h\u{f6}st\r\n\r\n", Refused(400)),
    ("GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", Refused(400)),
    ("GET / HTTP/1.1\r\nHost: [fe80::1%25eth0]\r\n\r\n", Refused(400)),
    ("GET / HTTP/1.1\r\nHost: [::1]:5000\r\n\r\n", Taken("")),
    ("GET / HTTP/1.1\r\nHost: A.Example.:8080\r\n\r\n", Taken("")),
    ("GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n", Taken("")),
    ("GET http://A:80/ HTTP/1.1\r\nHost: a\r\n\r\n", Taken("")),
    ("GET http://a/ HTTP/1.1\r\nHost: a:80\r\n\r\n", Taken("")),
    ("GET https://a/ HTTP/1.1\r\nHost: a:443\r\n\r\n", Taken("")),
    ("GET https://a/ HTTP/1.1\r\nHost: a:80\r\n\r\n", Refused(400)),
    ("GET http://a/ HTTP/1.1\r\nHost: a:443\r\n\r\n", Refused(400)),
    ("GET http://a:81/ HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
    ("GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
    ("GET http://a.b/ HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
    ("GET http://a/ HTTP/1.1\r\n\r\n", Refused(400)),
    ("GET http://user@a/ HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
    ("GET http:/// HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
    ("GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
    ("GET a:80 HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
    ("GET a HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
    ("GET ?q HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
    ("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", Refused(400)),
    ("CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
    ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
    ("GET * HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
    ("OPTIONS / HTTP/1.1\r\nHost: a\r\n\r\n", Taken("")),
];

#[rustfmt::skip] // One vector per line.
const CONNECTION: &[(&str, Fate)] = &[
    (get!("Connection: Host\r\n\r\n"), Refused(400)),
    (get!("Connection: close, hOST\r\n\r\n"), Refused(400)),
    (get!("Connection: keep-alive\r\nConnection: host\r\n\r\n"), Refused(400)),
    (get!("Connection: Content-Length\r\n\r\n"), Refused(400)),
    (get!("Connection: Transfer-Encoding\r\n\r\n"), Refused(400)),
    (get!("Connection: Authorization\r\n\r\n"), Refused(400)),
    (get!("Connection: Cookie\r\n\r\n"), Refused(400)),
    (get!("Connection: X-Api-Key\r\n\r\n"), Refused(400)),
    (get!("Connection: X_Api_Key\r\n\r\n"), Taken("")),
    (get!("Connection: Content_Length\r\n\r\n"), Taken("")),
    (get!("Connection: \u{e9}, X-Api-Key\r\n\r\n"), Refused(400)),
    (get!("Connection: X-Other\r\n\r\n"), Taken("")),
    (get!("Connection: close\r\n\r\n"), TakenLast("")),
    (get!("Connection: x, close\r\n\r\n"), TakenLast("")),
    (get!("Connection: x\r\nConnection: close\r\n\r\n"), TakenLast("")),
    ("GET / HTTP/1.0\r\nHost: a\r\n\r\n", TakenLast("")),
    ("GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n", Taken("")),
    (get!("Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABk\r\n\r\n"), Taken("")),
    (get!("Upgrade: TLS/1.0\r\nConnection: Upgrade\r\n\r\n"), Taken("")),
    (get!("Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n"), Taken("")),
    (get!("Expect: 200-ok\r\n\r\n"), Refused(417)),
    (post!("Content-Length: 4\r\nExpect: 100-continue, x\r\n\r\nbody"), Refused(417)),
    (post!("Content-Length: 4\r\nExpect: 100-continue\r\nExpect: x\r\n\r\nbody"), Refused(417)),
    (get!("Expect: 100-Continue\r\n\r\n"), Taken("")),
    (get!("\r\nrubbish\r\n\r\n"), SecondRefused(400)),
    (get!("\r\nGET / HTTP/1.1\r\n\r\n"), SecondRefused(400)),
    (get!("\r\nPOST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), SecondRefused(400)),
    (post!("Content-Length: 4\r\n\r\nbodyPOST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n"), SecondRefused(400)),
    // Both came at once, and which of the two has both lengths cannot be told.
    (chunked!("0\r\n\r\nPOST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n"), Refused(400)),
    ("", TakenLast("")),
];

async fn check(table: &[(&str, Fate)]) {
    let recorder = Recorder::default();
    let server = Server::start(ListenSettings::default(), recorder.clone()).await;
    let mut wrong = Vec::new();
    for (vector, fate) in table {
        let answers = server
            .exchange(format!("{vector}{FOLLOWING}").as_bytes())
            .await;
        let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
        let seen = recorder.take();
        let closed = answers.last().is_none_or(Answer::closes);
        if !closed || !is_fate(*fate, &statuses, &seen) {
            let seen: Vec<_> = seen.iter().map(|seen| (&seen.target, &seen.body)).collect();
            wrong.push(format!("{vector:?}: {fate:?}, not {statuses:?} {seen:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn is_fate(fate: Fate, statuses: &[u16], seen: &[Seen]) -> bool {
    let first = seen.first().map(|seen| seen.body.as_deref());
    let followed = seen.last().is_some_and(|last| last.target == "/following");
    match fate {
        Refused(status) => statuses == [status] && seen.is_empty(),
        Taken(body) => {
            statuses == [200, 200]
                && seen.len() == 2
                && first == Some(Some(body.as_bytes()))
                && followed
        }
        TakenLast(body) => {
            statuses == [200] && seen.len() == 1 && first == Some(Some(body.as_bytes()))
        }
        Broken => statuses == [400] && seen.len() == 1 && first == Some(None),
        SecondRefused(status) => statuses == [200, status] && seen.len() == 1 && !followed,
    }
}

#[tokio::test]
async fn a_body_has_one_length_or_the_request_is_refused() {
    check(LENGTHS).await;
}

#[tokio::test]
async fn a_malformed_chunk_ends_body_and_connection() {
    check(CHUNKS).await;
}

#[tokio::test]
async fn what_is_not_a_request_is_refused() {
    check(SYNTAX).await;
}

#[tokio::test]
async fn a_request_names_one_authority_or_is_refused() {
    check(AUTHORITY).await;
}

#[tokio::test]
async fn connection_cannot_remove_what_others_rely_on() {
    check(CONNECTION).await;
}
