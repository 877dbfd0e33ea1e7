//! What an app does: the caller's side of the public contracts, for commands that stand in
//! for an app.

pub(crate) mod client;
pub(crate) mod connection;
pub(crate) mod key_request;
pub(crate) mod passing;
pub(crate) mod portal;
pub(crate) mod private_key;
pub(crate) mod refusal;
pub(crate) mod return_address;
pub(crate) mod server;
pub(crate) mod session_key;
pub(crate) mod waiting;

/// What was asked for makes no sense. Answered with exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct UsageError(pub(crate) String);
