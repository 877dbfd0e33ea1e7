//! What a printer does now, as cards and pages show it.

use latchkey_model::printing::{Condition, Heat, Heats, PrinterState};
use latchkey_web::moment::Moment;

/// What a printer does, in the word that people read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    Printing,
    Ready,
    Paused,
    Error,
    /// Its host is here, and tells nothing of it.
    Online,
    Offline,
}

impl Word {
    pub fn text(self) -> &'static str {
        match self {
            Self::Printing => "Printing",
            Self::Ready => "Ready",
            Self::Paused => "Paused",
            Self::Error => "Error",
            Self::Online => "Online",
            Self::Offline => "Offline",
        }
    }

    /// How its dot looks.
    pub fn look(self) -> &'static str {
        match self {
            Self::Printing => "live",
            Self::Ready | Self::Online => "",
            Self::Paused => "paused",
            Self::Error => "failed",
            Self::Offline => "offline",
        }
    }

    /// Whether somebody has to look after it.
    pub fn needs_somebody(self) -> bool {
        matches!(self, Self::Paused | Self::Error)
    }

    /// Its place among others: what prints, what is here, what is not.
    pub fn order(self) -> u8 {
        match self {
            Self::Paused | Self::Error => 0,
            Self::Printing => 1,
            Self::Ready | Self::Online => 2,
            Self::Offline => 3,
        }
    }
}

/// What a printer does now.
#[derive(Debug, Clone)]
pub struct Now {
    pub word: Word,
    /// What it says of its trouble, or what it waits for.
    pub message: Option<String>,
    /// The print that goes on or is paused.
    pub job: Option<NowJob>,
    pub heats: Vec<NowHeat>,
    /// Whether it has a camera that may be shown.
    pub has_picture: bool,
}

/// The print that goes on or is paused.
#[derive(Debug, Clone)]
pub struct NowJob {
    pub file: String,
    pub percent: Option<u8>,
    /// For how much longer, in words.
    pub left: Option<String>,
    /// Which layer, of how many.
    pub layer: Option<String>,
    pub started: Option<Moment>,
    /// When it will be done, if all goes well.
    pub done: Option<Moment>,
}

/// How hot a part of a printer is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NowHeat {
    pub part: &'static str,
    pub value: String,
}

impl NowJob {
    /// When it will be done, for whoever has no clock here.
    pub(super) fn until(&self) -> String {
        let left = self.left.as_deref().unwrap_or_default();
        format!("in {}", left.trim_end_matches(" left"))
    }
}

impl Now {
    /// A printer whose host is not here, or tells nothing.
    pub fn unknown(is_here: bool) -> Self {
        Self {
            word: if is_here { Word::Online } else { Word::Offline },
            message: None,
            job: None,
            heats: Vec::new(),
            has_picture: false,
        }
    }

    /// By what its host told last. `moment` is any point in time as seen from now.
    pub fn of(
        state: &PrinterState,
        moment: impl Fn(latchkey_model::clock::Timestamp) -> Moment,
    ) -> Self {
        let word = match state.condition {
            Condition::Ready => Word::Ready,
            Condition::Printing => Word::Printing,
            Condition::Paused => Word::Paused,
            Condition::Error => Word::Error,
            Condition::Unavailable => Word::Offline,
        };
        let job = state.job.as_ref().filter(|_| state.condition.has_print());
        let job = job.map(|job| {
            let progress = &job.progress;
            let seconds = progress.left_seconds;
            // A paused print is done nobody knows when.
            let running = seconds.filter(|_| state.condition == Condition::Printing);
            let done = running.map(|seconds| {
                let soon = std::time::Duration::from_secs(seconds.min(MOST_LEFT));
                moment(state.at.plus(soon))
            });
            NowJob {
                file: job.file.clone(),
                percent: progress.percent.map(|percent| percent.min(100)),
                left: seconds.map(left),
                layer: progress.layer.map(|layer| match progress.layers {
                    Some(layers) => format!("{layer} of {layers}"),
                    None => layer.to_string(),
                }),
                started: job.started.map(&moment),
                done,
            }
        });
        Self {
            word,
            message: state.message.clone(),
            job,
            heats: heats(&state.heat),
            has_picture: state.has_camera,
        }
    }

    pub(super) fn has_layer(&self) -> bool {
        self.job.as_ref().is_some_and(|job| job.layer.is_some())
    }

    pub(super) fn has_started(&self) -> bool {
        self.job.as_ref().is_some_and(|job| job.started.is_some())
    }

    pub(super) fn has_done(&self) -> bool {
        self.job.as_ref().is_some_and(|job| job.done.is_some())
    }

    /// Beside the progress: "62%, 1 h 12 min left".
    pub fn progress(&self) -> String {
        let job = self.job.as_ref();
        let percent = job.and_then(|job| job.percent);
        let left = job.and_then(|job| job.left.clone());
        let percent = percent.map(|percent| format!("{percent}%"));
        let parts: Vec<String> = percent.into_iter().chain(left).collect();
        parts.join(", ")
    }

    /// What to show of it in one line: what it waits for, or what it prints.
    pub fn line(&self) -> Option<&str> {
        let file = self.job.as_ref().map(|job| job.file.as_str());
        let message = self.message.as_deref();
        if self.word.needs_somebody() {
            message.or(file)
        } else {
            file
        }
    }
}

/// No print takes longer, whatever a printer says.
const MOST_LEFT: u64 = 365 * 24 * 60 * 60;

/// "1 h 12 min left".
fn left(seconds: u64) -> String {
    format!("{} left", length(seconds))
}

/// "1 h 12 min".
pub(super) fn length(seconds: u64) -> String {
    let minutes = seconds.min(MOST_LEFT).div_ceil(60);
    match (minutes / 60, minutes % 60) {
        (0, minutes) => format!("{minutes} min"),
        (hours, 0) => format!("{hours} h"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}

fn heats(heats: &Heats) -> Vec<NowHeat> {
    let parts = [
        ("Nozzle", heats.nozzle),
        ("Bed", heats.bed),
        ("Chamber", heats.chamber),
    ];
    let parts = parts.into_iter();
    let parts = parts.filter_map(|(part, heat)| {
        Some(NowHeat {
            part,
            value: degrees(heat?),
        })
    });
    parts.collect()
}

/// "215 of 220 °C".
fn degrees(heat: Heat) -> String {
    let whole = |tenths: i32| (tenths + 5).div_euclid(10);
    match heat.target {
        Some(target) if target > 0 => {
            format!("{} of {} \u{b0}C", whole(heat.actual), whole(target))
        }
        _ => format!("{} \u{b0}C", whole(heat.actual)),
    }
}

#[cfg(test)]
mod tests {
    use latchkey_model::chance::SeededChance;
    use latchkey_model::clock::Timestamp;
    use latchkey_model::id::PrintId;
    use latchkey_model::printing::{Job, Progress};

    use super::*;

    fn state(condition: Condition) -> PrinterState {
        PrinterState {
            at: Timestamp::from_millis(1_000_000),
            condition,
            job: Some(Job {
                print: PrintId::generate(&SeededChance::new(1)),
                file: "vase.gcode".to_owned(),
                started: None,
                progress: Progress {
                    percent: Some(62),
                    left_seconds: Some(4_300),
                    layer: Some(348),
                    layers: Some(561),
                    ..Progress::default()
                },
            }),
            heat: Heats {
                nozzle: Some(Heat {
                    actual: 2_148,
                    target: Some(2_150),
                }),
                bed: Some(Heat {
                    actual: -4,
                    target: None,
                }),
                chamber: None,
            },
            message: Some("Filament ran out".to_owned()),
            has_camera: true,
        }
    }

    fn now(condition: Condition) -> Now {
        Now::of(&state(condition), |at| Moment {
            at,
            now: Timestamp::from_millis(1_000_000),
        })
    }

    #[test]
    fn a_print_is_told_as_people_say_it() {
        let printing = now(Condition::Printing);
        assert_eq!(printing.progress(), "62%, 1 h 12 min left");
        assert_eq!(printing.line(), Some("vase.gcode"));
        let job = printing.job.unwrap();
        assert_eq!(job.layer.as_deref(), Some("348 of 561"));
        assert_eq!(job.done.unwrap().at, Timestamp::from_millis(5_300_000));
        let values: Vec<_> = printing.heats.iter().map(|heat| &heat.value).collect();
        assert_eq!(values, ["215 of 215 \u{b0}C", "0 \u{b0}C"]);
    }

    #[test]
    fn what_needs_somebody_says_why_and_promises_no_time() {
        let paused = now(Condition::Paused);
        assert_eq!(paused.line(), Some("Filament ran out"));
        assert!(paused.word.needs_somebody());
        assert!(paused.job.unwrap().done.is_none());
    }

    #[test]
    fn a_print_that_is_over_is_not_shown_as_going_on() {
        for condition in [Condition::Ready, Condition::Unavailable, Condition::Error] {
            assert!(now(condition).job.is_none(), "{condition:?}");
        }
        assert_eq!(now(Condition::Unavailable).word, Word::Offline);
        assert_eq!(Now::unknown(true).word, Word::Online);
        assert_eq!(Now::unknown(false).word, Word::Offline);
    }

    #[test]
    fn lengths_have_hours_and_minutes() {
        for (seconds, text) in [
            (0, "0 min"),
            (59, "1 min"),
            (3_600, "1 h"),
            (3_601, "1 h 1 min"),
            (u64::MAX, "8760 h"),
        ] {
            assert_eq!(length(seconds), text);
        }
    }
}
