//! What the layouts in `templates/shared` need to know, for all pages of a role.
//!
//! A role's templates extend `shared/door.html` or `shared/bar.html` (their
//! `askama.toml` names this crate's `templates` folder too) and carry a field
//! `shell` of the type given there.

/// Which role's page this is; decides the icon beside its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlaceKind {
    Relay,
    Host,
}

/// Where the visitor is, always in the head: web views hide the address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub kind: PlaceKind,
    /// A relay's host name; a host's printer name or host name.
    pub name: String,
}

impl Place {
    pub fn relay(name: impl Into<String>) -> Self {
        Self {
            kind: PlaceKind::Relay,
            name: name.into(),
        }
    }

    pub fn host(name: impl Into<String>) -> Self {
        Self {
            kind: PlaceKind::Host,
            name: name.into(),
        }
    }

    pub fn icon(&self) -> &'static str {
        match self.kind {
            PlaceKind::Relay => "globe",
            PlaceKind::Host => "house",
        }
    }
}

/// For `shared/door.html`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DoorShell {
    pub place: Place,
    /// The path a reverse proxy puts in front of all of ours, without a slash at its end; usually empty.
    pub prefix: String,
}

impl DoorShell {
    /// A page at the root of its address.
    pub fn new(place: Place) -> Self {
        Self {
            place,
            prefix: String::new(),
        }
    }
}

/// For `shared/bar.html`. Its addresses are written without the prefix.
#[derive(Debug, Clone)]
pub struct BarShell {
    pub place: Place,
    /// As in [`DoorShell`].
    pub prefix: String,
    /// Where the wordmark leads.
    pub home: &'static str,
    pub nav: Vec<NavItem>,
    /// The signed-in person and where their name leads.
    pub account: Option<Account>,
}

#[derive(Debug, Clone)]
pub struct NavItem {
    pub href: &'static str,
    pub icon: &'static str,
    pub label: &'static str,
    pub current: bool,
    /// How many things wait for the person there, where things can; shown when not zero.
    pub waiting: Option<u32>,
}

#[derive(Debug, Clone)]
pub struct Account {
    pub href: &'static str,
    pub name: String,
}
