//! The commands, but for the demo.

pub(crate) mod account;
pub(crate) mod app;
pub(crate) mod app_keygen;
pub(crate) mod audit;
pub(crate) mod config;
pub(crate) mod connect;
pub(crate) mod doctor;
pub(crate) mod host;
pub(crate) mod import_octoprint;
pub(crate) mod info;
pub(crate) mod key;
pub(crate) mod pair;
mod password;
pub(crate) mod relay;
pub(crate) mod request;
pub(crate) mod sim;
pub(crate) mod user;
