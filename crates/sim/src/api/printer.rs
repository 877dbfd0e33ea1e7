//! `/api/printer`: temperatures and state; heaters, head and raw commands.

use std::fmt::Write as _;

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use http::Uri;
use serde_json::{Map, Value, json};

use super::error::yes;
use super::key::query_value;
use super::{ApiError, Body, no_content};
use crate::App;
use crate::printer::machine::{Machine, Refusal};

const HISTORY: usize = 300;
/// The longest jog or extrusion in one request, in millimetres.
const LONGEST: f64 = 500.0;

pub(crate) async fn show(State(app): State<App>, uri: Uri) -> Result<Json<Value>, ApiError> {
    let exclude = query_value(&uri, "exclude").unwrap_or_default();
    let excluded = |name: &str| exclude.split(',').any(|part| part.trim() == name);
    operational(&app)?;
    Ok(Json(app.printer.with(|machine| {
        let mut all = Map::new();
        if !excluded("temperature") {
            let names = ["tool0", "bed"].map(|name| {
                (
                    name,
                    excluded(name) || (name == "tool0" && excluded("tool")),
                )
            });
            all.insert(
                "temperature".to_owned(),
                temperatures(machine, &uri, &names),
            );
        }
        if !excluded("sd") {
            all.insert("sd".to_owned(), json!({ "ready": false }));
        }
        if !excluded("state") {
            all.insert("state".to_owned(), machine.state().to_json());
        }
        Value::Object(all)
    })))
}

pub(crate) async fn show_tool(State(app): State<App>, uri: Uri) -> Result<Json<Value>, ApiError> {
    operational(&app)?;
    Ok(Json(app.printer.with(|machine| {
        temperatures(machine, &uri, &[("tool0", false), ("bed", true)])
    })))
}

pub(crate) async fn show_bed(State(app): State<App>, uri: Uri) -> Result<Json<Value>, ApiError> {
    operational(&app)?;
    Ok(Json(app.printer.with(|machine| {
        temperatures(machine, &uri, &[("tool0", true), ("bed", false)])
    })))
}

/// The profile has no heated chamber.
pub(crate) async fn chamber() -> ApiError {
    ApiError::conflict("Printer does not have a heated chamber")
}

/// There is no slot for a card.
pub(crate) async fn sd() -> ApiError {
    ApiError::NotFound
}

/// There are no controls but those of the apps.
pub(crate) async fn custom_controls() -> Json<Value> {
    Json(json!({ "controls": [] }))
}

pub(crate) async fn error(State(app): State<App>) -> Json<Value> {
    let state = app.printer.with(|machine| machine.state());
    Json(match state.error() {
        "" => json!({ "error": "", "reason": "" }),
        error => json!({ "error": error, "reason": "firmware", "consequence": "disconnected" }),
    })
}

pub(crate) async fn tool(State(app): State<App>, body: Body) -> Result<Response, ApiError> {
    match body.command()? {
        "target" => set_heater(&app, &body, "targets", |machine, value| {
            machine.nozzle.aim(value);
        }),
        "offset" => set_heater(&app, &body, "offsets", |machine, value| {
            machine.nozzle.offset = value.clamp(-50.0, 50.0);
        }),
        "select" => match body.text("tool") {
            Some("tool0") => head(&app, vec!["T0".to_owned()]),
            _ => Err(ApiError::bad("There is no such tool")),
        },
        "extrude" => {
            let amount = body.number("amount")?.clamp(-LONGEST, LONGEST);
            head(
                &app,
                vec![
                    "G91".to_owned(),
                    format!("G1 E{amount} F300"),
                    "G90".to_owned(),
                ],
            )
        }
        "flowrate" => factor(&app, &body, "M221"),
        other => Err(ApiError::bad(format!("Unknown command: {other}"))),
    }
}

pub(crate) async fn bed(State(app): State<App>, body: Body) -> Result<Response, ApiError> {
    let set: fn(&mut Machine, f64) = match body.command()? {
        "target" => |machine, value| machine.bed.aim(value),
        "offset" => |machine, value| machine.bed.offset = value.clamp(-50.0, 50.0),
        other => return Err(ApiError::bad(format!("Unknown command: {other}"))),
    };
    let value = body.number(if body.command()? == "target" {
        "target"
    } else {
        "offset"
    })?;
    operational(&app)?;
    app.printer.with(|machine| set(machine, value));
    Ok(no_content())
}

pub(crate) async fn printhead(State(app): State<App>, body: Body) -> Result<Response, ApiError> {
    match body.command()? {
        "jog" => head(&app, jog(&body)?),
        "home" => {
            let axes = body
                .get("axes")
                .as_array()
                .ok_or_else(|| ApiError::bad("axes is missing"))?;
            let letters = axes.iter().map(|axis| match axis.as_str() {
                Some(axis @ ("x" | "y" | "z")) => Ok(format!(" {}", axis.to_uppercase())),
                _ => Err(ApiError::bad("axes can be x, y and z")),
            });
            head(
                &app,
                vec![format!("G28{}", letters.collect::<Result<String, _>>()?)],
            )
        }
        "feedrate" => factor(&app, &body, "M220"),
        other => Err(ApiError::bad(format!("Unknown command: {other}"))),
    }
}

fn jog(body: &Body) -> Result<Vec<String>, ApiError> {
    let mut line = "G1".to_owned();
    for axis in ["x", "y", "z"] {
        if !body.get(axis).is_null() {
            let by = body.number(axis)?.clamp(-LONGEST, LONGEST);
            let _ = write!(line, " {}{by}", axis.to_uppercase());
        }
    }
    if line == "G1" {
        return Err(ApiError::bad("jog needs at least one of x, y and z"));
    }
    let feed = body.get("speed").as_f64().unwrap_or(6_000.0);
    let _ = write!(line, " F{feed}");
    let mode = if body.flag("absolute") { "G90" } else { "G91" };
    Ok(vec![mode.to_owned(), line, "G90".to_owned()])
}

pub(crate) async fn command(State(app): State<App>, body: Body) -> Result<Response, ApiError> {
    let one = body.text("command").map(|command| vec![command.to_owned()]);
    let many = body.get("commands").as_array().map(|all| {
        all.iter()
            .filter_map(|c| c.as_str().map(str::to_owned))
            .collect()
    });
    let commands: Vec<String> = one
        .or(many)
        .ok_or_else(|| ApiError::bad("command or commands is missing"))?;
    let lines = commands
        .iter()
        .flat_map(|command| command.lines())
        .map(|line| line.trim().to_owned());
    app.printer
        .with(|machine| machine.type_commands(lines.filter(|line| !line.is_empty())))?;
    Ok(no_content())
}

/// Sends commands that need the head for themselves.
fn head(app: &App, lines: Vec<String>) -> Result<Response, ApiError> {
    app.printer.with(|machine| {
        machine.free_head()?;
        machine.type_commands(lines)
    })?;
    Ok(no_content())
}

fn factor(app: &App, body: &Body, code: &str) -> Result<Response, ApiError> {
    let factor = body.number("factor")?;
    // Apps send 1.05 or 105 for the same thing.
    let percent = if factor <= 2.5 {
        factor * 100.0
    } else {
        factor
    };
    app.printer
        .with(|machine| machine.type_commands([format!("{code} S{percent}")]))?;
    Ok(no_content())
}

fn set_heater(
    app: &App,
    body: &Body,
    member: &str,
    set: fn(&mut Machine, f64),
) -> Result<Response, ApiError> {
    let values = body
        .get(member)
        .as_object()
        .ok_or_else(|| ApiError::bad(format!("{member} is missing")))?;
    if values.keys().any(|name| name != "tool0") {
        return Err(ApiError::bad("There is no such tool"));
    }
    let value = values
        .get("tool0")
        .and_then(Value::as_f64)
        .ok_or_else(|| ApiError::bad("tool0 is missing or no number"))?;
    operational(app)?;
    app.printer.with(|machine| set(machine, value));
    Ok(no_content())
}

fn operational(app: &App) -> Result<(), ApiError> {
    let state = app.printer.with(|machine| machine.state());
    if state.is_operational() {
        Ok(())
    } else {
        Err(Refusal::NotOperational.into())
    }
}

/// Heaters and, if asked for, their history, without those marked as left out.
fn temperatures(machine: &Machine, uri: &Uri, left_out: &[(&str, bool)]) -> Value {
    let mut all = machine.temperatures();
    let gone = || {
        left_out
            .iter()
            .filter(|(_, gone)| *gone)
            .map(|(name, _)| *name)
    };
    gone().for_each(|name| {
        all.remove(name);
    });
    if query_value(uri, "history").is_some_and(|value| yes(&value)) {
        let limit = query_value(uri, "limit")
            .and_then(|limit| limit.parse().ok())
            .unwrap_or(HISTORY);
        let mut points = machine.history(limit);
        for point in points.iter_mut().filter_map(Value::as_object_mut) {
            gone().for_each(|name| {
                point.remove(name);
            });
        }
        all.insert("history".to_owned(), Value::from(points));
    }
    Value::Object(all)
}
