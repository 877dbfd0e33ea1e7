//! `config.yaml`'s `api` section.

use serde_json::Value;

use super::{Found, SessionApp};

/// Takes the registered apps, and notes what else there is.
pub(super) fn take(config: &Value, found: &mut Found) {
    let api = &config["api"];
    if api["key"].as_str().is_some_and(|key| !key.is_empty()) {
        let why = "stands for no user, so nothing here takes it; let the apps that use it ask for \
                   keys of their own";
        found.leave("global API key (api.key)", why);
    }
    let Some(apps) = api["apps"].as_object() else {
        return;
    };
    for (name, entry) in apps {
        let pubkey = entry["pubkey"].as_str().unwrap_or_default().trim();
        if pubkey.is_empty() || !name.contains(':') {
            let what = format!("registered app {name:?}");
            found.leave(what, "needs a name of the form id:version and a `pubkey`");
            continue;
        }
        found.apps.push(SessionApp {
            name: name.clone(),
            pubkey: pubkey.to_owned(),
            enabled: entry["enabled"].as_bool().unwrap_or(true),
        });
    }
}
