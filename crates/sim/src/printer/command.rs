//! What single commands do to the machine: heaters, waits, fans, display, progress, moves.

use serde_json::json;

use super::event::Event;
use super::machine::{Machine, Step};
use super::state::PrinterState;
use crate::gcode::line::{Line, Remark};

/// The longest dwell that is sat through, in simulated seconds.
const LONGEST_DWELL: f64 = 3_600.0;
const LONGEST_MESSAGE: usize = 120;

impl Machine {
    /// Begins a line: at once what takes no time, as steps what does.
    pub(super) fn begin(&mut self, line: &Line) {
        let Some(command) = line.command else {
            return;
        };
        match command {
            ('G', 4) => self.dwell(line),
            ('M', 25) => self.steps.push_back(Step::Pause),
            ('M', 0 | 1) => self.wait(Event::new(
                "CommandSuppressed",
                json!({ "command": format!("M{}", command.1), "severity": "info" }),
            )),
            ('M', 226) => self.wait(Event::new("Waiting", json!(null))),
            ('M', 600) => self.wait(Event::new("FilamentChange", json!(null))),
            ('M', 104) => self.heat(line, false),
            ('M', 140) => self.heat(line, true),
            ('M', 109 | 190) => self.heat_and_wait(line, command.1 == 190),
            ('M', 106) => self.fan = (line.value('S').unwrap_or(255.0) / 255.0).clamp(0.0, 1.0),
            ('M', 107) => self.fan = 0.0,
            ('M', 112) => self.fail("Emergency stop was sent (M112)"),
            ('M', 117) => {
                self.show(&line.text);
            }
            ('M', 73) => self.note_progress(line),
            _ => {
                let travels = self.axes.apply(line);
                self.steps.extend(travels.into_iter().map(Step::Travel));
            }
        }
    }

    /// Stands still until somebody resumes; only a print can.
    fn wait(&mut self, event: Event) {
        self.events.push(event);
        self.steps.push_back(Step::Pause);
    }

    fn show(&mut self, text: &str) {
        self.message = (!text.is_empty()).then(|| text.chars().take(LONGEST_MESSAGE).collect());
    }

    /// Remembers what the file says about itself.
    pub(super) fn note(&mut self, line: &Line) {
        let (Some(run), Some(Remark::Layer(number))) = (&mut self.run, line.remark) else {
            return;
        };
        run.layer =
            Some(number.unwrap_or_else(|| run.layer.map_or(0, |layer| layer.saturating_add(1))));
    }

    fn note_progress(&mut self, line: &Line) {
        if let (Some(run), Some(minutes)) = (&mut self.run, line.value('R')) {
            run.said_left = Some((minutes.clamp(0.0, 1.0e6) * 60.0, run.elapsed));
        }
    }

    fn dwell(&mut self, line: &Line) {
        let seconds = line
            .value('S')
            .or_else(|| line.value('P').map(|ms| ms / 1_000.0))
            .unwrap_or(0.0);
        self.steps
            .push_back(Step::Dwell(seconds.clamp(0.0, LONGEST_DWELL)));
    }

    fn heat(&mut self, line: &Line, bed: bool) {
        if let Some(target) = line.value('S').or_else(|| line.value('R')) {
            let heater = if bed { &mut self.bed } else { &mut self.nozzle };
            heater.aim(target);
        }
    }

    fn heat_and_wait(&mut self, line: &Line, bed: bool) {
        self.heat(line, bed);
        // Typed while nothing prints, a wait would keep the next command waiting for minutes: it
        // does so on a real printer, too.
        self.steps.push_back(Step::WaitFor {
            bed,
            also_down: line.has('R'),
        });
    }

    /// Where the nozzle is, for the camera.
    pub(crate) fn head(&self) -> [f64; 3] {
        self.position
    }

    pub(crate) fn is_printing(&self) -> bool {
        self.state == PrinterState::Printing
    }
}
