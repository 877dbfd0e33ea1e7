//! What the printer's server says, for one client: a socket of its own there, opened again
//! whenever it is lost.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use latchkey_model::chance::SystemChance;
use serde_json::Value;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::filter::{Verdict, judge, on_one_line};
use super::pause::Pauses;
use super::source::{Socket, Source, Unavailable};
use crate::push::Shared;
use crate::push::wishes::Wishes;

/// Messages that wait for the client; the server waits when there are more.
const MOST_WAITING: usize = 4;
/// Between two questions whether the server is still there.
const PING: Duration = Duration::from_secs(20);
/// A server that says nothing at all for so long is gone.
const SILENCE: Duration = Duration::from_secs(50);
/// How long the server may take to read a message of a few bytes.
const SENDING: Duration = Duration::from_secs(10);

/// One client's feed. It ends when dropped.
pub(in crate::push) struct Feed {
    messages: mpsc::Receiver<String>,
    wishes: watch::Sender<Wishes>,
    _end: DropGuard,
}

impl Feed {
    /// Begins to listen for a client that has heard `connected` already.
    pub(in crate::push) fn open(
        source: Arc<Source>,
        wishes: Wishes,
        connected: Value,
        shared: &Shared,
    ) -> Self {
        let (deliver, messages) = mpsc::channel(MOST_WAITING);
        let (wish, wishes) = watch::channel(wishes);
        let end = shared.stopping.child_token();
        let listening = Listening {
            source,
            deliver,
            wishes,
            connected,
        };
        shared.tracker.spawn(listening.run(end.clone()));
        Self {
            messages,
            wishes: wish,
            _end: end.drop_guard(),
        }
    }

    /// Tells the server what the client wants to hear, now and after each reconnection.
    pub(in crate::push) fn wish(&self, wishes: Wishes) {
        self.wishes.send_replace(wishes);
    }

    /// The next message for the client.
    pub(in crate::push) async fn next(&mut self) -> String {
        match self.messages.recv().await {
            Some(message) => message,
            // The host stops, which ends the client's conversation too.
            None => std::future::pending().await,
        }
    }
}

struct Listening {
    source: Arc<Source>,
    deliver: mpsc::Sender<String>,
    wishes: watch::Receiver<Wishes>,
    connected: Value,
}

impl Listening {
    async fn run(mut self, end: CancellationToken) {
        let keep_up = async {
            let mut pauses = Pauses::new(SystemChance);
            loop {
                let began = Instant::now();
                let Err(Unavailable) = self.listen().await;
                sleep(pauses.after(began)).await;
            }
        };
        tokio::select! {
            () = end.cancelled() => {}
            () = keep_up => {}
        }
    }

    /// Listens until the server's socket is lost.
    async fn listen(&mut self) -> Result<std::convert::Infallible, Unavailable> {
        let mut socket = self.source.enter().await?;
        self.wishes.mark_changed();
        let mut pings = interval_at(Instant::now() + PING, PING);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard = Instant::now();
        loop {
            tokio::select! {
                message = socket.next() => {
                    let message = message.ok_or(Unavailable)?.map_err(|_| Unavailable)?;
                    if let Message::Text(message) = message {
                        self.pass_on(&message).await?;
                    }
                    heard = Instant::now();
                }
                changed = self.wishes.changed() => {
                    changed.map_err(|_| Unavailable)?;
                    let wishes = self.wishes.borrow_and_update().clone();
                    for message in wishes.to_messages() {
                        send(&mut socket, Message::text(message)).await?;
                    }
                }
                _ = pings.tick() => {
                    if heard.elapsed() >= SILENCE {
                        return Err(Unavailable);
                    }
                    send(&mut socket, Message::Ping(bytes::Bytes::new())).await?;
                }
            }
        }
    }

    async fn pass_on(&mut self, message: &str) -> Result<(), Unavailable> {
        let message = match judge(message) {
            Verdict::PassOn => on_one_line(message),
            Verdict::Drop => return Ok(()),
            Verdict::Connected(connected) if connected == self.connected => return Ok(()),
            Verdict::Connected(connected) => {
                self.connected = connected;
                self.connected.to_string()
            }
            Verdict::Expired => return Err(Unavailable),
        };
        // Without a client there is nobody to listen for.
        self.deliver.send(message).await.map_err(|_| Unavailable)
    }
}

async fn send(socket: &mut Socket, message: Message) -> Result<(), Unavailable> {
    match timeout(SENDING, socket.send(message)).await {
        Ok(Ok(())) => Ok(()),
        _ => Err(Unavailable),
    }
}
