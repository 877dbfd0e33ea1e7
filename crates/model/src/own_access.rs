//! People's own access to a printer's web interface: the hostname it has for one person.

use std::fmt;
use std::str::FromStr;

use crate::chance::{Chance, letters};
use crate::text::BASE32_LOWER;

const PREFIX: &str = "own-";
const BODY: usize = 26;

/// The first label of the hostname at which one person opens one printer: `own-` and 26 base32
/// characters (130 bits).
///
/// A name, not a secret: nobody gets in by it without a session. It is made for one printer and one
/// person and never for others, so that what a browser keeps for it stays theirs.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OwnLabel(String);

/// A text is not the label of anybody's own access.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is not the label of somebody's own access")]
pub struct ParseOwnLabelError;

impl OwnLabel {
    /// Makes a new one.
    pub fn generate(chance: &dyn Chance) -> Self {
        Self(format!("{PREFIX}{}", letters(chance, BASE32_LOWER, BODY)))
    }

    /// The label as text, in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for OwnLabel {
    type Err = ParseOwnLabelError;

    /// Reads it in any case, since DNS does not tell them apart.
    fn from_str(text: &str) -> Result<Self, ParseOwnLabelError> {
        let lower = text.to_ascii_lowercase();
        let body = lower.strip_prefix(PREFIX).ok_or(ParseOwnLabelError)?;
        if body.len() == BODY && body.bytes().all(|b| BASE32_LOWER.contains(&b)) {
            Ok(Self(lower))
        } else {
            Err(ParseOwnLabelError)
        }
    }
}

impl fmt::Display for OwnLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chance::SeededChance;

    #[test]
    fn a_label_is_one_dns_label_in_any_case() {
        let label = OwnLabel::generate(&SeededChance::new(1));
        assert_eq!(label.as_str().len(), 30);
        assert_eq!(label.as_str().to_uppercase().parse(), Ok(label.clone()));
        assert_eq!(label.to_string().parse(), Ok(label.clone()));
        let body = &label.as_str()[4..];
        for bad in [
            "",
            "own-",
            body,
            &format!("app-{body}"),
            &format!("own-{body}a"),
            &format!("own-{}", &body[1..]),
            &format!("own-{}1", &body[1..]),
            &format!("own-{}\u{e4}", &body[2..]),
        ] {
            assert!(bad.parse::<OwnLabel>().is_err(), "{bad}");
        }
    }
}
