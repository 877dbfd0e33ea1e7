//! What open push sockets are told.

use std::fmt;

use tokio::sync::broadcast;

/// Something that happened and that people who are looking should see at once.
#[derive(Clone)]
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
    /// A user has another password. What ended with the old one has ended already; sockets of
    /// sessions and keys that stay are not concerned.
    PasswordChanged { user: String },
}

/// Says what kind it is and no more: with what the fields hold somebody could decide or listen.
impl fmt::Debug for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AccessRequested { .. } => "AccessRequested(…)",
            Self::RequestEnded { .. } => "RequestEnded(…)",
            Self::SessionEnded { .. } => "SessionEnded(…)",
            Self::UserChanged { .. } => "UserChanged(…)",
            Self::PasswordChanged { .. } => "PasswordChanged(…)",
        })
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_token_is_printed() {
        let notices = [
            Notice::AccessRequested {
                app_name: "App".to_owned(),
                user_token: "canary".to_owned(),
                user: None,
                remote_address: "192.0.2.7".to_owned(),
            },
            Notice::RequestEnded {
                user_token: "canary".to_owned(),
                user: None,
            },
            Notice::SessionEnded {
                session: "canary".to_owned(),
                reason: EndReason::Logout,
            },
        ];
        let printed = format!("{notices:?}");
        assert!(printed.contains("AccessRequested"), "{printed}");
        assert!(!printed.contains("canary"), "{printed}");
    }
}
