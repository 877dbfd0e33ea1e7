//! The role beside the printer: one HTTP service with two doors.
//!
//! Callers come in by the LAN listener or as streams of the tunnel; behind either
//! door stands the same [`service`]: reserved routes, then the upstream proxy with
//! its route table. What is reachable is fixed by the configuration; no caller and
//! no relay can name another target.

mod announce;
mod app_connections;
mod app_keys;
mod authority;
pub mod config;
mod contract;
mod doors;
mod interfaces;
mod kept;
mod key_requests;
mod local_api;
mod neighbours;
mod notices;
mod openapi;
mod pages;
mod printing;
mod public;
mod push;
pub mod relay;
mod role;
mod service;
mod session_keys;
mod sessions;
mod upstream;
mod upstream_authority;
pub mod users;
mod uses;

pub use kept::KeptError;
pub use pages::views;
pub use role::{Host, HostError, SessionAppsFeed};
pub use upstream::probe::{Trust, UpstreamCheck, check as check_upstream};
