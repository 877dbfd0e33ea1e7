//! What needs sockets, processes or networks of its own.
#![expect(clippy::unwrap_used, reason = "helpers of tests are not seen as tests")]

#[cfg(target_os = "linux")]
mod packets;
