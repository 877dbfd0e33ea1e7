//! Floods, slow ends and too much of everything: what is bounded stays so, and others do not notice.

mod descriptors;
mod overload;
mod upstream;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

use crate::harness::inproc::Door;
use crate::harness::raw::{RawConnection, RawResponse};
use crate::harness::within;

/// A printer's server that counts what is with it:
/// `/held` is answered when the test lets it, `/silent` never, `/drip` for ever byte by byte,
/// sockets are opened and stay, all else is answered at once.
struct Server {
    at: SocketAddr,
    counts: Arc<Counts>,
}

struct Counts {
    gate: Semaphore,
    now: AtomicUsize,
    most: AtomicUsize,
    connections: AtomicUsize,
    /// How often all connections were cut.
    cuts: watch::Sender<usize>,
}

impl Server {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let counts = Arc::new(Counts {
            gate: Semaphore::new(0),
            now: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
            cuts: watch::Sender::new(0),
        });
        let shared = Arc::clone(&counts);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let shared = Arc::clone(&shared);
                tokio::spawn(async move {
                    shared.connections.fetch_add(1, Ordering::SeqCst);
                    let mut cut = shared.cuts.subscribe();
                    tokio::select! {
                        () = shared.serve(stream) => {}
                        _ = cut.changed() => {}
                    }
                    shared.connections.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { at, counts }
    }

    /// Lets so many more be answered.
    fn answer(&self, count: usize) {
        self.counts.gate.add_permits(count);
    }

    /// Requests that are with it.
    fn now(&self) -> usize {
        self.counts.now.load(Ordering::SeqCst)
    }

    /// The most that ever were.
    fn most(&self) -> usize {
        self.counts.most.load(Ordering::SeqCst)
    }

    /// Waits until so many are with it.
    async fn has(&self, count: usize) {
        within(
            &format!("{count} requests at the printer's server"),
            async {
                while self.now() != count {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
            },
        )
        .await;
    }

    /// Cuts all connections, as a server that is started anew, and says how many there were.
    fn restart(&self) -> usize {
        let open = self.counts.connections.load(Ordering::SeqCst);
        self.counts.cuts.send_modify(|cuts| *cuts += 1);
        open
    }
}

impl Counts {
    async fn serve(&self, stream: TcpStream) {
        let mut caller = RawConnection::over(stream);
        let head = |bytes: &[u8]| {
            let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
            end.map(|end| end + 4)
        };
        // Patience with a quiet connection ends; then it is opened anew.
        while let Ok(request) = caller.read_when(head).await {
            let request = String::from_utf8(request).unwrap();
            let _with_us = WithUs::new(self);
            let path = request.split(' ').nth(1).unwrap();
            if request.to_ascii_lowercase().contains("upgrade: websocket") {
                let switch = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
                              Connection: Upgrade\r\n\r\n";
                caller.send(switch).await;
                return until_gone(caller.into_stream()).await;
            }
            if path.starts_with("/silent") {
                return until_gone(caller.into_stream()).await;
            }
            if path.starts_with("/drip") {
                let start = "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n";
                caller.send(start).await;
                while caller.try_send(".").await.is_ok() {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                return;
            }
            if path.starts_with("/held") {
                self.gate.acquire().await.unwrap().forget();
            }
            let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
            if caller.try_send(answer).await.is_err() {
                return;
            }
        }
    }
}

async fn until_gone(mut stream: TcpStream) {
    let mut bytes = [0; 1024];
    while stream.read(&mut bytes).await.is_ok_and(|count| count > 0) {}
}

struct WithUs<'a>(&'a Counts);

impl<'a> WithUs<'a> {
    fn new(counts: &'a Counts) -> Self {
        let now = counts.now.fetch_add(1, Ordering::SeqCst) + 1;
        counts.most.fetch_max(now, Ordering::SeqCst);
        Self(counts)
    }
}

impl Drop for WithUs<'_> {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::SeqCst);
    }
}

/// One request on a connection of its own.
async fn ask(door: &Door, line: &str) -> RawResponse {
    let mut caller = door.connect().await;
    caller.send(door.head(line, &[])).await;
    caller.read_response().await
}

/// A caller whose request was sent and whose answer is waited for later.
async fn sent(door: &Door, line: &str, fields: &[&str]) -> RawConnection {
    let mut caller = door.connect().await;
    caller.send(door.head(line, fields)).await;
    caller
}
