//! How jobs end: done, cancelled, failed, and what is remembered of it.

use serde_json::json;

use super::event::Event;
use super::job::{Outcomes, Progress};
use super::machine::Machine;
use super::state::PrinterState;

impl Machine {
    pub(super) fn done(&mut self) {
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

    pub(super) fn cancelled(&mut self) {
        self.typed.clear();
        self.abandon("cancelled");
        self.heaters_off();
        self.enter(PrinterState::Operational);
    }

    /// Ends the run, if there is one, without success.
    pub(super) fn abandon(&mut self, reason: &str) {
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

    pub(super) fn heaters_off(&mut self) {
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
}
