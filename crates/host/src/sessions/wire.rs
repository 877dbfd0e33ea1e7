//! What clients of `OctoPrint` send to sign in and are told of who they are.

use latchkey_model::access::KeyScope;
use latchkey_model::clock::Timestamp;
use latchkey_model::permission;
use latchkey_model::user::{Group, User};
use latchkey_web::moment::Moment;
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::authority::caller::Caller;
use crate::contract;

/// The name of those who are nobody in particular and may do much.
pub(super) const API_USER: &str = "_api";
/// What a sign-in asks for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Wish {
    pub(super) user: Option<String>,
    pub(super) pass: Option<String>,
    pub(super) remember: bool,
    pub(super) passive: bool,
    /// A key in a form.
    pub(super) key: Option<String>,
}

impl Wish {
    pub(super) fn of_json(members: &Map<String, Value>) -> Self {
        let text = |name: &str| members.get(name)?.as_str().map(str::to_owned);
        Self {
            user: text("user"),
            pass: text("pass"),
            remember: members.get("remember").is_some_and(contract::is_yes),
            passive: members.contains_key("passive"),
            key: None,
        }
    }

    /// Of a form. A password in an address would be kept in histories and logs, so what comes in
    /// the query can only ask who one is.
    pub(super) fn of_form(body: &[u8], query: &str) -> Self {
        let mut wish = Self::default();
        for (name, value) in url::form_urlencoded::parse(body) {
            match &*name {
                "user" => wish.user = Some(value.into_owned()),
                "pass" => wish.pass = Some(value.into_owned()),
                "remember" => wish.remember = contract::is_yes_text(&value) || value == "on",
                "passive" => wish.passive = true,
                "apikey" => wish.key = Some(value.into_owned()),
                _ => {}
            }
        }
        let mut query = url::form_urlencoded::parse(query.as_bytes());
        wish.passive |= query.any(|(name, _)| name == "passive");
        wish
    }
}

/// What somebody may do, in the words of `OctoPrint`.
struct Standing<'c> {
    name: &'c str,
    group: Group,
    grants: bool,
}

impl<'c> Standing<'c> {
    /// Nothing for guests and for keys of users who are not active.
    fn of(caller: &'c Caller) -> Option<Self> {
        let of_user = |user: &'c User| Self {
            name: user.name.as_str(),
            group: user.group,
            grants: true,
        };
        match caller {
            Caller::Guest => None,
            Caller::AppConnection(_, scope) => Some(Self {
                name: API_USER,
                group: match scope {
                    KeyScope::Full => Group::Users,
                    KeyScope::View => Group::Readonly,
                },
                grants: false,
            }),
            Caller::SessionKey(key) => Some(Self {
                name: API_USER,
                group: key.scope.group(),
                grants: false,
            }),
            Caller::App(app) if app.1.scope == KeyScope::View => {
                caller.active_user().map(of_user).map(|standing| Self {
                    group: Group::Readonly,
                    ..standing
                })
            }
            Caller::Person(_) | Caller::App(_) => caller.active_user().map(of_user),
        }
    }

    /// Sorted, an administrator being a user as well.
    fn groups(&self) -> &'static [&'static str] {
        groups(self.group)
    }

    fn permissions(&self) -> impl Iterator<Item = &'static permission::Permission> {
        // Who is nobody in particular lets no apps in, though the other users may.
        let grants = self.grants;
        permission::of(self.group)
            .filter(move |permission| grants || permission.key != permission::GRANT)
    }

    fn mechanism(caller: &Caller) -> &'static str {
        match caller {
            Caller::Person(person) => person.1.mechanism.as_str(),
            _ => "apikey",
        }
    }
}

fn groups(group: Group) -> &'static [&'static str] {
    match group {
        Group::Admins => &["admins", "users"],
        Group::Users => &["users"],
        Group::Readonly => &["readonly"],
    }
}

/// What a login answers, for somebody who may do anything at all.
pub(super) fn user(
    caller: &Caller,
    handle: &str,
    is_external: bool,
    now: Timestamp,
) -> Option<Value> {
    let standing = Standing::of(caller)?;
    let is_admin = standing.group == Group::Admins;
    let mut needs: Vec<&str> = standing.permissions().map(|p| p.need).collect();
    needs.sort_unstable();
    let seen = match caller {
        Caller::Person(person) => person.1.credentials_seen,
        // Whoever has a key has it at hand.
        _ => Some(now),
    };
    Some(json!({
        "name": standing.name,
        "active": true,
        "admin": is_admin,
        "user": true,
        "session": handle,
        "groups": standing.groups(),
        // Those that were given to the user alone: here nobody is.
        "permissions": [],
        "roles": if is_admin { vec!["user", "admin"] } else { vec!["user"] },
        "needs": { "group": standing.groups(), "role": needs },
        "apikey": null,
        "settings": {},
        "_is_external_client": is_external,
        "_login_mechanism": Standing::mechanism(caller),
        "_credentials_seen": seen.map_or(json!(false), |at| json!(iso(at))),
    }))
}

/// What a login answers to somebody unknown.
pub(super) fn nobody(is_external: bool) -> Value {
    json!({
        "_credentials_seen": false,
        "_is_external_client": is_external,
        "needs": guest_needs(),
    })
}

/// What a logout leaves.
pub(super) fn left() -> Value {
    json!({ "needs": guest_needs() })
}

fn guest_needs() -> Value {
    json!({ "group": ["guests"] })
}

/// As Python writes a time with its zone.
fn iso(at: Timestamp) -> String {
    Moment { at, now: at }.exact().replace('Z', "+00:00")
}

/// `GET /api/currentuser`.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CurrentUser<'c> {
    name: Option<&'c str>,
    #[schema(value_type = Vec<String>)]
    permissions: Vec<&'static str>,
    #[schema(value_type = Vec<String>)]
    groups: &'static [&'static str],
}

// As it is described; `Wish` reads it.
/// A name with its password, or the wish to be told who one is.
#[derive(ToSchema)]
#[schema(as = SignIn)]
#[expect(dead_code, reason = "read member by member")]
pub(super) struct SignInBody {
    user: Option<String>,
    pass: Option<String>,
    /// Whether this browser comes back without a password.
    remember: Option<bool>,
    /// There with whatever value: only tell who I am.
    passive: Option<bool>,
}

// As it is described; `user` and `nobody` make it.
/// Who the caller is.
#[derive(ToSchema)]
#[schema(as = Identity)]
#[expect(dead_code, reason = "stands for the answer in the description")]
pub(super) struct IdentityBody {
    /// `_api` for whoever is nobody in particular.
    name: Option<String>,
    active: Option<bool>,
    admin: Option<bool>,
    user: Option<bool>,
    /// To authenticate with at the push socket.
    session: Option<String>,
    groups: Option<Vec<String>>,
    permissions: Option<Vec<String>>,
    roles: Option<Vec<String>>,
    /// Always null: keys are told elsewhere.
    apikey: Option<String>,
    settings: Option<Nothing>,
    needs: Needs,
    /// Whether the caller is not at home.
    #[schema(rename = "_is_external_client")]
    is_external_client: bool,
    #[schema(rename = "_login_mechanism")]
    login_mechanism: Option<String>,
    /// When a password was typed last; false if never.
    #[schema(rename = "_credentials_seen")]
    credentials_seen: Seen,
}

/// An empty object.
#[derive(ToSchema)]
pub(super) struct Nothing {}

/// What somebody may do, in the words of `OctoPrint`.
#[derive(ToSchema)]
#[expect(dead_code, reason = "stands for the answer in the description")]
pub(super) struct Needs {
    group: Vec<String>,
    role: Option<Vec<String>>,
}

/// A time, or false.
#[derive(ToSchema)]
#[schema(as = CredentialsSeen)]
#[serde(untagged)]
#[expect(dead_code, reason = "stands for the answer in the description")]
pub(super) enum Seen {
    At(String),
    Never(bool),
}

// As it is described; `left` makes it.
/// What somebody unknown may do.
#[derive(ToSchema)]
#[schema(as = SignedOut)]
#[expect(dead_code, reason = "stands for the answer in the description")]
pub(super) struct LeftBody {
    needs: Needs,
}

impl<'c> CurrentUser<'c> {
    pub(super) fn of(caller: &'c Caller) -> Self {
        if let Some(standing) = Standing::of(caller) {
            return Self {
                permissions: standing.permissions().map(|p| p.key).collect(),
                groups: standing.groups(),
                name: Some(standing.name),
            };
        }
        match caller.user() {
            // Whoever shows a key is told whose it is, even if that helps no further.
            Some(user) => Self {
                name: Some(user.name.as_str()),
                permissions: Vec::new(),
                groups: groups(user.group),
            },
            None => Self {
                name: None,
                permissions: Vec::new(),
                groups: &["guests"],
            },
        }
    }
}
