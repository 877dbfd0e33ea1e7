//! What servers say of their printers, each in its own language, in one.

use latchkey_model::printing::{Condition, Heat, Heats, Progress};
use serde_json::Value;

/// What a server says its printer does now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) condition: Condition,
    /// The file of the print that goes on, cleaned.
    pub(super) file: Option<String>,
    /// What the server itself calls the print, if it calls each one differently.
    pub(super) job: Option<String>,
    pub(super) progress: Progress,
    pub(super) heat: Heats,
    /// What it says of its trouble, or what it waits for, cleaned.
    pub(super) message: Option<String>,
    /// How the print ended that was the last.
    pub(super) outcome: Option<Outcome>,
}

impl Seen {
    pub(super) fn new(condition: Condition) -> Self {
        Self {
            condition,
            file: None,
            job: None,
            progress: Progress::default(),
            heat: Heats::default(),
            message: None,
            outcome: None,
        }
    }
}

/// How a print ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Complete,
    Failed,
}

/// What a server says has happened, beside what can be seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Told {
    /// A print of this file began.
    Started(Option<String>),
    Ended(Outcome, Option<String>),
    FilamentChange(Option<String>),
    UserInteraction(Option<String>),
    Error(Option<String>),
}

/// A number of a server in whole thousandths, if it is one that could be meant.
pub(super) fn thousandths(value: &Value) -> Option<i64> {
    let number = value.as_f64()?;
    let scaled = (number * 1_000.0).round();
    // Far beyond everything that is measured here, and exact as an integer.
    #[expect(clippy::cast_possible_truncation, reason = "it is in these bounds")]
    (scaled.abs() < 1e15).then_some(scaled as i64)
}

/// A number of seconds, or of percent, in whole ones; below zero is nothing known.
pub(super) fn whole(value: &Value) -> Option<u64> {
    u64::try_from(thousandths(value)?).ok().map(|n| n / 1_000)
}

/// Percent, at most a hundred. A print of which anything is left to do is at 99 at most: rounding
/// up to the end would be a lie.
pub(super) fn percent(value: &Value) -> Option<u8> {
    u8::try_from(whole(value)?.min(100)).ok()
}

/// A height in micrometers.
pub(super) fn micrometers(value: &Value) -> Option<u64> {
    u64::try_from(thousandths(value)?).ok()
}

/// A temperature with its target; a target of zero is none.
pub(super) fn heat(actual: &Value, target: &Value) -> Option<Heat> {
    let tenths = |value: &Value| i32::try_from(thousandths(value)? / 100).ok();
    Some(Heat {
        actual: tenths(actual)?,
        target: tenths(target).filter(|target| *target > 0),
    })
}

/// A layer; servers count from 1, and say 0 before the first.
pub(super) fn layer(value: &Value) -> Option<u32> {
    let number = value
        .as_u64()
        .or_else(|| value.as_str().and_then(|text| text.trim().parse().ok()))?;
    u32::try_from(number).ok().filter(|layer| *layer > 0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_of_servers_are_read_or_left() {
        assert_eq!(percent(&json!(99.99)), Some(99));
        assert_eq!(percent(&json!(100)), Some(100));
        assert_eq!(percent(&json!(1e6)), Some(100));
        assert_eq!(percent(&json!(-0.2)), None);
        assert_eq!(whole(&json!(1e300)), None);
        assert_eq!(whole(&json!("5")), None);
        assert_eq!(micrometers(&json!(0.2)), Some(200));
        assert_eq!(layer(&json!("3")), Some(3));
        assert_eq!(layer(&json!("-")), None);
        assert_eq!(layer(&json!(0)), None);
        let warm = heat(&json!(21.37), &json!(0.0)).unwrap();
        assert_eq!((warm.actual, warm.target), (213, None));
        assert_eq!(heat(&json!(null), &json!(200)), None);
        assert_eq!(heat(&json!(20), &json!(215)).unwrap().target, Some(2150));
    }
}
