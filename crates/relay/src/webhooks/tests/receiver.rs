//! A receiver of webhooks that does what it is told to.

use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

/// Longer than anything takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a receiver does with a call.
#[derive(Debug, Clone)]
pub(super) enum Reaction {
    Status(u16),
    /// It leads to another address.
    Redirect(String),
    /// It says nothing, for as long as the caller waits.
    Hang,
    /// It closes the connection.
    Cut,
}

/// What a receiver saw.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Seen {
    Call(Value),
    /// A caller that waited went away.
    Gone,
}

pub(super) struct Receiver {
    pub(super) url: String,
    script: Arc<Mutex<VecDeque<Reaction>>>,
    seen: mpsc::Receiver<Seen>,
}

impl Receiver {
    /// Does these one after the other, then answers 200.
    pub(super) async fn start(script: &[Reaction]) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let script = Arc::new(Mutex::new(script.iter().cloned().collect::<VecDeque<_>>()));
        let (sender, seen) = mpsc::channel(1024);
        let next = Arc::clone(&script);
        let tasks = TaskTracker::new();
        tasks.clone().spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (next, sender) = (Arc::clone(&next), sender.clone());
                tasks.spawn(serve(socket, next, sender));
            }
        });
        Self {
            url: format!("http://127.0.0.1:{port}/hook?key=planted"),
            script,
            seen,
        }
    }

    pub(super) fn then(&self, reactions: &[Reaction]) {
        self.script
            .lock()
            .unwrap()
            .extend(reactions.iter().cloned());
    }

    pub(super) async fn seen(&mut self) -> Seen {
        let seen = timeout(PATIENCE, self.seen.recv()).await;
        seen.expect("nothing came").unwrap()
    }

    /// The next call's body.
    pub(super) async fn call(&mut self) -> Value {
        match self.seen().await {
            Seen::Call(body) => body,
            Seen::Gone => panic!("a caller went away"),
        }
    }

    /// The percentage in the next call, by which tests tell events.
    pub(super) async fn number(&mut self) -> u64 {
        self.call().await["Progress"].as_u64().unwrap()
    }

    pub(super) fn is_quiet(&mut self) -> bool {
        self.seen.try_recv().is_err()
    }
}

async fn serve(
    mut socket: TcpStream,
    script: Arc<Mutex<VecDeque<Reaction>>>,
    seen: mpsc::Sender<Seen>,
) {
    let Some(body) = read(&mut socket).await else {
        return;
    };
    let reaction = script.lock().unwrap().pop_front();
    seen.send(Seen::Call(body)).await.unwrap();
    let answer = match reaction.unwrap_or(Reaction::Status(200)) {
        Reaction::Status(status) => format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n"),
        Reaction::Redirect(to) => {
            format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n")
        }
        Reaction::Cut => return,
        Reaction::Hang => {
            let mut rest = [0; 64];
            while socket.read(&mut rest).await.is_ok_and(|read| read > 0) {}
            // The test may be over.
            let _ = seen.send(Seen::Gone).await;
            return;
        }
    };
    let _ = socket.write_all(answer.as_bytes()).await;
}

/// The JSON of a request.
async fn read(socket: &mut TcpStream) -> Option<Value> {
    let mut all = Vec::new();
    let mut some = [0; 4096];
    loop {
        let read = socket.read(&mut some).await.ok().filter(|read| *read > 0)?;
        all.extend_from_slice(&some[..read]);
        let text = String::from_utf8_lossy(&all);
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        assert!(
            head.starts_with("POST /hook?key=planted HTTP/1.1\r\n"),
            "{head}"
        );
        assert!(
            head.to_lowercase().contains("user-agent: latchkey\r\n"),
            "{head}"
        );
        if let Ok(body) = serde_json::from_str(body) {
            return Some(body);
        }
    }
}
