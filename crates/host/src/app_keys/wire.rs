//! Bodies of the key management, in the words of `OctoPrint`'s Application Keys.

use std::collections::BTreeMap;

use latchkey_model::app_key::AppKey;
use serde::Serialize;
use utoipa::ToSchema;

use crate::key_requests::Shown;
use crate::key_requests::wire::ScopeWord;

/// A key in a list; what is beyond `app_id` and `user_id` is ours.
#[derive(Serialize, ToSchema)]
pub(super) struct KeyEntry {
    app_id: String,
    user_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) api_key: Option<String>,
    latchkey: KeyFacts,
}

/// What the host knows of a key beyond the contract. Times are milliseconds since 1970.
#[derive(Serialize, ToSchema)]
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

// As it is described; `List` or `One` is sent.
/// All keys, or the one that was asked for.
#[derive(ToSchema)]
#[schema(as = KeysOrKey)]
#[serde(untagged)]
#[expect(dead_code, reason = "stands for the answer in the description")]
pub(super) enum KeysAnswer {
    All(List),
    One(One),
}

// As it is described; it is read member by member.
/// What is to be done with which key.
#[derive(ToSchema)]
#[schema(as = KeyCommand)]
#[expect(dead_code, reason = "read member by member")]
pub(super) struct CommandBody {
    command: CommandWord,
    /// The app's name. To revoke, `key` will do.
    #[schema(min_length = 1, max_length = 64)]
    app: Option<String>,
    /// Whose key it is; without it the caller's own.
    user: Option<String>,
    /// To generate: how far the key goes.
    scope: Option<ScopeWord>,
    /// To revoke: the key itself.
    key: Option<String>,
}

/// What is to be done.
#[derive(ToSchema)]
#[schema(as = KeyCommandWord, rename_all = "lowercase")]
#[expect(dead_code, reason = "stands for a word in the description")]
enum CommandWord {
    Generate,
    Revoke,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Keys)]
pub(super) struct List {
    pub(super) keys: Vec<KeyEntry>,
    pub(super) pending: BTreeMap<String, PendingEntry>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = PendingRequest)]
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

#[derive(Serialize, ToSchema)]
#[schema(as = Key)]
pub(super) struct One {
    pub(super) key: KeyEntry,
}

#[derive(Serialize, ToSchema)]
#[schema(as = KeyMade)]
pub(super) struct Generated<'a> {
    pub(super) user_id: &'a str,
    pub(super) app_id: &'a str,
    pub(super) api_key: &'a str,
}
