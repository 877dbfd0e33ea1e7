//! Bodies of the workflow, in the words of `OctoPrint`'s Application Keys.

use latchkey_model::access::KeyScope;
use latchkey_model::app::AppName;
use latchkey_model::key_request::Decision;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::contract::is_yes;

/// What an app asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Wish {
    pub(crate) app: AppName,
    pub(crate) user: Option<String>,
}

/// Longest user name that a wish may carry; none is longer.
const LONGEST_USER: usize = 256;

impl Wish {
    /// Reads a wish, or says what is wrong with it. Unknown members are passed over.
    pub(super) fn read(members: &Map<String, Value>) -> Result<Self, &'static str> {
        let app = match members.get("app") {
            Some(Value::String(app)) => app,
            Some(_) => return Err("The member app needs to be text."),
            None => return Err("The member app is missing: the name people know your app by."),
        };
        let app = AppName::cleaned(app)
            .map_err(|_| "The member app needs to be a name of 1 to 64 visible characters.")?;
        let user = match members.get("user") {
            None | Some(Value::Null) => None,
            Some(Value::String(user)) if user.len() <= LONGEST_USER => Some(user.clone()),
            Some(_) => return Err("The member user needs to be a user's name, or null."),
        };
        Ok(Self {
            app,
            user: user.filter(|user| !user.is_empty()),
        })
    }
}

/// Reads a decision. `scope` is ours: without it a grant is of everything.
pub(super) fn read_decision(members: &Map<String, Value>) -> Result<Decision, &'static str> {
    let scope = match members.get("scope") {
        None | Some(Value::Null) => KeyScope::Full,
        Some(scope) => scope
            .as_str()
            .and_then(|scope| scope.parse().ok())
            .ok_or("The member scope needs to be full or view.")?,
    };
    match members.get("decision") {
        None => Err("The member decision is missing: true or false."),
        Some(Value::Array(_) | Value::Object(_)) => {
            Err("The member decision needs to be true or false.")
        }
        Some(yes) if is_yes(yes) => Ok(Decision::Grant(scope)),
        Some(_) => Ok(Decision::Deny),
    }
}

// As it is described; `Wish::read` reads it.
/// Who wants a key.
#[derive(ToSchema)]
#[schema(as = KeyWish)]
#[expect(dead_code, reason = "read member by member")]
pub(super) struct WishBody {
    /// The name that people know the app by.
    #[schema(min_length = 1, max_length = 64)]
    app: String,
    /// Whose key it is to be; with nobody, the key is whoever's that allows it.
    #[schema(max_length = 256)]
    user: Option<String>,
}

// As it is described; `read_decision` reads it.
/// What was decided.
#[derive(ToSchema)]
#[schema(as = Decision)]
#[expect(dead_code, reason = "read member by member")]
pub(super) struct DecisionBody {
    /// Anything but a yes denies.
    decision: bool,
    /// How far the key goes; without it, as far as the person does.
    scope: Option<ScopeWord>,
}

/// How far a key goes.
#[derive(ToSchema)]
#[schema(as = Scope, rename_all = "lowercase")]
#[expect(dead_code, reason = "stands for a word in the description")]
pub(crate) enum ScopeWord {
    Full,
    View,
}

#[derive(Serialize, ToSchema)]
#[schema(as = KeyAsked)]
pub(super) struct Asked {
    /// A secret of the app's, to poll with.
    pub(super) app_token: String,
    /// Where the person decides.
    pub(super) auth_dialog: String,
}

#[derive(Serialize, ToSchema)]
#[schema(as = KeyAwaited)]
pub(super) struct Awaiting {
    pub(super) message: &'static str,
}

#[derive(Serialize, ToSchema)]
#[schema(as = KeyFetched)]
pub(super) struct Fetched<'a> {
    pub(super) api_key: &'a str,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn members(value: &Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn a_wish_needs_a_name_and_may_name_a_user() {
        for (body, expected) in [
            (json!({"app": "Fieldglass"}), Some(("Fieldglass", None))),
            (json!({"app": " A\u{200b} "}), Some(("A", None))),
            (json!({"app": "A", "user": null}), Some(("A", None))),
            (json!({"app": "A", "user": ""}), Some(("A", None))),
            (
                json!({"app": "A", "user": "ann", "x": 1}),
                Some(("A", Some("ann"))),
            ),
            (json!({"user": "ann"}), None),
            (json!({"app": ""}), None),
            (json!({"app": 5}), None),
            (json!({"app": null}), None),
            (json!({"app": "A", "user": 5}), None),
            (json!({"app": "a".repeat(65)}), None),
        ] {
            let wish = Wish::read(&members(&body)).ok();
            let wish = wish
                .as_ref()
                .map(|wish| (wish.app.as_str(), wish.user.as_deref()));
            assert_eq!(wish, expected, "{body}");
        }
    }

    #[test]
    fn a_decision_is_a_yes_or_anything_else_that_is_plain() {
        let grant = Some(Decision::Grant(KeyScope::Full));
        for (body, expected) in [
            (json!({"decision": true}), grant),
            (json!({"decision": "y"}), grant),
            (json!({"decision": 1.0}), grant),
            (
                json!({"decision": true, "scope": "view"}),
                Some(Decision::Grant(KeyScope::View)),
            ),
            (json!({"decision": "on"}), Some(Decision::Deny)),
            (json!({"decision": null}), Some(Decision::Deny)),
            (json!({"decision": []}), None),
            (json!({"decision": {}}), None),
            (json!({"decision": true, "scope": "all"}), None),
            (json!({}), None),
        ] {
            assert_eq!(read_decision(&members(&body)).ok(), expected, "{body}");
        }
    }
}
