//! What the host itself says on the push socket, in OctoPrint's shapes.

use latchkey_model::permission::{self, Permission};
use latchkey_model::user::Group;
use serde_json::{Value, json};

use super::{EndReason, Notice};

/// The plugin in whose name the host speaks.
pub(super) const APPKEYS: &str = "appkeys";

/// The first message to everybody, where no upstream has one.
pub(super) fn connected(version: &str) -> Value {
    let permissions: Vec<_> = permission::ALL.iter().map(about).collect();
    json!({ "connected": {
        "version": version, "display_version": version, "branch": "", "python_version": "",
        "plugin_hash": version, "config_hash": version,
        "debug": false, "safe_mode": null, "online": true, "permissions": permissions,
    }})
}

fn about(permission: &Permission) -> Value {
    let groups = Group::ALL
        .into_iter()
        .filter(|group| permission.is_of(*group));
    let mut about = json!({
        "key": permission.key, "name": permission.key, "dangerous": permission.dangerous,
        "default_groups": groups.map(Group::as_str).collect::<Vec<_>>(),
        "description": "", "needs": { "role": [permission.need] },
    });
    if permission.key.starts_with("PLUGIN_APPKEYS_") {
        about["plugin"] = APPKEYS.into();
    }
    about
}

/// To those whose session holds no more, or never did.
pub(super) fn reauthenticate(reason: EndReason) -> Value {
    let reason = match reason {
        EndReason::Logout => "logout",
        EndReason::Modified => "modified",
        EndReason::Removed => "removed",
        EndReason::Stale => "stale",
    };
    json!({ "reauthRequired": { "reason": reason } })
}

/// What was so far, where there is no upstream that knows.
pub(super) fn history() -> [Value; 2] {
    let none = Value::Null;
    let flags = json!({
        "operational": false, "printing": false, "cancelling": false, "pausing": false, "resuming": false,
        "finishing": false, "closedOrError": true, "error": false, "paused": false, "ready": false, "sdReady": false,
    });
    let history = json!({
        "state": { "text": "Offline", "flags": flags, "error": "" },
        "job": {
            "file": { "name": none, "path": none, "display": none, "origin": none, "size": none, "date": none },
            "estimatedPrintTime": none, "lastPrintTime": none, "filament": none, "user": none,
        },
        "progress": {
            "completion": none, "filepos": none, "printTime": none, "printTimeLeft": none, "printTimeLeftOrigin": none,
        },
        "currentZ": none, "offsets": {}, "resends": { "count": 0, "transmitted": 0, "ratio": 0 },
        "temps": [], "logs": [], "messages": [], "busyFiles": [],
    });
    [json!({ "history": history }), json!({ "timelapse": none })]
}

/// A notice in its public form; `None` for those that are not told as such.
pub(super) fn of_notice(notice: &Notice) -> Option<Value> {
    let data = match notice {
        Notice::AccessRequested {
            app_name,
            user_token,
            user,
            remote_address,
        } => json!({
            "type": "request_access", "app_name": app_name, "user_token": user_token,
            "user_id": user, "remote_address": remote_address,
        }),
        Notice::RequestEnded { user_token, .. } => {
            json!({ "type": "end_request", "user_token": user_token })
        }
        Notice::SessionEnded { .. }
        | Notice::UserChanged { .. }
        | Notice::PasswordChanged { .. } => return None,
    };
    Some(json!({ "plugin": { "plugin": APPKEYS, "data": data } }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notices_have_the_contracted_members() {
        let asked = Notice::AccessRequested {
            app_name: "A\"\u{2028}pp".to_owned(),
            user_token: "token".to_owned(),
            user: None,
            remote_address: "192.0.2.7".to_owned(),
        };
        let expected = json!({ "plugin": { "plugin": "appkeys", "data": {
            "type": "request_access", "app_name": "A\"\u{2028}pp", "user_token": "token",
            "user_id": null, "remote_address": "192.0.2.7",
        }}});
        assert_eq!(of_notice(&asked).unwrap(), expected);
        let ended = Notice::RequestEnded {
            user_token: "token".to_owned(),
            user: Some("ada".to_owned()),
        };
        let expected = json!({ "plugin": { "plugin": "appkeys", "data": {
            "type": "end_request", "user_token": "token",
        }}});
        assert_eq!(of_notice(&ended).unwrap(), expected);
    }

    #[test]
    fn the_first_message_has_the_contracted_members() {
        let connected = connected("1.11.8");
        let told = connected["connected"].as_object().unwrap();
        for member in [
            "version",
            "display_version",
            "branch",
            "python_version",
            "plugin_hash",
            "config_hash",
            "debug",
            "safe_mode",
            "online",
            "permissions",
        ] {
            assert!(told.contains_key(member), "{member}");
        }
        let permissions = told["permissions"].as_array().unwrap();
        let grant = permissions
            .iter()
            .find(|p| p["key"] == "PLUGIN_APPKEYS_GRANT")
            .unwrap();
        assert_eq!(grant["plugin"], "appkeys");
        assert_eq!(grant["needs"], json!({ "role": ["plugin_appkeys_user"] }));
        assert_eq!(grant["default_groups"], json!(["admins", "users"]));
    }
}
