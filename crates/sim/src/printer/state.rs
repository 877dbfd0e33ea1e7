//! The states a printer server reports, their texts and their flags, as OctoPrint names them.

use serde_json::{Value, json};

/// What the printer is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PrinterState {
    /// No printer connected.
    Offline,
    Operational,
    Printing,
    /// Asked to pause, the running move not yet done.
    Pausing,
    Paused,
    /// Asked to cancel, the running move not yet done.
    Cancelling,
    /// Stopped by an error, such as `M112`; needs a new connection.
    Error(String),
}

impl PrinterState {
    pub(crate) fn text(&self) -> &'static str {
        match self {
            Self::Offline => "Offline",
            Self::Operational => "Operational",
            Self::Printing => "Printing",
            Self::Pausing => "Pausing",
            Self::Paused => "Paused",
            Self::Cancelling => "Cancelling",
            Self::Error(_) => "Offline after error",
        }
    }

    /// The identifier used in events.
    pub(crate) fn id(&self) -> &'static str {
        match self {
            Self::Offline => "OFFLINE",
            Self::Operational => "OPERATIONAL",
            Self::Printing => "PRINTING",
            Self::Pausing => "PAUSING",
            Self::Paused => "PAUSED",
            Self::Cancelling => "CANCELLING",
            Self::Error(_) => "OFFLINE_AFTER_ERROR",
        }
    }

    /// Connected to a printer that takes commands.
    pub fn is_operational(&self) -> bool {
        !matches!(self, Self::Offline | Self::Error(_))
    }

    /// A job is under way, moving or not.
    pub fn is_busy(&self) -> bool {
        matches!(
            self,
            Self::Printing | Self::Pausing | Self::Paused | Self::Cancelling
        )
    }

    /// The head is not free for commands by hand.
    pub(crate) fn is_moving(&self) -> bool {
        matches!(self, Self::Printing | Self::Pausing | Self::Cancelling)
    }

    pub(crate) fn error(&self) -> &str {
        match self {
            Self::Error(error) => error,
            _ => "",
        }
    }

    pub(crate) fn flags(&self) -> Value {
        json!({
            "operational": self.is_operational(),
            "printing": matches!(self, Self::Printing),
            "cancelling": matches!(self, Self::Cancelling),
            "pausing": matches!(self, Self::Pausing),
            "resuming": false,
            "finishing": false,
            "closedOrError": !self.is_operational(),
            "error": matches!(self, Self::Error(_)),
            "paused": matches!(self, Self::Paused),
            "ready": matches!(self, Self::Operational),
            "sdReady": false,
        })
    }

    pub(crate) fn to_json(&self) -> Value {
        json!({ "text": self.text(), "flags": self.flags(), "error": self.error() })
    }
}

#[cfg(test)]
mod tests {
    use super::PrinterState as S;

    #[test]
    fn flags_follow_the_state() {
        for (state, on) in [
            (S::Offline, vec!["closedOrError"]),
            (S::Operational, vec!["operational", "ready"]),
            (S::Printing, vec!["operational", "printing"]),
            (S::Pausing, vec!["operational", "pausing"]),
            (S::Paused, vec!["operational", "paused"]),
            (S::Cancelling, vec!["operational", "cancelling"]),
            (S::Error("x".to_owned()), vec!["closedOrError", "error"]),
        ] {
            let flags = state.flags();
            let set: Vec<&str> = flags
                .as_object()
                .unwrap()
                .iter()
                .filter(|(_, v)| **v == true)
                .map(|(k, _)| k.as_str())
                .collect();
            assert_eq!(set, on, "{state:?}");
        }
    }
}
