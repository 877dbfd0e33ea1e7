//! Apps: third-party programs asking for access.

use std::fmt;

use crate::text;

mod fold;
mod registered;

pub use fold::fold;
pub use registered::{RegisteredApp, Website, WebsiteError};

pub use crate::text::NameError;

/// How an app calls itself towards the relay, such as `octopod`: 1 to 64 visible characters.
///
/// Kept in lower case: apps of the same maker write their own id in different ways.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AppId(String);

impl AppId {
    /// Reads an id as an app sent it.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        // Folded first: that can make a text longer.
        let id = text::name(&text.to_lowercase(), 64)?;
        if id.chars().any(char::is_whitespace) {
            return Err(NameError::Misleading);
        }
        Ok(Self(id))
    }

    /// Reads an id as anybody may have written it into an address: what cannot be seen, or could
    /// be written in another way and look the same, is refused.
    pub fn from_anybody(text: &str) -> Result<Self, NameError> {
        // Cleaning looks at every character, so far too long a text is not begun with.
        if text.len() > 4096 {
            return Err(NameError::TooLong(64));
        }
        let id = Self::parse(text)?;
        if text::clean(&id.0) != id.0 {
            return Err(NameError::Misleading);
        }
        Ok(id)
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AppId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What people call an app: 1 to 64 characters, none that mislead.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AppName(String);

impl AppName {
    /// Reads a name; surrounding space is dropped.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        text::name(text, 64).map(Self)
    }

    /// What is left of a name as an unknown app sent it: characters that cannot be seen or that
    /// reorder text are dropped, and the rest is composed (NFC).
    pub fn cleaned(text: &str) -> Result<Self, NameError> {
        // Cleaning looks at every character, so far too long a text is not begun with.
        if text.len() > 4096 {
            return Err(NameError::TooLong(64));
        }
        text::name(&text::clean(text), 64).map(Self)
    }

    /// What two names are compared by: the lower-case form of the characters.
    pub fn fold(&self) -> String {
        text::clean(&self.0).to_lowercase()
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AppName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_from_anybody_are_cleaned_and_compared_without_case() {
        let name = |text: &str| AppName::cleaned(text).unwrap();
        assert_eq!(name("Octo\u{200b}Pod").fold(), name("OCTOPOD").fold());
        assert_eq!(name("OctoPod").as_str(), "OctoPod");
        assert_ne!(name("OctoPod").fold(), name("OctoP0d").fold());
        assert!(AppName::cleaned("\u{200b} \u{202e}").is_err());
        assert!(AppName::cleaned(&"a".repeat(65)).is_err());
        assert!(AppName::cleaned(&"\u{200b}".repeat(10_000)).is_err());
    }

    #[test]
    fn app_ids_fold_case_and_have_no_space() {
        assert_eq!(AppId::parse("OctoPod").unwrap().as_str(), "octopod");
        assert_eq!(
            AppId::parse("com.example.app").unwrap().as_str(),
            "com.example.app"
        );
        assert!(AppId::parse("").is_err());
        assert!(AppId::parse("two words").is_err());
        assert!(AppId::parse(&"a".repeat(65)).is_err());
        // Folding can make a text longer; what was accepted must be accepted again.
        for text in ["İ".repeat(64), "OCTOPOD".to_owned()] {
            if let Ok(id) = AppId::parse(&text) {
                assert_eq!(AppId::parse(id.as_str()), Ok(id));
            }
        }
    }
}
