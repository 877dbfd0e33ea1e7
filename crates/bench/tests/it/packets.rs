//! The line of packets, in a network of its own: this test runs itself again inside one.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use latchkey_bench::shaper::packets::PacketLine;
use latchkey_bench::shaper::{Line, Shape};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::time::{Instant, sleep, timeout};

const INSIDE: &str = "LATCHKEY_BENCH_INSIDE";
const BYTES: usize = 600_000;

/// Whether this machine can make such a line. A container without TUN devices cannot, and then nobody there can measure
/// with it, either.
fn possible() -> bool {
    let tun = Path::new("/dev/net/tun");
    let open = std::fs::OpenOptions::new().read(true).write(true).open(tun);
    open.is_ok()
}

#[tokio::test]
async fn packets_pass_slowly_and_are_lost() {
    if std::env::var_os(INSIDE).is_some() {
        return inside().await;
    }
    if !possible() {
        eprintln!("no access to /dev/net/tun: not tried");
        return;
    }
    let name = "packets::packets_pass_slowly_and_are_lost";
    let mut again = Command::new("unshare");
    let root = std::fs::metadata("/proc/self").unwrap();
    if std::os::unix::fs::MetadataExt::uid(&root) != 0 {
        again.args(["--user", "--map-root-user"]);
    }
    let output = again
        .arg("--net")
        .arg(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture"])
        .env(INSIDE, "yes")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = timeout(Duration::from_mins(1), output)
        .await
        .unwrap()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let wrong = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{wrong}");
    assert!(said.contains("1 passed"), "{said}{wrong}");
}

async fn inside() {
    let shape = Shape::far(Duration::from_millis(10));
    let line = PacketLine::lay(Line {
        there: shape,
        back: shape.bits(8_000_000).losing(0.03),
        seed: 11,
    });
    let line = line.await.unwrap();
    let listener = TcpListener::bind((PacketLine::NEAR, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    // The other end dials, as a host does, and sends: bash has sockets by itself.
    let script = format!(
        "exec 3<>/dev/tcp/{}/{port}; head -c {BYTES} /dev/zero >&3; cat <&3",
        PacketLine::NEAR
    );
    let mut sender = line
        .command("bash")
        .args(["-c", &script])
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let (mut stream, peer) = listener.accept().await.unwrap();
    assert_eq!(peer.ip().to_string(), PacketLine::FAR);
    let begun = Instant::now();
    let mut received = vec![0; BYTES];
    timeout(Duration::from_secs(30), stream.read_exact(&mut received))
        .await
        .unwrap()
        .unwrap();
    // A megabyte a second at most.
    assert!(
        begun.elapsed() > Duration::from_millis(500),
        "{:?}",
        begun.elapsed()
    );
    drop(stream);
    timeout(Duration::from_secs(10), sender.wait())
        .await
        .unwrap()
        .unwrap();
    let [there, back] = line.passed();
    assert_eq!((there.lost, there.dropped), (0, 0), "{there:?}");
    assert!(back.lost > 0 && back.packets > 400, "{back:?}");
    round_trip(&line).await;
}

/// A connection takes a round trip of twice 10 ms.
async fn round_trip(line: &PacketLine) {
    let script = "import socket; s = socket.create_server(('10.79.0.2', 9)); c, _ = s.accept(); c.sendall(c.recv(9))";
    let mut echo = line
        .command("python3")
        .args(["-c", script])
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut stream = loop {
        assert!(Instant::now() < deadline, "nobody listens at the other end");
        match TcpStream::connect((PacketLine::FAR, 9)).await {
            Ok(stream) => break stream,
            Err(_) => sleep(Duration::from_millis(50)).await,
        }
    };
    let begun = Instant::now();
    stream.write_all(b"ping").await.unwrap();
    let mut answer = [0; 4];
    // A lost packet is sent again: up to a second the first time.
    timeout(Duration::from_secs(20), stream.read_exact(&mut answer))
        .await
        .unwrap()
        .unwrap();
    assert!(
        begun.elapsed() >= Duration::from_millis(20),
        "{:?}",
        begun.elapsed()
    );
    echo.wait().await.unwrap();
}
