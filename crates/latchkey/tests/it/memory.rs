//! Files of any size pass through both roles in the same little memory.

use std::time::Instant;

use latchkey_model::app_connection::AccessMode;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::http::Request;
use crate::harness::stack::{Connection, Simulator, Stack};
use crate::harness::within;

pub(crate) const GIB: u64 = 1 << 30;
/// The same for one and for ten: what a transfer needs does not grow with it.
const ALLOWED: u64 = 16 << 20;
const PIECE: usize = 256 * 1024;

#[tokio::test]
async fn gigabytes_pass_in_bounded_memory() {
    pass_in_bounded_memory(GIB, &[Way::Up, Way::Down]).await;
}

/// Which way a file goes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Way {
    Up,
    Down,
}

/// Lets files of this size through both roles.
#[expect(clippy::print_stdout, reason = "what was measured is to be seen")]
pub(crate) async fn pass_in_bounded_memory(size: u64, ways: &[Way]) {
    let simulator = Simulator::start().await;
    let stack = Stack::before(simulator.url("")).start().await;
    let connection = stack.connection(AccessMode::Bearer);
    // One request, so that everything that is made once is there.
    let first = connection
        .get("/api/version")
        .header("X-Api-Key", Simulator::KEY);
    assert_eq!(first.send().await.status(), 200);

    let mut grown = Vec::new();
    for way in ways {
        let roles = [("relay", &stack.relay), ("host", &stack.host)];
        let before = roles.map(|(_, process)| process.resident());
        for (_, process) in &roles {
            process.forget_peak();
        }
        let started = Instant::now();
        match way {
            Way::Up => upload(connection, size).await,
            Way::Down => download(connection, size).await,
        }
        let took = started.elapsed();
        for ((role, process), before) in roles.into_iter().zip(before) {
            let growth = process.peak().saturating_sub(before);
            println!(
                "{way:?}, {} GiB: {role} from {} KiB by {} KiB, {:.1} s",
                size / GIB,
                before / 1024,
                growth / 1024,
                took.as_secs_f64()
            );
            grown.push((way, role, growth));
        }
    }
    for (way, role, growth) in grown {
        assert!(
            growth < ALLOWED,
            "{way:?}: the {role} grew by {growth} bytes"
        );
    }
}

async fn upload(connection: &Connection, size: u64) {
    let tcp = TcpStream::connect(("127.0.0.1", connection.port())).await;
    let mut tcp = tcp.unwrap();
    let head = format!(
        "POST /sim/sink HTTP/1.1\r\nHost: {}\r\nAuthorization: {}\r\nX-Api-Key: {}\r\n\
         Content-Length: {size}\r\nConnection: close\r\n\r\n",
        connection.authority,
        connection.authorization().unwrap(),
        Simulator::KEY,
    );
    tcp.write_all(head.as_bytes()).await.unwrap();
    let piece = vec![0x47; PIECE];
    let mut left = usize::try_from(size).unwrap();
    while left > 0 {
        let now = left.min(PIECE);
        let sent = within("the relay to take more", tcp.write_all(&piece[..now])).await;
        sent.unwrap();
        left -= now;
    }
    let mut answer = String::new();
    let read = within("the answer", tcp.read_to_string(&mut answer)).await;
    read.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.contains(&format!("\"bytes\":{size},")), "{answer}");
}

async fn download(connection: &Connection, size: u64) {
    let asked: Request = connection.get(&format!("/downloads/files/local/big-{size}.gcode"));
    let mut answer = asked.header("X-Api-Key", Simulator::KEY).send().await;
    assert_eq!(answer.status(), 200);
    let mut received = 0;
    while let Some(chunk) = answer.chunk().await.unwrap() {
        received += chunk.len() as u64;
    }
    assert_eq!(received, size);
}
