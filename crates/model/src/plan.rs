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

/// What an account on a plan may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Entitlements {
    /// Whether its app connections work; without it they answer 605.
    pub app_connections: bool,
    /// The largest request body an app may send.
    pub max_upload_bytes: u64,
    /// The largest response body an app may fetch.
    pub max_download_bytes: u64,
    /// How long one webcam stream may run; for ever when missing.
    pub max_webcam_stream_seconds: Option<u64>,
}

const GIB: u64 = 1 << 30;

/// What the plan `supporter` allows out of the box.
impl Default for Entitlements {
    fn default() -> Self {
        Self {
            app_connections: true,
            max_upload_bytes: GIB,
            max_download_bytes: GIB,
            max_webcam_stream_seconds: None,
        }
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
        assert!(supporter.app_connections);
        assert_eq!(plans.find(&"gone".parse().unwrap()), None);
        assert_eq!(plans.iter().count(), 2);
    }

    #[test]
    fn misspelled_entitlement_is_refused() {
        let read = serde_json::from_str::<Plans>(r#"{"free": {"max_upload": 1}}"#);
        assert!(read.unwrap_err().to_string().contains("max_upload"));
    }
}
