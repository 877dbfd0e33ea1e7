//! What time makes of the machine: heating, moving, going on from line to line.

use serde_json::json;

use super::event::Event;
use super::machine::{Machine, Point, Step};
use super::state::PrinterState;
use crate::gcode::line::Line;
use crate::physics::motion::Travel;

/// Heaters and moves are stepped at least this finely, in simulated seconds.
const STEP: f64 = 0.25;
/// At very high speed factors one tick is cut into no more steps than this.
const MOST_STEPS: f64 = 400.0;
/// Lines that take no time (comments) must not keep one step from ending.
const MOST_LINES: usize = 2_000;
/// Temperature points kept: half an hour at one a second.
const MOST_POINTS: usize = 1_800;

impl Machine {
    /// Takes the reading of this second, once a second.
    pub(crate) fn sample(&mut self, now: i64) {
        if now == self.now {
            return;
        }
        self.now = now;
        if !self.state.is_operational() {
            return;
        }
        if self.points.len() == MOST_POINTS {
            self.points.pop_front();
        }
        let (nozzle, bed) = (
            (self.nozzle.reading(), self.nozzle.target),
            (self.bed.reading(), self.bed.target),
        );
        self.points.push_back(Point {
            time: now,
            nozzle,
            bed,
        });
        self.terminal.received(&format!(
            "T:{:.2} /{:.2} B:{:.2} /{:.2}",
            nozzle.0, nozzle.1, bed.0, bed.1
        ));
    }

    pub(crate) fn advance(&mut self, seconds: f64) {
        let step = STEP.max(seconds / MOST_STEPS);
        let mut left = seconds;
        while left > 1e-9 {
            let part = left.min(step);
            left -= part;
            self.nozzle.step(part);
            self.bed.step(part);
            if self.state.is_operational() {
                self.work(part);
            }
        }
    }

    fn work(&mut self, seconds: f64) {
        if let Some(run) = &mut self.run {
            run.elapsed += seconds;
        }
        let mut left = seconds;
        for _ in 0..MOST_LINES {
            while !self.steps.is_empty() {
                if !self.take_step(&mut left) {
                    return;
                }
            }
            if !self.next_line() {
                return;
            }
        }
    }

    /// Works on the first step; true when it is done.
    fn take_step(&mut self, left: &mut f64) -> bool {
        let Some(step) = self.steps.front() else {
            return true;
        };
        let done = match step {
            Step::Travel(travel) => {
                let travel = travel.clone();
                self.move_along(&travel, left)
            }
            Step::Dwell(seconds) => {
                let needed = *seconds;
                self.spend(needed, left)
            }
            Step::WaitFor { bed, also_down } => {
                let heater = if *bed { &self.bed } else { &self.nozzle };
                // Cancelling ends a wait: nobody sits through the rest of a heating.
                heater.arrived(*also_down) || self.state == PrinterState::Cancelling
            }
            Step::Pause => {
                if self.state == PrinterState::Printing {
                    self.enter(PrinterState::Pausing);
                }
                true
            }
        };
        if done {
            self.steps.pop_front();
            self.into_step = 0.0;
        }
        done
    }

    fn spend(&mut self, needed: f64, left: &mut f64) -> bool {
        let remaining = (needed - self.into_step).max(0.0);
        if remaining <= *left {
            *left -= remaining;
            return true;
        }
        self.into_step += *left;
        *left = 0.0;
        false
    }

    fn move_along(&mut self, travel: &Travel, left: &mut f64) -> bool {
        let done = self.spend(travel.seconds, left);
        self.position = if done {
            travel.to
        } else {
            travel.at(self.into_step / travel.seconds)
        };
        if travel.extrudes() {
            self.trace.extend(travel.from, self.position);
        }
        if done {
            self.trace.close();
            self.rise_to(travel.to[2]);
        }
        done
    }

    fn rise_to(&mut self, z: f64) {
        if self.current_z.is_none_or(|known| (known - z).abs() > 1e-6) {
            let payload = json!({ "new": z, "old": self.current_z });
            self.current_z = Some(z);
            self.events.push(Event::new("ZChange", payload));
        }
    }

    /// Begins the next line; false when there is nothing to do for now.
    fn next_line(&mut self) -> bool {
        if self.state == PrinterState::Cancelling {
            self.cancelled();
            return false;
        }
        if let Some(command) = self.typed.pop_front() {
            self.terminal.sent(&command);
            self.begin(&Line::parse(command.as_bytes()));
            self.terminal.received("ok");
            return true;
        }
        match self.state {
            PrinterState::Printing => self.next_of_file(),
            PrinterState::Pausing => {
                self.job_event("PrintPaused", &json!({}));
                self.enter(PrinterState::Paused);
                false
            }
            _ => false,
        }
    }

    fn next_of_file(&mut self) -> bool {
        let Some(run) = &mut self.run else {
            self.enter(PrinterState::Operational);
            return false;
        };
        let mut raw = Vec::new();
        match run.source.next_line(&mut raw) {
            Ok(Some(())) => {}
            Ok(None) => {
                self.done();
                return false;
            }
            Err(error) => {
                self.fail(&format!("The file could not be read on: {error}"));
                return false;
            }
        }
        let line = Line::parse(&raw);
        self.note(&line);
        if line.command.is_some() {
            self.terminal.sent(
                String::from_utf8_lossy(&raw)
                    .split(';')
                    .next()
                    .unwrap_or("")
                    .trim(),
            );
            self.begin(&line);
        }
        true
    }
}
