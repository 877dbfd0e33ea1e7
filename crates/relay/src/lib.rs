//! The public role: printers, app connections, the edge, and the tunnels hosts dial.
//!
//! A request is sorted by its authority alone, before any router runs: a label under
//! the connection domain goes to the [`edge`], the public URL's host to the web origin,
//! anything else is answered 421.

mod app_api;
pub mod config;
mod edge;
mod paths;
mod role;
mod router;
mod tunnels;
mod web_origin;

pub use role::{Relay, RelayError};
