//! The public role: printers, app connections, the edge, and the tunnels hosts dial.
//!
//! A request is sorted by its authority alone, before any router runs: a label under
//! the connection domain goes to the [`edge`], the public URL's host to the web origin,
//! anything else is answered 421. A listener of its own may serve hosts and nobody else.

mod accounts;
mod acme;
mod activity;
mod admin;
mod app_api;
mod app_connections;
pub mod apps;
pub mod audit;
mod cache;
mod camera;
pub mod certificate;
mod codes;
pub mod config;
mod dashboard;
pub mod doctor;
mod edge;
mod events;
mod guesses;
mod hosts;
mod issued;
mod life;
mod limits;
mod live_links;
mod mail;
mod notices;
mod openapi;
mod own_access;
pub mod pages;
mod pairing;
mod passkeys;
mod paths;
mod people;
mod portal;
mod print_letters;
mod role;
mod router;
mod second_factors;
mod sessions;
mod shares;
mod snapshots;
mod state;
mod sweep;
#[cfg(test)]
mod tests;
mod tunnels;
mod watching;
mod web_origin;
mod webhooks;

pub use accounts::{AccountError, check_password};
pub use life::{Life, SetPlanError};
pub use role::{Relay, RelayError};
