//! `/api/connection`: the link between server and printer.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use serde_json::{Value, json};

use super::{ApiError, Body, no_content};
use crate::App;
use crate::printer::machine::Machine;

pub(crate) async fn show(State(app): State<App>) -> Json<Value> {
    let state = app.printer.with(|machine| machine.state());
    let (port, baudrate, profile) = if state.is_operational() {
        (json!("VIRTUAL"), json!(115_200), json!("_default"))
    } else {
        (Value::Null, Value::Null, json!("_default"))
    };
    Json(json!({
        "current": { "state": state.text(), "port": port, "baudrate": baudrate, "printerProfile": profile },
        "options": {
            "ports": ["VIRTUAL"],
            "baudrates": [115_200],
            "printerProfiles": [{ "id": "_default", "name": app.config.name }],
            "portPreference": "VIRTUAL",
            "baudratePreference": 115_200,
            "printerProfilePreference": "_default",
        },
    }))
}

pub(crate) async fn command(State(app): State<App>, body: Body) -> Result<Response, ApiError> {
    match body.command()? {
        "connect" => {
            if body
                .text("port")
                .is_some_and(|port| port != "VIRTUAL" && port != "AUTO")
            {
                return Err(ApiError::bad("There is no such port"));
            }
            app.printer.with(Machine::connect);
        }
        "disconnect" => app.printer.with(Machine::disconnect),
        // Nothing talks back and forth here that could be faked.
        "fake_ack" => {}
        other => return Err(ApiError::bad(format!("Unknown command: {other}"))),
    }
    Ok(no_content())
}
