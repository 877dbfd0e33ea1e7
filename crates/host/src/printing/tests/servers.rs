//! What servers say, as they say it.

use latchkey_model::clock::Timestamp;
use latchkey_model::printing::Condition;
use serde_json::json;

use crate::printing::moonraker::{self, Klipper};
use crate::printing::octoprint::Picture;
use crate::printing::seen::{Outcome, Told};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1_000)
}

/// What OctoPrint 1.11.8 says in the middle of a print, shortened where nothing is read.
fn current() -> serde_json::Value {
    json!({
        "state": {
            "text": "Printing",
            "flags": {
                "operational": true, "printing": true, "cancelling": false, "pausing": false,
                "resuming": false, "finishing": false, "closedOrError": false, "error": false,
                "paused": false, "ready": false, "sdReady": true,
            },
            "error": "",
        },
        "job": {
            "file": {
                "name": "Vase_1.gcode", "path": "folder/Vase_1.gcode", "display": "Väse 1.gcode",
                "origin": "local", "size": 1_048_576, "date": 1_760_000_000,
            },
            "estimatedPrintTime": 5_000.4, "averagePrintTime": null, "lastPrintTime": null,
            "filament": null, "user": "admin",
        },
        "progress": {
            "completion": 23.456, "filepos": 245_000, "printTime": 1_234, "printTimeLeft": 3_999,
            "printTimeLeftOrigin": "estimate",
        },
        "currentZ": 0.4,
        "temps": [
            {"time": 1_760_000_001, "tool0": {"actual": 214.7, "target": 215.0},
             "bed": {"actual": 60.1, "target": 60.0}, "chamber": {"actual": null, "target": null}},
        ],
        "logs": [], "messages": [],
    })
}

#[test]
fn octoprint_is_understood() {
    let mut picture = Picture::default();
    let seen = picture.see(at(1), &current());
    assert_eq!(seen.condition, Condition::Printing);
    assert_eq!(seen.file.as_deref(), Some("Väse 1.gcode"));
    assert_eq!(seen.progress.percent, Some(23));
    assert_eq!(seen.progress.printed_seconds, Some(1_234));
    assert_eq!(seen.progress.left_seconds, Some(3_999));
    assert_eq!(seen.progress.z_micrometers, Some(400));
    assert_eq!(
        seen.progress.layer, None,
        "it was not watched from its beginning"
    );
    assert_eq!(seen.heat.nozzle.unwrap().actual, 2_147);
    assert_eq!(seen.heat.chamber, None);
    // A message without temperatures changes none.
    let mut quiet = current();
    quiet["temps"] = json!([]);
    assert_eq!(picture.see(at(2), &quiet).heat, seen.heat);
}

#[test]
fn octoprints_flags_are_understood() {
    for (flags, condition) in [
        (&["operational", "ready"][..], Condition::Ready),
        (&["operational", "printing"], Condition::Printing),
        (
            &["operational", "printing", "cancelling"],
            Condition::Printing,
        ),
        (&["operational", "pausing"], Condition::Printing),
        (&["operational", "paused"], Condition::Paused),
        (&["closedOrError"], Condition::Unavailable),
        (&["closedOrError", "error"], Condition::Error),
        (&[], Condition::Unavailable),
    ] {
        let mut data = current();
        data["state"]["flags"] = flags
            .iter()
            .map(|flag| ((*flag).to_owned(), json!(true)))
            .collect();
        data["state"]["text"] = json!("Offline after error");
        let seen = Picture::default().see(at(1), &data);
        assert_eq!(seen.condition, condition, "{flags:?}");
        assert_eq!(
            seen.message.is_some(),
            condition == Condition::Error,
            "{flags:?}"
        );
    }
}

#[test]
fn octoprints_events_are_understood() {
    let event = |name: &str, payload: serde_json::Value| json!({"event": {"type": name, "payload": payload}});
    let prompt = |text: &str| {
        json!({"plugin": {"plugin": "action_command_prompt",
                          "data": {"action": "show", "text": text, "choices": []}}})
    };
    let text = |text: &str| Some(text.to_owned());
    for (message, told) in [
        (
            event(
                "PrintStarted",
                json!({"name": "a.gcode", "path": "x/a.gcode"}),
            ),
            Some(Told::Started(text("a.gcode"))),
        ),
        (
            event("PrintDone", json!({"name": "a.gcode", "time": 5})),
            Some(Told::Ended(Outcome::Complete, None)),
        ),
        (
            event("PrintFailed", json!({"reason": "cancelled"})),
            Some(Told::Ended(Outcome::Failed, text("cancelled"))),
        ),
        (
            event(
                "PrintFailed",
                json!({"reason": "error", "error": "Too hot\n"}),
            ),
            Some(Told::Ended(Outcome::Failed, text("Too hot"))),
        ),
        (event("PrintCancelled", json!({})), None),
        (
            event("FilamentChange", json!(null)),
            Some(Told::FilamentChange(None)),
        ),
        (
            event("CommandSuppressed", json!({"command": "M0 Insert the nut"})),
            Some(Told::UserInteraction(text("Insert the nut"))),
        ),
        (
            event("CommandSuppressed", json!({"command": "M1"})),
            Some(Told::UserInteraction(None)),
        ),
        (
            event("CommandSuppressed", json!({"command": "M117 x"})),
            None,
        ),
        (
            event("Waiting", json!(null)),
            Some(Told::UserInteraction(None)),
        ),
        (
            event(
                "Error",
                json!({"error": "Thermal runaway", "reason": "firmware"}),
            ),
            Some(Told::Error(text("Thermal runaway"))),
        ),
        (
            prompt("Insert FILAMENT"),
            Some(Told::FilamentChange(text("Insert FILAMENT"))),
        ),
        (
            prompt("Close the door"),
            Some(Told::UserInteraction(text("Close the door"))),
        ),
        (json!({"event": {"type": 5}}), None),
        (json!({"timelapse": null}), None),
        (json!([]), None),
    ] {
        assert_eq!(Picture::default().hear(&message), told, "{message}");
    }
}

#[test]
fn octoprints_layers_come_from_a_plugin_or_from_heights_of_a_print_watched_from_its_start() {
    let mut picture = Picture::default();
    let mut ready = current();
    ready["state"]["flags"] = json!({"operational": true});
    picture.see(at(0), &ready);
    let mut layer = None;
    for second in 1..20 {
        let mut data = current();
        data["currentZ"] = json!(if second < 10 { 0.2 } else { 0.4 });
        layer = picture.see(at(second), &data).progress.layer;
    }
    assert_eq!(layer, Some(2));
    picture.hear(&json!({"event": {
        "type": "DisplayLayerProgress_layerChanged",
        "payload": {"currentLayer": "7", "totalLayer": "90"},
    }}));
    let progress = picture.see(at(20), &current()).progress;
    assert_eq!((progress.layer, progress.layers), (Some(7), Some(90)));
    // The next print has nothing of it.
    picture.see(at(21), &ready);
    assert_eq!(picture.see(at(22), &current()).progress.layer, None);
}

#[test]
fn klippers_objects_are_understood() {
    let mut klipper = Klipper::default();
    let wanted = klipper.wanted(&json!([
        "gcode",
        "webhooks",
        "print_stats",
        "extruder",
        "extruder1",
        "heater_bed",
        "temperature_sensor chamber",
        "filament_switch_sensor runout",
        "display_status",
    ]));
    let names: Vec<&str> = wanted.keys().map(String::as_str).collect();
    assert_eq!(names.len(), 7, "{names:?}");
    klipper.merge(&json!({
        "webhooks": {"state": "ready", "state_message": "Printer is ready"},
        "print_stats": {
            "state": "printing", "filename": "sub/vase.gcode", "print_duration": 100.5,
            "total_duration": 500.0, "message": "",
            "info": {"total_layer": 90, "current_layer": 3},
        },
        "virtual_sdcard": {"progress": 0.5},
        "display_status": {"progress": 0.25, "message": "M117 text"},
        "gcode_move": {"gcode_position": [1.0, 2.0, 0.6, 0.0]},
        "extruder": {"temperature": 214.96, "target": 215.0},
        "temperature_sensor chamber": {"temperature": 31.0},
    }));
    let seen = klipper.see();
    assert_eq!(seen.condition, Condition::Printing);
    assert_eq!(seen.file.as_deref(), Some("vase.gcode"));
    assert_eq!(seen.progress.percent, Some(25));
    assert_eq!(seen.progress.printed_seconds, Some(100));
    assert_eq!(seen.progress.left_seconds, Some(300));
    assert_eq!(seen.progress.z_micrometers, Some(600));
    assert_eq!(
        (seen.progress.layer, seen.progress.layers),
        (Some(3), Some(90))
    );
    assert_eq!(seen.heat.chamber.unwrap().actual, 310);
    assert_eq!(seen.message, None);
    // Later messages have only what changed.
    klipper.merge(&json!({"print_stats": {"state": "paused"}}));
    let seen = klipper.see();
    assert_eq!(seen.condition, Condition::Paused);
    assert_eq!(seen.message.as_deref(), Some("M117 text"));
    assert_eq!(seen.progress.layer, Some(3));
    klipper.merge(
        &json!({"filament_switch_sensor runout": {"enabled": true, "filament_detected": false}}),
    );
    assert!(moonraker::means_filament(&klipper.see().message.unwrap()));
    for (state, condition, outcome) in [
        ("standby", Condition::Ready, None),
        ("complete", Condition::Ready, Some(Outcome::Complete)),
        ("cancelled", Condition::Ready, Some(Outcome::Failed)),
        ("error", Condition::Error, Some(Outcome::Failed)),
    ] {
        klipper.merge(&json!({"print_stats": {"state": state}}));
        let seen = klipper.see();
        assert_eq!(
            (seen.condition, seen.outcome),
            (condition, outcome),
            "{state}"
        );
    }
    klipper.merge(&json!({"webhooks": {"state": "shutdown", "state_message": "MCU lost\nOnce"}}));
    let seen = klipper.see();
    assert_eq!(seen.condition, Condition::Error);
    assert_eq!(seen.message.as_deref(), Some("MCU lost Once"));
}

#[test]
fn klippers_prompts_are_understood() {
    let text = |text: &str| Some(text.to_owned());
    for (line, told) in [
        (
            "// action:prompt_begin Filament change",
            Some(Told::FilamentChange(text("Filament change"))),
        ),
        (
            "// action:prompt_begin Remove the plate",
            Some(Told::UserInteraction(text("Remove the plate"))),
        ),
        ("// action:prompt_text more", None),
        ("ok", None),
        ("", None),
    ] {
        assert_eq!(moonraker::prompt(line), told, "{line}");
    }
}
