//! What the gate and the listener make of HTTP/2, frame by frame.

use std::fmt::Debug;
use std::time::Duration;

use http::{Request, Response};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use latchkey_net::body::{self, Body};
use latchkey_net::listen::{Handler, ListenSettings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

use crate::caller::{Dropped, Recorder, Server, With, endless, read_answers, soon};

const SHORT: Duration = Duration::from_millis(150);
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

// Frame types and flags of RFC 9113 section 6.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const WINDOW_UPDATE: u8 = 8;
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// The setting `SETTINGS_INITIAL_WINDOW_SIZE` (RFC 9113 section 6.5.2).
const INITIAL_WINDOW_SIZE: u8 = 4;

// Error codes of RFC 9113 section 7.
const PROTOCOL_ERROR: u32 = 1;
const ENHANCE_YOUR_CALM: u32 = 11;

/// What became of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Status(u16),
    Reset(u32),
    GoAway(u32),
}
use End::{GoAway, Reset, Status};

/// Speaks frames; knows nothing of what is allowed.
struct Peer(TcpStream);

impl Peer {
    async fn connect(server: &Server) -> Self {
        Self::with_settings(server, &[]).await
    }

    async fn with_settings(server: &Server, settings: &[u8]) -> Self {
        let mut peer = Self(server.connect().await);
        peer.0.write_all(PREFACE).await.unwrap();
        peer.send(&[frame(SETTINGS, 0, 0, settings)]).await;
        peer
    }

    /// Lets this much come on a stream before more has to be allowed.
    async fn with_window(server: &Server, size: u8) -> Self {
        Self::with_settings(server, &[0, INITIAL_WINDOW_SIZE, 0, 0, 0, size]).await
    }

    async fn send(&mut self, frames: &[Vec<u8>]) {
        // The other end may have had enough of us.
        let _ = self.0.write_all(&frames.concat()).await;
    }

    /// The next frame: type, flags, stream, payload. `None` at the end.
    async fn receive(&mut self) -> Option<(u8, u8, u32, Vec<u8>)> {
        let mut head = [0; 9];
        soon("a frame", self.0.read_exact(&mut head)).await.ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let mut payload = vec![0; length as usize];
        self.0.read_exact(&mut payload).await.ok()?;
        Some((head[3], head[4], stream, payload))
    }

    /// Answers pings until the other end closes.
    async fn gone(&mut self) {
        while let Some((kind, flags, _, payload)) = self.receive().await {
            if kind == PING && flags & ACK == 0 {
                self.send(&[frame(PING, ACK, 0, &payload)]).await;
            }
        }
    }

    async fn end_of(&mut self, stream: u32) -> Option<End> {
        loop {
            match self.receive().await? {
                (HEADERS, _, id, block) if id == stream => return Some(Status(status(&block))),
                (RST_STREAM, _, id, code) if id == stream => return Some(Reset(number(&code))),
                (GOAWAY, _, _, payload) => return Some(GoAway(number(&payload[4..]))),
                _ => {}
            }
        }
    }
}

fn number(bytes: &[u8]) -> u32 {
    u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// Fields as HPACK literals without indexing or Huffman coding (RFC 7541 section 6.2.2).
fn block<N: AsRef<str>, V: AsRef<str>>(fields: &[(N, V)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in fields {
        bytes.push(0);
        for text in [name.as_ref(), value.as_ref()] {
            string_length(&mut bytes, text.len());
            bytes.extend(text.as_bytes());
        }
    }
    bytes
}

/// An integer with a 7-bit prefix (RFC 7541 section 5.1).
fn string_length(bytes: &mut Vec<u8>, length: usize) {
    if length < 127 {
        bytes.push(u8::try_from(length).unwrap());
        return;
    }
    bytes.push(127);
    let mut rest = length - 127;
    while rest >= 128 {
        bytes.push(u8::try_from(rest % 128).unwrap() | 128);
        rest /= 128;
    }
    bytes.push(u8::try_from(rest).unwrap());
}

/// The status at the start of a response's field block, if it is in the static table;
/// 0 for any other.
fn status(block: &[u8]) -> u16 {
    match block[0] {
        0x88 => 200,
        0x8C => 400,
        _ => 0,
    }
}

fn get(stream: u32) -> Vec<u8> {
    let fields = block(&[
        (":method", "GET"),
        (":scheme", "http"),
        (":path", "/"),
        (":authority", "a"),
    ]);
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &fields)
}

/// Asks for a WebSocket (RFC 8441 section 4).
fn open_socket(stream: u32) -> Vec<u8> {
    let fields = block(&[
        (":method", "CONNECT"),
        (":protocol", "websocket"),
        (":scheme", "http"),
        (":path", "/socket"),
        (":authority", "a"),
    ]);
    frame(HEADERS, END_HEADERS, stream, &fields)
}

/// Opens each socket that is asked for and hands it on.
fn sockets() -> (impl Handler, mpsc::Receiver<TokioIo<Upgraded>>) {
    let (opened, sockets) = mpsc::channel(1);
    let handler = With(move |mut request: Request<Body>, _| {
        let (opened, upgrade) = (opened.clone(), hyper::upgrade::on(&mut request));
        TaskTracker::new().spawn(async move {
            let socket = TokioIo::new(upgrade.await.unwrap());
            opened.send(socket).await.unwrap();
        });
        std::future::ready(Response::new(body::empty()))
    });
    (handler, sockets)
}

type Fields<'a> = &'a [(&'a str, &'a str)];

async fn check<T: Debug>(vectors: &[(T, Vec<Vec<u8>>, End)]) {
    let recorder = Recorder::default();
    let server = Server::start(ListenSettings::default(), recorder.clone()).await;
    for (name, frames, end) in vectors {
        let mut peer = Peer::connect(&server).await;
        peer.send(frames).await;
        let found = peer.end_of(1).await;
        assert_eq!(found, Some(*end), "{name:?}");
        let complete = recorder
            .take()
            .iter()
            .filter(|seen| seen.body.is_some())
            .count();
        assert_eq!(complete, usize::from(*end == Status(200)), "{name:?}");
    }
}

#[tokio::test]
async fn fields_that_http2_forbids_are_refused() {
    #[rustfmt::skip] // One vector per line.
    let vectors: [(Fields, End); 24] = [
        (&[(":authority", "a")], Status(200)),
        (&[("host", "a")], Status(200)),
        (&[(":authority", "a"), ("host", "a")], Status(200)),
        (&[(":authority", "a"), ("host", "A:80")], Status(200)),
        (&[(":authority", "a"), ("te", "trailers")], Status(200)),
        (&[(":authority", "a"), ("content-length", "0")], Status(200)),
        (&[(":authority", "a"), ("host", "b")], Status(400)),
        (&[(":authority", "a"), ("host", "a:81")], Status(400)),
        (&[(":authority", "a"), ("host", "a"), ("host", "a")], Status(400)),
        (&[(":authority", "user@a")], Status(400)),
        (&[(":authority", "a,b")], Status(400)),
        (&[], Status(400)),
        (&[("host", "")], Status(400)),
        (&[(":authority", "a"), ("connection", "close")], Reset(PROTOCOL_ERROR)),
        (&[(":authority", "a"), ("connection", "x-api-key")], Reset(PROTOCOL_ERROR)),
        (&[(":authority", "a"), ("transfer-encoding", "chunked")], Reset(PROTOCOL_ERROR)),
        (&[(":authority", "a"), ("te", "gzip")], Reset(PROTOCOL_ERROR)),
        (&[(":authority", "a"), ("upgrade", "websocket")], Reset(PROTOCOL_ERROR)),
        (&[(":authority", "a"), ("keep-alive", "5")], Reset(PROTOCOL_ERROR)),
        (&[(":authority", "a"), ("proxy-connection", "close")], Reset(PROTOCOL_ERROR)),
        (&[(":authority", "a"), ("X-Upper", "1")], GoAway(PROTOCOL_ERROR)),
        (&[(":authority", "a"), ("x", "a\nb")], GoAway(PROTOCOL_ERROR)),
        (&[(":authority", "a"), ("x", "1"), (":path", "/late")], Reset(PROTOCOL_ERROR)),
        (&[(":authority", "a"), ("content-length", "4")], Reset(PROTOCOL_ERROR)),
    ];
    let vectors: Vec<_> = vectors
        .iter()
        .map(|(fields, end)| {
            let start = [(":method", "GET"), (":scheme", "http"), (":path", "/")];
            let block = block(&[&start, *fields].concat());
            let frames = vec![frame(HEADERS, END_HEADERS | END_STREAM, 1, &block)];
            (fields, frames, *end)
        })
        .collect();
    check(&vectors).await;
}

#[tokio::test]
async fn targets_that_cannot_be_routed_are_refused() {
    #[rustfmt::skip] // One vector per line.
    let vectors: [(Fields, End); 12] = [
        (&[(":method", "GET"), (":scheme", "https"), (":path", "/"), (":authority", "a:443"), ("host", "a")], Status(200)),
        (&[(":method", "GET"), (":scheme", "ftp"), (":path", "/"), (":authority", "a")], Status(400)),
        (&[(":method", "OPTIONS"), (":scheme", "http"), (":path", "*"), (":authority", "a")], Status(400)),
        (&[(":method", "GET"), (":scheme", "http"), (":path", ""), (":authority", "a")], Reset(PROTOCOL_ERROR)),
        (&[(":method", "GET"), (":scheme", "http"), (":path", "x"), (":authority", "a")], Reset(PROTOCOL_ERROR)),
        (&[(":method", "GET"), (":scheme", "http"), (":path", "/a b"), (":authority", "a")], Reset(PROTOCOL_ERROR)),
        (&[(":method", "GET"), (":scheme", "http"), (":authority", "a")], Reset(PROTOCOL_ERROR)),
        (&[(":scheme", "http"), (":path", "/"), (":authority", "a")], Reset(PROTOCOL_ERROR)),
        (&[(":method", "G T"), (":scheme", "http"), (":path", "/"), (":authority", "a")], GoAway(PROTOCOL_ERROR)),
        (&[(":method", "CONNECT"), (":authority", "a:443")], Status(400)),
        (&[(":method", "CONNECT"), (":protocol", "connect-udp"), (":scheme", "http"), (":path", "/"), (":authority", "a")], Status(400)),
        (&[(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":path", "/"), (":authority", "a"), ("host", "b")], Status(400)),
    ];
    let vectors: Vec<_> = vectors
        .iter()
        .map(|(fields, end)| {
            let block = block(fields);
            let frames = vec![frame(HEADERS, END_HEADERS | END_STREAM, 1, &block)];
            (fields, frames, *end)
        })
        .collect();
    check(&vectors).await;
}

#[tokio::test]
async fn a_body_of_another_length_than_announced_breaks_off() {
    let head = |length: &str| {
        let fields = block(&[
            (":method", "POST"),
            (":scheme", "http"),
            (":path", "/"),
            (":authority", "a"),
            ("content-length", length),
        ]);
        frame(HEADERS, END_HEADERS, 1, &fields)
    };
    let data = frame(DATA, END_STREAM, 1, b"body");
    check(&[
        ("exact", vec![head("4"), data.clone()], Status(200)),
        (
            "short",
            vec![head("5"), data.clone()],
            Reset(PROTOCOL_ERROR),
        ),
        ("long", vec![head("3"), data.clone()], Reset(PROTOCOL_ERROR)),
        ("signed", vec![head("+4"), data], Reset(PROTOCOL_ERROR)),
    ])
    .await;
}

#[tokio::test]
async fn a_refused_stream_leaves_its_neighbours_alone() {
    let recorder = Recorder::default();
    let server = Server::start(ListenSettings::default(), recorder.clone()).await;
    let mut peer = Peer::connect(&server).await;
    let connect = block(&[(":method", "CONNECT"), (":authority", "a:443")]);
    peer.send(&[frame(HEADERS, END_HEADERS | END_STREAM, 1, &connect)])
        .await;
    assert_eq!(peer.end_of(1).await, Some(Status(400)));
    peer.send(&[get(3)]).await;
    assert_eq!(peer.end_of(3).await, Some(Status(200)));
    assert_eq!(recorder.take().len(), 1);
}

#[tokio::test]
async fn an_extended_connect_asks_for_a_websocket() {
    let recorder = Recorder::default();
    let server = Server::start(ListenSettings::default(), recorder.clone()).await;
    let mut peer = Peer::connect(&server).await;
    let fields = block(&[
        (":method", "CONNECT"),
        (":protocol", "websocket"),
        (":scheme", "http"),
        (":path", "/socket"),
        (":authority", "a"),
        ("x-forwarded-for", "192.0.2.1"),
        ("x_real_ip", "192.0.2.1"),
    ]);
    peer.send(&[frame(HEADERS, END_HEADERS | END_STREAM, 1, &fields)])
        .await;
    assert_eq!(peer.end_of(1).await, Some(Status(200)));
    let seen = recorder.take();
    assert!(seen[0].websocket && seen[0].fields.is_empty());
}

#[tokio::test]
async fn oversized_fields_are_refused() {
    let recorder = Recorder::default();
    let server = Server::start(ListenSettings::default(), recorder.clone()).await;
    let start = [(":method", "GET"), (":scheme", "http"), (":authority", "a")];
    for (path, value, count) in [(9000, 1, 0), (1, 40, 101), (1, 3000, 11)] {
        let mut peer = Peer::connect(&server).await;
        let (path, value) = (format!("/{}", "p".repeat(path)), "v".repeat(value));
        let mut fields = block(&start);
        fields.extend(block(&[(":path", path)]));
        fields.extend((0..count).flat_map(|_| block(&[("x", &value)])));
        let mut frames = Vec::new();
        let pieces: Vec<_> = fields.chunks(16_000).collect();
        for (at, piece) in pieces.iter().enumerate() {
            let last = if at + 1 == pieces.len() {
                END_HEADERS
            } else {
                0
            };
            let (kind, flags) = if at == 0 {
                (HEADERS, END_STREAM)
            } else {
                (CONTINUATION, 0)
            };
            frames.push(frame(kind, flags | last, 1, piece));
        }
        peer.send(&frames).await;
        // 414 and 431 are outside the static table.
        assert!(
            matches!(peer.end_of(1).await, Some(Status(0) | Reset(_))),
            "{count}"
        );
        assert!(recorder.take().is_empty());
    }
}

#[tokio::test]
async fn endless_continuations_end_the_connection() {
    let server = Server::start(ListenSettings::default(), Recorder::default()).await;
    let mut peer = Peer::connect(&server).await;
    let fields = block(&[("x", "v".repeat(1000))]);
    let mut frames = vec![frame(HEADERS, END_STREAM, 1, &fields)];
    frames.extend((0..2000).map(|_| frame(CONTINUATION, 0, 1, &fields)));
    peer.send(&frames).await;
    while let Some((kind, _, _, _)) = peer.receive().await {
        assert!(matches!(kind, SETTINGS | GOAWAY | RST_STREAM | 8), "{kind}");
    }
}

#[tokio::test]
async fn a_burst_of_resets_ends_the_connection() {
    let server = Server::start(ListenSettings::default(), Recorder::default()).await;
    let mut peer = Peer::connect(&server).await;
    let burst: Vec<_> = (0..2000)
        .flat_map(|n| {
            [
                get(2 * n + 1),
                frame(RST_STREAM, 0, 2 * n + 1, &[0, 0, 0, 8]),
            ]
        })
        .collect();
    peer.send(&burst).await;
    let mut calm = false;
    while let Some((kind, _, _, payload)) = peer.receive().await {
        calm |= kind == GOAWAY && number(&payload[4..]) == ENHANCE_YOUR_CALM;
    }
    assert!(calm);
}

#[tokio::test]
async fn requests_taken_back_one_by_one_end_the_connection() {
    let (entered, mut entries) = mpsc::channel(1);
    let handler = With(move |_, _| {
        let entered = entered.clone();
        async move {
            entered.send(()).await.unwrap();
            std::future::pending().await
        }
    });
    let server = Server::start(ListenSettings::default(), handler).await;
    let mut peer = Peer::connect(&server).await;
    for n in 0..1000 {
        // The handler has begun with each of them, so hyper's own bounds do not count it.
        let (stream, cancel) = (2 * n + 1, [0, 0, 0, 8]);
        peer.send(&[get(stream)]).await;
        tokio::select! {
            () = peer.gone() => return,
            entered = entries.recv() => entered.unwrap(),
        }
        peer.send(&[frame(RST_STREAM, 0, stream, &cancel)]).await;
    }
    panic!("a thousand requests were taken back");
}

/// Frames that are allowed and do no work, over and over (S-10).
#[tokio::test]
async fn a_flood_of_frames_that_do_no_work_ends_the_connection_and_no_other() {
    let server = Server::start(ListenSettings::default(), Recorder::default()).await;
    let mut other = Peer::connect(&server).await;
    for (round, (what, flood)) in [
        ("pings", frame(PING, 0, 0, &[0; 8])),
        ("answers to pings", frame(PING, ACK, 0, &[0; 8])),
        ("settings", frame(SETTINGS, 0, 0, &[])),
        ("priorities", frame(2, 0, 1, &[0, 0, 0, 0, 1])),
        ("unknown kinds", frame(0xEE, 0, 0, &[])),
    ]
    .into_iter()
    .enumerate()
    {
        let mut peer = Peer::connect(&server).await;
        peer.send(&[get(1)]).await;
        assert_eq!(peer.end_of(1).await, Some(Status(200)), "{what}");
        let (mut read, mut write) = peer.0.into_split();
        let pieces = flood.repeat(100);
        let flooding = async {
            for _ in 0..2000 {
                if write.write_all(&pieces).await.is_err() {
                    return;
                }
            }
            panic!("{what}: nobody minded");
        };
        let mut sink = tokio::io::sink();
        let listening = tokio::io::copy(&mut read, &mut sink);
        tokio::select! {
            () = soon(what, flooding) => {}
            _ = soon(what, listening) => {}
        }
        let stream = u32::try_from(2 * round + 1).unwrap();
        other.send(&[get(stream)]).await;
        assert_eq!(other.end_of(stream).await, Some(Status(200)), "{what}");
    }
}

/// Nothing, in a thousand pieces.
#[tokio::test]
async fn empty_pieces_of_a_body_end_the_connection() {
    let server = Server::start(ListenSettings::default(), Recorder::default()).await;
    let mut peer = Peer::connect(&server).await;
    let mut upload = get(1);
    // Without END_STREAM.
    upload[4] = END_HEADERS;
    let mut frames = vec![upload];
    frames.extend((0..1000).map(|_| frame(DATA, 0, 1, &[])));
    peer.send(&frames).await;
    let mut calm = false;
    while let Some((kind, _, _, payload)) = peer.receive().await {
        calm |= kind == GOAWAY && number(&payload[4..]) == ENHANCE_YOUR_CALM;
    }
    assert!(calm);
}

/// "Made you reset": the server is led to reset the streams itself, again and again.
#[tokio::test]
async fn streams_that_the_server_is_made_to_reset_end_the_connection() {
    let (entered, mut entries) = mpsc::channel(1);
    let handler = With(move |_, _| {
        let entered = entered.clone();
        async move {
            let _ = entered.send(()).await;
            std::future::pending().await
        }
    });
    let server = Server::start(ListenSettings::default(), handler).await;
    let mut peer = Peer::connect(&server).await;
    for n in 0..1000 {
        let stream = 2 * n + 1;
        peer.send(&[get(stream)]).await;
        tokio::select! {
            () = peer.gone() => return,
            _ = entries.recv() => {}
        }
        // A window that grows by nothing is an error of the stream (RFC 9113 section 6.9).
        peer.send(&[frame(WINDOW_UPDATE, 0, stream, &[0; 4])]).await;
    }
    panic!("a thousand streams were reset");
}

#[tokio::test]
async fn an_idle_connection_is_told_goodbye() {
    let settings = ListenSettings {
        idle_timeout: SHORT,
        ..ListenSettings::default()
    };
    let server = Server::start(settings, Recorder::default()).await;
    let mut peer = Peer::connect(&server).await;
    peer.send(&[get(1)]).await;
    assert_eq!(peer.end_of(1).await, Some(Status(200)));
    assert_eq!(peer.end_of(3).await, Some(GoAway(0)));
    peer.gone().await;
}

#[tokio::test]
async fn a_caller_that_leaves_the_window_shut_loses_the_stream_only() {
    let settings = ListenSettings {
        write_stall: SHORT,
        ..ListenSettings::default()
    };
    let (dropped, mut drops) = mpsc::channel(1);
    let handler = With(move |_, _| std::future::ready(endless(Dropped(dropped.clone()))));
    let server = Server::start(settings, handler).await;
    let mut peer = Peer::connect(&server).await;
    peer.send(&[get(1)]).await;
    soon("the body to be dropped", drops.recv()).await.unwrap();
    assert_eq!(peer.end_of(1).await, Some(Status(200)));
    let cut = async { while !matches!(peer.receive().await, Some((RST_STREAM, _, 1, _))) {} };
    soon("the stream to be reset", cut).await;
    peer.send(&[get(3)]).await;
    assert_eq!(peer.end_of(3).await, Some(Status(200)));
}

#[tokio::test]
async fn a_last_piece_that_may_not_be_sent_does_not_keep_the_connection() {
    let settings = ListenSettings {
        idle_timeout: SHORT,
        write_stall: SHORT,
        ..ListenSettings::default()
    };
    for soft_stop in [false, true] {
        let handler = With(|_, _| std::future::ready(Response::new(body::full("ok"))));
        let server = Server::start(settings.clone(), handler).await;
        let mut peer = Peer::with_window(&server, 1).await;
        peer.send(&[get(1)]).await;
        assert_eq!(peer.end_of(1).await, Some(Status(200)));
        if soft_stop {
            server.stop.soft.cancel();
        }
        soon("the end of the connection", peer.gone()).await;
    }
}

#[tokio::test]
async fn a_websocket_whose_window_stays_shut_is_cut() {
    let settings = ListenSettings {
        write_stall: SHORT,
        ..ListenSettings::default()
    };
    // Our end may wait for the caller, or have gone while bytes of it were left to send.
    for ours_waits in [true, false] {
        let (handler, mut sockets) = sockets();
        let server = Server::start(settings.clone(), handler).await;
        let mut peer = Peer::with_window(&server, 1).await;
        peer.send(&[open_socket(1)]).await;
        let mut socket = sockets.recv().await.unwrap();
        assert_eq!(peer.end_of(1).await, Some(Status(200)));
        socket.write_all(b"first").await.unwrap();
        socket.write_all(b"second").await.unwrap();
        let reset = async {
            while let Some((kind, _, _, _)) = peer.receive().await {
                if kind == RST_STREAM {
                    return;
                }
            }
            panic!("the connection is gone");
        };
        let stuck = async {
            if ours_waits {
                while socket.write_all(b"more").await.is_ok() {}
            }
            drop(socket);
        };
        soon("the end of the socket", async {
            tokio::join!(stuck, reset)
        })
        .await;
        // A stream that hangs on would hold a soft stop up.
        server.stop.soft.cancel();
        soon("the end of the connection", peer.gone()).await;
    }
}

#[tokio::test]
async fn a_websocket_that_is_quiet_or_slow_is_not_cut() {
    let settings = ListenSettings {
        write_stall: 4 * SHORT,
        idle_timeout: SHORT,
        ..ListenSettings::default()
    };
    let (handler, mut sockets) = sockets();
    let server = Server::start(settings, handler).await;
    let mut peer = Peer::with_window(&server, 1).await;
    peer.send(&[open_socket(1)]).await;
    let mut socket = sockets.recv().await.unwrap();
    assert_eq!(peer.end_of(1).await, Some(Status(200)));
    tokio::time::sleep(6 * SHORT).await;
    // The window lets through one byte at a time, and one more is always waiting.
    let talk = async {
        for _ in 0..8 {
            socket.write_all(b"x").await.unwrap();
        }
    };
    let listen = async {
        for _ in 0..8 {
            let data = async { while !matches!(peer.receive().await.unwrap(), (DATA, ..)) {} };
            soon("a byte", data).await;
            tokio::time::sleep(SHORT).await;
            peer.send(&[frame(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1])])
                .await;
        }
    };
    tokio::join!(talk, listen);
    tokio::time::sleep(6 * SHORT).await;
    peer.send(&[frame(DATA, 0, 1, b"still here")]).await;
    let mut heard = [0; 10];
    let hearing = socket.read_exact(&mut heard);
    soon("the caller's word", hearing).await.unwrap();
    // Towards the caller it works as before, too.
    socket.write_all(b"y").await.unwrap();
    let data = async { while !matches!(peer.receive().await.unwrap(), (DATA, ..)) {} };
    soon("another byte", data).await;
}

#[tokio::test]
async fn half_a_preface_is_no_http2() {
    let recorder = Recorder::default();
    let server = Server::start(ListenSettings::default(), recorder.clone()).await;
    for wrong in [
        "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
        "PRI * HTTP/2.1\r\n\r\nSM\r\n\r\n",
    ] {
        let answers = server.exchange(wrong.as_bytes()).await;
        assert_eq!(answers[0].status, 400, "{wrong:?}");
    }
    // In two parts it is one.
    let mut stream = server.connect().await;
    stream.write_all(&PREFACE[..10]).await.unwrap();
    tokio::task::yield_now().await;
    stream.write_all(&PREFACE[10..]).await.unwrap();
    stream.write_all(&frame(SETTINGS, 0, 0, &[])).await.unwrap();
    let mut peer = Peer(stream);
    peer.send(&[get(1)]).await;
    assert_eq!(peer.end_of(1).await, Some(Status(200)));
}

#[tokio::test]
async fn a_soft_stop_says_goodbye() {
    let server = Server::start(ListenSettings::default(), Recorder::default()).await;
    let mut peer = Peer::connect(&server).await;
    peer.send(&[get(1)]).await;
    assert_eq!(peer.end_of(1).await, Some(Status(200)));
    server.stop.soft.cancel();
    let mut goodbye = false;
    while let Some((kind, flags, _, payload)) = peer.receive().await {
        goodbye |= kind == GOAWAY && number(&payload[4..]) == 0;
        if kind == PING && flags & ACK == 0 {
            peer.send(&[frame(PING, ACK, 0, &payload)]).await;
        }
    }
    assert!(goodbye);
    assert!(read_answers(&mut peer.0).await.is_empty());
}

#[tokio::test]
async fn a_hard_stop_ends_waiting_requests() {
    let (entered, mut entries) = mpsc::channel(1);
    let handler = With(move |_, _| {
        let entered = entered.clone();
        async move {
            entered.send(()).await.unwrap();
            std::future::pending().await
        }
    });
    let server = Server::start(ListenSettings::default(), handler).await;
    let mut peer = Peer::connect(&server).await;
    peer.send(&[get(1)]).await;
    entries.recv().await.unwrap();
    server.stop.hard.cancel();
    server.tracker.close();
    soon("the listener to end", server.tracker.wait()).await;
}
