//! The tunnel: requests cross from relay to host on a connection that the host dialled.
//!
//! The host dials the relay's web origin and upgrades the connection; then the roles
//! reverse: the relay is the HTTP/2 client, the host the server. This module carries
//! streams and proves who the host is. It does not decide whether a host is known, or
//! what a request may do: that is the relay's and the host's own code.
//!
//! The relay hands upgraded connections to an [`Acceptor`] and gets [`Tunnel`]s; the host
//! runs a [`Dialler`] with a [`StreamService`]. The protocol is specified in
//! `docs/protocol/tunnel.md`.

mod accept;
mod backoff;
mod camera;
mod carried;
mod carrier;
mod connections;
mod control;
mod dial;
mod dial_config;
mod dialler;
mod forwarding;
mod frames;
mod head;
mod hello;
mod identity;
mod load;
mod open;
mod pairing;
mod pairing_client;
mod printing;
mod questions;
mod serve;
mod settings;
#[cfg(test)]
mod tests;
mod together;

pub use accept::{Acceptor, AcceptorConfig, Arrival, HelloError, Invitation};
pub use camera::{
    CameraError, CameraRefusal, FEATURE_CAMERA, FEATURE_SHARED_CAMERA, LARGEST_PICTURE,
    PICTURE_DEADLINE, SharesCamera, View,
};
pub use carried::Carried;
pub use carrier::{End, MOST_CONNECTIONS, allows_bbr, tune_socket, usual_connections};
pub use connections::Dialler;
pub use control::{ControlError, Refusal, RefusalCode};
pub use dial::{DialError, TUNNEL_PATH, TUNNEL_UPGRADE, relay_name};
pub use dial_config::{DialState, DiallerConfig};
pub use head::{HeadError, Scheme, Scope, StreamHead};
pub use hello::{Binding, HostHello, Mistrust, OLDEST_PROTOCOL, PROTOCOL, Unproven};
pub use identity::{HostIdentity, IdentityError};
pub use load::{ActiveStream, HEAVY};
pub use open::{HostRun, SendError, Tunnel};
pub use pairing::{
    PairingAnswer, PairingProblem, PairingStart, PairingStarted, PairingState, ProofError,
};
pub use pairing_client::{PAIRING_PATH, PAIRING_POLL_PATH, PairingClient, PairingError};
pub use printing::{FEATURE_PRINTING, LONGEST_LINE, Lines, LinesError};
pub use questions::{
    AppKeyError, AppKeyRefusal, AppKeyWish, FEATURE_APP_KEYS, FEATURE_LOCAL_ADDRESS, MOST_NAMED,
    MadeAppKey,
};
pub use serve::{Ended, StreamService};
pub use settings::Settings;

pub use crate::tls::Exporter;

/// A host with this feature applies the scope in a stream's head. Without it no request of an app
/// connection that may only look is sent to it.
pub const FEATURE_SCOPES: &str = "app-connection-scopes";

/// A host with this feature hears which app connections have ended.
pub const FEATURE_ENDS: &str = "app-connection-ends";
