//! The state machine: what may be asked of the printer, and in which state.
//! Knows no clock and no task. What time makes of it is in `work`, how jobs end in `ending`.

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

/// Commands typed by people that wait for the running move.
const MOST_TYPED: usize = 512;

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
    pub(super) into_step: f64,
    pub(super) typed: VecDeque<String>,
    pub(crate) terminal: Terminal,
    pub(crate) trace: Trace,
    pub(super) points: VecDeque<Point>,
    pub(super) events: Vec<Event>,
    pub(super) message: Option<String>,
    pub(super) current_z: Option<f64>,
    pub(super) outcomes: HashMap<String, Outcomes>,
    pub(super) now: i64,
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

    pub(super) fn enter(&mut self, state: PrinterState) {
        if self.state == state {
            return;
        }
        let payload = json!({ "state_id": state.id(), "state_string": state.text() });
        self.state = state;
        self.events.push(Event::new("PrinterStateChanged", payload));
    }

    pub(super) fn job_event(&mut self, name: &'static str, more: &serde_json::Value) {
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
