//! The tunnel.
