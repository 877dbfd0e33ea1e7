//! What the pages and APIs of both roles share: looks, errors, logging, health.
//!
//! Anything used by one role only belongs to that role. Nothing here knows a
//! database, a tunnel or a printer; facts come in as plain structs.

// Templates, here and in the roles, name functions by `latchkey_web::…`.
extern crate self as latchkey_web;

pub mod assets;
pub mod browser;
pub mod description;
pub mod device;
pub mod error_page;
pub mod health;
pub mod landing;
pub mod limits;
pub mod log_writer;
pub mod logging;
pub mod metrics;
pub mod moment;
pub mod openapi;
pub mod page_check;
pub mod parts;
pub mod password;
pub mod problem;
pub mod qr;
pub mod request_id;
pub mod request_log;
pub mod returned;
pub mod samples;
pub mod security_headers;
pub mod self_contained;
pub mod shell;
pub mod written_routes;

mod css;
