//! What the scripts of our pages send, and what they are answered.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::visit::Visit;

impl Visit {
    /// What a script of ours sends, in this browser and session: JSON, which no form sends, with
    /// the token of the page it is on.
    pub(crate) fn own_json<T: DeserializeOwned>(&self, body: &[u8]) -> Result<T, Response> {
        #[derive(serde::Deserialize)]
        struct Own<T> {
            csrf_token: String,
            #[serde(flatten)]
            rest: T,
        }
        let kind = self.headers.get(CONTENT_TYPE);
        let is_json = kind.is_some_and(|kind| kind.as_bytes() == b"application/json");
        if !is_json || !self.state.sessions.is_from_here(&self.headers) {
            return Err(self.problem(StatusCode::FORBIDDEN));
        }
        let sent: Own<T> =
            serde_json::from_slice(body).map_err(|_| self.problem(StatusCode::BAD_REQUEST))?;
        self.own_form(&sent.csrf_token)?;
        Ok(sent.rest)
    }

    /// An answer to a script of ours.
    #[expect(clippy::unused_self, reason = "reads like its neighbours")]
    pub(crate) fn json(&self, status: StatusCode, body: &impl Serialize) -> Response {
        (status, axum::Json(body)).into_response()
    }
}
