//! `/latchkey/apps` and what is below it, for administrators: apps that sign for a session key.

use askama::Template;
use latchkey_model::session_key::{Refusal, SessionScope, Unusable};
use latchkey_web::moment::Moment;
use latchkey_web::shell::BarShell;

use super::{Site, Viewer, initial, path_of};

/// `/latchkey/apps`; its form posts `name`, `pubkey`, `scope`, `allow_weak_keys` to the same
/// address.
#[derive(Debug, Clone, Template)]
#[template(path = "host/session_apps.html")]
pub struct SessionApps {
    pub shell: BarShell,
    pub site: Site,
    pub viewer: Viewer,
    /// How many keys everybody has together, for the way back to them.
    pub keys: usize,
    pub apps: Vec<SessionAppRow>,
    /// What is wrong in files.
    pub problems: Vec<AppFileProblem>,
    pub form: NewSessionApp,
    /// What was just done, told once.
    pub done: Option<SessionAppDone>,
    /// The newest first.
    pub log: Vec<SessionKeyEntry>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppFileProblem {
    pub file: String,
    pub message: String,
}

/// A registered app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionAppRow {
    /// The app and its version.
    pub name: String,
    pub id: String,
    pub version: String,
    pub place: AppPlace,
    pub enabled: bool,
    /// Who switched it last, if that counts.
    pub switched: Option<Switched>,
    pub scope: SessionScope,
    pub bits: Option<usize>,
    /// Whether its key is one that somebody else can break.
    pub weak: bool,
    pub fingerprint: Option<String>,
    /// Why it gets no keys, switched on or not.
    pub fault: Option<Unusable>,
    /// How many of its keys are good now.
    pub live: usize,
    /// Tells this wording of the entry from others.
    pub wording: String,
}

/// Shorter keys are broken: 512 bits take hours, 829 the largest effort that was ever published.
const BROKEN: usize = 830;

/// Where an app is registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AppPlace {
    File(String),
    Page { by: String, at: Moment },
}

/// That somebody switched an app on or off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Switched {
    pub by: String,
    pub at: Moment,
}

impl SessionAppRow {
    fn initial(&self) -> String {
        initial(&self.id)
    }

    /// The name as a part of an address.
    fn path(&self) -> String {
        path_of(&self.name)
    }

    fn is_of_page(&self) -> bool {
        matches!(self.place, AppPlace::Page { .. })
    }

    /// Whether its key can be broken by anybody, and not only by somebody with the means.
    fn is_broken(&self) -> bool {
        self.bits.is_some_and(|bits| bits < BROKEN)
    }

    /// Whether it gets keys now.
    fn works(&self) -> bool {
        self.enabled && self.fault.is_none()
    }
}

/// What stands in the form that registers an app.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewSessionApp {
    pub name: String,
    pub pubkey: String,
    pub scope: SessionScope,
    pub allow_weak_keys: bool,
    pub problem: Option<SessionAppProblem>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionAppProblem {
    /// Not of the form id:version.
    Name,
    NameTaken,
    TooMany,
    PubkeyMissing,
    Pubkey(Unusable),
}

impl SessionAppProblem {
    fn of_name(&self) -> bool {
        matches!(self, Self::Name | Self::NameTaken | Self::TooMany)
    }

    fn of_pubkey(&self) -> bool {
        !self.of_name()
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionAppDone {
    Registered { name: String },
    Removed { name: String },
}

/// What was just changed, told once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionAppChange {
    On,
    Off,
}

/// A verification with what its key was used for, or a refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionKeyEntry {
    pub id: String,
    pub version: String,
    pub at: Moment,
    pub network: String,
    pub outcome: EntryOutcome,
    /// Requests with the key, or refused attempts.
    pub requests: u64,
    /// When it was last used, and from where.
    pub last: Option<(Moment, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryOutcome {
    /// The key is good now, for so many more minutes.
    Good {
        minutes: u64,
    },
    /// Its two hours are over.
    Over,
    /// It ended before them.
    Ended(Moment),
    Refused(Refusal),
}

/// `/latchkey/apps/<name>`; its forms post to `…/enable` and `…/disable`. Removing has a page of
/// its own.
#[derive(Debug, Clone, Template)]
#[template(path = "host/session_app.html")]
pub struct SessionAppPage {
    pub shell: BarShell,
    pub site: Site,
    pub viewer: Viewer,
    pub app: SessionAppRow,
    pub changed: Option<SessionAppChange>,
    pub log: Vec<SessionKeyEntry>,
}

/// `/latchkey/apps/<name>/remove`, which posts to itself.
#[derive(Debug, Clone, Template)]
#[template(path = "host/remove_session_app.html")]
pub struct RemoveSessionApp {
    pub shell: BarShell,
    pub site: Site,
    pub viewer: Viewer,
    pub app: SessionAppRow,
}
