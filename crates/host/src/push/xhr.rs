//! Clients without a WebSocket: messages down by answers that wait or go on, up by posts
//! (SockJS 0.3.3, transports `xhr`, `xhr_streaming` and `xhr_send`).

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::{Response, StatusCode};
use http_body::Frame;
use http_body_util::{LengthLimitError, StreamBody};
use latchkey_net::authority::Authority;
use latchkey_net::body::{self, Body, BodyError};
use serde_json::Value;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::Shared;
use super::conversation::Conversation;
use super::framing;
use super::outbox::{Goodbye, Outbox, Taken};
use super::routes::{crowded, plain, respond};
use super::socket::{HEARTBEAT, LARGEST_MESSAGE};
use crate::service::{Door, Inbound};

/// A session that nobody receives for so long has been left, and is remembered as long after.
const ABANDONED: Duration = Duration::from_secs(5);
/// Bytes of one streaming answer, after which the client asks for the next.
const LARGEST_STREAM: usize = 128 * 1024;
/// Blanks, as it were, that make old browsers hand on what follows.
const PRELUDE: usize = 2048;
/// Sessions, with those remembered after their end.
const MOST_SESSIONS: usize = 512;
/// How long a post may wait for what was said before it.
const HEARING: Duration = Duration::from_secs(5);
const SCRIPT: &str = "application/javascript; charset=UTF-8";

/// How messages go down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// One frame an answer.
    Polling,
    /// Frames until the answer is long enough.
    Streaming,
}

/// The name of a session: what its client calls it, at the door and address where it came in.
/// Somebody with an app connection cannot take over what goes through another.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Session {
    name: String,
    authority: Authority,
    door: Door,
}

impl Session {
    pub(super) fn new(name: &str, inbound: &Inbound) -> Self {
        Self {
            name: name.to_owned(),
            authority: inbound.authority.clone(),
            door: inbound.door.clone(),
        }
    }
}

/// All sessions.
#[derive(Clone, Default)]
pub(super) struct XhrSessions(Arc<Mutex<HashMap<Session, Arc<Line>>>>);

impl XhrSessions {
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.all().is_empty()
    }

    #[cfg(test)]
    pub(super) fn is_receiving(&self) -> bool {
        self.all().values().any(|line| *line.receiving.borrow())
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Session, Arc<Line>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What answers and posts of one session share.
struct Line {
    ear: mpsc::Sender<Vec<Value>>,
    outbox: Outbox,
    /// Whether an answer waits for messages, or takes them.
    receiving: watch::Sender<bool>,
    /// Such an answer broke off, and messages with it.
    interrupted: CancellationToken,
}

/// Answers a request for messages, and begins the session with its first one.
pub(super) fn receive(
    shared: &Arc<Shared>,
    session: Session,
    way: Way,
    address: IpAddr,
) -> Response<Body> {
    let mut sessions = shared.xhr.all();
    let is_full = sessions.len() >= MOST_SESSIONS;
    let (line, is_new) = match sessions.entry(session.clone()) {
        Entry::Occupied(known) => (Arc::clone(known.get()), false),
        Entry::Vacant(_) if is_full => return crowded(),
        Entry::Vacant(place) => match begin(shared, session, address) {
            Some(line) => (Arc::clone(place.insert(line)), true),
            None => return crowded(),
        },
    };
    drop(sessions);
    let Some(reception) = Reception::begin(line, way, is_new) else {
        let refusal = framing::close(2010, "Another connection still open") + "\n";
        return respond(StatusCode::OK, SCRIPT, body::full(refusal));
    };
    let frames = stream::unfold(reception, |mut reception| async {
        let bytes = reception.next().await?;
        Some((Ok::<_, BodyError>(Frame::data(bytes)), reception))
    });
    respond(StatusCode::OK, SCRIPT, body::boxed(StreamBody::new(frames)))
}

fn begin(shared: &Arc<Shared>, session: Session, address: IpAddr) -> Option<Arc<Line>> {
    let seat = shared.seats.take(address)?;
    let outbox = Outbox::default();
    let (door, heard) = (session.door.clone(), outbox.clone());
    let (conversation, ear) = Conversation::new(Arc::clone(shared), seat, door, heard);
    let line = Arc::new(Line {
        ear,
        outbox,
        receiving: watch::Sender::new(false),
        interrupted: CancellationToken::new(),
    });
    let (kept, sessions) = (Arc::clone(&line), shared.xhr.clone());
    let stopping = shared.stopping.clone();
    shared.tracker.spawn(async move {
        let goodbye = tokio::select! {
            goodbye = conversation.run() => goodbye,
            goodbye = kept.left() => goodbye,
        };
        kept.outbox.end(goodbye);
        // Time for the client to fetch the goodbye.
        let _ = timeout(ABANDONED, stopping.cancelled()).await;
        sessions.all().remove(&session);
    });
    Some(line)
}

impl Line {
    /// Waits until the client has gone.
    async fn left(&self) -> Goodbye {
        let mut receiving = self.receiving.subscribe();
        let abandoned = async {
            loop {
                let is_received = *receiving.borrow_and_update();
                if is_received {
                    let _ = receiving.changed().await;
                } else if timeout(ABANDONED, receiving.changed()).await.is_err() {
                    return;
                }
            }
        };
        tokio::select! {
            () = self.interrupted.cancelled() => Goodbye::Interrupted,
            () = abandoned => Goodbye::Left,
        }
    }
}

/// One answer that receives messages; a session has one at a time.
struct Reception {
    line: Arc<Line>,
    way: Way,
    next: Next,
    sent: usize,
}

enum Next {
    Prelude {
        then_open: bool,
    },
    Open,
    Frame,
    /// The answer is complete.
    Nothing,
}

impl Reception {
    fn begin(line: Arc<Line>, way: Way, is_new: bool) -> Option<Self> {
        let claimed = line.receiving.send_if_modified(|receiving| {
            let was_free = !*receiving;
            *receiving = true;
            was_free
        });
        let next = match way {
            Way::Streaming => Next::Prelude { then_open: is_new },
            Way::Polling if is_new => Next::Open,
            Way::Polling => Next::Frame,
        };
        // Made only for who has it: dropping one lets the line go.
        claimed.then(|| Self {
            line,
            way,
            next,
            sent: 0,
        })
    }

    /// The next piece of the answer; `None` when it is complete.
    async fn next(&mut self) -> Option<Bytes> {
        let (frame, then) = match self.next {
            Next::Prelude { then_open: true } => ("h".repeat(PRELUDE), Next::Open),
            Next::Prelude { then_open: false } => ("h".repeat(PRELUDE), Next::Frame),
            Next::Open => (framing::OPEN.to_owned(), self.after_a_frame()),
            Next::Frame => match timeout(HEARTBEAT, self.line.outbox.take(LARGEST_STREAM)).await {
                Ok(Taken::Messages(messages)) => {
                    let frame = framing::array(&messages);
                    self.sent += frame.len();
                    (frame, self.after_a_frame())
                }
                Ok(Taken::Over(goodbye)) => (
                    framing::close(goodbye.code(), goodbye.reason()),
                    Next::Nothing,
                ),
                Err(_) => (framing::HEARTBEAT.to_owned(), self.after_a_frame()),
            },
            Next::Nothing => return None,
        };
        self.next = then;
        Some(Bytes::from(frame + "\n"))
    }

    fn after_a_frame(&self) -> Next {
        if self.way == Way::Polling || self.sent >= LARGEST_STREAM {
            Next::Nothing
        } else {
            Next::Frame
        }
    }
}

impl Drop for Reception {
    fn drop(&mut self) {
        if !matches!(self.next, Next::Nothing) {
            self.line.interrupted.cancel();
        }
        self.line.receiving.send_replace(false);
    }
}

/// Takes what a client says in a post.
pub(super) async fn send(shared: &Shared, session: &Session, body: Body) -> Response<Body> {
    let line = shared.xhr.all().get(session).cloned();
    let Some(line) = line.filter(|line| !line.outbox.is_over()) else {
        return plain(StatusCode::NOT_FOUND, "");
    };
    let body = match body::read_up_to(LARGEST_MESSAGE, body).await {
        Ok(body) => body,
        Err(error) if error.is::<LengthLimitError>() => {
            return plain(StatusCode::PAYLOAD_TOO_LARGE, "");
        }
        Err(_) => return plain(StatusCode::BAD_REQUEST, ""),
    };
    if body.is_empty() {
        return plain(StatusCode::INTERNAL_SERVER_ERROR, "Payload expected.");
    }
    let Some(messages) = framing::unwrap_strictly(&body) else {
        return plain(StatusCode::INTERNAL_SERVER_ERROR, "Broken JSON encoding.");
    };
    match line.ear.send_timeout(messages, HEARING).await {
        Ok(()) => plain(StatusCode::NO_CONTENT, ""),
        Err(mpsc::error::SendTimeoutError::Timeout(_)) => crowded(),
        Err(mpsc::error::SendTimeoutError::Closed(_)) => plain(StatusCode::NOT_FOUND, ""),
    }
}
