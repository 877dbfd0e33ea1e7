//! The push socket: where browsers and apps hear at once what happens.
//!
//! One socket towards the client carries two voices: the host's own (who asks for a key, whose
//! session ended) and, where the printer's server has such a socket too, everything it says.
//! `conversation` decides what one client is told; `socket` and `xhr` are the ways in which it
//! gets there. What a client says never reaches the printer's server, but for what it wants to
//! be told (`wishes`). `docs/reference/push-socket.md` is the whole of it for people.

mod conversation;
mod framing;
mod messages;
mod outbox;
pub(crate) mod routes;
mod seats;
mod socket;
#[cfg(test)]
mod tests;
mod upstream;
mod wishes;
mod xhr;

use std::sync::Arc;

use futures_util::future::BoxFuture;
use http::Request;
use latchkey_net::body::Body;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::seats::Seats;
pub(crate) use self::upstream::{Pauses, Socket, Source, Unavailable};
use self::xhr::XhrSessions;
use crate::authority::endings::Hold;
use crate::config::{Credential, UpstreamAddress};
pub(crate) use crate::notices::{EndReason, Notice};
use crate::service::{Door, Inbound};
use crate::upstream::Answer;

/// Who may listen. Asked when a socket says who it is, and every minute from then on.
pub(crate) trait Listeners: Send + Sync + 'static {
    /// Whose session this is, which keeps it alive; `None` if it is nobody's. The door by which they
    /// came may let them no further than looking.
    fn identify<'a>(
        &'a self,
        user: &'a str,
        session: &'a str,
        door: &'a Door,
    ) -> BoxFuture<'a, Option<Listener>>;
}

/// One who may listen.
#[derive(Debug, Clone)]
pub(crate) struct Listener {
    /// The name of the user in whose name they do.
    pub(crate) user: String,
    /// Whether they hear of key requests: those who may decide.
    pub(crate) sees_requests: bool,
    /// Whether they hear what the printer's server says.
    pub(crate) receives_upstream: bool,
    /// Ends the socket with the key or session behind it.
    pub(crate) hold: Hold,
}

/// The socket of the printer's server, for kinds that have one.
pub(crate) struct PushUpstream {
    pub(crate) address: UpstreamAddress,
    pub(crate) credential: Option<Credential>,
}

/// What a push socket needs of the rest of the host.
pub(crate) struct PushSettings {
    pub(crate) listeners: Arc<dyn Listeners>,
    pub(crate) notices: broadcast::Sender<Notice>,
    pub(crate) upstream: Option<PushUpstream>,
    /// The version of the API that clients are told.
    pub(crate) server_version: String,
    pub(crate) tracker: TaskTracker,
    /// Ends every socket.
    pub(crate) stopping: CancellationToken,
}

/// The push socket of a host; a clone is the same one.
#[derive(Clone)]
pub(crate) struct Push(Arc<Shared>);

struct Shared {
    listeners: Arc<dyn Listeners>,
    notices: broadcast::Sender<Notice>,
    source: Option<Arc<Source>>,
    server_version: String,
    tracker: TaskTracker,
    stopping: CancellationToken,
    seats: Seats,
    xhr: XhrSessions,
}

impl Push {
    pub(crate) fn new(settings: PushSettings) -> Self {
        Self(Arc::new(Shared {
            listeners: settings.listeners,
            notices: settings.notices,
            source: settings
                .upstream
                .map(|upstream| Arc::new(Source::new(upstream))),
            server_version: settings.server_version,
            tracker: settings.tracker,
            stopping: settings.stopping,
            seats: Seats::default(),
            xhr: XhrSessions::default(),
        }))
    }

    /// Whether a path is the push socket's: `/sockjs` and what is below.
    pub(crate) fn is_ours(path: &str) -> bool {
        path.strip_prefix(routes::ROOT)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// Answers a request for one of its paths.
    pub(crate) async fn answer(&self, request: Request<Body>, inbound: &Inbound) -> Answer {
        routes::answer(&self.0, request, inbound).await
    }
}
