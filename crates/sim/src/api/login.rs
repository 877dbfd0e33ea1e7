//! Passive login with the key, and the sessions it gives for the push socket. There are no passwords
//! here and no cookies: people sign in at the host, apps hold a key.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, Uri};
use serde_json::{Value, json};

use super::ApiError;
use super::error::is_json;
use super::key::{header_text, holds_key};
use crate::App;

/// The one user; OctoPrint names the holder of the global key so.
pub(crate) const USER: &str = "_api";
/// Sessions remembered; the oldest goes first.
const MOST_SESSIONS: usize = 512;

/// Sessions that open the push socket.
#[derive(Debug, Default)]
pub(crate) struct Sessions(Mutex<VecDeque<String>>);

impl Sessions {
    fn open(&self) -> String {
        let mut bytes = [0_u8; 16];
        getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
        let session = format!(
            "{:032x}",
            bytes
                .iter()
                .fold(0_u128, |all, byte| (all << 8) | u128::from(*byte))
        );
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() == MOST_SESSIONS {
            known.pop_front();
        }
        known.push_back(session.clone());
        session
    }

    /// Whether `user:session` came from a login here.
    pub(crate) fn knows(&self, auth: &str) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        auth.split_once(':')
            .is_some_and(|(user, session)| user == USER && known.iter().any(|one| one == session))
    }
}

pub(crate) async fn login(
    State(app): State<App>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    let form = read(&headers, &body)?;
    // Whatever it says: OctoPrint only looks whether it is there.
    if form.get("passive").is_some() {
        let keyed = holds_key(&app.config.api_key, &uri, &headers);
        return Ok(Json(if keyed {
            user(&app.sessions.open())
        } else {
            anonymous()
        })
        .into_response());
    }
    if form["user"].is_string() && form["pass"].is_string() {
        let error =
            json!({ "error": "There are no passwords here: use the API key and a passive login." });
        return Ok((StatusCode::FORBIDDEN, Json(error)).into_response());
    }
    Err(ApiError::bad(
        "Neither user and pass nor passive were given",
    ))
}

pub(crate) async fn logout() -> Json<Value> {
    Json(json!({ "needs": { "group": ["guests"] } }))
}

pub(crate) async fn current_user(
    State(app): State<App>,
    uri: Uri,
    headers: HeaderMap,
) -> Json<Value> {
    Json(if holds_key(&app.config.api_key, &uri, &headers) {
        json!({ "name": USER, "permissions": ["ADMIN", "STATUS", "CONNECTION", "CONTROL", "FILES_LIST", "PRINT", "WEBCAM"], "groups": ["admins", "users"] })
    } else {
        json!({ "name": null, "permissions": [], "groups": ["guests"] })
    })
}

/// JSON or a form, both are common.
fn read(headers: &HeaderMap, body: &Bytes) -> Result<Value, ApiError> {
    let kind = header_text(headers, "content-type").unwrap_or("");
    if is_json(kind) {
        return serde_json::from_slice(body)
            .map_err(|_| ApiError::bad("Malformed JSON body in request"));
    }
    Ok(url::form_urlencoded::parse(body)
        .map(|(name, value)| (name.into_owned(), Value::from(value)))
        .collect::<serde_json::Map<_, _>>()
        .into())
}

fn user(session: &str) -> Value {
    json!({
        "name": USER, "active": true, "admin": true, "user": true,
        "apikey": null, "settings": {}, "session": session,
        "groups": ["admins", "users"], "permissions": ["ADMIN", "STATUS"], "roles": ["user", "admin"],
        "needs": { "group": ["admins", "users"], "role": ["admin", "user", "status"] },
        "_is_external_client": false, "_login_mechanism": "apikey", "_credentials_seen": false,
    })
}

fn anonymous() -> Value {
    json!({ "_credentials_seen": false, "_is_external_client": false, "needs": { "group": ["guests"] } })
}

#[cfg(test)]
mod tests {
    use super::{MOST_SESSIONS, Sessions, USER};

    #[test]
    fn sessions_are_known_until_there_are_too_many() {
        let sessions = Sessions::default();
        let first = sessions.open();
        assert!(sessions.knows(&format!("{USER}:{first}")));
        assert!(!sessions.knows(&format!("somebody:{first}")));
        assert!(!sessions.knows(USER));
        for _ in 0..MOST_SESSIONS {
            sessions.open();
        }
        assert!(!sessions.knows(&format!("{USER}:{first}")));
    }
}
