//! The pages at the root of a relay and of a host, for whoever happens by.

use askama::Template;

use crate::shell::{DoorShell, Place};

/// `/` of the relay's web origin.
#[derive(Debug, Clone, Template)]
#[template(path = "landing/relay.html")]
pub struct RelayLanding {
    pub shell: DoorShell,
    /// Whether everybody may make an account.
    pub sign_up: bool,
    pub version: &'static str,
}

impl RelayLanding {
    pub fn new(relay_host: &str, sign_up: bool, version: &'static str) -> Self {
        Self {
            shell: DoorShell::new(Place::relay(relay_host)),
            sign_up,
            version,
        }
    }
}

/// `/latchkey/` of a host.
#[derive(Debug, Clone, Template)]
#[template(path = "landing/host.html")]
pub struct HostLanding {
    pub shell: DoorShell,
    pub printer: String,
    pub relay: RelayLink,
    pub upstream: Upstream,
    pub version: &'static str,
}

/// How the host stands with its relay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RelayLink {
    /// No relay is set up: the printer is reached at home only.
    NotPaired,
    Connected {
        relay: String,
        /// How many tunnels there are.
        connections: usize,
    },
    /// Trying again on its own.
    Away { relay: String },
    /// The relay answers, and does not know this host.
    Unknown { relay: String },
}

/// The printer's own server behind this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// As its makers write it: "OctoPrint", "Moonraker", "PrusaLink".
    pub kind: String,
    pub answers: bool,
}

impl HostLanding {
    pub fn new(
        host: &str,
        printer: &str,
        relay: RelayLink,
        upstream: Upstream,
        version: &'static str,
    ) -> Self {
        Self {
            shell: DoorShell::new(Place::host(host)),
            printer: printer.to_owned(),
            relay,
            upstream,
            version,
        }
    }
}
