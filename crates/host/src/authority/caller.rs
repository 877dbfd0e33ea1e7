//! The caller, as far as the host knows them.

use std::sync::Arc;

use latchkey_model::access::{Access, KeyScope};
use latchkey_model::app_key::AppKey;
use latchkey_model::session::Session;
use latchkey_model::user::{Group, User, UserName};

use crate::session_keys::VerifiedKey;

/// Who is calling.
#[derive(Debug, Clone)]
pub(crate) enum Caller {
    /// Nobody known, or somebody with a key that is none.
    Guest,
    /// A browser whose person signed in, and how far the way they came lets anybody go.
    Person(Box<(User, Session, KeyScope)>),
    /// An app with its key.
    App(Box<(User, AppKey)>),
    /// An app that signed for its key; nobody's user.
    SessionKey(Arc<VerifiedKey>),
    /// An app that the relay let in as far as this, without a key of ours.
    AppConnection(String, KeyScope),
}

impl Caller {
    /// Whose rights the caller has; a session key and an app connection are nobody's.
    pub(crate) fn user(&self) -> Option<&User> {
        match self {
            Self::Guest | Self::SessionKey(_) | Self::AppConnection(..) => None,
            Self::Person(person) => Some(&person.0),
            Self::App(app) => Some(&app.0),
        }
    }

    /// The user, if they are active.
    pub(crate) fn active_user(&self) -> Option<&User> {
        self.user().filter(|user| user.active)
    }

    pub(crate) fn user_name(&self) -> Option<&UserName> {
        self.user().map(|user| &user.name)
    }

    pub(crate) fn session(&self) -> Option<&Session> {
        match self {
            Self::Person(person) => Some(&person.1),
            _ => None,
        }
    }

    /// How far the caller may go at the printer; `None` for those who may not go at all.
    pub(crate) fn access(&self) -> Option<Access> {
        match self {
            Self::Guest => None,
            // What its owner allowed at the relay, at most everything a person does with the printer.
            Self::AppConnection(_, scope) => Some(scope.limit(Access::Operate)),
            Self::SessionKey(key) => Some(key.scope.access()),
            Self::Person(_) => self.active_user().map(|user| user.group.access()),
            Self::App(app) => self
                .active_user()
                .map(|user| app.1.scope.limit(user.group.access())),
        }
    }

    /// Whether the caller may allow apps: a person who may, or an app with such a person's
    /// unlimited key, as `OctoPrint` has it.
    pub(crate) fn may_grant(&self) -> bool {
        self.acts_fully()
            && self
                .active_user()
                .is_some_and(|user| user.group.may_grant())
    }

    /// Whether the caller administers users and everybody's keys.
    pub(crate) fn is_admin(&self) -> bool {
        self.acts_fully() && self.active_user().is_some_and(|user| user.group.is_admin())
    }

    /// Whether nothing but a browser could have sent the credential by itself, so that a page
    /// elsewhere could make it: then a proof is needed that our own page asked.
    pub(crate) fn needs_csrf_token(&self) -> bool {
        matches!(self, Self::Guest | Self::Person(_))
    }

    /// Whether the caller may see and change keys at all: not with a key that only watches, nor
    /// through an app connection that does. A key learnt there would be good elsewhere.
    pub(crate) fn may_see_keys(&self) -> bool {
        self.acts_fully() && self.active_user().is_some()
    }

    fn acts_fully(&self) -> bool {
        match self {
            Self::Person(person) => person.2 == KeyScope::Full,
            Self::App(app) => app.1.scope == KeyScope::Full,
            Self::AppConnection(_, scope) => *scope == KeyScope::Full,
            Self::Guest | Self::SessionKey(_) => true,
        }
    }

    /// The same caller where nobody gets further than looking: the owner of an app connection said
    /// so, and a key or a sign-in that comes through it does not lift that.
    pub(crate) fn watching(self) -> Self {
        match self {
            Self::Guest => Self::Guest,
            Self::Person(mut person) => {
                person.0.group = Group::Readonly;
                person.2 = KeyScope::View;
                Self::Person(person)
            }
            Self::App(mut app) => {
                app.1.scope = KeyScope::View;
                Self::App(app)
            }
            Self::SessionKey(key) => Self::SessionKey(Arc::new(key.watching())),
            Self::AppConnection(id, _) => Self::AppConnection(id, KeyScope::View),
        }
    }
}
