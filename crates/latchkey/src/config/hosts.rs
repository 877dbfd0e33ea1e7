//! `hosts` of `relay.yaml`: a listener for hosts alone.

use std::net::SocketAddr;

use latchkey_net::tls::Files;
use latchkey_relay::config as relay;
use serde::{Deserialize, Serialize};

use super::certificate::{self, RawTls};
use super::{Checking, ConfigError};

/// Where hosts connect, and what they are shown.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawHosts {
    pub(crate) listen: SocketAddr,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tls: Option<RawTls>,
}

/// What it means beside the relay's other listener and its certificate.
pub(super) fn check(
    file: &Checking<'_>,
    raw: RawHosts,
    beside: SocketAddr,
    relays: Option<&Files>,
) -> Result<relay::Hosts, ConfigError> {
    let listen = raw.listen;
    if listen == beside && listen.port() != 0 {
        let message =
            format!("{listen} needs to be another address than that of the relay's `listen`");
        return Err(file.wrong("hosts.listen", message));
    }
    let tls = match (raw.tls, relays) {
        (Some(own), _) => certificate::files(file, "hosts.tls", own)?,
        (None, Some(relays)) => relays.clone(),
        (None, None) => {
            let message = "needs `cert` and `key`: hosts come there with TLS, and the relay has no \
                           `tls` whose certificate they could be shown";
            return Err(file.wrong("hosts.tls", message));
        }
    };
    Ok(relay::Hosts { listen, tls })
}
