//! What a webhook is sent, in the form that receivers know.

use latchkey_model::printing::{PrinterEvent, Progress};
use serde::Serialize;

/// The number of a test.
const TEST: u8 = 16;

/// What every call says of its printer.
#[derive(Debug, Clone, Copy)]
pub(super) struct About<'a> {
    pub(super) printer_id: &'a str,
    pub(super) printer_name: &'a str,
    pub(super) secret_key: &'a str,
    /// The printer's page.
    pub(super) page: &'a str,
}

/// The body of a call.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Call<'a> {
    printer_id: &'a str,
    secret_key: &'a str,
    /// Empty where it is about no print.
    print_id: String,
    event_type: u8,
    printer_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    snapshot_url: Option<String>,
    quick_view_url: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    file_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_sec: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    time_remaining_sec: Option<u64>,
    #[serde(rename = "ZOffsetMM", skip_serializing_if = "Option::is_none")]
    z_offset_mm: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    current_layer: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total_layers: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}

impl<'a> Call<'a> {
    /// Nothing for what webhooks are not told.
    pub(super) fn of(
        about: About<'a>,
        event: &'a PrinterEvent,
        snapshot_url: Option<String>,
    ) -> Option<Self> {
        let print = event.print.as_ref();
        let Progress {
            percent,
            printed_seconds,
            left_seconds,
            z_micrometers,
            layer,
            layers,
        } = event.progress;
        Some(Self {
            print_id: print.map(ToString::to_string).unwrap_or_default(),
            event_type: event.kind.number()?,
            snapshot_url,
            file_name: event.file.as_deref(),
            duration_sec: printed_seconds,
            progress: percent,
            time_remaining_sec: left_seconds,
            z_offset_mm: z_micrometers.map(millimeters),
            current_layer: layer,
            total_layers: layers,
            error: event.message.as_deref(),
            ..Self::test(about)
        })
    }

    /// Asked for by the app, to see whether it arrives.
    pub(super) fn test(about: About<'a>) -> Self {
        Self {
            printer_id: about.printer_id,
            secret_key: about.secret_key,
            print_id: String::new(),
            event_type: TEST,
            printer_name: about.printer_name,
            snapshot_url: None,
            quick_view_url: about.page,
            file_name: None,
            duration_sec: None,
            progress: None,
            time_remaining_sec: None,
            z_offset_mm: None,
            current_layer: None,
            total_layers: None,
            error: None,
        }
    }
}

fn millimeters(micrometers: u64) -> f64 {
    // Heights of nozzles are far below where a double counts in steps.
    let bounded = u32::try_from(micrometers).unwrap_or(u32::MAX);
    f64::from(bounded) / 1000.0
}

#[cfg(test)]
mod tests {
    use latchkey_model::chance::SeededChance;
    use latchkey_model::clock::Timestamp;
    use latchkey_model::id::PrintId;
    use latchkey_model::printing::EventKind;
    use serde_json::json;

    use super::*;

    const ABOUT: About<'_> = About {
        printer_id: "p",
        printer_name: "Garage Voron",
        secret_key: "lk_hook_x",
        page: "https://relay.example/view/Garage%20Voron",
    };

    fn event(kind: EventKind) -> PrinterEvent {
        PrinterEvent {
            at: Timestamp::from_millis(1),
            kind,
            print: None,
            file: None,
            progress: Progress::default(),
            message: None,
        }
    }

    #[test]
    fn a_call_says_what_is_known_and_leaves_the_rest_out() {
        let whole = PrinterEvent {
            print: Some(PrintId::generate(&SeededChance::new(1))),
            file: Some("vase.gcode".to_owned()),
            progress: Progress {
                percent: Some(40),
                printed_seconds: Some(600),
                left_seconds: Some(900),
                z_micrometers: Some(12_350),
                layer: Some(61),
                layers: Some(150),
            },
            message: Some("thermal runaway".to_owned()),
            ..event(EventKind::Error)
        };
        let picture = Some("https://relay.example/snapshot/s".to_owned());
        let call = Call::of(ABOUT, &whole, picture).unwrap();
        let told = serde_json::to_value(&call).unwrap();
        let expected = json!({
            "PrinterId": "p",
            "SecretKey": "lk_hook_x",
            "PrintId": whole.print.as_ref().unwrap().to_string(),
            "EventType": 9,
            "PrinterName": "Garage Voron",
            "SnapshotUrl": "https://relay.example/snapshot/s",
            "QuickViewUrl": "https://relay.example/view/Garage%20Voron",
            "FileName": "vase.gcode",
            "DurationSec": 600,
            "Progress": 40,
            "TimeRemainingSec": 900,
            "ZOffsetMM": 12.35,
            "CurrentLayer": 61,
            "TotalLayers": 150,
            "Error": "thermal runaway",
        });
        assert_eq!(told, expected);
        let bare = json!({
            "PrinterId": "p",
            "SecretKey": "lk_hook_x",
            "PrintId": "",
            "EventType": 5,
            "PrinterName": "Garage Voron",
            "QuickViewUrl": "https://relay.example/view/Garage%20Voron",
        });
        let resumed = event(EventKind::Resumed);
        let call = Call::of(ABOUT, &resumed, None).unwrap();
        assert_eq!(serde_json::to_value(&call).unwrap(), bare);
        let test = serde_json::to_value(Call::test(ABOUT)).unwrap();
        assert_eq!(test["EventType"], 16);
        assert_eq!(test.as_object().unwrap().len(), 6);
    }

    #[test]
    fn hosts_coming_and_going_is_nothing_for_webhooks() {
        for kind in [EventKind::Online, EventKind::Offline] {
            assert!(Call::of(ABOUT, &event(kind), None).is_none());
        }
    }
}
