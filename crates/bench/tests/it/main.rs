//! What needs sockets, processes or networks of its own.
#![expect(clippy::unwrap_used, reason = "helpers of tests are not seen as tests")]

mod load;
#[cfg(target_os = "linux")]
mod packets;
#[cfg(target_os = "linux")]
mod whole;
