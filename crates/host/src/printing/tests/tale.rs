//! Tales, told step by step.

use std::time::Duration;

use latchkey_model::chance::SeededChance;
use latchkey_model::clock::Timestamp;
use latchkey_model::id::PrintId;
use latchkey_model::printing::{Condition, EventKind, PrinterEvent, PrinterState};

use crate::printing::seen::{Outcome, Seen, Told};
use crate::printing::tale::Tale;

const GRACE: Duration = Duration::from_secs(4);

/// A tale with a clock that goes a second a step.
struct Telling {
    tale: Tale,
    chance: SeededChance,
    second: i64,
    last: Vec<PrinterEvent>,
}

impl Telling {
    fn new(grace: Duration) -> Self {
        Self {
            tale: Tale::new(grace),
            chance: SeededChance::new(3),
            second: 0,
            last: Vec::new(),
        }
    }

    /// One that knows a printer that does nothing.
    fn begun() -> Self {
        let mut telling = Self::new(GRACE);
        assert_eq!(telling.see(ready()), []);
        telling
    }

    /// One that prints.
    fn printing() -> Self {
        let mut telling = Self::begun();
        assert_eq!(telling.see(print(0, 0)), [EventKind::Started]);
        telling
    }

    /// One that prints at a server whose every word counts at once.
    fn printing_at_once() -> Self {
        let mut telling = Self::new(Duration::ZERO);
        telling.see(ready());
        assert_eq!(telling.see(print(0, 0)), [EventKind::Started]);
        telling
    }

    fn now(&mut self) -> Timestamp {
        self.second += 1;
        Timestamp::from_millis(self.second * 1_000)
    }

    fn see(&mut self, seen: Seen) -> Vec<EventKind> {
        let at = self.now();
        self.last = self.tale.see(at, seen, &self.chance);
        self.kinds()
    }

    fn hear(&mut self, told: Told) -> Vec<EventKind> {
        let at = self.now();
        self.last = self.tale.hear(at, told, &self.chance);
        self.kinds()
    }

    fn kinds(&self) -> Vec<EventKind> {
        self.last.iter().map(|event| event.kind).collect()
    }

    fn state(&self) -> PrinterState {
        self.tale
            .state(Timestamp::from_millis(self.second * 1_000), false)
    }

    fn print_id(&self) -> PrintId {
        self.state().job.unwrap().print
    }

    fn wait(&mut self, seconds: i64) {
        self.second += seconds;
    }
}

fn ready() -> Seen {
    Seen::new(Condition::Ready)
}

/// A print of one file, so far and for so long.
fn print(percent: u8, seconds: u64) -> Seen {
    let mut seen = Seen::new(Condition::Printing);
    seen.file = Some("vase.gcode".to_owned());
    seen.progress.percent = Some(percent);
    seen.progress.printed_seconds = Some(seconds);
    seen
}

fn paused(percent: u8, seconds: u64) -> Seen {
    Seen {
        condition: Condition::Paused,
        ..print(percent, seconds)
    }
}

fn error(message: &str) -> Seen {
    Seen {
        message: Some(message.to_owned()),
        ..Seen::new(Condition::Error)
    }
}

fn over(outcome: Outcome) -> Seen {
    Seen {
        outcome: Some(outcome),
        ..ready()
    }
}

#[test]
fn a_print_begins_comes_further_and_is_complete() {
    let mut telling = Telling::printing();
    let id = telling.print_id();
    assert_eq!(
        telling.state().job.unwrap().started.unwrap().millis(),
        2_000
    );
    assert_eq!(telling.see(print(9, 60)), []);
    assert_eq!(telling.see(print(10, 90)), [EventKind::Progress]);
    assert_eq!(telling.see(print(10, 95)), []);
    assert_eq!(telling.see(print(35, 200)), [EventKind::Progress]);
    assert_eq!(telling.see(print(31, 200)), [], "servers estimate anew");
    assert_eq!(telling.see(print(39, 3_600)), [EventKind::Progress]);
    assert_eq!(telling.see(print(100, 3_700)), [EventKind::Progress]);
    let ended = telling.hear(Told::Ended(Outcome::Complete, None));
    assert_eq!(ended, [EventKind::Complete]);
    assert_eq!(telling.last[0].print.as_ref(), Some(&id));
    assert_eq!(telling.last[0].progress.percent, Some(100));
    // It is shown for a moment longer.
    assert_eq!(telling.see(print(100, 3_700)), []);
    assert_eq!(telling.state().condition, Condition::Ready);
    assert_eq!(telling.see(ready()), []);
    assert_eq!(telling.print_id(), id, "the last print is known still");
    assert_eq!(telling.see(print(0, 0)), [EventKind::Started]);
    assert_ne!(telling.print_id(), id);
}

#[test]
fn what_was_so_already_is_no_event() {
    let mut telling = Telling::new(GRACE);
    let mut seen = paused(57, 8_000);
    seen.progress.layer = Some(9);
    assert_eq!(telling.see(seen.clone()), []);
    assert_eq!(telling.state().job.unwrap().started, None);
    assert_eq!(telling.see(seen), []);
    let mut seen = print(58, 8_001);
    seen.progress.layer = Some(9);
    assert_eq!(telling.see(seen), [EventKind::Resumed]);
    let mut telling = Telling::new(GRACE);
    assert_eq!(telling.see(error("thermal runaway")), []);
    assert_eq!(telling.see(error("thermal runaway")), []);
}

#[test]
fn pauses_and_what_they_are_for_are_told_once() {
    let mut telling = Telling::printing();
    let wants = |message: &str| Told::FilamentChange(Some(message.to_owned()));
    assert_eq!(telling.hear(wants("load red")), [EventKind::FilamentChange]);
    assert_eq!(telling.last[0].message.as_deref(), Some("load red"));
    assert_eq!(telling.hear(wants("load red")), []);
    assert_eq!(telling.see(paused(5, 30)), [EventKind::Paused]);
    assert_eq!(telling.state().message.as_deref(), Some("load red"));
    telling.wait(3_600);
    assert_eq!(telling.hear(wants("load red")), [], "it waits still");
    assert_eq!(telling.see(paused(5, 30)), []);
    assert_eq!(telling.see(print(5, 30)), [EventKind::Resumed]);
    assert_eq!(telling.state().message, None);
    assert_eq!(
        telling.hear(wants("load blue")),
        [EventKind::FilamentChange]
    );
    let asks = || Told::UserInteraction(None);
    assert_eq!(telling.hear(asks()), [EventKind::UserInteraction]);
    telling.wait(90);
    assert_eq!(telling.see(print(6, 120)), []);
    assert_eq!(
        telling.hear(asks()),
        [EventKind::UserInteraction],
        "another one"
    );
    let mut idle = Telling::begun();
    assert_eq!(idle.hear(wants("load red")), [], "nothing is printed");
}

#[test]
fn an_end_that_nobody_tells_is_made_out_after_a_while() {
    for (percent, shown, kind) in [
        (99, None, EventKind::Complete),
        (50, Some(100), EventKind::Complete),
        (50, None, EventKind::Failed),
    ] {
        let mut telling = Telling::printing();
        telling.see(print(percent, 60));
        let mut seen = ready();
        seen.progress.percent = shown;
        for _ in 0..4 {
            assert_eq!(telling.see(seen.clone()), []);
            assert_eq!(telling.state().condition, Condition::Printing);
        }
        assert_eq!(telling.see(seen.clone()), [kind]);
        assert_eq!(telling.state().condition, Condition::Ready);
        let late = telling.hear(Told::Ended(Outcome::Failed, None));
        assert_eq!(late, [], "it is over already");
    }
    let mut telling = Telling::printing();
    assert_eq!(telling.see(ready()), []);
    let ended = telling.hear(Told::Ended(Outcome::Failed, Some("cancelled".to_owned())));
    assert_eq!(ended, [EventKind::Failed]);
    assert_eq!(telling.last[0].message.as_deref(), Some("cancelled"));
    assert_eq!(telling.see(ready()), []);
}

#[test]
fn a_server_that_shows_how_it_ended_is_believed_at_once() {
    for (outcome, kind) in [
        (Outcome::Complete, EventKind::Complete),
        (Outcome::Failed, EventKind::Failed),
    ] {
        let mut telling = Telling::new(Duration::ZERO);
        telling.see(over(outcome));
        assert_eq!(telling.see(print(0, 0)), [EventKind::Started]);
        assert_eq!(telling.see(over(outcome)), [kind]);
        assert_eq!(telling.see(over(outcome)), []);
        assert_eq!(telling.see(print(0, 0)), [EventKind::Started]);
    }
}

#[test]
fn a_print_stays_the_same_while_its_server_is_away() {
    let mut telling = Telling::printing_at_once();
    telling.see(print(20, 100));
    let id = telling.print_id();
    telling.tale.unreachable();
    assert_eq!(telling.state().condition, Condition::Unavailable);
    assert_eq!(telling.print_id(), id);
    telling.wait(600);
    assert_eq!(telling.see(print(41, 700)), [EventKind::Progress]);
    assert_eq!(telling.print_id(), id);
    telling.tale.unreachable();
    // It was another one meanwhile.
    let events = telling.see(print(1, 20));
    assert_eq!(events, [EventKind::Failed, EventKind::Started]);
    assert_ne!(telling.print_id(), id);
    let other = Seen {
        file: Some("other.gcode".to_owned()),
        ..print(50, 90)
    };
    let events = telling.see(other);
    assert_eq!(
        events,
        [EventKind::Failed, EventKind::Started, EventKind::Progress]
    );
}

#[test]
fn what_is_left_of_the_print_before_is_not_another_one() {
    let stale = || Seen {
        file: Some("before.gcode".to_owned()),
        ..print(100, 900)
    };
    // Told first, then seen with the file of the one before.
    let mut telling = Telling::begun();
    let started = || Told::Started(Some("vase.gcode".to_owned()));
    assert_eq!(telling.hear(started()), [EventKind::Started]);
    let id = telling.print_id();
    assert_eq!(telling.see(stale()), []);
    assert_eq!(telling.see(print(0, 0)), []);
    assert_eq!(telling.print_id(), id);
    // The other way round.
    let mut telling = Telling::begun();
    assert_eq!(telling.see(stale())[0], EventKind::Started);
    assert_eq!(telling.hear(started()), []);
    assert_eq!(telling.state().job.unwrap().file, "vase.gcode");
    // What stays is another one.
    let mut telling = Telling::printing();
    for _ in 0..4 {
        assert_eq!(telling.see(stale()), []);
    }
    assert_eq!(
        telling.see(stale())[..2],
        [EventKind::Failed, EventKind::Started]
    );
}

#[test]
fn the_same_file_again_is_another_print() {
    let mut telling = Telling::printing_at_once();
    let numbered = |job: &str| Seen {
        job: Some(job.to_owned()),
        ..print(99, 90)
    };
    telling.see(numbered("1"));
    let events = telling.see(numbered("2"));
    assert_eq!(events[..2], [EventKind::Complete, EventKind::Started]);
    // A server that tells of the beginning after it was seen tells nothing new.
    let mut telling = Telling::printing();
    let started = || Told::Started(Some("vase.gcode".to_owned()));
    assert_eq!(telling.hear(started()), []);
    telling.wait(60);
    assert_eq!(
        telling.hear(started()),
        [EventKind::Failed, EventKind::Started]
    );
    // Also before the end of the one before is seen.
    let mut telling = Telling::printing();
    telling.hear(Told::Ended(Outcome::Failed, None));
    assert_eq!(telling.hear(started()), [EventKind::Started]);
    assert_eq!(telling.see(print(0, 0)), []);
}

#[test]
fn an_error_is_one_however_it_is_learned() {
    let mut telling = Telling::printing();
    let told = Told::Error(Some("thermal runaway".to_owned()));
    assert_eq!(telling.hear(told), [EventKind::Error]);
    assert!(telling.last[0].print.is_some());
    assert_eq!(telling.see(print(1, 1)), [], "older than the error");
    let ended = telling.hear(Told::Ended(Outcome::Failed, None));
    assert_eq!(ended, [EventKind::Failed]);
    assert_eq!(telling.see(error("thermal runaway")), []);
    telling.wait(60);
    assert_eq!(telling.see(ready()), []);
    assert_eq!(telling.see(error("again")), [EventKind::Error]);
    assert_eq!(telling.last[0].message.as_deref(), Some("again"));
    assert_eq!(telling.last[0].print, None);
    assert_eq!(telling.state().message.as_deref(), Some("again"));
}

#[test]
fn layers_are_told_when_they_are_complete() {
    let layer = |layer: u32| {
        let mut seen = print(1, 10);
        seen.progress.layer = Some(layer);
        seen
    };
    let mut telling = Telling::printing();
    assert_eq!(telling.see(layer(1)), []);
    assert_eq!(telling.see(layer(2)), [EventKind::FirstLayer]);
    assert_eq!(telling.see(layer(1)), []);
    assert_eq!(telling.see(layer(2)), []);
    assert_eq!(telling.see(layer(3)), []);
    assert_eq!(telling.see(layer(4)), [EventKind::ThirdLayer]);
    let mut quick = Telling::printing();
    assert_eq!(
        quick.see(layer(7)),
        [EventKind::FirstLayer, EventKind::ThirdLayer]
    );
}
