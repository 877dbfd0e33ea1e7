//! `/latchkey/` for somebody who is signed in.

use std::time::Duration;

use askama::Template;
use latchkey_web::landing::{RelayLink, Upstream};
use latchkey_web::shell::BarShell;

use super::{Pending, Site, Viewer, Whence};

#[derive(Debug, Clone, Template)]
#[template(path = "host/home.html")]
pub struct Home {
    pub shell: BarShell,
    pub site: Site,
    pub viewer: Viewer,
    pub upstream: Upstream,
    pub relay: RelayLink,
    /// As last heard; `None` before anything is. Scripts keep it up to date.
    pub printer: Option<Printer>,
    pub camera: Option<Camera>,
    pub pending: Vec<Pending>,
    pub version: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Camera {
    /// A path of this host, without the prefix; the policy lets nothing else in.
    pub url: String,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Printer {
    pub state: PrinterState,
    pub job: Option<Job>,
    /// The first nozzle, where there is one.
    pub nozzle: Option<Temperature>,
    pub bed: Option<Temperature>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PrinterState {
    Printing,
    Ready,
    Paused,
    Error,
    Offline,
}

impl PrinterState {
    /// The shape of the dot.
    fn class(self) -> &'static str {
        match self {
            Self::Printing => "live",
            Self::Ready => "",
            Self::Paused => "paused",
            Self::Error => "failed",
            Self::Offline => "offline",
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    pub file: String,
    /// 0 to 100.
    pub percent: Option<f32>,
    pub left: Option<Duration>,
    /// Layer and layers in all, where the printer's server knows them.
    pub layer: Option<(u32, u32)>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Temperature {
    pub actual: f32,
    /// 0 is off.
    pub target: f32,
}

impl Home {
    fn job(&self) -> Option<&Job> {
        self.printer.as_ref()?.job.as_ref()
    }

    fn layer(&self) -> Option<(u32, u32)> {
        self.job()?.layer
    }

    /// What is done, rounded down.
    fn percent(&self) -> Option<u8> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "clamped to what fits just before"
        )]
        let whole = self.job()?.percent?.clamp(0.0, 100.0) as u8;
        Some(whole)
    }

    /// Hours and minutes that are left, rounded up.
    fn left(&self) -> Option<(u64, u64)> {
        let minutes = self.job()?.left?.as_secs().div_ceil(60);
        Some((minutes / 60, minutes % 60))
    }

    fn nozzle(&self) -> Option<Temperature> {
        self.printer.as_ref()?.nozzle
    }

    fn bed(&self) -> Option<Temperature> {
        self.printer.as_ref()?.bed
    }
}

impl Temperature {
    fn actual_text(self) -> String {
        format!("{:.1}", self.actual)
    }

    fn target_text(self) -> String {
        format!("{:.0}", self.target)
    }

    fn is_on(self) -> bool {
        self.target > 0.0
    }
}
