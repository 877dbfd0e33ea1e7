//! Plans: named sets of what an account may do.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The name of a plan: 1 to 32 characters `a–z 0–9 - _`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PlanName(String);

/// A text is not the name of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a plan name has 1 to 32 characters, of a-z, 0-9, - and _")]
pub struct PlanNameError;

impl PlanName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PlanName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for PlanName {
    type Error = PlanNameError;

    fn try_from(text: String) -> Result<Self, PlanNameError> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_".contains(&b);
        if (1..=32).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text))
        } else {
            Err(PlanNameError)
        }
    }
}

impl FromStr for PlanName {
    type Err = PlanNameError;

    fn from_str(text: &str) -> Result<Self, PlanNameError> {
        Self::try_from(text.to_owned())
    }
}

impl From<PlanName> for String {
    fn from(name: PlanName) -> String {
        name.0
    }
}

/// What an account on a plan may do. What is missing has no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Entitlements {
    /// Whether its app connections work; without it they answer 605.
    pub app_connections: bool,
    /// The largest request body that may be sent.
    pub max_upload_bytes: Option<u64>,
    /// The largest response body that may be fetched.
    pub max_download_bytes: Option<u64>,
    /// How long one webcam stream may run.
    pub max_webcam_stream_seconds: Option<u64>,
    /// How long the webcam of one printer may be watched in one window of time, all streams of
    /// the account together.
    pub max_webcam_seconds_per_window: Option<u64>,
    /// How long such a window is; a day when missing.
    pub webcam_window_seconds: Option<u64>,
    /// How many frames of a webcam stream are shown in a second.
    pub max_webcam_fps: Option<u64>,
    /// How many bytes of a webcam stream pass in a second: frames are left out.
    pub max_webcam_bytes_per_second: Option<u64>,
    /// How many requests, webcam streams and sockets may be open at once.
    pub max_concurrent_streams: Option<u64>,
    /// How many bytes of bodies and sockets may pass in a month of the calendar (UTC), both ways.
    pub max_bytes_per_month: Option<u64>,
    /// How many bytes of bodies may pass in a second, both ways and of everything that is open.
    pub max_bytes_per_second: Option<u64>,
    /// How many printers of its own the account may have.
    pub max_printers: Option<u64>,
    /// How many app connections the account may have allowed.
    pub max_app_connections: Option<u64>,
}

const DAY: u64 = 24 * 60 * 60;

/// What the plan `supporter` allows out of the box: everything.
impl Default for Entitlements {
    fn default() -> Self {
        Self {
            app_connections: true,
            max_upload_bytes: None,
            max_download_bytes: None,
            max_webcam_stream_seconds: None,
            max_webcam_seconds_per_window: None,
            webcam_window_seconds: None,
            max_webcam_fps: None,
            max_webcam_bytes_per_second: None,
            max_concurrent_streams: None,
            max_bytes_per_month: None,
            max_bytes_per_second: None,
            max_printers: None,
            max_app_connections: None,
        }
    }
}

/// How much of a webcam may be watched in a window of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WebcamAllowance {
    /// Seconds of streams.
    pub seconds: u64,
    /// Seconds of the window.
    pub window_seconds: u64,
}

impl Entitlements {
    /// The limit on a webcam's time, if there is one.
    pub fn webcam_allowance(&self) -> Option<WebcamAllowance> {
        Some(WebcamAllowance {
            seconds: self.max_webcam_seconds_per_window?,
            window_seconds: self.webcam_window_seconds.unwrap_or(DAY),
        })
    }

    /// The limits that are 0 and would leave nothing at all to do, by their names.
    pub fn senseless(&self) -> impl Iterator<Item = &'static str> {
        [
            ("max_upload_bytes", self.max_upload_bytes),
            ("max_download_bytes", self.max_download_bytes),
            ("max_webcam_stream_seconds", self.max_webcam_stream_seconds),
            ("webcam_window_seconds", self.webcam_window_seconds),
            ("max_webcam_fps", self.max_webcam_fps),
            (
                "max_webcam_bytes_per_second",
                self.max_webcam_bytes_per_second,
            ),
            ("max_concurrent_streams", self.max_concurrent_streams),
            ("max_bytes_per_month", self.max_bytes_per_month),
            ("max_bytes_per_second", self.max_bytes_per_second),
        ]
        .into_iter()
        .filter_map(|(name, limit)| (limit == Some(0)).then_some(name))
    }
}

/// The plans an operator defined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Plans(BTreeMap<PlanName, Entitlements>);

impl Plans {
    /// The plans in `plans`.
    pub fn new(plans: BTreeMap<PlanName, Entitlements>) -> Self {
        Self(plans)
    }

    /// What a plan allows.
    ///
    /// Nothing when an account's plan is no longer defined. That is an operator's mistake, not
    /// certainty about the owner, so it must be answered by 600 and not by 605.
    pub fn find(&self, name: &PlanName) -> Option<&Entitlements> {
        self.0.get(name)
    }

    /// All plans by name.
    pub fn iter(&self) -> impl Iterator<Item = (&PlanName, &Entitlements)> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plan_names_are_short_and_plain() {
        for text in ["free", "supporter", "print-farm_2", &"a".repeat(32)] {
            assert!(text.parse::<PlanName>().is_ok(), "{text}");
        }
        for text in ["", "Free", "two words", "ä", &"a".repeat(33)] {
            assert!(text.parse::<PlanName>().is_err(), "{text}");
        }
    }

    #[test]
    fn plans_read_as_configured() {
        let json = r#"{
            "free": {"app_connections": false, "max_upload_bytes": 1, "max_download_bytes": 2,
                     "max_webcam_stream_seconds": 60},
            "supporter": {}
        }"#;
        let plans: Plans = serde_json::from_str(json).unwrap();
        let free = plans.find(&"free".parse().unwrap()).unwrap();
        assert!(!free.app_connections);
        assert_eq!(free.max_webcam_stream_seconds, Some(60));
        let supporter = plans.find(&"supporter".parse().unwrap()).unwrap();
        assert_eq!(*supporter, Entitlements::default());
        assert_eq!(
            supporter.max_upload_bytes, None,
            "no limit unless it is said"
        );
        assert!(supporter.app_connections);
        assert_eq!(plans.find(&"gone".parse().unwrap()), None);
        assert_eq!(plans.iter().count(), 2);
    }

    #[test]
    fn a_webcams_window_is_a_day_unless_it_is_said() {
        let limited = Entitlements {
            max_webcam_seconds_per_window: Some(0),
            ..Entitlements::default()
        };
        let allowance = limited.webcam_allowance().unwrap();
        assert_eq!((allowance.seconds, allowance.window_seconds), (0, 86_400));
        let unlimited = Entitlements {
            webcam_window_seconds: Some(60),
            ..Entitlements::default()
        };
        assert_eq!(unlimited.webcam_allowance(), None);
    }

    #[test]
    fn limits_that_leave_nothing_to_do_are_named() {
        let none = Entitlements {
            max_upload_bytes: Some(0),
            max_concurrent_streams: Some(0),
            max_webcam_seconds_per_window: Some(0),
            max_printers: Some(0),
            max_app_connections: Some(0),
            ..Entitlements::default()
        };
        let named: Vec<_> = none.senseless().collect();
        assert_eq!(named, ["max_upload_bytes", "max_concurrent_streams"]);
    }

    #[test]
    fn misspelled_entitlement_is_refused() {
        let read = serde_json::from_str::<Plans>(r#"{"free": {"max_upload": 1}}"#);
        assert!(read.unwrap_err().to_string().contains("max_upload"));
    }
}
