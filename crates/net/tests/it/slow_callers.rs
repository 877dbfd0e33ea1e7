//! Thousands of callers that are slow on purpose (S-07): none keeps its place longer than it may, all
//! together cost little, and nobody else is held up.

use std::time::Duration;

use http::{Request, Response};
use http_body_util::BodyExt as _;
use latchkey_net::body::{self, Body};
use latchkey_net::listen::ListenSettings;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::caller::{Dropped, Server, With, endless, read_answer, soon};

const CALLERS: usize = 5_000;
const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
/// What is up to a minute for real callers.
const SHORT: Duration = Duration::from_secs(8);
/// Memory for one of them, at both its ends, which are in this process.
const MOST_FOR_ONE: usize = 256 * 1024;

/// What slow callers begin with: nothing; part of a head; part of a body; a question whose answer
/// they do not read; one whose answer is there, and then nothing.
const BEGINNINGS: [&[u8]; 5] = [
    b"",
    b"GET / HTTP/1.1\r\nHo",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nx",
    b"GET /endless HTTP/1.1\r\nHost: a\r\n\r\n",
    GET,
];

/// Those that go on with a byte now and then.
fn trickles(number: usize) -> bool {
    matches!(number % BEGINNINGS.len(), 1 | 2)
}

fn settings() -> ListenSettings {
    ListenSettings {
        handshake_timeout: SHORT,
        head_timeout: SHORT,
        idle_timeout: SHORT,
        write_stall: SHORT,
        silence_after_fin: SHORT,
        body_stall: SHORT,
        ..ListenSettings::default()
    }
}

async fn answer(request: Request<Body>) -> Response<Body> {
    if request.uri().path() == "/endless" {
        return endless(Dropped(tokio::sync::mpsc::channel(1).0));
    }
    let whole = request.into_body().collect().await;
    let mut response = Response::new(body::full("ok"));
    if whole.is_err() {
        *response.status_mut() = http::StatusCode::REQUEST_TIMEOUT;
    }
    response
}

/// As many as there are descriptors for, two of which each caller takes.
fn callers() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"));
    let most = line.and_then(|line| line.split_whitespace().nth(3)?.parse::<usize>().ok());
    let most = most.map_or(CALLERS, |most| most.saturating_sub(200) / 2);
    assert!(most >= 400, "`ulimit -n` is too low: {most} callers");
    most.min(CALLERS)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_thousand_slow_callers_are_gone_in_time_and_hold_nobody_up() {
    let server = Server::start(settings(), With(|request, _| answer(request))).await;
    let before = resident();
    let mut slow = Vec::new();
    for number in 0..callers() {
        let mut stream = server.connect().await;
        let beginning = BEGINNINGS[number % BEGINNINGS.len()];
        stream.write_all(beginning).await.unwrap();
        slow.push(stream);
    }
    let for_one = resident().saturating_sub(before) / slow.len();
    println!("{} slow callers, {for_one} bytes each", slow.len());
    assert!(for_one < MOST_FOR_ONE, "{for_one} bytes");
    let mut asked = 0;
    // The listener itself is a task, too.
    while server.tracker.len() > 1 {
        let mut normal = server.connect().await;
        normal.write_all(GET).await.unwrap();
        assert_eq!(read_answer(&mut normal).await.status, 200);
        drop(normal);
        asked += 1;
        trickle(&mut slow).await;
        soon("the slow ones to go", tokio::time::sleep(SHORT / 16)).await;
        assert!(asked < 16 * 12, "{} are still there", server.tracker.len());
    }
    println!("{asked} requests meanwhile, all answered");
}

async fn trickle(slow: &mut [TcpStream]) {
    for (number, stream) in slow.iter_mut().enumerate() {
        if trickles(number) {
            // Whoever was cut off is told by an error.
            let _ = stream.write_all(b"x").await;
        }
    }
}

/// Resident memory of this process, in bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib = line.unwrap().split_whitespace().nth(1).unwrap();
    kib.parse::<usize>().unwrap() * 1024
}
