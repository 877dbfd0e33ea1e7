//! Bodies of the key management, in the words of `OctoPrint`'s Application Keys.

use std::collections::BTreeMap;

use latchkey_model::app_key::AppKey;
use serde::Serialize;

use crate::key_requests::Shown;

/// A key in a list; what is beyond `app_id` and `user_id` is ours.
#[derive(Serialize)]
pub(super) struct KeyEntry {
    app_id: String,
    user_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) api_key: Option<String>,
    latchkey: KeyFacts,
}

/// What the host knows of a key beyond the contract. Times are milliseconds since 1970.
#[derive(Serialize)]
struct KeyFacts {
    id: String,
    scope: &'static str,
    created: i64,
    last_used: Option<i64>,
    last_network: Option<String>,
    requests: u64,
}

impl KeyEntry {
    pub(super) fn of(key: &AppKey) -> Self {
        Self {
            app_id: key.app.to_string(),
            user_id: key.user.to_string(),
            api_key: None,
            latchkey: KeyFacts {
                id: key.id.to_string(),
                scope: key.scope.as_str(),
                created: key.created.millis(),
                last_used: key.last_use.as_ref().map(|used| used.at.millis()),
                last_network: key.last_use.as_ref().map(|used| used.network.clone()),
                requests: key.requests,
            },
        }
    }
}

#[derive(Serialize)]
pub(super) struct List {
    pub(super) keys: Vec<KeyEntry>,
    pub(super) pending: BTreeMap<String, PendingEntry>,
}

#[derive(Serialize)]
pub(super) struct PendingEntry {
    app_id: String,
    user_id: Option<String>,
    user_token: String,
    remote_address: String,
}

impl PendingEntry {
    pub(super) fn of(shown: &Shown) -> Self {
        Self {
            app_id: shown.request.app.to_string(),
            user_id: shown.request.user.clone(),
            user_token: shown.user_token.expose().to_owned(),
            remote_address: shown.request.remote.to_canonical().to_string(),
        }
    }
}

#[derive(Serialize)]
pub(super) struct One {
    pub(super) key: KeyEntry,
}

#[derive(Serialize)]
pub(super) struct Generated<'a> {
    pub(super) user_id: &'a str,
    pub(super) app_id: &'a str,
    pub(super) api_key: &'a str,
}
