//! The state machine: what may be asked of the printer in which state, and what time makes of it.
//! Knows no clock and no task; `advance` says how much simulated time has passed.

use std::collections::{HashMap, VecDeque};

use serde_json::json;

use super::event::{Event, leaf};
use super::job::{Outcomes, Progress, Run, Selected};
use super::state::PrinterState;
use super::terminal::Terminal;
use super::trace::Trace;
use crate::gcode::line::Line;
use crate::physics::motion::{Axes, Travel};
use crate::physics::thermal::{Heater, Traits};

/// Heaters and moves are stepped at least this finely, in simulated seconds.
const STEP: f64 = 0.25;
/// At very high speed factors one tick is cut into no more steps than this.
const MOST_STEPS: f64 = 400.0;
/// Lines that take no time (comments) must not keep one step from ending.
const MOST_LINES: usize = 2_000;
/// Commands typed by people that wait for the running move.
const MOST_TYPED: usize = 512;
/// Temperature points kept: half an hour at one a second.
const MOST_POINTS: usize = 1_800;

/// Why something asked for does not happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("printer is not operational")]
    NotOperational,
    #[error("printer is already printing")]
    Busy,
    #[error("printer is not printing")]
    NotPrinting,
    #[error("no file is selected")]
    NothingSelected,
    #[error("the file cannot be read")]
    FileGone,
    #[error("too many commands are waiting")]
    TooMany,
}

/// What the running line still has to do.
#[derive(Debug)]
pub(super) enum Step {
    Travel(Travel),
    WaitFor { bed: bool, also_down: bool },
    Dwell(f64),
    Pause,
}

/// One reading of all heaters.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Point {
    pub(crate) time: i64,
    pub(crate) nozzle: (f64, f64),
    pub(crate) bed: (f64, f64),
}

#[derive(Debug)]
pub(crate) struct Machine {
    pub(super) state: PrinterState,
    pub(super) axes: Axes,
    pub(super) position: [f64; 3],
    pub(crate) nozzle: Heater,
    pub(crate) bed: Heater,
    pub(super) fan: f64,
    pub(super) selected: Option<Selected>,
    pub(super) run: Option<Run>,
    pub(super) finished: Option<Progress>,
    pub(super) steps: VecDeque<Step>,
    into_step: f64,
    typed: VecDeque<String>,
    pub(crate) terminal: Terminal,
    pub(crate) trace: Trace,
    pub(super) points: VecDeque<Point>,
    pub(super) events: Vec<Event>,
    pub(super) message: Option<String>,
    pub(super) current_z: Option<f64>,
    outcomes: HashMap<String, Outcomes>,
    now: i64,
    /// The fault: a printer that is switched off cannot be connected.
    unplugged: bool,
}

impl Machine {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            state: PrinterState::Operational,
            axes: Axes::default(),
            position: Axes::default().target,
            nozzle: Heater::new(Traits::NOZZLE, seed),
            bed: Heater::new(Traits::BED, seed.wrapping_add(1)),
            fan: 0.0,
            selected: None,
            run: None,
            finished: None,
            steps: VecDeque::new(),
            into_step: 0.0,
            typed: VecDeque::new(),
            terminal: Terminal::default(),
            trace: Trace::default(),
            points: VecDeque::new(),
            events: Vec::new(),
            message: None,
            current_z: None,
            outcomes: HashMap::new(),
            now: 0,
            unplugged: false,
        }
    }

    pub(crate) fn state(&self) -> PrinterState {
        self.state.clone()
    }

    pub(crate) fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    // What people and apps ask for.

    pub(crate) fn connect(&mut self) {
        if self.state.is_operational() || self.unplugged {
            return;
        }
        self.enter(PrinterState::Operational);
        self.events.push(Event::new(
            "Connected",
            json!({ "port": "VIRTUAL", "baudrate": 115_200 }),
        ));
    }

    pub(crate) fn disconnect(&mut self) {
        if !self.state.is_operational() {
            return;
        }
        self.abandon("disconnected");
        self.heaters_off();
        self.enter(PrinterState::Offline);
        self.events.push(Event::new("Disconnected", json!(null)));
    }

    /// Takes the printer's power away, or gives it back and connects.
    pub(crate) fn unplug(&mut self, unplugged: bool) {
        if unplugged == self.unplugged {
            return;
        }
        self.unplugged = unplugged;
        if unplugged {
            self.disconnect();
        } else {
            self.connect();
        }
    }

    pub(crate) fn select(&mut self, file: Selected) -> Result<(), Refusal> {
        self.ready_for_a_job()?;
        self.events
            .push(Event::about_file("FileSelected", &file.path));
        self.finished = None;
        self.selected = Some(file);
        Ok(())
    }

    /// Forgets the selection; what is being printed cannot be forgotten.
    pub(crate) fn unselect(&mut self) -> Result<(), Refusal> {
        if self.state.is_busy() {
            return Err(Refusal::Busy);
        }
        if self.selected.take().is_some() {
            self.finished = None;
            self.events.push(Event::new("FileDeselected", json!(null)));
        }
        Ok(())
    }

    pub(crate) fn start(&mut self) -> Result<(), Refusal> {
        self.ready_for_a_job()?;
        let selected = self.selected.as_ref().ok_or(Refusal::NothingSelected)?;
        let run = Run::open(selected).map_err(|_| Refusal::FileGone)?;
        self.run = Some(run);
        self.finished = None;
        self.trace.clear();
        self.axes = Axes::at(self.position);
        self.job_event("PrintStarted", &json!({}));
        self.enter(PrinterState::Printing);
        Ok(())
    }

    pub(crate) fn restart(&mut self) -> Result<(), Refusal> {
        if self.state != PrinterState::Paused {
            return Err(if self.state.is_operational() {
                Refusal::NotPrinting
            } else {
                Refusal::NotOperational
            });
        }
        self.abandon("restarted");
        self.enter(PrinterState::Operational);
        self.start()
    }

    pub(crate) fn cancel(&mut self) -> Result<(), Refusal> {
        self.busy()?;
        if self.state != PrinterState::Cancelling {
            self.job_event("PrintCancelling", &json!({}));
            self.enter(PrinterState::Cancelling);
        }
        Ok(())
    }

    pub(crate) fn pause(&mut self) -> Result<(), Refusal> {
        self.busy()?;
        if self.state == PrinterState::Printing {
            self.enter(PrinterState::Pausing);
        }
        Ok(())
    }

    pub(crate) fn resume(&mut self) -> Result<(), Refusal> {
        self.busy()?;
        if matches!(self.state, PrinterState::Paused | PrinterState::Pausing) {
            self.job_event("PrintResumed", &json!({}));
            self.enter(PrinterState::Printing);
        }
        Ok(())
    }

    /// Queues commands typed by hand or sent by an app. `M112` does not wait for its turn.
    pub(crate) fn type_commands(
        &mut self,
        commands: impl IntoIterator<Item = String>,
    ) -> Result<(), Refusal> {
        if !self.state.is_operational() {
            return Err(Refusal::NotOperational);
        }
        for command in commands {
            if Line::parse(command.as_bytes()).command == Some(('M', 112)) {
                self.fail("Emergency stop was pressed (M112)");
                return Ok(());
            }
            if self.typed.len() >= MOST_TYPED {
                return Err(Refusal::TooMany);
            }
            self.typed.push_back(command);
        }
        Ok(())
    }

    /// Whether the head may be moved by hand.
    pub(crate) fn free_head(&self) -> Result<(), Refusal> {
        match &self.state {
            state if !state.is_operational() => Err(Refusal::NotOperational),
            state if state.is_moving() => Err(Refusal::Busy),
            _ => Ok(()),
        }
    }

    // Time.

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

    // Ends.

    fn done(&mut self) {
        let elapsed = self.run.as_ref().map_or(0.0, |run| run.elapsed);
        if let Some(selected) = &self.selected {
            let layer = self.run.as_ref().and_then(|run| run.layer);
            self.finished = Some(Progress {
                position: selected.size,
                completion: 100.0,
                elapsed,
                left: Some(0.0),
                left_origin: None,
                layer,
            });
        }
        self.record(true, elapsed);
        self.job_event("PrintDone", &json!({ "time": elapsed }));
        self.run = None;
        self.enter(PrinterState::Operational);
    }

    fn cancelled(&mut self) {
        self.typed.clear();
        self.abandon("cancelled");
        self.heaters_off();
        self.enter(PrinterState::Operational);
    }

    /// Ends the run, if there is one, without success.
    fn abandon(&mut self, reason: &str) {
        self.steps.clear();
        self.into_step = 0.0;
        self.trace.close();
        self.axes.target = self.position;
        let Some(run) = self.run.take() else {
            return;
        };
        self.record(false, run.elapsed);
        let members = json!({ "time": run.elapsed, "reason": reason });
        if reason == "cancelled" {
            self.job_event("PrintCancelled", &members);
        }
        self.job_event("PrintFailed", &members);
    }

    pub(super) fn fail(&mut self, error: &str) {
        self.typed.clear();
        self.abandon("error");
        self.heaters_off();
        self.events.push(Event::new(
            "Error",
            json!({ "error": error, "reason": "firmware" }),
        ));
        self.enter(PrinterState::Error(error.to_owned()));
        self.events.push(Event::new("Disconnected", json!(null)));
    }

    fn heaters_off(&mut self) {
        self.nozzle.aim(0.0);
        self.bed.aim(0.0);
        self.fan = 0.0;
    }

    fn record(&mut self, success: bool, elapsed: f64) {
        let Some(selected) = &self.selected else {
            return;
        };
        let outcomes = self.outcomes.entry(selected.path.clone()).or_default();
        if success {
            outcomes.success += 1;
        } else {
            outcomes.failure += 1;
        }
        outcomes.last = Some((self.now, success, elapsed));
    }

    pub(crate) fn outcomes(&self, path: &str) -> Outcomes {
        self.outcomes.get(path).copied().unwrap_or_default()
    }

    pub(crate) fn forget_outcomes(&mut self, path: &str) {
        self.outcomes.remove(path);
    }

    // Small parts.

    fn ready_for_a_job(&self) -> Result<(), Refusal> {
        match &self.state {
            state if !state.is_operational() => Err(Refusal::NotOperational),
            state if state.is_busy() => Err(Refusal::Busy),
            _ => Ok(()),
        }
    }

    fn busy(&self) -> Result<(), Refusal> {
        match &self.state {
            state if !state.is_operational() => Err(Refusal::NotOperational),
            state if !state.is_busy() => Err(Refusal::NotPrinting),
            _ => Ok(()),
        }
    }

    fn enter(&mut self, state: PrinterState) {
        if self.state == state {
            return;
        }
        let payload = json!({ "state_id": state.id(), "state_string": state.text() });
        self.state = state;
        self.events.push(Event::new("PrinterStateChanged", payload));
    }

    fn job_event(&mut self, name: &'static str, more: &serde_json::Value) {
        let Some(selected) = &self.selected else {
            return;
        };
        let mut payload = json!({
            "name": leaf(&selected.path),
            "path": selected.path,
            "display": leaf(&selected.path),
            "origin": "local",
            "size": selected.size,
            "owner": "_api",
            "user": "_api",
        });
        if let (Some(into), Some(more)) = (payload.as_object_mut(), more.as_object()) {
            into.extend(more.clone());
        }
        self.events.push(Event::new(name, payload));
    }
}
