//! What holds of any tale, whatever a server says.

use std::collections::HashMap;
use std::time::Duration;

use latchkey_model::chance::SeededChance;
use latchkey_model::clock::Timestamp;
use latchkey_model::id::PrintId;
use latchkey_model::printing::{Condition, EventKind, PrinterEvent};
use proptest::prelude::*;

use crate::printing::seen::{Outcome, Seen, Told};
use crate::printing::tale::Tale;

#[derive(Debug, Clone)]
enum Step {
    See(Seen),
    Hear(Told),
    Away,
}

fn seen() -> impl Strategy<Value = Seen> {
    let condition = prop_oneof![
        Just(Condition::Ready),
        Just(Condition::Printing),
        Just(Condition::Printing),
        Just(Condition::Paused),
        Just(Condition::Error),
        Just(Condition::Unavailable),
    ];
    let file = prop::option::of(prop_oneof![Just("a".to_owned()), Just("b".to_owned())]);
    let outcome = prop::option::of(prop_oneof![Just(Outcome::Complete), Just(Outcome::Failed)]);
    let numbers = (
        prop::option::of(0..=100_u8),
        prop::option::of(0..20_000_u64),
        prop::option::of(0..9_u32),
    );
    (condition, file, outcome, numbers).prop_map(
        |(condition, file, outcome, (percent, seconds, layer))| {
            let mut seen = Seen::new(condition);
            seen.file = file;
            seen.outcome = outcome;
            seen.progress.percent = percent;
            seen.progress.printed_seconds = seconds;
            seen.progress.layer = layer;
            seen
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let told = prop_oneof![
        Just(Told::Started(Some("a".to_owned()))),
        Just(Told::Started(None)),
        Just(Told::Ended(Outcome::Complete, None)),
        Just(Told::Ended(Outcome::Failed, None)),
        Just(Told::FilamentChange(None)),
        Just(Told::UserInteraction(None)),
        Just(Told::Error(None)),
    ];
    prop_oneof![
        6 => seen().prop_map(Step::See),
        3 => told.prop_map(Step::Hear),
        1 => Just(Step::Away),
    ]
}

/// What was told of one print.
#[derive(Default)]
struct Print {
    started: bool,
    ended: bool,
    paused: Option<bool>,
    layers: [u32; 2],
    tenth: u8,
}

impl Print {
    fn take(&mut self, event: &PrinterEvent) -> Result<(), TestCaseError> {
        prop_assert!(!self.ended, "nothing happens after the end: {event:?}");
        match event.kind {
            EventKind::Started => {
                prop_assert!(!self.started, "begun twice");
                self.started = true;
            }
            EventKind::Complete | EventKind::Failed => self.ended = true,
            EventKind::Paused => {
                prop_assert_ne!(self.paused, Some(true));
                self.paused = Some(true);
            }
            EventKind::Resumed => {
                prop_assert_ne!(self.paused, Some(false));
                prop_assert!(self.paused.is_some() || !self.started);
                self.paused = Some(false);
            }
            EventKind::FirstLayer => self.layers[0] += 1,
            EventKind::ThirdLayer => {
                prop_assert!(self.layers[0] == 1 || !self.started);
                self.layers[1] += 1;
            }
            EventKind::Progress => {
                prop_assert_ne!(self.paused, Some(true), "nothing moves");
                self.tenth += 1;
            }
            _ => {}
        }
        prop_assert!(self.layers.iter().all(|told| *told <= 1));
        // Nine tenths, and an hour for each of 20,000 seconds.
        prop_assert!(self.tenth <= 9 + 5);
        Ok(())
    }
}

proptest! {
    #[test]
    fn a_tale_makes_sense_whatever_a_server_says(
        steps in prop::collection::vec((step(), 0..9_i64), 1..80),
        grace in prop_oneof![Just(0_u64), Just(4)],
    ) {
        let chance = SeededChance::new(1);
        let mut tale = Tale::new(Duration::from_secs(grace));
        let mut prints: HashMap<PrintId, Print> = HashMap::new();
        let mut current: Option<PrintId> = None;
        let (mut second, mut is_first) = (0, true);
        for (step, pause) in steps {
            second += pause;
            let at = Timestamp::from_millis(second * 1_000);
            let events = match step {
                Step::See(seen) => {
                    let events = tale.see(at, seen, &chance);
                    prop_assert!(
                        !is_first || events.iter().all(|event| event.kind != EventKind::Started)
                            || current.is_some(),
                        "it was so already: {events:?}"
                    );
                    is_first = false;
                    events
                }
                Step::Hear(told) => tale.hear(at, told, &chance),
                Step::Away => {
                    tale.unreachable();
                    Vec::new()
                }
            };
            for event in events {
                prop_assert_eq!(event.at, at);
                let Some(id) = event.print.clone() else {
                    prop_assert_eq!(event.kind, EventKind::Error);
                    continue;
                };
                if event.kind == EventKind::Error {
                    continue;
                }
                if event.kind == EventKind::Started && current.as_ref() != Some(&id) {
                    let before = current.take().and_then(|before| prints.remove(&before));
                    prop_assert!(before.is_none_or(|before| before.ended), "two at once");
                }
                current = Some(id.clone());
                prints.entry(id).or_default().take(&event)?;
            }
            let state = tale.state(at, false);
            if state.condition.has_print() {
                prop_assert!(state.job.is_some());
            }
        }
    }
}
