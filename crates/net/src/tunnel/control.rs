//! Control requests: what relay and host say to each other beside forwarded requests.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http2::SendRequest;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::frames::Frames;
use super::head::{KIND, KIND_CONTROL};
use super::settings::Settings;
use crate::body::{self, Body};

/// Largest body of a control request or its answer.
const MAX_BODY: usize = 16 * 1024;

/// Why a relay does not take a tunnel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalCode {
    /// No printer has this host's key: pair first.
    UnknownHost,
    /// Another running host has the same key and is connected.
    Held,
    /// A newer tunnel of the same host took over.
    Replaced,
    /// This host may not have a connection of this number; the others are not concerned.
    Connection,
    /// The relay is going away.
    Draining,
    /// The relay has too much to do.
    Busy,
    /// A reason this version does not know.
    #[serde(untagged)]
    Other(String),
}

/// A relay's refusal of a tunnel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{sentence}")]
pub struct Refusal {
    /// The reason, for programs.
    pub code: RefusalCode,
    /// The reason and what to do, for people.
    pub sentence: String,
    /// When to try again at the earliest; without it the host's ordinary schedule holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Welcome {
    pub(super) tunnel_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) printer_id: Option<String>,
    /// How many connections the relay takes of a host; one, if it does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) connections: Option<u8>,
    /// Another tunnel of this run of the host is up, through which it has heard what ended.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) beside: bool,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Drain {
    pub(super) reconnect_after_ms: u64,
}

/// Which app connections have ended.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct EndedNotice {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) app_connections: Vec<String>,
    /// Any may have: the host is to forget what it knows of them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) any: bool,
}

/// How a host declines a control request.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Problem {
    pub(super) code: String,
    pub(super) sentence: String,
}

/// Why a control request failed.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The tunnel is gone.
    #[error("the tunnel is gone: {0}")]
    Lost(#[from] hyper::Error),
    /// No answer in time.
    #[error("the host did not answer in time")]
    Deadline,
    /// The host declined.
    #[error("the host answered {0}")]
    Declined(StatusCode),
    /// This side has finished with the tunnel.
    #[error("the tunnel takes no new streams")]
    Finished,
}

/// Why a body could not be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    #[error("it did not come in time")]
    Deadline,
    #[error("it is too long or broke off")]
    Body,
    #[error("it is not the expected JSON: {0}")]
    Json(#[from] serde_json::Error),
}

/// A control request with a JSON body.
pub(super) fn request(path: &'static str, body: impl Into<Bytes>) -> Request<Frames> {
    let mut request = Request::new(Frames::plain(body::full(body)));
    *request.method_mut() = http::Method::POST;
    *request.version_mut() = http::Version::HTTP_2;
    let uri = http::Uri::builder()
        .scheme("http")
        .authority("latchkey")
        .path_and_query(path)
        .build();
    *request.uri_mut() = uri.expect("the parts are fixed and valid");
    let headers = request.headers_mut();
    headers.insert(KIND, KIND_CONTROL);
    headers.insert(header::CONTENT_TYPE, JSON);
    request
}

const JSON: http::HeaderValue = http::HeaderValue::from_static("application/json");

/// Sends a control request that is done when its answer is 200.
pub(super) async fn tell(
    sender: &mut SendRequest<Frames>,
    path: &'static str,
    value: &impl Serialize,
    settings: &Settings,
) -> Result<(), ControlError> {
    let body = serde_json::to_vec(value).unwrap_or_default();
    let asked = sender.send_request(request(path, body));
    let response = tokio::time::timeout(settings.control_deadline, asked)
        .await
        .map_err(|_| ControlError::Deadline)??;
    match response.status() {
        StatusCode::OK => Ok(()),
        status => Err(ControlError::Declined(status)),
    }
}

/// Asks something whose answer is worth reading, whatever its status.
pub(super) async fn ask(
    sender: &mut SendRequest<Frames>,
    path: &'static str,
    value: &impl Serialize,
    within: Duration,
) -> Result<Response<Incoming>, ControlError> {
    let body = serde_json::to_vec(value).unwrap_or_default();
    let asked = sender.send_request(request(path, body));
    let response = tokio::time::timeout(within, asked).await;
    Ok(response.map_err(|_| ControlError::Deadline)??)
}

/// Reads the answer to a question.
pub(super) async fn read_answer<T: DeserializeOwned>(
    response: Response<Incoming>,
    within: Duration,
) -> Result<T, ControlError> {
    let status = response.status();
    let read = read_json(response.into_body(), within).await;
    read.map_err(|error| match error {
        ReadError::Deadline => ControlError::Deadline,
        ReadError::Body | ReadError::Json(_) => ControlError::Declined(status),
    })
}

/// An answer with a JSON body.
pub(super) fn answer(status: StatusCode, value: &impl Serialize) -> Response<Body> {
    let bytes = serde_json::to_vec(value).unwrap_or_else(|_| b"{}".to_vec());
    let mut response = Response::new(body::full(bytes));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    response
}

/// An answer that declines.
pub(super) fn problem(
    status: StatusCode,
    code: &str,
    sentence: impl Into<String>,
) -> Response<Body> {
    let problem = Problem {
        code: code.to_owned(),
        sentence: sentence.into(),
    };
    answer(status, &problem)
}

/// Reads a control body within its bounds.
pub(super) async fn read(body: Incoming, deadline: Duration) -> Result<Bytes, ReadError> {
    let collected = tokio::time::timeout(deadline, Limited::new(body, MAX_BODY).collect())
        .await
        .map_err(|_| ReadError::Deadline)?
        .map_err(|_| ReadError::Body)?;
    Ok(collected.to_bytes())
}

/// Reads a control body as JSON.
pub(super) async fn read_json<T: DeserializeOwned>(
    body: Incoming,
    deadline: Duration,
) -> Result<T, ReadError> {
    Ok(serde_json::from_slice(&read(body, deadline).await?)?)
}
