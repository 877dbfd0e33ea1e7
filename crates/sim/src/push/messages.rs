//! What the push socket says, in OctoPrint's shapes.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::App;
use crate::api::{SERVER, TEXT};
use crate::printer::event::Event;

/// Temperature points in the first message after the login.
const HISTORY: usize = 300;

/// To everybody, first of all.
pub(super) fn connected(app: &App) -> Value {
    json!({ "connected": {
        "version": SERVER, "display_version": TEXT, "branch": "", "python_version": "",
        "plugin_hash": app.uuid, "config_hash": app.uuid,
        "debug": false, "safe_mode": null, "online": true, "permissions": [],
    }})
}

/// To those who sent a wrong session.
pub(super) fn reauthenticate() -> Value {
    json!({ "reauthRequired": { "reason": "stale" } })
}

pub(super) fn event(event: &Event) -> Value {
    json!({ "event": { "type": event.name, "payload": event.payload } })
}

/// What one client has already been told.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Told {
    log: u64,
    temperature: i64,
}

/// Everything so far, right after the login.
pub(super) fn history(app: &App, told: &mut Told) -> Value {
    json!({ "history": state(app, told, HISTORY) })
}

/// What is new since the last message to this client.
pub(super) fn current(app: &App, told: &mut Told) -> Value {
    json!({ "current": state(app, told, 1) })
}

fn state(app: &App, told: &mut Told, temperatures: usize) -> Value {
    let speed = app.printer.speed();
    app.printer.with(|machine| {
        let mut temps = machine.history(temperatures);
        temps.retain(|point| {
            point["time"]
                .as_i64()
                .is_some_and(|time| time > told.temperature)
        });
        told.temperature = temps
            .last()
            .and_then(|point| point["time"].as_i64())
            .unwrap_or(told.temperature);
        let (logs, next) = machine.terminal.since(told.log);
        told.log = next;
        json!({
            "state": machine.state().to_json(),
            "job": machine.job_json(speed),
            "progress": machine.progress_json(speed),
            "currentZ": machine.current_z(),
            "offsets": { "tool0": machine.nozzle.offset, "bed": machine.bed.offset },
            "resends": { "count": 0, "transmitted": 0, "ratio": 0 },
            "serverTime": Timestamp::now().as_duration().as_secs_f64(),
            "temps": temps,
            "logs": logs,
            "messages": machine.message().into_iter().collect::<Vec<_>>(),
            "busyFiles": busy_files(machine),
            "plugins": { "latchkey_sim": layers(machine) },
        })
    })
}

fn busy_files(machine: &crate::printer::machine::Machine) -> Value {
    match machine.selected() {
        Some(selected) if machine.state().is_busy() => {
            json!([{ "origin": "local", "path": selected.path }])
        }
        _ => json!([]),
    }
}

/// Layer and layers in all, which OctoPrint itself does not know.
fn layers(machine: &crate::printer::machine::Machine) -> Value {
    match machine.glance().layer {
        Some((layer, layers)) => json!({ "layer": layer, "layers": layers }),
        None => json!({ "layer": null, "layers": null }),
    }
}
