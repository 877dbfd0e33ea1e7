//! The selected file and the run through it.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::PathBuf;

use crate::gcode::source::Source;
use crate::gcode::summary::Summary;

/// A file chosen for printing.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Selected {
    /// Path inside the library, with `/`.
    pub(crate) path: String,
    pub(crate) on_disk: PathBuf,
    pub(crate) size: u64,
    /// Unix seconds of the last change.
    pub(crate) date: i64,
    pub(crate) summary: Option<Summary>,
}

/// One pass through the selected file.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) source: Source,
    /// Simulated seconds since the start.
    pub(crate) elapsed: f64,
    /// Counted from 0.
    pub(crate) layer: Option<u32>,
    /// What `M73` said: percent and seconds left, with the moment (in `elapsed`) it was said.
    pub(crate) said_left: Option<(f64, f64)>,
}

/// How far a run has come; kept when it is over.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Progress {
    pub(crate) position: u64,
    /// 0 to 100.
    pub(crate) completion: f64,
    pub(crate) elapsed: f64,
    pub(crate) left: Option<f64>,
    /// OctoPrint's name for where `left` comes from.
    pub(crate) left_origin: Option<&'static str>,
    pub(crate) layer: Option<u32>,
}

/// How often a file was printed, and how it went.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Outcomes {
    pub(crate) success: u32,
    pub(crate) failure: u32,
    /// Unix seconds, success, simulated seconds of the latest.
    pub(crate) last: Option<(i64, bool, f64)>,
}

impl Run {
    pub(crate) fn open(selected: &Selected) -> io::Result<Self> {
        let file = File::open(&selected.on_disk)?;
        Ok(Self {
            source: Source::new(BufReader::new(file)),
            elapsed: 0.0,
            layer: None,
            said_left: None,
        })
    }

    pub(crate) fn progress(&self, selected: &Selected) -> Progress {
        let share = share(self.source.position, selected.size);
        let (left, left_origin) = self.left(selected, share);
        Progress {
            position: self.source.position,
            completion: share * 100.0,
            elapsed: self.elapsed,
            left,
            left_origin,
            layer: self.layer,
        }
    }

    fn left(&self, selected: &Selected, share: f64) -> (Option<f64>, Option<&'static str>) {
        if let Some((left, at)) = self.said_left {
            return (
                Some((left - (self.elapsed - at)).max(0.0)),
                Some("estimate"),
            );
        }
        if let Some(total) = selected
            .summary
            .as_ref()
            .map(|summary| summary.seconds)
            .filter(|seconds| *seconds > 0.0)
        {
            return (Some(total * (1.0 - share)), Some("analysis"));
        }
        if share > 0.02 {
            return (Some(self.elapsed / share * (1.0 - share)), Some("linear"));
        }
        (None, None)
    }
}

#[expect(clippy::cast_precision_loss, reason = "a share needs no exact bytes")]
fn share(position: u64, size: u64) -> f64 {
    if size == 0 {
        1.0
    } else {
        (position as f64 / size as f64).min(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{Run, Selected, share};
    use crate::gcode::source::Source;

    #[test]
    fn an_empty_file_is_done_at_once() {
        assert!((share(0, 0) - 1.0).abs() < f64::EPSILON);
        assert!((share(50, 200) - 0.25).abs() < f64::EPSILON);
    }

    #[test]
    fn time_left_comes_from_the_best_source_there_is() {
        let selected = Selected {
            path: "a.gcode".into(),
            on_disk: "a".into(),
            size: 100,
            date: 0,
            summary: None,
        };
        let mut run = Run {
            source: Source::new(std::io::empty()),
            elapsed: 50.0,
            layer: None,
            said_left: None,
        };
        assert_eq!(run.progress(&selected).left_origin, None);
        run.source.position = 50;
        assert_eq!(run.progress(&selected).left, Some(50.0));
        run.said_left = Some((30.0, 40.0));
        assert_eq!(run.progress(&selected).left, Some(20.0));
    }
}
