//! What a printer does: its state now, and what happened to its prints.
//!
//! Responsible for the words in which hosts tell relays of any printer's server alike. Texts in
//! them come from printers and files: strangers' words, cut and cleaned where they are read.

mod report;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::id::PrintId;
use crate::text;

pub use report::{News, Report, ReportedEvent};

/// Longest text that is kept of what a printer's server says, in characters.
pub const LONGEST_TEXT: usize = 200;

/// What is left of a text from a printer's server when nothing in it can mislead, cut to
/// [`LONGEST_TEXT`]. Nothing if nothing is left.
pub fn shown_text(text: &str) -> Option<String> {
    // A text of megabytes is not looked through for what is cut anyway.
    let start: String = text.chars().take(4 * LONGEST_TEXT).collect();
    let shown: String = text::clean(&start).chars().take(LONGEST_TEXT).collect();
    let shown = shown.trim_end();
    (!shown.is_empty()).then(|| shown.to_owned())
}

/// A file's name without the folders that it is in, as [`shown_text`].
pub fn shown_file(path: &str) -> Option<String> {
    shown_text(path.rsplit(['/', '\\']).next().unwrap_or(path))
}

/// What a printer does now, as far as its server tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrinterState {
    /// When this was so.
    pub at: Timestamp,
    /// In one word.
    pub condition: Condition,
    /// The print that goes on, is paused, or ended last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<Job>,
    /// How hot it is.
    #[serde(default)]
    pub heat: Heats,
    /// What it says of its trouble, or what it waits for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Whether it has a camera that the relay may show.
    #[serde(default)]
    pub has_camera: bool,
}

/// What a printer does, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// Nothing; it could print.
    Ready,
    /// It prints.
    Printing,
    /// A print is interrupted and may go on.
    Paused,
    /// It stands still for a reason of its own.
    Error,
    /// Its server does not reach the printer, or is not there itself.
    Unavailable,
}

impl Condition {
    /// Whether a print is under way.
    pub const fn has_print(self) -> bool {
        matches!(self, Self::Printing | Self::Paused)
    }
}

/// One print.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Which one.
    pub print: PrintId,
    /// The file's name, without folders.
    pub file: String,
    /// When it began; missing if the host came later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<Timestamp>,
    /// How far it is.
    #[serde(flatten)]
    pub progress: Progress,
}

/// How far a print is. What a printer's server does not tell is missing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Progress {
    /// In whole percent, 0 to 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub percent: Option<u8>,
    /// For how long it has been printing, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub printed_seconds: Option<u64>,
    /// For how much longer, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left_seconds: Option<u64>,
    /// The height of the nozzle, in micrometers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub z_micrometers: Option<u64>,
    /// The layer, beginning with 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layer: Option<u32>,
    /// How many layers there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layers: Option<u32>,
}

/// How hot a printer's parts are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Heats {
    /// The nozzle that prints.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nozzle: Option<Heat>,
    /// The bed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bed: Option<Heat>,
    /// The chamber.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chamber: Option<Heat>,
}

/// A temperature, in tenths of a degree Celsius.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heat {
    /// As it is.
    pub actual: i32,
    /// As it should be; missing while it is not heated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<i32>,
}

/// Something that happened to a printer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrinterEvent {
    /// When.
    pub at: Timestamp,
    /// What.
    pub kind: EventKind,
    /// To which print, if it was about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub print: Option<PrintId>,
    /// The file's name, without folders.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// How far the print was.
    #[serde(flatten)]
    pub progress: Progress,
    /// What the printer's server said of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $word:literal, $number:expr;)*) => {
        /// What can happen to a printer.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum EventKind {
            $($(#[$doc])* $kind,)*
        }

        impl EventKind {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$kind,)*];

            /// The stable word for it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$kind => $word,)* }
            }

            /// Its number in the contract of webhooks (`app-connections.md` 4.5); what has none is
            /// not told there.
            pub const fn number(self) -> Option<u8> {
                match self { $(Self::$kind => $number,)* }
            }

            /// Reads [`Self::as_str`].
            pub fn parse(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|kind| kind.as_str() == word)
            }
        }
    };
}

kinds! {
    /// A print began.
    Started = "started", Some(1);
    /// It is complete.
    Complete = "complete", Some(2);
    /// It was cancelled or broke off.
    Failed = "failed", Some(3);
    /// It was interrupted.
    Paused = "paused", Some(4);
    /// It goes on.
    Resumed = "resumed", Some(5);
    /// It came another tenth further, or another hour passed.
    Progress = "progress", Some(6);
    /// The printer reports an error.
    Error = "error", Some(9);
    /// The first layer is complete.
    FirstLayer = "first_layer", Some(10);
    /// It wants other filament.
    FilamentChange = "filament_change", Some(11);
    /// It waits for somebody.
    UserInteraction = "user_interaction", Some(12);
    /// The third layer is complete.
    ThirdLayer = "third_layer", Some(14);
    /// The host came back.
    Online = "online", None;
    /// The host went away.
    Offline = "offline", None;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_one_word_each_and_the_contracts_numbers() {
        for &kind in EventKind::ALL {
            assert_eq!(EventKind::parse(kind.as_str()), Some(kind));
            let wire = serde_json::to_value(kind).unwrap();
            assert_eq!(wire, kind.as_str(), "the same word in the tunnel");
        }
        assert_eq!(EventKind::parse("melted"), None);
        assert_eq!(EventKind::ThirdLayer.number(), Some(14));
        assert_eq!(EventKind::Offline.number(), None);
    }

    #[test]
    fn texts_of_printers_are_cleaned_and_cut() {
        let long = "x".repeat(10_000);
        for (text, shown) in [
            ("  Filament\trunout\u{202e} ", Some("Filament runout")),
            ("\u{200b}", None),
            ("", None),
        ] {
            assert_eq!(shown_text(text).as_deref(), shown, "{text:?}");
        }
        assert_eq!(shown_text(&long).unwrap().len(), LONGEST_TEXT);
        for (path, file) in [
            ("folder/vase.gcode", Some("vase.gcode")),
            ("C:\\x\\vase.gcode", Some("vase.gcode")),
            ("vase.gcode", Some("vase.gcode")),
            ("folder/", None),
        ] {
            assert_eq!(shown_file(path).as_deref(), file, "{path}");
        }
    }

    #[test]
    fn what_is_not_told_is_missing_on_the_wire() {
        let event = PrinterEvent {
            at: Timestamp::from_millis(5),
            kind: EventKind::Paused,
            print: None,
            file: None,
            progress: Progress {
                percent: Some(12),
                ..Progress::default()
            },
            message: None,
        };
        let wire = serde_json::to_value(&event).unwrap();
        assert_eq!(
            wire,
            serde_json::json!({"at": 5, "kind": "paused", "percent": 12})
        );
        assert_eq!(serde_json::from_value::<PrinterEvent>(wire).unwrap(), event);
    }
}
