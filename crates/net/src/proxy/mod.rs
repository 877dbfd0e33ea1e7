//! Passing requests on: which fields cross a hop, how bodies keep pace, how a
//! WebSocket is spliced, and which side failed.

pub mod coding;
pub mod cookies;
pub mod cut;
pub mod endings;
pub mod endless;
pub mod failure;
pub mod headers;
pub mod metered;
pub mod pace;
pub mod patience;
pub mod shared_camera;
pub mod splice;
pub mod throttle;
pub mod upgrade;
