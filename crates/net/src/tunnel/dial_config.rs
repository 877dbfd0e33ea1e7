//! What a dialler is told, and what it tells about itself.

use std::path::PathBuf;
use std::time::Duration;

use tokio::time::Instant;
use url::Url;

use super::settings::Settings;

/// Where a host dials and what it says there.
#[derive(Debug, Clone)]
pub struct DiallerConfig {
    /// The relay's public URL.
    pub relay_url: Url,
    /// The host's name for people.
    pub host_name: String,
    /// The host's program version.
    pub version: String,
    /// What the host can do beyond the protocol's version.
    pub features: Vec<String>,
    /// The number of the first of this host's connections to the relay.
    pub connection: u8,
    /// How many there are, if the relay takes as many.
    pub connections: u8,
    /// Trust a relay whose TLS ends at a proxy before it.
    pub allow_unbound: bool,
    /// Certificates of an own CA, beside the public ones.
    pub ca_file: Option<PathBuf>,
    /// The tunnel's numbers.
    pub settings: Settings,
    /// Time for connecting, TLS and upgrade together.
    pub connect_timeout: Duration,
}

impl DiallerConfig {
    /// The defaults for a relay.
    pub fn new(relay_url: Url, host_name: String, version: String) -> Self {
        Self {
            relay_url,
            host_name,
            version,
            features: Vec::new(),
            connection: 0,
            connections: 1,
            allow_unbound: false,
            ca_file: None,
            settings: Settings::default(),
            connect_timeout: Duration::from_secs(10),
        }
    }
}

/// What a dialler is doing, for status pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DialState {
    /// Not running yet.
    Idle,
    /// Connecting or saying hello.
    Dialling {
        /// Attempts since a tunnel was last up, from 1.
        attempt: u32,
    },
    /// A tunnel is up, or several.
    Connected {
        /// The relay's id for the first of them.
        tunnel_id: String,
        /// Since when there was always one.
        since: Instant,
        /// How many are up.
        connections: usize,
        /// By which id the relay knows the host's printer, if it says so.
        printer_id: Option<String>,
    },
    /// No tunnel; the next attempt comes by itself.
    Waiting {
        /// When.
        until: Instant,
        /// Why, in a sentence that says what to do.
        why: String,
        /// Whether the relay said that it has no printer for this host.
        unpaired: bool,
    },
    /// A tunnel finishes its streams: the relay moves its hosts, or this host stops.
    Draining,
    /// Over.
    Stopped,
}
