//! What the machine tells: temperatures, job and progress in the shape the API and the socket share.
//! Times are divided by the speed factor, so that an app's "done at" is right on its own clock.

use serde_json::{Map, Value, json};

use super::event::leaf;
use super::job::{Progress, Selected};
use super::machine::{Machine, Point};
use crate::gcode::summary::Summary;

/// One look at the machine, for those who draw.
#[derive(Debug, Clone)]
pub(crate) struct Glance {
    pub(crate) head: [f64; 3],
    pub(crate) nozzle: (f64, f64),
    pub(crate) bed: (f64, f64),
    pub(crate) state: &'static str,
    pub(crate) printing: bool,
    pub(crate) operational: bool,
    /// Percent, when there is a job.
    pub(crate) completion: Option<f64>,
    /// Layer (from 1) and layers in all.
    pub(crate) layer: Option<(u32, Option<u32>)>,
}

impl Machine {
    pub(crate) fn glance(&self) -> Glance {
        let progress = self.progress();
        let layers = self
            .selected
            .as_ref()
            .and_then(|s| s.summary.as_ref())
            .and_then(|s| s.layers);
        Glance {
            head: self.head(),
            nozzle: (self.nozzle.reading(), self.nozzle.target),
            bed: (self.bed.reading(), self.bed.target),
            state: self.state.text(),
            printing: self.is_printing(),
            operational: self.state.is_operational(),
            completion: progress.map(|p| p.completion),
            layer: progress
                .and_then(|p| p.layer)
                .map(|layer| (layer.saturating_add(1), layers)),
        }
    }

    pub(crate) fn progress(&self) -> Option<Progress> {
        match (&self.run, &self.selected) {
            (Some(run), Some(selected)) => Some(run.progress(selected)),
            _ => self.finished,
        }
    }

    pub(crate) fn selected(&self) -> Option<&Selected> {
        self.selected.as_ref()
    }

    pub(crate) fn message(&self) -> Option<&str> {
        self.message.as_deref()
    }

    pub(crate) fn current_z(&self) -> Option<f64> {
        self.current_z
    }

    /// `{"tool0": {...}, "bed": {...}}`
    pub(crate) fn temperatures(&self) -> Map<String, Value> {
        let mut all = Map::new();
        for (name, heater) in [("tool0", &self.nozzle), ("bed", &self.bed)] {
            let now = json!({ "actual": heater.reading(), "target": heater.target, "offset": heater.offset });
            all.insert(name.to_owned(), now);
        }
        all
    }

    /// The latest readings, oldest first.
    pub(crate) fn history(&self, limit: usize) -> Vec<Value> {
        let skip = self.points.len().saturating_sub(limit);
        self.points
            .iter()
            .skip(skip)
            .copied()
            .map(Point::to_json)
            .collect()
    }

    pub(crate) fn job_json(&self, speed: f64) -> Value {
        let Some(selected) = &self.selected else {
            return json!({
                "file": { "name": null, "path": null, "display": null, "origin": null, "size": null, "date": null },
                "estimatedPrintTime": null, "averagePrintTime": null, "lastPrintTime": null,
                "filament": null, "user": null,
            });
        };
        let name = leaf(&selected.path);
        let last = self
            .outcomes(&selected.path)
            .last
            .filter(|(_, success, _)| *success)
            .map(|(_, _, s)| wall(s, speed));
        json!({
            "file": {
                "name": name, "path": selected.path, "display": name,
                "origin": "local", "size": selected.size, "date": selected.date,
            },
            "estimatedPrintTime": selected.summary.as_ref().map(|summary| wall(summary.seconds, speed)),
            "averagePrintTime": last,
            "lastPrintTime": last,
            "filament": selected.summary.as_ref().map(filament_json),
            "user": "_api",
        })
    }

    pub(crate) fn progress_json(&self, speed: f64) -> Value {
        let Some(progress) = self.progress() else {
            return json!({
                "completion": null, "filepos": null, "printTime": null,
                "printTimeLeft": null, "printTimeLeftOrigin": null,
            });
        };
        json!({
            "completion": progress.completion,
            "filepos": progress.position,
            "printTime": wall(progress.elapsed, speed).round(),
            "printTimeLeft": progress.left.map(|left| wall(left, speed).round()),
            "printTimeLeftOrigin": progress.left_origin,
        })
    }
}

impl Point {
    pub(crate) fn to_json(self) -> Value {
        json!({
            "time": self.time,
            "tool0": { "actual": self.nozzle.0, "target": self.nozzle.1 },
            "bed": { "actual": self.bed.0, "target": self.bed.1 },
        })
    }
}

pub(crate) fn filament_json(summary: &Summary) -> Value {
    // 1.75 mm filament has 2.405 square millimetres; the volume is given in cubic centimetres.
    json!({ "tool0": { "length": summary.filament_mm, "volume": summary.filament_mm * 2.405 / 1_000.0 } })
}

/// Simulated seconds as real ones.
pub(crate) fn wall(seconds: f64, speed: f64) -> f64 {
    seconds / speed
}
