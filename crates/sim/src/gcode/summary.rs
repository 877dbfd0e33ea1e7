//! What a whole file amounts to: time, filament, extent, layers. Read once after an upload.

use std::io::BufRead;

use super::line::{Line, Remark};
use super::source::Source;
use crate::physics::motion::{Axes, Travel};

/// Reading stops here: an estimate of an estimate is good enough for a file this large.
const MOST_BYTES: u64 = 48 << 20;

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Summary {
    /// Simulated seconds.
    pub(crate) seconds: f64,
    pub(crate) filament_mm: f64,
    pub(crate) layers: Option<u32>,
    pub(crate) min: [f64; 3],
    pub(crate) max: [f64; 3],
}

impl Default for Summary {
    fn default() -> Self {
        Self {
            seconds: 0.0,
            filament_mm: 0.0,
            layers: None,
            min: [f64::MAX; 3],
            max: [f64::MIN; 3],
        }
    }
}

impl Summary {
    pub(crate) fn read(reader: impl BufRead + Send + 'static) -> Self {
        let mut source = Source::new(reader);
        let mut summary = Self::default();
        let mut axes = Axes::default();
        let mut raw = Vec::new();
        let (mut said, mut counted) = (None, 0);
        while source.position < MOST_BYTES && matches!(source.next_line(&mut raw), Ok(Some(()))) {
            let line = Line::parse(&raw);
            match line.remark {
                Some(Remark::Layer(_)) => counted += 1,
                Some(Remark::LayerCount(count)) => summary.layers = Some(count),
                Some(Remark::TotalSeconds(seconds)) => said = Some(seconds),
                None => {}
            }
            for travel in axes.apply(&line) {
                summary.add(&travel);
            }
        }
        summary.layers = summary.layers.or((counted > 0).then_some(counted));
        summary.seconds = said.unwrap_or(summary.seconds);
        summary
    }

    fn add(&mut self, travel: &Travel) {
        self.seconds += travel.seconds;
        if !travel.extrudes() {
            return;
        }
        self.filament_mm += travel.extruded;
        for point in [travel.from, travel.to] {
            for (axis, value) in point.iter().enumerate() {
                self.min[axis] = self.min[axis].min(*value);
                self.max[axis] = self.max[axis].max(*value);
            }
        }
    }

    /// Whether anything is extruded at all.
    pub(crate) fn has_extent(&self) -> bool {
        self.min[0] <= self.max[0]
    }
}
