//! Refusals as OctoPrint words them: a status and `{"error": "..."}`; and bodies in JSON.

use axum::Json;
use axum::extract::{FromRequest, Request};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{StatusCode, header};
use serde_json::{Value, json};

use crate::files::path::BadPath;
use crate::printer::machine::Refusal;

/// Why a request is not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    #[error("{0}")]
    BadRequest(String),
    #[error(
        "You don't have the permission to access the requested resource. It needs the API key of this printer."
    )]
    Forbidden,
    #[error("The requested URL was not found on this printer.")]
    NotFound,
    #[error("{0}")]
    Conflict(String),
    #[error("The upload is larger than this printer takes.")]
    TooLarge,
    #[error("The body has to be JSON, and the content type has to say so.")]
    NotJson,
    #[error("Only files ending in .gcode, .gco or .g can be printed here.")]
    NotPrintable,
    #[error("The file could not be stored or read.")]
    Storage(#[source] std::io::Error),
}

impl ApiError {
    pub(crate) fn bad(message: impl Into<String>) -> Self {
        Self::BadRequest(message.into())
    }

    pub(crate) fn conflict(message: impl Into<String>) -> Self {
        Self::Conflict(message.into())
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NotJson | Self::NotPrintable => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Storage(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        if let Self::Storage(error) = &self {
            tracing::error!(error = %error, "a file could not be stored or read");
        }
        (self.status(), Json(json!({ "error": self.to_string() }))).into_response()
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::FileGone => Self::NotFound,
            refusal => Self::Conflict(format!("Not now: {refusal}.")),
        }
    }
}

impl From<BadPath> for ApiError {
    fn from(bad: BadPath) -> Self {
        Self::BadRequest(bad.to_string())
    }
}

impl From<std::io::Error> for ApiError {
    fn from(error: std::io::Error) -> Self {
        Self::Storage(error)
    }
}

/// Done, nothing to say. OctoPrint names a type even so.
pub(crate) fn no_content() -> Response {
    let kind = [(header::CONTENT_TYPE, "text/plain")];
    (StatusCode::NO_CONTENT, kind).into_response()
}

/// A JSON object from the body of a request.
#[derive(Debug)]
pub(crate) struct Body(Value);

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let kind = request
            .headers()
            .get(header::CONTENT_TYPE)
            .and_then(|kind| kind.to_str().ok())
            .unwrap_or("");
        if !is_json(kind) {
            return Err(ApiError::NotJson);
        }
        let bytes = Bytes::from_request(request, state)
            .await
            .map_err(|_| ApiError::TooLarge)?;
        match serde_json::from_slice(&bytes) {
            Ok(value @ Value::Object(_)) => Ok(Self(value)),
            _ => Err(ApiError::bad("Malformed JSON body in request")),
        }
    }
}

/// `application/json` and `application/*+json`, with whatever parameters.
pub(crate) fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or("");
    let essence = essence.trim().to_ascii_lowercase();
    essence
        .strip_prefix("application/")
        .is_some_and(|kind| kind == "json" || kind.ends_with("+json"))
}

impl Body {
    /// The member `command`.
    pub(crate) fn command(&self) -> Result<&str, ApiError> {
        self.text("command")
            .ok_or_else(|| ApiError::bad("command is missing"))
    }

    pub(crate) fn get(&self, name: &str) -> &Value {
        &self.0[name]
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0[name].as_str()
    }

    pub(crate) fn flag(&self, name: &str) -> bool {
        truthy(&self.0[name])
    }

    /// A number that has to be there.
    pub(crate) fn number(&self, name: &str) -> Result<f64, ApiError> {
        self.0[name]
            .as_f64()
            .ok_or_else(|| ApiError::bad(format!("{name} is missing or no number")))
    }

    pub(crate) fn into_value(self) -> Value {
        self.0
    }
}

/// What apps send as a yes, in JSON or as text.
pub(crate) fn truthy(value: &Value) -> bool {
    match value {
        Value::Bool(flag) => *flag,
        Value::Number(number) => number.as_f64() == Some(1.0),
        Value::String(text) => yes(text),
        _ => false,
    }
}

pub(crate) fn yes(text: &str) -> bool {
    ["true", "yes", "y", "1", "on"].contains(&text.to_ascii_lowercase().as_str())
}

/// Gives the framework's own refusals (405, for one) the same JSON shape.
pub(crate) async fn json_errors(request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    if response.status() == StatusCode::METHOD_NOT_ALLOWED {
        let allow = response.headers().get(header::ALLOW).cloned();
        let error = json!({ "error": "The method is not allowed for the requested URL." });
        let mut answer = (StatusCode::METHOD_NOT_ALLOWED, Json(error)).into_response();
        if let Some(allow) = allow {
            answer.headers_mut().insert(header::ALLOW, allow);
        }
        return answer;
    }
    response
}
