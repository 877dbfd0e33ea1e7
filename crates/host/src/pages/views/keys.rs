//! `/latchkey/keys`, one's own and everybody's, and the question before one is revoked.

use askama::Template;
use latchkey_web::moment::Moment;
use latchkey_web::shell::BarShell;

use super::{Access, Pending, Site, Viewer, Whence, initial};

/// A key that was not used for this long is worth a second look.
const IDLE_DAYS: u64 = 90;

#[derive(Debug, Clone, Template)]
#[template(path = "host/keys.html")]
pub struct Keys {
    pub shell: BarShell,
    pub site: Site,
    pub viewer: Viewer,
    pub whose: Whose,
    /// How many keys everybody has together, for administrators.
    pub everyone: Option<usize>,
    pub keys: Vec<Key>,
    /// Requests that wait for the viewer; on the page of one's own keys.
    pub pending: Vec<Pending>,
    /// A key to be seen now: just made, or asked for.
    pub shown: Option<ShownKey>,
    /// The app whose key was just revoked.
    pub revoked: Option<String>,
    pub form: KeyForm,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    Mine,
    Everyone,
}

impl Whose {
    fn path(self) -> &'static str {
        match self {
            Self::Mine => "/latchkey/keys",
            Self::Everyone => "/latchkey/keys/all",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Names the key in addresses; not the key.
    pub id: String,
    pub app: String,
    pub user: String,
    pub access: Access,
    pub created: Moment,
    pub used: Option<Used>,
    pub requests: u64,
    /// Whether the relay had it made, for an app that somebody let in there.
    pub through_relay: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Used {
    pub at: Moment,
    /// Address prefix.
    pub from: String,
}

impl Key {
    fn initial(&self) -> String {
        initial(&self.app)
    }

    /// The requests with commas.
    fn count(&self) -> String {
        let digits = self.requests.to_string();
        let mut out = String::with_capacity(digits.len() + digits.len() / 3);
        for (place, digit) in digits.chars().enumerate() {
            if place > 0 && (digits.len() - place).is_multiple_of(3) {
                out.push(',');
            }
            out.push(digit);
        }
        out
    }

    fn idle(&self) -> bool {
        let last = self.used.as_ref().map_or(self.created, |used| used.at);
        last.now.since(last.at).as_secs() > IDLE_DAYS * 86_400
    }
}

/// Not `Debug`: it carries a key.
#[derive(Clone, PartialEq, Eq)]
pub struct ShownKey {
    pub app: String,
    pub key: String,
    pub how: ShownHow,
}

/// How it comes that a key is on the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShownHow {
    New,
    /// A key was to be made for an app that has one already.
    WasThere,
    AskedFor,
}

impl std::fmt::Debug for ShownKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ShownKey")
            .field("app", &self.app)
            .field("how", &self.how)
            .finish_non_exhaustive()
    }
}

/// What stands in the form that makes a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyForm {
    pub app: String,
    pub access: Access,
    pub problem: Option<KeyProblem>,
}

impl Default for KeyForm {
    fn default() -> Self {
        Self {
            app: String::new(),
            access: Access::View,
            problem: None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyProblem {
    NameMissing,
    /// Longer than 64 characters.
    NameTooLong,
}

/// `/latchkey/keys/<id>/revoke`, which posts to itself.
#[derive(Debug, Clone, Template)]
#[template(path = "host/revoke_key.html")]
pub struct RevokeKey {
    pub shell: BarShell,
    pub site: Site,
    pub viewer: Viewer,
    pub key: Key,
    /// The list the visitor came from.
    pub whose: Whose,
}
