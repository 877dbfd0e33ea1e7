//! What apps look up once: settings, profile, and things this printer has none of.

use axum::Json;
use axum::extract::{Path, State};
use serde_json::{Value, json};

use super::ApiError;
use crate::App;
use crate::physics::motion::BED;

pub(crate) async fn settings(State(app): State<App>) -> Json<Value> {
    Json(json!({
        "api": { "key": null, "allowCrossOrigin": false },
        "appearance": { "name": app.config.name, "color": "default" },
        "feature": {
            "sdSupport": false, "temperatureGraph": true, "keyboardControl": true, "pollWatched": false,
            "modelSizeDetection": true, "rememberFileFolder": false, "gcodeViewer": false,
        },
        "folder": {},
        "plugins": {
            "discovery": { "upnpUuid": app.uuid, "publicHost": null, "publicPort": null, "pathPrefix": null, "httpUsername": null, "httpPassword": null, "zeroConf": [] },
        },
        "serial": { "port": "VIRTUAL", "baudrate": 115_200 },
        "server": { "commands": {} },
        "temperature": {
            "profiles": [
                { "name": "PLA", "extruder": 215, "bed": 60, "chamber": null },
                { "name": "PETG", "extruder": 240, "bed": 80, "chamber": null },
            ],
            "cutoff": 30, "sendAutomatically": false,
        },
        "terminalFilters": [],
        "webcam": {
            "webcamEnabled": true,
            "streamUrl": "/webcam/?action=stream",
            "snapshotUrl": format!("http://{}/webcam/?action=snapshot", app.local_addr),
            "snapshotSslValidation": true, "snapshotTimeout": 5,
            "streamRatio": "16:9", "streamTimeout": 5, "bitrate": "10000k",
            "flipH": false, "flipV": false, "rotate90": false,
            "defaultWebcam": "classic",
            "webcams": [{
                "name": "classic", "displayName": "Camera", "canSnapshot": true, "provider": "classicwebcam",
                "snapshotDisplay": "/webcam/?action=snapshot",
                "flipH": false, "flipV": false, "rotate90": false,
                "compat": { "stream": "/webcam/?action=stream", "snapshot": "/webcam/?action=snapshot", "streamRatio": "16:9", "streamTimeout": 5 },
                "extras": {},
            }],
        },
    }))
}

pub(crate) async fn profiles(State(app): State<App>) -> Json<Value> {
    Json(json!({ "profiles": { "_default": profile_json(&app) } }))
}

pub(crate) async fn profile(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    if id == "_default" {
        Ok(Json(profile_json(&app)))
    } else {
        Err(ApiError::NotFound)
    }
}

fn profile_json(app: &App) -> Value {
    json!({
        "id": "_default", "name": app.config.name, "model": "Latchkey simulated printer",
        "color": "default", "current": true, "default": true, "resource": "/api/printerprofiles/_default",
        "volume": { "formFactor": "rectangular", "origin": "lowerleft", "width": BED[0], "depth": BED[1], "height": BED[2], "custom_box": false },
        "heatedBed": true, "heatedChamber": false,
        "axes": {
            "x": { "speed": 6_000, "inverted": false }, "y": { "speed": 6_000, "inverted": false },
            "z": { "speed": 600, "inverted": false }, "e": { "speed": 300, "inverted": false },
        },
        "extruder": { "count": 1, "offsets": [[0.0, 0.0]], "nozzleDiameter": 0.8, "sharedNozzle": false, "defaultExtrusionLength": 5 },
    })
}

/// Nothing to switch off: the simulator ends with its program.
pub(crate) async fn system_commands() -> Json<Value> {
    Json(json!({ "core": [], "plugin": [], "custom": [] }))
}

pub(crate) async fn system_commands_of(
    Path(source): Path<String>,
) -> Result<Json<Value>, ApiError> {
    match source.as_str() {
        "core" | "plugin" | "custom" => Ok(Json(json!([]))),
        _ => Err(ApiError::NotFound),
    }
}

/// No plugin here takes commands. OctoPrint tells the two methods apart.
pub(crate) async fn plugin() -> ApiError {
    ApiError::NotFound
}

pub(crate) async fn plugin_command(Path(name): Path<String>) -> ApiError {
    ApiError::bad(format!("There is no plugin {name} that takes commands"))
}

pub(crate) async fn languages() -> Json<Value> {
    Json(json!({ "language_packs": {} }))
}

pub(crate) async fn timelapse() -> Json<Value> {
    Json(json!({ "enabled": false, "config": { "type": "off" }, "files": [], "unrendered": [] }))
}

pub(crate) async fn slicing() -> Json<Value> {
    Json(json!({}))
}
