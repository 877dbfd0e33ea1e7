//! The tale of a printer: events out of what is seen of it, one after the other.
//!
//! Pure: time and chance are arguments. It tells nothing of what was already so when the host began
//! to look, and nothing twice.

use std::time::Duration;

use latchkey_model::chance::Chance;
use latchkey_model::clock::Timestamp;
use latchkey_model::id::PrintId;
use latchkey_model::printing::{Condition, EventKind, Job, PrinterEvent, PrinterState, Progress};

use super::seen::{Outcome, Seen, Told};

/// What is told of the same wait within this time is one wait.
const ONE_WAIT: Duration = Duration::from_mins(1);
/// A server may tell that a print began after it was seen to go on.
const JUST_BEGUN: Duration = Duration::from_secs(30);
/// What is seen so soon after an error may be older than it.
const STALE: Duration = Duration::from_secs(5);
/// A print's time runs backwards by more than this only if it is another print.
const SAME_PRINT_SECONDS: u64 = 10;

/// What is known of a printer.
#[derive(Debug)]
pub(super) struct Tale {
    /// How long a server may take to say how a print ended that is seen no more.
    grace: Duration,
    seen: Option<Seen>,
    reachable: bool,
    print: Option<Print>,
    /// The print that ended last, and whether the server still shows it.
    last: Option<(Job, bool)>,
    /// Since when it reports an error.
    error: Option<Timestamp>,
}

/// The print that goes on.
#[derive(Debug)]
struct Print {
    job: Job,
    /// What the server calls it.
    name: Option<String>,
    began: Timestamp,
    paused: bool,
    tenth: u8,
    hour: u64,
    layers: u32,
    /// What it waits for, and when that was told.
    waits: Option<(EventKind, Timestamp, Option<String>)>,
    /// Since when it is seen no more.
    missing: Option<Timestamp>,
    /// Since when another one is seen in its place.
    differs: Option<Timestamp>,
    /// The server has told that it began.
    told: bool,
}

impl Tale {
    pub(super) fn new(grace: Duration) -> Self {
        Self {
            grace,
            seen: None,
            reachable: false,
            print: None,
            last: None,
            error: None,
        }
    }

    /// What the printer does now.
    pub(super) fn state(&self, at: Timestamp, has_camera: bool) -> PrinterState {
        let seen = self.seen.as_ref().filter(|_| self.reachable);
        let print = self.print.as_ref();
        let condition = seen.map_or(Condition::Unavailable, |seen| seen.condition);
        let waits = print.and_then(|print| print.waits.as_ref());
        let message = waits.and_then(|(_, _, message)| message.clone());
        PrinterState {
            at,
            // A print of which it is not known yet how it ended.
            condition: match print {
                Some(print) if condition == Condition::Ready && print.missing.is_some() => {
                    Condition::Printing
                }
                None if condition.has_print() => Condition::Ready,
                _ => condition,
            },
            job: print
                .map(|print| print.job.clone())
                .or_else(|| self.last.as_ref().map(|(job, _)| job.clone())),
            heat: seen.map(|seen| seen.heat).unwrap_or_default(),
            message: message.or_else(|| seen.and_then(|seen| seen.message.clone())),
            has_camera,
        }
    }

    /// The server is not reached. Its print may go on all the same.
    pub(super) fn unreachable(&mut self) {
        self.reachable = false;
    }

    /// What the server shows now.
    pub(super) fn see(
        &mut self,
        at: Timestamp,
        seen: Seen,
        chance: &dyn Chance,
    ) -> Vec<PrinterEvent> {
        let mut events = Vec::new();
        let is_first = self.seen.is_none();
        self.reachable = true;
        if seen.condition.has_print() {
            self.see_print(at, &seen, is_first, chance, &mut events);
        } else {
            if let Some((_, shown)) = &mut self.last {
                *shown = false;
            }
            self.see_none(at, &seen, &mut events);
        }
        match seen.condition {
            Condition::Error if is_first => self.error = Some(at),
            Condition::Error => self.note_error(at, seen.message.as_deref(), &mut events),
            Condition::Unavailable => {}
            _ => self.error = self.error.filter(|since| at.since(*since) < STALE),
        }
        self.seen = Some(seen);
        events
    }

    /// What the server says has happened.
    pub(super) fn hear(
        &mut self,
        at: Timestamp,
        told: Told,
        chance: &dyn Chance,
    ) -> Vec<PrinterEvent> {
        let mut events = Vec::new();
        match told {
            Told::Started(file) => self.hear_start(at, file, chance, &mut events),
            Told::Ended(outcome, message) => self.end(at, outcome, message, &mut events),
            Told::FilamentChange(message) => {
                self.hear_wait(at, EventKind::FilamentChange, message, &mut events);
            }
            Told::UserInteraction(message) => {
                self.hear_wait(at, EventKind::UserInteraction, message, &mut events);
            }
            Told::Error(message) => self.note_error(at, message.as_deref(), &mut events),
        }
        events
    }

    fn see_print(
        &mut self,
        at: Timestamp,
        seen: &Seen,
        is_first: bool,
        chance: &dyn Chance,
        events: &mut Vec<PrinterEvent>,
    ) {
        if let Some(print) = &mut self.print
            && !print.is_of(seen)
        {
            // OctoPrint shows the file of the print before for a moment.
            if at.since(*print.differs.get_or_insert(at)) < self.grace {
                return;
            }
            // It ended while nobody looked.
            let outcome = print.likely_outcome();
            self.end(at, outcome, None, events);
            self.last = self.last.take().map(|(job, _)| (job, false));
        }
        if self.print.is_none() {
            // What was told to have ended is shown for a moment longer.
            let lingers = self.last.as_ref().is_some_and(|(_, shown)| *shown);
            if lingers {
                return;
            }
            let print = Print::new(at, seen.file.clone(), seen.job.clone(), chance);
            let print = self.print.insert(print);
            if is_first {
                print.join(seen);
            } else {
                print.job.started = Some(at);
                events.push(print.event(at, EventKind::Started));
            }
        }
        if let Some(print) = &mut self.print {
            print.go_on(at, seen, events);
        }
    }

    fn see_none(&mut self, at: Timestamp, seen: &Seen, events: &mut Vec<PrinterEvent>) {
        let Some(print) = &mut self.print else {
            return;
        };
        let since = *print.missing.get_or_insert(at);
        let outcome = match seen.outcome {
            Some(outcome) => outcome,
            None if at.since(since) < self.grace => return,
            None if seen.progress.percent == Some(100) => Outcome::Complete,
            None => print.likely_outcome(),
        };
        self.end(at, outcome, seen.message.clone(), events);
        self.last = self.last.take().map(|(job, _)| (job, false));
    }

    fn hear_start(
        &mut self,
        at: Timestamp,
        file: Option<String>,
        chance: &dyn Chance,
        events: &mut Vec<PrinterEvent>,
    ) {
        if let Some(print) = &mut self.print {
            let just_begun = at.since(print.began) < JUST_BEGUN && !print.told;
            if just_begun && print.missing.is_none() {
                print.told = true;
                if let Some(file) = file {
                    print.job.file = file;
                }
                return;
            }
            let outcome = print.likely_outcome();
            self.end(at, outcome, None, events);
        }
        let mut print = Print::new(at, file, None, chance);
        print.told = true;
        print.job.started = Some(at);
        events.push(print.event(at, EventKind::Started));
        self.print = Some(print);
    }

    fn hear_wait(
        &mut self,
        at: Timestamp,
        kind: EventKind,
        message: Option<String>,
        events: &mut Vec<PrinterEvent>,
    ) {
        let Some(print) = &mut self.print else {
            return;
        };
        let known = print.waits.as_ref().is_some_and(|(waits, since, _)| {
            *waits == kind && (print.paused || at.since(*since) < ONE_WAIT)
        });
        if known {
            return;
        }
        print.waits = Some((kind, at, message.clone()));
        events.push(PrinterEvent {
            message,
            ..print.event(at, kind)
        });
    }

    fn note_error(&mut self, at: Timestamp, message: Option<&str>, events: &mut Vec<PrinterEvent>) {
        if self.error.is_some() {
            return;
        }
        self.error = Some(at);
        let last = self.last.as_ref().filter(|(_, shown)| *shown);
        let job = self.print.as_ref().map(|print| &print.job);
        let job = job.or(last.map(|(job, _)| job));
        events.push(PrinterEvent {
            at,
            kind: EventKind::Error,
            print: job.map(|job| job.print.clone()),
            file: job.and_then(|job| named(&job.file)),
            progress: job.map(|job| job.progress.clone()).unwrap_or_default(),
            message: message.map(str::to_owned),
        });
    }

    fn end(
        &mut self,
        at: Timestamp,
        outcome: Outcome,
        message: Option<String>,
        events: &mut Vec<PrinterEvent>,
    ) {
        let Some(mut print) = self.print.take() else {
            return;
        };
        let kind = match outcome {
            Outcome::Complete => {
                print.job.progress.percent = Some(100);
                print.job.progress.left_seconds = Some(0);
                EventKind::Complete
            }
            Outcome::Failed => {
                print.job.progress.left_seconds = None;
                EventKind::Failed
            }
        };
        events.push(PrinterEvent {
            message,
            ..print.event(at, kind)
        });
        self.last = Some((print.job, true));
    }
}

impl Print {
    fn new(at: Timestamp, file: Option<String>, name: Option<String>, chance: &dyn Chance) -> Self {
        Self {
            job: Job {
                print: PrintId::generate(chance),
                file: file.unwrap_or_default(),
                started: None,
                progress: Progress::default(),
            },
            name,
            began: at,
            paused: false,
            tenth: 0,
            hour: 0,
            layers: 0,
            waits: None,
            missing: None,
            differs: None,
            told: false,
        }
    }

    /// Takes what is so already as known.
    fn join(&mut self, seen: &Seen) {
        self.paused = seen.condition == Condition::Paused;
        self.tenth = tenth(&seen.progress);
        self.hour = hour(&seen.progress);
        self.layers = complete_layers(&seen.progress);
    }

    /// Whether what is seen is this print.
    fn is_of(&self, seen: &Seen) -> bool {
        if let (Some(known), Some(shown)) = (&self.name, &seen.job)
            && known != shown
        {
            return false;
        }
        if let (Some(known), Some(shown)) = (self.name_of_file(), &seen.file)
            && known != shown
        {
            return false;
        }
        let known = self.job.progress.printed_seconds;
        let shown = seen.progress.printed_seconds;
        !matches!((known, shown), (Some(known), Some(shown)) if shown + SAME_PRINT_SECONDS < known)
    }

    fn go_on(&mut self, at: Timestamp, seen: &Seen, events: &mut Vec<PrinterEvent>) {
        (self.missing, self.differs) = (None, None);
        self.job.progress = seen.progress.clone();
        if self.job.file.is_empty() {
            self.job.file = seen.file.clone().unwrap_or_default();
        }
        self.name = self.name.take().or_else(|| seen.job.clone());
        let paused = seen.condition == Condition::Paused;
        if paused && !self.paused {
            events.push(PrinterEvent {
                message: seen.message.clone(),
                ..self.event(at, EventKind::Paused)
            });
        }
        if !paused && self.paused {
            self.waits = None;
            events.push(self.event(at, EventKind::Resumed));
        }
        self.paused = paused;
        if !paused
            && let Some((_, since, _)) = &self.waits
            && at.since(*since) >= ONE_WAIT
        {
            self.waits = None;
        }
        self.count_layers(at, events);
        self.count_progress(at, events);
    }

    fn count_layers(&mut self, at: Timestamp, events: &mut Vec<PrinterEvent>) {
        let complete = complete_layers(&self.job.progress);
        for (layers, kind) in [(1, EventKind::FirstLayer), (3, EventKind::ThirdLayer)] {
            if self.layers < layers && complete >= layers {
                events.push(self.event(at, kind));
            }
        }
        self.layers = self.layers.max(complete);
    }

    /// Every tenth and every hour; the end has an event of its own.
    fn count_progress(&mut self, at: Timestamp, events: &mut Vec<PrinterEvent>) {
        let (tenth, hour) = (tenth(&self.job.progress), hour(&self.job.progress));
        if self.paused || (tenth <= self.tenth && hour <= self.hour) {
            return;
        }
        self.tenth = self.tenth.max(tenth);
        self.hour = self.hour.max(hour);
        events.push(self.event(at, EventKind::Progress));
    }

    fn event(&self, at: Timestamp, kind: EventKind) -> PrinterEvent {
        PrinterEvent {
            at,
            kind,
            print: Some(self.job.print.clone()),
            file: named(&self.job.file),
            progress: self.job.progress.clone(),
            message: None,
        }
    }

    fn name_of_file(&self) -> Option<&str> {
        (!self.job.file.is_empty()).then_some(self.job.file.as_str())
    }

    /// How it ended if nobody says.
    fn likely_outcome(&self) -> Outcome {
        match self.job.progress.percent {
            Some(99..) => Outcome::Complete,
            _ => Outcome::Failed,
        }
    }
}

fn named(file: &str) -> Option<String> {
    (!file.is_empty()).then(|| file.to_owned())
}

/// How many tenths are done; the last one never.
fn tenth(progress: &Progress) -> u8 {
    progress.percent.map_or(0, |percent| percent / 10).min(9)
}

fn hour(progress: &Progress) -> u64 {
    progress
        .printed_seconds
        .map_or(0, |seconds| seconds / 3_600)
}

fn complete_layers(progress: &Progress) -> u32 {
    progress.layer.map_or(0, |layer| layer.saturating_sub(1))
}
