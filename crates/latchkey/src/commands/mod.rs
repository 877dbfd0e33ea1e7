//! The commands, but for the demo.

pub(crate) mod config;
pub(crate) mod doctor;
pub(crate) mod host;
pub(crate) mod relay;
pub(crate) mod sim;
