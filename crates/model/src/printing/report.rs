//! What a host reports to its relay, line by line.

use serde::{Deserialize, Serialize};

use super::{EventKind, Heat, Job, PrinterEvent, PrinterState, shown_file, shown_text};
use crate::clock::Timestamp;

/// One line of a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// What time it is for the host, by which the other times in the line are read: its clock may
    /// be years off.
    pub now: Timestamp,
    /// What it says.
    #[serde(flatten)]
    pub news: News,
}

/// What a line says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum News {
    /// What the printer does now.
    State(PrinterState),
    /// What happened to it.
    Event(ReportedEvent),
}

/// An event, with its number in the run of its host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportedEvent {
    /// Counts the events of one run of the host, from 1.
    pub number: u64,
    /// What happened.
    #[serde(flatten)]
    pub event: PrinterEvent,
}

impl Report {
    /// What was said, in the time of whoever hears it at `ours`, and with its texts as people may
    /// be shown them: a host may be anybody's.
    #[must_use]
    pub fn heard(self, ours: Timestamp) -> News {
        let ahead = ours.millis().saturating_sub(self.now.millis());
        let shift = |at: Timestamp| {
            let shifted = at.millis().saturating_add(ahead);
            // Nothing has happened that is still to come.
            Timestamp::from_millis(shifted.min(ours.millis()))
        };
        match self.news {
            News::State(state) => News::State(PrinterState {
                at: shift(state.at),
                job: state.job.map(|job| Job {
                    file: shown_file(&job.file).unwrap_or_default(),
                    started: job.started.map(shift),
                    progress: job.progress.within_bounds(),
                    ..job
                }),
                heat: state.heat.within_bounds(),
                message: state.message.as_deref().and_then(shown_text),
                ..state
            }),
            News::Event(ReportedEvent { number, event }) => News::Event(ReportedEvent {
                number,
                event: PrinterEvent {
                    at: shift(event.at),
                    file: event.file.as_deref().and_then(shown_file),
                    progress: event.progress.within_bounds(),
                    message: event.message.as_deref().and_then(shown_text),
                    ..event
                },
            }),
        }
    }
}

impl EventKind {
    /// Whether it is for hosts to say that this happened: whether they are here, their relay knows.
    pub const fn is_reported(self) -> bool {
        !matches!(self, Self::Online | Self::Offline)
    }
}

impl super::Progress {
    /// No more than a hundred percent, and no numbers that cannot be kept.
    #[must_use]
    pub fn within_bounds(self) -> Self {
        /// A century in seconds, a kilometer in micrometers.
        const MOST: u64 = 3_200_000_000;
        let most = |value: Option<u64>| value.map(|value| value.min(MOST));
        Self {
            percent: self.percent.map(|percent| percent.min(100)),
            printed_seconds: most(self.printed_seconds),
            left_seconds: most(self.left_seconds),
            z_micrometers: most(self.z_micrometers),
            ..self
        }
    }
}

impl super::Heats {
    /// No temperatures that cannot be reckoned with.
    #[must_use]
    pub fn within_bounds(self) -> Self {
        /// Ten thousand degrees.
        const MOST: i32 = 100_000;
        let within = |tenths: i32| tenths.clamp(-MOST, MOST);
        let bound = |heat: Option<Heat>| {
            heat.map(|heat| Heat {
                actual: within(heat.actual),
                target: heat.target.map(within),
            })
        };
        Self {
            nozzle: bound(self.nozzle),
            bed: bound(self.bed),
            chamber: bound(self.chamber),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::printing::{Condition, Heats, LONGEST_TEXT, Progress};

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn event(millis: i64) -> PrinterEvent {
        PrinterEvent {
            at: at(millis),
            kind: EventKind::Paused,
            print: None,
            file: Some("../a\u{202e}b/c.gcode".to_owned()),
            progress: Progress {
                percent: Some(255),
                z_micrometers: Some(u64::MAX),
                ..Progress::default()
            },
            message: Some("x".repeat(999)),
        }
    }

    #[test]
    fn a_line_is_an_object_with_the_hosts_time() {
        let report = Report {
            now: at(50),
            news: News::Event(ReportedEvent {
                number: 7,
                event: PrinterEvent {
                    file: None,
                    message: None,
                    progress: Progress::default(),
                    ..event(40)
                },
            }),
        };
        let wire = serde_json::to_value(&report).unwrap();
        assert_eq!(
            wire,
            serde_json::json!({"now": 50, "event": {"number": 7, "at": 40, "kind": "paused"}})
        );
        assert_eq!(serde_json::from_value::<Report>(wire).unwrap(), report);
        let state = serde_json::json!({"now": 50, "state": {"at": 50, "condition": "ready"}});
        let report: Report = serde_json::from_value(state).unwrap();
        let News::State(state) = report.news else {
            panic!("{report:?}");
        };
        assert_eq!(state.condition, Condition::Ready);
        assert_eq!(state.heat, Heats::default());
    }

    #[test]
    fn a_clock_that_is_off_and_hostile_texts_do_no_harm() {
        for (now, happened, heard) in [
            (1_000, 400, 8_999_400),
            (90_000_000, 89_999_000, 8_999_000),
            (1_000, 5_000, 9_000_000),
            (i64::MIN, i64::MAX, 9_000_000),
            (i64::MAX, i64::MIN, i64::MIN),
        ] {
            let report = Report {
                now: at(now),
                news: News::Event(ReportedEvent {
                    number: 1,
                    event: event(happened),
                }),
            };
            let News::Event(ReportedEvent { event, .. }) = report.heard(at(9_000_000)) else {
                panic!("it was an event");
            };
            assert_eq!(event.at, at(heard), "{now} {happened}");
            assert_eq!(event.file.as_deref(), Some("c.gcode"));
            assert_eq!(event.progress.percent, Some(100));
            assert!(event.progress.z_micrometers < Some(u64::MAX));
            assert_eq!(event.message.unwrap().len(), LONGEST_TEXT);
        }
    }

    #[test]
    fn no_temperature_is_out_of_bounds() {
        let heat = |actual, target| Some(Heat { actual, target });
        let report = Report {
            now: at(50),
            news: News::State(PrinterState {
                at: at(50),
                condition: Condition::Ready,
                job: None,
                heat: Heats {
                    nozzle: heat(i32::MAX, Some(i32::MAX)),
                    bed: heat(i32::MIN, Some(i32::MIN)),
                    chamber: heat(-4, Some(310)),
                },
                message: None,
                has_camera: false,
            }),
        };
        let News::State(state) = report.heard(at(50)) else {
            panic!("it was a state");
        };
        let heard = Heats {
            nozzle: heat(100_000, Some(100_000)),
            bed: heat(-100_000, Some(-100_000)),
            chamber: heat(-4, Some(310)),
        };
        assert_eq!(state.heat, heard);
    }
}
