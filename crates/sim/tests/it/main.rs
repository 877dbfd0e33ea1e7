//! The simulated printer over real sockets, as apps and proxies meet it.
#![expect(
    clippy::unwrap_used,
    reason = "a test may fail loudly, helpers included"
)]

mod files;
mod harness;
mod job;
mod live;
mod rest;
