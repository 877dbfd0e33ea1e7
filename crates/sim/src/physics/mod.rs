//! How heads move and heaters warm up. Pure: time comes in as seconds, nothing waits.

pub(crate) mod motion;
pub(crate) mod thermal;
