//! `users.yaml`.

use latchkey_host::users::{is_known_form, octoprint_sha512};
use latchkey_model::app::AppName;
use latchkey_model::secret::{AppKeyText, PasswordHash};
use latchkey_model::user::{Group, UserName};
use serde_json::Value;

use super::{Found, FoundKey, Person};

/// How the key that OctoPrint gives a user for themselves is called among their app keys.
const OWN_KEY: &str = "OctoPrint API key";

/// Takes the users of the file; `salt` is what old passwords were hashed with.
pub(super) fn take(users: &Value, salt: Option<&str>, found: &mut Found) {
    let Some(users) = users.as_object() else {
        found.leave(
            "users.yaml",
            "does not list users by name, so none was taken",
        );
        return;
    };
    for (name, entry) in users.iter().filter(|(name, _)| *name != "_version") {
        let what = format!("user {name:?}");
        if !entry.is_object() {
            found.leave(what, "has nothing written down in the file");
            continue;
        }
        let parsed = match UserName::parse(name) {
            Ok(parsed) if !parsed.is_reserved() => parsed,
            _ => {
                let why = "a name here is 1 to 64 visible characters without blanks, colons and \
                           slashes, and does not begin with _; add this person under another name \
                           with `latchkey user add`";
                found.leave(what, why);
                continue;
            }
        };
        if found.people.iter().any(|person| person.name == parsed) {
            found.leave(
                what,
                "has the name of a user before; only the first was taken",
            );
            continue;
        }
        let group = group(entry, &what, found);
        let password = password(entry, salt, &what, found);
        own_key(entry, &parsed, &what, found);
        found.people.push(Person {
            name: parsed,
            group,
            // Whoever is not said to be active was never let in either.
            active: entry["active"].as_bool().unwrap_or(false),
            password,
        });
    }
}

fn group(entry: &Value, what: &str, found: &mut Found) -> Group {
    // Before 1.4 there were roles instead of groups.
    let groups = match (&entry["groups"], &entry["permissions"], &entry["roles"]) {
        (Value::Array(_), ..) => words(&entry["groups"]),
        (_, Value::Null, roles) if words(roles).contains(&"admin") => vec!["admins"],
        _ => vec!["users"],
    };
    let unknown: Vec<_> = groups
        .iter()
        .filter(|group| group.parse::<Group>().is_err() && **group != "guests")
        .map(|group| format!("{group:?}"))
        .collect();
    let mut permissions = words(&entry["permissions"]);
    permissions.dedup();
    let is_admin = permissions.contains(&"ADMIN");
    permissions.retain(|permission| *permission != "ADMIN");
    if !unknown.is_empty() {
        let why = format!(
            "groups {} do not exist here; there are admins, users and readonly",
            unknown.join(", ")
        );
        found.leave(what, why);
    }
    if !permissions.is_empty() {
        let why = format!(
            "permissions of their own ({}) do not exist here; what a user may do comes from their \
             group",
            permissions.join(", ").escape_debug()
        );
        found.leave(what, why);
    }
    let mightiest = Group::ALL
        .into_iter()
        .find(|group| groups.contains(&group.as_str()));
    match mightiest {
        _ if is_admin => Group::Admins,
        Some(group) => group,
        None => {
            let why = "is in no group that exists here, so they are taken into readonly and may \
                       only look";
            found.leave(what, why);
            Group::Readonly
        }
    }
}

fn words(value: &Value) -> Vec<&str> {
    let list = value.as_array().map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(Value::as_str).collect()
}

fn password(
    entry: &Value,
    salt: Option<&str>,
    what: &str,
    found: &mut Found,
) -> Option<PasswordHash> {
    let text = entry["password"].as_str().unwrap_or_default();
    let is_old = text.len() == 128 && text.bytes().all(|b| b.is_ascii_hexdigit());
    let (hash, why) = if is_old {
        let why = "was hashed with a salt that config.yaml does not have any more";
        (salt.and_then(|salt| octoprint_sha512(salt, text)), why)
    } else {
        let hash = Some(PasswordHash::new(text.to_owned())).filter(is_known_form);
        (hash, "is kept in a form that is not known here")
    };
    if hash.is_none() {
        let why = format!("the password {why}; set one with `latchkey user passwd`");
        found.leave(what, why);
    }
    hash
}

/// The key that a user has for themselves becomes one of their app keys.
fn own_key(entry: &Value, user: &UserName, what: &str, found: &mut Found) {
    let Some(text) = entry["apikey"].as_str().filter(|text| !text.is_empty()) else {
        return;
    };
    if let (Ok(key), Ok(app)) = (AppKeyText::parse(text), AppName::parse(OWN_KEY)) {
        found.keys.push(FoundKey {
            user: user.clone(),
            app,
            key,
        });
    } else {
        let why = "their own API key is not 16 to 128 letters, digits, - and _";
        found.leave(what, why);
    }
}
