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

/// Fields that name a caller or a hop: the fields OctoPrint, Moonraker and common
/// frameworks believe.
const CLAIMS: [&str; 31] = [
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
    "X-Forwarded-Server",
    "X-Forwarded-Port",
    "X-Forwarded-Prefix",
    "X-Forwarded-Protocol",
    "X-Forwarded-Scheme",
    "X-Forwarded-Ssl",
    "X-Forwarded-User",
    "X-Forwarded-Email",
    "X-Forwarded",
    "Forwarded",
    "X-Real-IP",
    "X-Client-IP",
    "X-Cluster-Client-IP",
    "True-Client-IP",
    "CF-Connecting-IP",
    "X-Scheme",
    "X-Script-Name",
    "X-Original-Proto",
    "X-Original-Host",
    "X-Original-URL",
    "X-Rewrite-URL",
    "X-URL-Scheme",
    "Remote-User",
    "X-Remote-User",
    "X-Authenticated-User",
    "Latchkey-Caller",
    "Latchkey-Scheme",
    "Latchkey-Anything",
];

#[tokio::test]
async fn no_claim_of_a_hop_reaches_the_handler_in_any_spelling() {
    let recorder = Recorder::default();
    let server = Server::start(ListenSettings::default(), recorder.clone()).await;
    for name in CLAIMS {
        let under = name.replace('-', "_");
        let mixed = name.replacen('-', "_", 1);
        let odd: String = name
            .char_indices()
            .map(|(i, c)| {
                if i % 2 == 0 {
                    c.to_ascii_uppercase()
                } else {
                    c.to_ascii_lowercase()
                }
            })
            .collect();
        for fields in [
            format!("{name}: 192.0.2.1\r\n"),
            format!("{under}: 192.0.2.1\r\n"),
            format!("{mixed}: 192.0.2.1\r\n"),
            format!("{odd}: 192.0.2.1\r\n"),
            format!("{name}: 1\r\n{under}: 2\r\n{name}: 3\r\n{odd}:\r\n"),
        ] {
            let request = format!(
                "GET / HTTP/1.1\r\nHost: a\r\n{fields}X-Kept: 1\r\nConnection: close\r\n\r\n"
            );
            let answers = server.exchange(request.as_bytes()).await;
            assert_eq!(answers[0].status, 200, "{fields:?}");
            let seen = recorder.take();
            let names: Vec<_> = seen[0]
                .fields
                .keys()
                .map(http::HeaderName::as_str)
                .collect();
            assert_eq!(names, ["host", "x-kept"], "{fields:?}");
        }
        for nominated in [name, &under, &odd] {
            let request = format!(
                "GET / HTTP/1.1\r\nHost: a\r\n{name}: 1\r\nConnection: close, {nominated}\r\n\r\n"
            );
            let answers = server.exchange(request.as_bytes()).await;
            assert_eq!(answers[0].status, 400, "{nominated}");
            assert!(recorder.take().is_empty());
        }
    }
}

#[tokio::test]
async fn fields_about_one_connection_stay_on_it() {
    let recorder = Recorder::default();
    let server = Server::start(ListenSettings::default(), recorder.clone()).await;
    let request = "POST / HTTP/1.1\r\nHost: a\r\nConnection: x-one, Upgrade\r\n\
        Connection: X-Two,,close\r\nX-One: 1\r\nX-Two: 2\r\nKeep-Alive: 5\r\nTE: trailers\r\n\
        Proxy-Connection: keep-alive\r\nProxy-Authorization: Basic x\r\nTrailer: X-Late\r\n\
        Upgrade: h2c\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\nX-Kept: 1\r\n\r\n\
        4\r\nbody\r\n0\r\nX-Late: 1\r\n\r\n";
    server.exchange(request.as_bytes()).await;
    let seen = recorder.take();
    let names: Vec<_> = seen[0]
        .fields
        .keys()
        .map(http::HeaderName::as_str)
        .collect();
    assert_eq!(names, ["host", "x-kept"]);
    assert_eq!(seen[0].body.as_deref(), Some(&b"body"[..]));
}

#[tokio::test]
async fn only_a_bodiless_get_asks_for_a_websocket() {
    let recorder = Recorder::default();
    let server = Server::start(ListenSettings::default(), recorder.clone()).await;
    let upgrade = "Connection: close, upgrade\r\nUpgrade: WebSocket\r\n";
    for (line, fields, websocket) in [
        ("GET / HTTP/1.1", upgrade, true),
        (
            "GET / HTTP/1.1",
            "Connection: close\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n",
            true,
        ),
        (
            "GET / HTTP/1.1",
            "Connection: close\r\nUpgrade: websocket\r\n",
            false,
        ),
        (
            "GET / HTTP/1.1",
            "Connection: close, upgrade\r\nUpgrade: websocket, h2c\r\n",
            false,
        ),
        (
            "GET / HTTP/1.1",
            "Connection: close, upgrade\r\nUpgrade: h2c\r\nUpgrade: websocket\r\n",
            false,
        ),
        (
            "GET / HTTP/1.1",
            "Connection: close, upgrade\r\nUpgrade: websocket\r\nContent-Length: 1\r\n",
            false,
        ),
        ("GET / HTTP/1.0", upgrade, false),
        ("POST / HTTP/1.1", upgrade, false),
    ] {
        let request = format!("{line}\r\nHost: a\r\n{fields}\r\nx");
        server.exchange(request.as_bytes()).await;
        let seen = recorder.take();
        assert_eq!(seen[0].websocket, websocket, "{line} {fields:?}");
        assert!(!seen[0].fields.contains_key("upgrade"));
    }
}

#[tokio::test]
async fn heads_beyond_the_limits_are_refused() {
    let recorder = Recorder::default();
    let server = Server::start(ListenSettings::default(), recorder.clone()).await;
    let target = |length: usize| format!("/{}", "t".repeat(length - 1));
    let fields = |count: usize| "X: 1\r\n".repeat(count);
    let bytes = |count: usize| format!("X: {}\r\n", "v".repeat(count));
    for (target, fields, status) in [
        (target(8 * 1024), fields(0), 200),
        (target(8 * 1024 + 1), fields(0), 414),
        (target(70 * 1024), fields(0), 414),
        // hyper gives up on the head before it knows what fills it.
        (target(200 * 1024), fields(0), 431),
        (target(1), fields(98), 200),
        (target(1), fields(99), 431),
        (target(1), fields(5000), 431),
        (target(1), bytes(31 * 1024), 200),
        (target(1), bytes(33 * 1024), 431),
        (target(1), bytes(200 * 1024), 431),
        (target(1), bytes(3 * 1024).repeat(11), 431),
    ] {
        let request =
            format!("GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{fields}\r\n");
        let answers = server.exchange(request.as_bytes()).await;
        let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
        assert_eq!(statuses, [status], "{} {}", target.len(), fields.len());
        assert_eq!(recorder.take().len(), usize::from(status == 200));
    }
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let server = Server::start(ListenSettings::default(), Recorder::default()).await;
    let requests = "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n\
        POST /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n\
        POST /3 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi\
        GET /4 HTTP/1.1\r\nHost: a\r\n\r\n";
    let answers = server.exchange(requests.as_bytes()).await;
    let bodies: Vec<_> = answers.iter().map(|answer| &answer.body[..]).collect();
    assert_eq!(bodies, [b"/1", b"/2", b"/3", b"/4"]);
}

#[tokio::test]
async fn continue_is_sent_when_the_body_is_asked_for() {
    let server = Server::start(ListenSettings::default(), Recorder::default()).await;
    let mut stream = server.connect().await;
    let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    assert_eq!(read_answer(&mut stream).await.status, 100);
    stream.write_all(b"body").await.unwrap();
    assert_eq!(read_answer(&mut stream).await.status, 200);
}

#[tokio::test]
async fn a_refused_request_is_not_told_to_continue() {
    let server = Server::start(ListenSettings::default(), Recorder::default()).await;
    let answers = server
        .exchange(b"POST / HTTP/1.1\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
        .await;
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [400]);
}

#[tokio::test]
async fn a_refusal_can_be_read_by_a_caller_that_first_sends_everything() {
    let server = Server::start(ListenSettings::default(), Recorder::default()).await;
    for head in [
        "POST / HTTP/1.1\r\nContent-Length: 33554432\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nrubbish\r\n\r\n",
    ] {
        let mut stream = server.connect().await;
        stream.write_all(head.as_bytes()).await.unwrap();
        let block = vec![b'x'; 64 * 1024];
        for _ in 0..512 {
            soon("the upload", stream.write_all(&block)).await.unwrap();
        }
        assert_eq!(read_answer(&mut stream).await.status, 400, "{head:?}");
        assert!(read_answers(&mut stream).await.is_empty());
    }
}

/// Requests, broken requests and rubbish, often close to something valid.
fn any_request() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => prop::sample::select(vec![
            "GET / HTTP/1.1\r\n", "POST /x HTTP/1.1\r\n", "GET http://b/ HTTP/1.1\r\n",
            "Host: a\r\n", "Host: b:80\r\n", "Host: a@b\r\n", "Content-Length: 3\r\n",
            "Content-Length: 99\r\n", "Transfer-Encoding: chunked\r\n", "Expect: 100-continue\r\n",
            "Connection: close\r\n", "Connection: host\r\n", "\r\n", "\r\n", "\r\n", "\n", "3\r\nabc\r\n",
            "0\r\n\r\n", "abc", " ", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", ":", "\0", "\r",
        ]).prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..20),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

#[test]
fn whatever_arrives_the_handler_sees_requests_with_an_authority_only() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let recorder = Recorder::default();
    let server = runtime.block_on(Server::start(ListenSettings::default(), recorder.clone()));
    proptest!(ProptestConfig::with_cases(512), |(request in any_request())| {
        let answers = runtime.block_on(server.exchange(&request));
        let seen = recorder.take();
        let finals = answers.iter().filter(|answer| answer.status != 100).count();
        prop_assert!(finals >= seen.len());
        for answer in answers {
            prop_assert!(matches!(answer.status, 100 | 200 | 400 | 417 | 431), "{answer:?}");
        }
        for seen in seen {
            let host = seen.fields.get("host").and_then(|host| host.to_str().ok());
            prop_assert!(matches!(host, Some("a" | "b:80")), "{seen:?}");
            prop_assert_eq!(Some(&*seen.authority), host);
        }
    });
}
