//! Bytes and HTTP mechanics: the request gate, the reverse proxy and the tunnel.
//!
//! This crate knows no accounts, keys or apps. It moves requests: it decides whether
//! one is well formed ([`gate`]), how its fields change from hop to hop ([`proxy`]),
//! and how it crosses from relay to host ([`tunnel`]).

#![warn(missing_docs)]

pub mod authority;
pub mod body;
mod calm;
pub mod client_addr;
pub mod cores;
pub mod egress;
pub mod executor;
pub mod gate;
pub mod key_file;
pub mod listen;
pub mod proxy;
pub mod resolve;
pub mod tls;
pub mod tunnel;
pub mod turns;
