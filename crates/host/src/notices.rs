//! What open push sockets are told.

use tokio::sync::broadcast;

/// Something that happened and that people who are looking should see at once.
#[derive(Debug, Clone)]
pub(crate) enum Notice {
    /// An app asks for a key.
    AccessRequested {
        app_name: String,
        user_token: String,
        /// The only user who may decide.
        user: Option<String>,
        remote_address: String,
    },
    /// A key request was decided, or its app gave up.
    RequestEnded {
        user_token: String,
        user: Option<String>,
    },
    /// A session is over; the text is the one the push socket was told.
    SessionEnded { session: String, reason: EndReason },
    /// What a user may do has changed.
    UserChanged { user: String, reason: EndReason },
}

/// Why somebody has to sign in again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EndReason {
    Logout,
    Modified,
    Removed,
    Stale,
}

/// Who falls behind by more has to look at the list again.
const BACKLOG: usize = 256;

/// Tells everybody who listens.
#[derive(Debug, Clone)]
pub(crate) struct Notices(broadcast::Sender<Notice>);

impl Default for Notices {
    fn default() -> Self {
        Self(broadcast::Sender::new(BACKLOG))
    }
}

impl Notices {
    pub(crate) fn tell(&self, notice: Notice) {
        // Nobody listening is fine.
        let _ = self.0.send(notice);
    }

    pub(crate) fn sender(&self) -> broadcast::Sender<Notice> {
        self.0.clone()
    }

    #[cfg(test)]
    pub(crate) fn listen(&self) -> broadcast::Receiver<Notice> {
        self.0.subscribe()
    }
}
