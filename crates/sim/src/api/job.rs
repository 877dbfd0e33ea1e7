//! `/api/job`: what is being printed, and starting and stopping it.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use serde_json::{Value, json};

use super::{ApiError, Body, no_content};
use crate::App;
use crate::printer::machine::{Machine, Refusal};
use crate::printer::state::PrinterState;

pub(crate) async fn show(State(app): State<App>) -> Json<Value> {
    let speed = app.printer.speed();
    Json(app.printer.with(|machine| {
        let state = machine.state();
        let mut job = json!({
            "job": machine.job_json(speed),
            "progress": machine.progress_json(speed),
            "state": state.text(),
        });
        if !state.error().is_empty() {
            job["error"] = json!(state.error());
        }
        job
    }))
}

pub(crate) async fn command(State(app): State<App>, body: Body) -> Result<Response, ApiError> {
    let act: fn(&mut Machine) -> Result<(), Refusal> =
        match (body.command()?, body.text("action").unwrap_or("toggle")) {
            ("start", _) => Machine::start,
            ("cancel", _) => Machine::cancel,
            ("restart", _) => Machine::restart,
            ("pause", "pause") => Machine::pause,
            ("pause", "resume") => Machine::resume,
            ("pause", "toggle") => toggle,
            ("pause", other) => return Err(ApiError::bad(format!("Unknown action: {other}"))),
            (other, _) => return Err(ApiError::bad(format!("Unknown command: {other}"))),
        };
    app.printer.with(act)?;
    Ok(no_content())
}

fn toggle(machine: &mut Machine) -> Result<(), Refusal> {
    match machine.state() {
        PrinterState::Paused | PrinterState::Pausing => machine.resume(),
        _ => machine.pause(),
    }
}
