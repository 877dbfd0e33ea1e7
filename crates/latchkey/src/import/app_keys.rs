//! The Application Keys plugin's `keys.yaml`.

use latchkey_model::app::AppName;
use latchkey_model::secret::AppKeyText;
use latchkey_model::user::UserName;
use serde_json::Value;

use super::{Found, FoundKey};

/// Takes the keys of the file that belong to a user who is taken.
pub(super) fn take(keys: &Value, found: &mut Found) {
    let Some(users) = keys.as_object() else {
        found.leave("keys.yaml", "does not list keys by user, so none was taken");
        return;
    };
    for (name, entries) in users {
        let entries = entries.as_array().map(Vec::as_slice).unwrap_or_default();
        let user = UserName::parse(name).ok();
        let known = user.filter(|user| found.people.iter().any(|person| person.name == *user));
        for entry in entries {
            let app = entry["app_id"].as_str().unwrap_or_default();
            let what = format!("key of {app:?} for {name:?}");
            match &known {
                None => found.leave(what, "that user was not taken"),
                Some(user) => key(entry, app, user, what, found),
            }
        }
    }
}

fn key(entry: &Value, app: &str, user: &UserName, what: String, found: &mut Found) {
    let text = entry["api_key"].as_str().unwrap_or_default();
    let Ok(key) = AppKeyText::parse(text) else {
        let why = "a key here is 16 to 128 letters, digits, - and _; let the app ask for a new one";
        return found.leave(what, why);
    };
    let Ok(app) = AppName::cleaned(app) else {
        let why =
            "an app's name here has 1 to 64 visible characters; let the app ask for a new key";
        return found.leave(what, why);
    };
    let hash = key.hash();
    if found.keys.iter().any(|other| other.key.hash() == hash) {
        return found.leave(what, "the same key was taken already");
    }
    let twin = |other: &FoundKey| other.user == *user && other.app.fold() == app.fold();
    if found.keys.iter().any(twin) {
        let why = "an app has one key for each user here, and another was taken already";
        return found.leave(what, why);
    }
    found.keys.push(FoundKey {
        user: user.clone(),
        app,
        key,
    });
}
