//! Job life cycles on a machine whose time the test decides.

use std::io::Write as _;

use tempfile::NamedTempFile;

use super::job::Selected;
use super::machine::{Machine, Refusal};
use super::state::PrinterState as S;

fn file(text: &str) -> (NamedTempFile, Selected) {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    let selected = Selected {
        path: "folder/part.gcode".into(),
        on_disk: file.path().into(),
        size: text.len().try_into().unwrap(),
        date: 0,
        summary: None,
    };
    (file, selected)
}

fn printing(text: &str) -> (NamedTempFile, Machine) {
    let (file, selected) = file(text);
    let mut machine = Machine::new(1);
    machine.select(selected).unwrap();
    machine.start().unwrap();
    (file, machine)
}

fn names(machine: &mut Machine) -> Vec<&'static str> {
    machine
        .take_events()
        .iter()
        .map(|event| event.name)
        .filter(|name| *name != "PrinterStateChanged")
        .collect()
}

#[test]
fn a_print_runs_from_started_to_done() {
    let (_file, mut machine) = printing(";LAYER:0\nG28\nG1 X10 E5 F600\n;LAYER:1\nG1 Z5\n");
    machine.advance(120.0);
    assert_eq!(machine.state(), S::Operational);
    assert_eq!(
        names(&mut machine),
        [
            "FileSelected",
            "PrintStarted",
            "ZChange",
            "ZChange",
            "PrintDone"
        ]
    );
    assert!((machine.progress().unwrap().completion - 100.0).abs() < f64::EPSILON);
    assert_eq!(machine.glance().layer, Some((2, None)));
    assert_eq!(machine.trace.since(0).len(), 1);
    assert_eq!(machine.outcomes("folder/part.gcode").success, 1);
}

#[test]
fn heating_is_waited_for() {
    let (_file, mut machine) = printing("M109 S200\nG1 X100 F60\n");
    machine.advance(10.0);
    assert_eq!(machine.state(), S::Printing);
    assert!(machine.head()[0] < 1.0);
    machine.advance(80.0);
    assert!(machine.head()[0] > 10.0);
}

#[test]
fn what_waits_for_somebody_says_so_and_pauses() {
    for (command, event) in [
        ("M0 Insert the nut", "CommandSuppressed"),
        ("M226", "Waiting"),
        ("M600", "FilamentChange"),
    ] {
        let (_file, mut machine) = printing(&format!("{command}\nG1 X60 F60\n"));
        machine.advance(5.0);
        assert_eq!(machine.state(), S::Paused, "{command}");
        assert_eq!(
            names(&mut machine),
            ["FileSelected", "PrintStarted", event, "PrintPaused"]
        );
    }
}

#[test]
fn pausing_finishes_the_move_and_resuming_goes_on() {
    let (_file, mut machine) = printing("G1 X60 F60\nG1 X120\n");
    machine.advance(5.0);
    machine.pause().unwrap();
    assert_eq!(machine.state(), S::Pausing);
    machine.advance(100.0);
    assert_eq!(machine.state(), S::Paused);
    assert!((machine.head()[0] - 60.0).abs() < 1e-6);
    machine.resume().unwrap();
    machine.advance(100.0);
    assert_eq!(machine.state(), S::Operational);
}

#[test]
fn a_file_can_pause_itself() {
    let (_file, mut machine) = printing("G1 X10 F600\nM600\nG1 X20\n");
    machine.advance(60.0);
    assert_eq!(machine.state(), S::Paused);
}

#[test]
fn cancelling_ends_even_a_wait_for_heat() {
    let (_file, mut machine) = printing("M190 S100\nG1 X50\n");
    machine.advance(1.0);
    machine.cancel().unwrap();
    assert_eq!(machine.state(), S::Cancelling);
    machine.advance(1.0);
    assert_eq!(machine.state(), S::Operational);
    assert_eq!(
        names(&mut machine),
        [
            "FileSelected",
            "PrintStarted",
            "PrintCancelling",
            "PrintCancelled",
            "PrintFailed"
        ]
    );
    assert!(machine.bed.target.abs() < f64::EPSILON);
}

#[test]
fn requests_that_do_not_fit_the_state_are_refused() {
    let mut idle = Machine::new(1);
    assert_eq!(idle.start(), Err(Refusal::NothingSelected));
    assert_eq!(idle.cancel(), Err(Refusal::NotPrinting));
    assert_eq!(idle.restart(), Err(Refusal::NotPrinting));
    let (_file, mut busy) = printing("G4 S1000\n");
    busy.advance(1.0);
    assert_eq!(busy.start(), Err(Refusal::Busy));
    assert_eq!(busy.free_head(), Err(Refusal::Busy));
    assert_eq!(busy.unselect(), Err(Refusal::Busy));
    busy.disconnect();
    assert_eq!(busy.state(), S::Offline);
    assert_eq!(busy.start(), Err(Refusal::NotOperational));
    assert_eq!(
        busy.type_commands(["G28".to_owned()]),
        Err(Refusal::NotOperational)
    );
}

#[test]
fn emergency_stop_needs_a_new_connection() {
    let (_file, mut machine) = printing("G4 S1000\n");
    machine.type_commands(["M112".to_owned()]).unwrap();
    assert!(matches!(machine.state(), S::Error(_)));
    machine.advance(10.0);
    assert!(matches!(machine.state(), S::Error(_)));
    machine.connect();
    assert_eq!(machine.state(), S::Operational);
}

#[test]
fn an_unplugged_printer_cannot_be_connected() {
    let mut machine = Machine::new(1);
    machine.unplug(true);
    machine.connect();
    assert_eq!(machine.state(), S::Offline);
    machine.unplug(false);
    assert_eq!(machine.state(), S::Operational);
}

#[test]
fn commands_typed_during_a_print_come_between_its_lines() {
    let (_file, mut machine) = printing("G1 X60 F60\nG1 X120\n");
    machine
        .type_commands(["M117 Hello".to_owned(), "M140 S50".to_owned()])
        .unwrap();
    machine.advance(61.0);
    assert_eq!(machine.message(), Some("Hello"));
    assert!((machine.bed.target - 50.0).abs() < f64::EPSILON);
}

#[test]
fn a_file_of_garbage_is_printed_without_harm() {
    let (_file, mut machine) = printing(&"\u{fffd}\u{0}G M X1e99 \n;;;\n".repeat(5_000));
    machine.advance(2_000.0);
    assert_eq!(machine.state(), S::Operational);
}
