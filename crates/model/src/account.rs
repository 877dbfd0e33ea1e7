//! Accounts: people known to the relay.

use std::fmt;

use crate::clock::Timestamp;
use crate::id::AccountId;
use crate::plan::PlanName;

/// A person known to the relay. Holds no password: only a sign-in looks at that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its identifier.
    pub id: AccountId,
    /// Where the person is reached, and by what they sign in.
    pub email: Email,
    /// When it was created.
    pub created: Timestamp,
    /// Set while the operator has suspended it.
    pub suspended: Option<Suspension>,
    /// Which plan applies.
    pub plan: PlanName,
    /// Whether the person runs this relay.
    pub administrator: bool,
    /// When a letter to the address was answered.
    pub email_verified: Option<Timestamp>,
}

impl Account {
    /// An account that is made at `created`, of an ordinary person.
    pub const fn new(id: AccountId, email: Email, created: Timestamp, plan: PlanName) -> Self {
        Self {
            id,
            email,
            created,
            suspended: None,
            plan,
            administrator: false,
            email_verified: None,
        }
    }
}

/// An operator's decision to suspend an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suspension {
    /// Since when.
    pub at: Timestamp,
    /// Why, in the operator's words.
    pub reason: String,
}

/// An e-mail address in the one spelling that is kept and compared.
///
/// The rule: surrounding space is dropped and all letters become lower case, the part before the
/// `@` too. Standards allow `Ann@` and `ann@` to be two people; no provider in use makes them
/// two, and telling them apart would lock out whoever types a capital letter. Dots and `+tags`
/// stay, since providers differ about them.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Email(String);

/// Why a text is not an e-mail address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EmailError {
    /// It does not read `name@domain`.
    #[error("an e-mail address reads name@domain")]
    Malformed,
    /// It is longer than mail can carry (254 octets, RFC 5321).
    #[error("an e-mail address has at most 254 characters")]
    TooLong,
}

const LONGEST: usize = 254;

impl Email {
    /// Reads an address as a person typed it.
    pub fn parse(text: &str) -> Result<Self, EmailError> {
        let text = text.trim().to_lowercase();
        if text.len() > LONGEST {
            return Err(EmailError::TooLong);
        }
        let (name, domain) = text.split_once('@').ok_or(EmailError::Malformed)?;
        let odd =
            |c: char| c.is_whitespace() || crate::text::misleads(c) || "@<>,;:\"()[]\\".contains(c);
        let domain_odd = domain.starts_with('.') || domain.ends_with('.') || domain.contains("..");
        if name.is_empty() || domain.is_empty() || domain_odd || text.matches(odd).count() != 1 {
            return Err(EmailError::Malformed);
        }
        Ok(Self(text))
    }

    /// The address, to be kept, shown to its owner or written to; never to be logged.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The address for somebody else's eyes: enough to know one's own by, and a stranger's for a
    /// stranger's.
    pub fn masked(&self) -> String {
        let (name, domain) = self.0.split_once('@').unwrap_or((&self.0, ""));
        let first: String = name.chars().take(1).collect();
        format!("{first}…@{domain}")
    }
}

/// Prints nothing: addresses do not belong in logs.
impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Email(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_masked_address_keeps_its_domain_and_one_letter() {
        let masked = |text: &str| Email::parse(text).unwrap().masked();
        assert_eq!(masked("Tamsin@oyelaran.example"), "t…@oyelaran.example");
        assert_eq!(masked("ü@x.example"), "ü…@x.example");
    }

    #[test]
    fn addresses_have_one_spelling() {
        let cases = [
            ("ann@example.com", Some("ann@example.com")),
            ("  Ann@Example.COM\n", Some("ann@example.com")),
            (
                "ann.b+printer@example.com",
                Some("ann.b+printer@example.com"),
            ),
            ("demo@localhost", Some("demo@localhost")),
            ("JÜRGEN@exämple.de", Some("jürgen@exämple.de")),
            ("", None),
            ("ann", None),
            ("@example.com", None),
            ("ann@", None),
            ("ann@@example.com", None),
            ("ann@b@example.com", None),
            ("an n@example.com", None),
            ("ann@exam\0ple.com", None),
            ("ann@example.com\r\nBcc: all@example.com", None),
            ("ann@.example.com", None),
            ("ann@example..com", None),
            ("ann@example.com.", None),
            ("Ann <ann@example.com>", None),
            ("ann@example.com,bob@example.com", None),
            ("ann\u{202e}@example.com", None),
        ];
        for (text, expected) in cases {
            let email = Email::parse(text).ok();
            assert_eq!(email.as_ref().map(Email::as_str), expected, "{text:?}");
        }
        let long = format!("{}@example.com", "a".repeat(243));
        assert_eq!(Email::parse(&long), Err(EmailError::TooLong));
    }

    #[test]
    fn normalising_twice_changes_nothing() {
        for text in [
            "ANN@EXAMPLE.COM",
            "İstanbul@example.com",
            "ΟΔΟΣ@example.com",
        ] {
            let once = Email::parse(text).unwrap();
            assert_eq!(Email::parse(once.as_str()).unwrap(), once);
        }
    }

    #[test]
    fn address_is_not_printed() {
        let email = Email::parse("ann@example.com").unwrap();
        assert_eq!(format!("{email:?}"), "Email(…)");
    }
}
