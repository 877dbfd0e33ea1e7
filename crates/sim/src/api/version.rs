//! Which server this claims to be.

use axum::Json;
use serde_json::{Value, json};

/// Apps compare versions, so this is a real one; the text says what it is.
pub(crate) const SERVER: &str = "1.11.8";
pub(crate) const TEXT: &str = "OctoPrint 1.11.8 (Latchkey simulated printer)";

pub(crate) async fn version() -> Json<Value> {
    Json(json!({ "api": "0.1", "server": SERVER, "text": TEXT }))
}

pub(crate) async fn server() -> Json<Value> {
    Json(json!({ "version": SERVER, "safemode": null }))
}
