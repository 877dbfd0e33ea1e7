//! Stories told over real sockets.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests fail the test that called them"
)]

mod caller;
mod cut;
mod gate;
mod gate_http2;
mod listen;
mod slow_callers;
