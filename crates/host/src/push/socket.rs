//! A client on a WebSocket.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use latchkey_net::proxy::splice::Copied;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self, Message};

use super::Shared;
use super::conversation::Conversation;
use super::framing::{self, Framing};
use super::outbox::{Goodbye, Outbox, PATIENCE, Taken};
use super::seats::Seat;
use crate::service::Door;

/// The largest message a client may send; theirs are short.
pub(super) const LARGEST_MESSAGE: usize = 64 * 1024;
/// Between two signs of life to the client.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(25);
/// How long a goodbye may take.
const FAREWELL: Duration = Duration::from_secs(1);
const BUFFER: usize = 8 * 1024;

/// Serves a client as soon as its socket is there.
pub(super) async fn serve(
    shared: Arc<Shared>,
    seat: Seat,
    door: Door,
    framing: Framing,
    socket: OnUpgrade,
) -> Option<Copied> {
    let stopping = shared.stopping.clone();
    let socket = tokio::select! {
        socket = socket => socket.ok()?,
        () = stopping.cancelled() => return None,
    };
    Some(talk(shared, seat, door, framing, TokioIo::new(socket)).await)
}

/// Talks over a byte stream on which the upgrade is done.
pub(super) async fn talk<S>(
    shared: Arc<Shared>,
    seat: Seat,
    door: Door,
    framing: Framing,
    stream: S,
) -> Copied
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let config = WebSocketConfig::default()
        .read_buffer_size(BUFFER)
        .write_buffer_size(0)
        .max_message_size(Some(LARGEST_MESSAGE))
        .max_frame_size(Some(LARGEST_MESSAGE));
    let socket = WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await;
    let outbox = Outbox::default();
    let (conversation, ear) = Conversation::new(shared, seat, door, outbox.clone());
    let mut pump = Pump {
        socket,
        framing,
        copied: Copied::default(),
    };
    let goodbye = tokio::select! {
        goodbye = conversation.run() => goodbye,
        goodbye = pump.run(&ear, &outbox) => goodbye,
    };
    let _ = timeout(FAREWELL, pump.close(goodbye)).await;
    pump.copied
}

struct Pump<S> {
    socket: WebSocketStream<S>,
    framing: Framing,
    copied: Copied,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Pump<S> {
    async fn run(&mut self, ear: &mpsc::Sender<Vec<Value>>, outbox: &Outbox) -> Goodbye {
        match self.carry(ear, outbox).await {
            Ok(goodbye) | Err(goodbye) => goodbye,
        }
    }

    async fn carry(
        &mut self,
        ear: &mpsc::Sender<Vec<Value>>,
        outbox: &Outbox,
    ) -> Result<Goodbye, Goodbye> {
        let mut heartbeats = interval_at(Instant::now() + HEARTBEAT, HEARTBEAT);
        heartbeats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        if self.framing == Framing::SockJs {
            self.send(text(framing::OPEN)).await?;
        }
        loop {
            tokio::select! {
                taken = outbox.take(1) => match taken {
                    Taken::Messages(messages) => {
                        for message in messages {
                            self.send(text(self.framing.wrap(message))).await?;
                        }
                    }
                    Taken::Over(goodbye) => return Ok(goodbye),
                },
                _ = heartbeats.tick() => self.send(self.heartbeat()).await?,
                heard = hear(&mut self.socket, ear) => {
                    self.copied.from_caller += heard?;
                }
            }
        }
    }

    fn heartbeat(&self) -> Message {
        match self.framing {
            Framing::Raw => Message::Ping(bytes::Bytes::new()),
            Framing::SockJs => text(framing::HEARTBEAT),
        }
    }

    async fn send(&mut self, message: Message) -> Result<(), Goodbye> {
        self.copied.to_caller += message.len() as u64;
        match timeout(PATIENCE, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Goodbye::Left),
            Err(_) => Err(Goodbye::TooSlow),
        }
    }

    /// Says goodbye, and waits for the client to do so too.
    async fn close(&mut self, goodbye: Goodbye) {
        if goodbye != Goodbye::Left {
            if self.framing == Framing::SockJs {
                let farewell = framing::close(goodbye.code(), goodbye.reason());
                let _ = self.socket.send(text(farewell)).await;
            }
            let frame = CloseFrame {
                code: goodbye.code().into(),
                reason: goodbye.reason().into(),
            };
            let _ = self.socket.close(Some(frame)).await;
        }
        // Also sends the answer to the client's own goodbye.
        while let Some(Ok(_)) = self.socket.next().await {}
    }
}

/// Hears one frame of the client, once there is room for what it says; its length.
async fn hear<S>(
    socket: &mut WebSocketStream<S>,
    ear: &mpsc::Sender<Vec<Value>>,
) -> Result<u64, Goodbye>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let room = ear.reserve().await.map_err(|_| Goodbye::Left)?;
    let message = match socket.next().await {
        Some(Ok(message)) => message,
        Some(Err(tungstenite::Error::Capacity(_) | tungstenite::Error::Utf8(_))) => {
            return Err(Goodbye::Unfit);
        }
        Some(Err(_)) | None => return Err(Goodbye::Left),
    };
    match &message {
        Message::Text(frame) => room.send(framing::unwrap(frame)),
        Message::Close(_) => return Err(Goodbye::Left),
        Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
    }
    Ok(message.len() as u64)
}

fn text(text: impl Into<tungstenite::Utf8Bytes>) -> Message {
    Message::Text(text.into())
}
