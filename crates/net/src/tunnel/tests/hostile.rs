//! What an end of a tunnel can do to the other that speaks HTTP/2 as it likes (S-10). Both ends greet
//! each other as they always do; then somebody in the middle takes one's place.

use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::task::JoinHandle;

use super::*;

// Kinds and flags of frames (RFC 9113 section 6).
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// Frames of an attack. Whoever lets as many pass does not notice it.
const MANY: u32 = 200_000;

/// The frames of an attack, by number; of a host's by the stream of a request that waits, too.
type OfRelay = Box<dyn Fn(u32) -> Vec<u8>>;
type OfHost = Box<dyn Fn(u32, u32) -> Vec<u8>>;

type Half = (ReadHalf<DuplexStream>, WriteHalf<DuplexStream>);

/// Whoever passes everything on, until they do not.
struct Middle {
    stop: CancellationToken,
    from_host: JoinHandle<Half>,
    from_relay: JoinHandle<Half>,
}

impl Middle {
    /// Takes the relay's place; the relay has an end.
    async fn into_relay(self) -> Half {
        self.stop.cancel();
        let (read, _) = self.from_host.await.unwrap();
        let (_, write) = self.from_relay.await.unwrap();
        (read, write)
    }

    /// Takes the host's place.
    async fn into_host(self) -> Half {
        self.stop.cancel();
        let (_, write) = self.from_host.await.unwrap();
        let (read, _) = self.from_relay.await.unwrap();
        (read, write)
    }
}

/// A tunnel through somebody.
async fn tunnel(bench: &Bench) -> (Tunnel, HostTunnel, Middle) {
    let service = async |request: Request<Incoming>, _: StreamHead| {
        if request.uri().path() == "/slow" {
            std::future::pending::<()>().await;
        }
        Response::new(body::full("ok"))
    };
    let ((host_io, to_host), (relay_io, to_relay)) = (pipe(), pipe());
    let (read_host, write_host) = tokio::io::split(to_host);
    let (read_relay, write_relay) = tokio::io::split(to_relay);
    let stop = CancellationToken::new();
    let spawn = |read, write, preface| {
        bench
            .tracker
            .spawn(pump(read, write, preface, stop.clone()))
    };
    let from_host = spawn(read_host, write_relay, 0);
    let from_relay = spawn(read_relay, write_host, 24);
    let host = bench.host(host_io, bench.introduction(None), service);
    let arrival = bench.acceptor(NAME).accept(relay_io, None).await.unwrap();
    let tunnel = arrival.welcome("tun-1", None).await.unwrap();
    assert_eq!(
        text(tunnel.send(get("/"), &head()).await.unwrap()).await,
        "ok"
    );
    let middle = Middle {
        stop,
        from_host,
        from_relay,
    };
    (tunnel, host, middle)
}

/// Passes whole frames on, so that whoever goes on writing begins at one.
async fn pump(
    mut read: ReadHalf<DuplexStream>,
    mut write: WriteHalf<DuplexStream>,
    preface: usize,
    stop: CancellationToken,
) -> Half {
    let mut start = vec![0; preface];
    if read.read_exact(&mut start).await.is_ok() {
        let _ = write.write_all(&start).await;
    }
    loop {
        let whole = async {
            let mut bytes = vec![0; 9];
            read.read_exact(&mut bytes).await?;
            let length = u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]]);
            bytes.resize(9 + length as usize, 0);
            read.read_exact(&mut bytes[9..]).await?;
            std::io::Result::Ok(bytes)
        };
        let frame = tokio::select! {
            () = stop.cancelled() => return (read, write),
            frame = whole => frame,
        };
        let Ok(frame) = frame else {
            stop.cancelled().await;
            return (read, write);
        };
        let _ = write.write_all(&frame).await;
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// Fields as HPACK literals without indexing (RFC 7541 section 6.2.2), all shorter than 127 bytes.
fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in fields {
        bytes.push(0);
        for text in [name, value] {
            bytes.push(u8::try_from(text.len()).unwrap());
            bytes.extend(text.as_bytes());
        }
    }
    bytes
}

fn ask(stream: u32, path: &str, flags: u8) -> Vec<u8> {
    let fields = block(&[
        (":method", "GET"),
        (":scheme", "https"),
        (":path", path),
        (":authority", "app-1.example.net"),
        ("latchkey-kind", "request"),
    ]);
    frame(HEADERS, END_HEADERS | flags, stream, &fields)
}

/// One field of 4,000 bytes that is kept in the table of HPACK, and named so often that all together
/// would be 60 MiB.
fn bomb(mut fields: Vec<u8>) -> Vec<u8> {
    // Literal with incremental indexing: a name of one byte, a value of 4,000 (RFC 7541 section 5.1).
    fields.extend([0x40, 1, b'x', 0x7F, 0x80 | 0x21, 0x1E]);
    fields.extend([b'v'; 4_000]);
    // The newest entry of the table has the number 62.
    fields.resize(16_000, 0x80 + 62);
    fields
}

/// Does it until the other end has had enough; fails if it never has.
async fn flood((mut read, mut write): Half, what: &str, attack: impl Fn(u32) -> Vec<u8>) {
    let listening = async {
        let mut bytes = vec![0; 64 * 1024];
        while read.read(&mut bytes).await.is_ok_and(|count| count > 0) {}
    };
    let attacking = async {
        for number in 0..MANY {
            if write.write_all(&attack(number)).await.is_err() {
                return;
            }
        }
        panic!("{what}: nobody minded");
    };
    let ended = async {
        tokio::select! {
            () = listening => {}
            () = attacking => {}
        }
    };
    let in_time = tokio::time::timeout(std::time::Duration::from_mins(1), ended);
    in_time
        .await
        .unwrap_or_else(|_| panic!("{what}: still going on"));
}

#[tokio::test]
async fn a_relay_that_floods_its_host_loses_the_tunnel_and_other_tunnels_go_on() {
    let bench = Bench::new();
    let (other, _other_host, _middle) = tunnel(&bench).await;
    // Above all that the relay itself has used.
    let stream = |number: u32| 1001 + 2 * number;
    let cancel = [0, 0, 0, 8];
    let attacks: [(&str, OfRelay); 7] = [
        (
            "rapid reset",
            Box::new(move |n| {
                let reset = frame(RST_STREAM, 0, stream(n), &cancel);
                [ask(stream(n), "/slow", END_STREAM), reset].concat()
            }),
        ),
        (
            "continuations",
            Box::new(move |n| match n {
                0 => frame(HEADERS, END_STREAM, stream(0), &block(&[("x", "y")])),
                _ => frame(CONTINUATION, 0, stream(0), &block(&[("x", "y")])),
            }),
        ),
        (
            "empty data",
            Box::new(move |n| match n {
                0 => ask(stream(0), "/slow", 0),
                _ => frame(DATA, 0, stream(0), &[]),
            }),
        ),
        ("pings", Box::new(|_| frame(PING, 0, 0, &[0; 8]))),
        ("answers to pings", Box::new(|_| frame(PING, 1, 0, &[0; 8]))),
        ("settings", Box::new(|_| frame(SETTINGS, 0, 0, &[]))),
        ("unknown kinds", Box::new(|_| frame(0xEE, 0, 0, &[]))),
    ];
    for (what, attack) in attacks {
        let (_tunnel, _host, middle) = tunnel(&bench).await;
        flood(middle.into_relay().await, what, attack).await;
        let answer = other.send(get("/"), &head()).await.unwrap();
        assert_eq!(text(answer).await, "ok", "{what}");
    }
}

#[tokio::test]
async fn a_host_that_floods_its_relay_loses_the_tunnel_and_other_tunnels_go_on() {
    let bench = Bench::new();
    let (other, _other_host, _middle) = tunnel(&bench).await;
    let fields = || frame(HEADERS, END_HEADERS, 0, &[0x88]);
    let answer = move |stream: u32| {
        let mut answer = fields();
        answer[5..9].copy_from_slice(&stream.to_be_bytes());
        answer
    };
    let attacks: [(&str, OfHost); 6] = [
        (
            "continuations",
            Box::new(|n, stream| match n {
                0 => frame(HEADERS, 0, stream, &[0x88]),
                _ => frame(CONTINUATION, 0, stream, &block(&[("x", "y")])),
            }),
        ),
        (
            "empty data",
            Box::new(move |n, stream| match n {
                0 => answer(stream),
                _ => frame(DATA, 0, stream, &[]),
            }),
        ),
        (
            "resets",
            Box::new(|_, stream| frame(RST_STREAM, 0, stream, &[0, 0, 0, 8])),
        ),
        ("pings", Box::new(|_, _| frame(PING, 0, 0, &[0; 8]))),
        ("settings", Box::new(|_, _| frame(SETTINGS, 0, 0, &[]))),
        ("unknown kinds", Box::new(|_, _| frame(0xEE, 0, 0, &[]))),
    ];
    for (what, attack) in attacks {
        let (tunnel, _host, middle) = tunnel(&bench).await;
        let asking = tunnel.clone();
        let asked = bench
            .tracker
            .spawn(async move { asking.send(get("/slow"), &head()).await });
        // The hello, the welcome, the first request: the fourth is the one that waits.
        while tunnel.active_streams() == 0 {
            tokio::task::yield_now().await;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        let half = middle.into_host().await;
        flood(half, what, |number| attack(number, WAITING)).await;
        tunnel.closed().await;
        // Whoever waited hears of it; an answer that had begun breaks off.
        if let Ok(answer) = asked.await.unwrap() {
            assert!(answer.into_body().collect().await.is_err(), "{what}");
        }
        let answer = other.send(get("/"), &head()).await.unwrap();
        assert_eq!(text(answer).await, "ok", "{what}");
    }
}

/// The stream of the request that waits: after hello, welcome and one more.
const WAITING: u32 = 7;

#[tokio::test]
async fn fields_that_unfold_a_thousandfold_are_not_unfolded() {
    let bench = Bench::new();
    let (_tunnel, _host, middle) = tunnel(&bench).await;
    let (mut read, mut write) = middle.into_relay().await;
    let fields = [(":method", "GET"), (":scheme", "https"), (":path", "/")];
    let bombs = (0..200_u32).map(|number| {
        let block = bomb(block(&fields));
        frame(HEADERS, END_HEADERS | END_STREAM, 1001 + 2 * number, &block)
    });
    let before = resident();
    let attacking = async {
        for bomb in bombs {
            if write.write_all(&bomb).await.is_err() {
                return;
            }
        }
    };
    // Each is refused, or the connection ends: 12 GiB of fields are never there.
    let (mut refused, mut ended) = (0, false);
    let listening = async {
        let mut head = [0; 9];
        while refused < 200 {
            if read.read_exact(&mut head).await.is_err() {
                ended = true;
                return;
            }
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; length as usize];
            read.read_exact(&mut payload).await.unwrap();
            refused += u32::from(matches!(head[3], HEADERS | RST_STREAM));
        }
    };
    let both = async { tokio::join!(attacking, listening) };
    let in_time = tokio::time::timeout(std::time::Duration::from_mins(1), both);
    in_time.await.unwrap();
    assert!(refused == 200 || ended);
    let grown = resident().saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes");
}

/// Resident memory of this process, in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib = line.unwrap().split_whitespace().nth(1).unwrap();
    kib.parse::<u64>().unwrap() * 1024
}
