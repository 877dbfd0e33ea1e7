//! Why a request that reached the host got no answer from the printer's server.
//!
//! The host tells the relay by a field of the response inside the tunnel; an answer of
//! the printer's own never carries it, because the host removes names with our prefix.

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue};

/// The response field that carries a failure through the tunnel.
pub const FAILURE: HeaderName = HeaderName::from_static("latchkey-failure");

/// What went wrong between the host and the printer's server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostFailure {
    /// No connection: nothing listens there, or the address does not answer.
    Unreachable,
    /// Connected, but no response head within the time limit.
    TimedOut,
    /// It answered something that is not HTTP, or broke off.
    Broken,
    /// The caller was too slow with its own request body.
    CallerTooSlow,
    /// The host sent nothing: the printer's server has as much to do as it is given at once.
    Busy,
}

impl HostFailure {
    const ALL: [Self; 5] = [
        Self::Unreachable,
        Self::TimedOut,
        Self::Broken,
        Self::CallerTooSlow,
        Self::Busy,
    ];

    /// The word on the wire and in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "upstream_unreachable",
            Self::TimedOut => "upstream_timed_out",
            Self::Broken => "upstream_broken",
            Self::CallerTooSlow => "caller_too_slow",
            Self::Busy => "upstream_busy",
        }
    }

    /// Reads and removes the field. A word of a newer host counts as [`Self::Broken`].
    pub fn take(headers: &mut HeaderMap) -> Option<Self> {
        let value = headers.remove(FAILURE)?;
        let known = Self::ALL
            .into_iter()
            .find(|failure| failure.as_str().as_bytes() == value.as_bytes());
        Some(known.unwrap_or(Self::Broken))
    }

    /// The value of the field.
    pub fn to_value(self) -> HeaderValue {
        HeaderValue::from_static(self.as_str())
    }
}

impl fmt::Display for HostFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
