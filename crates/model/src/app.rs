//! Apps: third-party programs asking for access.

use std::fmt;

use crate::text;

pub use crate::text::NameError;

/// How an app calls itself towards the relay, such as `octopod`: 1 to 64 visible characters.
///
/// Kept in lower case: apps of the same maker write their own id in different ways.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AppId(String);

impl AppId {
    /// Reads an id as an app sent it.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let id = text::name(text, 64)?;
        if id.chars().any(char::is_whitespace) {
            return Err(NameError::Misleading);
        }
        Ok(Self(id.to_lowercase()))
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
