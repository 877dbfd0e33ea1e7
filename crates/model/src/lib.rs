//! The field's words and rules.
//!
//! Everything here is a value or a decision about values: no I/O, no async, no HTTP, no SQL.
//! Time ([`clock::Clock`]) and chance ([`chance::Chance`]) are arguments, so every rule can be
//! tried with a fixed clock and fixed bytes, and nothing fails for a reason outside its arguments.
#![warn(missing_docs)]

pub mod access;
pub mod account;
pub mod account_notice;
pub mod account_session;
pub mod activity;
pub mod app;
pub mod app_connection;
pub mod app_key;
pub mod audit;
pub mod chance;
pub mod clock;
pub mod id;
pub mod key_request;
pub mod limit;
pub mod link;
pub mod live_link;
pub mod own_access;
pub mod pairing;
pub mod permission;
pub mod plan;
pub mod portal;
pub mod print_letter;
pub mod printer;
pub mod printing;
pub mod relay_status;
pub mod sealed;
pub mod secret;
pub mod session;
pub mod session_key;
mod text;
pub mod user;
pub mod webhook;
