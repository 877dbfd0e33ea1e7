//! What the relay tells the host about a forwarded request, beside the request itself.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use http::header::HeaderName;
use http::{HeaderMap, HeaderValue};

use crate::proxy::coding::DEFLATE;

pub use crate::client_addr::Scheme;

/// Tells control requests from forwarded ones.
pub(super) const KIND: HeaderName = HeaderName::from_static("latchkey-kind");
pub(super) const KIND_CONTROL: HeaderValue = HeaderValue::from_static("control");
pub(super) const KIND_REQUEST: HeaderValue = HeaderValue::from_static("request");

const CALLER: HeaderName = HeaderName::from_static("latchkey-caller");
const SCHEME: HeaderName = HeaderName::from_static("latchkey-scheme");
const APP_CONNECTION: HeaderName = HeaderName::from_static("latchkey-app-connection");
const SCOPE: HeaderName = HeaderName::from_static("latchkey-scope");
const REQUEST: HeaderName = HeaderName::from_static("latchkey-request");
const CODINGS: HeaderName = HeaderName::from_static("latchkey-codings");

/// Longest id in a head.
const MAX_ID: usize = 128;

/// How far the app connection's owner lets it go at the printer. The host judges by it; to the
/// relay it is a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Everything a person does with the printer. Also what an older relay means that says nothing.
    #[default]
    Full,
    /// Looking only.
    View,
}

impl Scope {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::View => "view",
        }
    }
}

/// What the relay knows about a forwarded request and the host cannot see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamHead {
    /// The caller's address as the relay saw it.
    pub caller: IpAddr,
    /// The scheme of the caller's URL.
    pub scheme: Scheme,
    /// The app connection the caller proved to hold, if it came through one.
    pub app_connection: Option<String>,
    /// How far it may go.
    pub scope: Scope,
    /// The relay's id of this request, for both logs.
    pub request: String,
    /// The host may [code](crate::proxy::coding) the answer; the relay undoes it.
    pub may_code: bool,
}

/// A field of a head that cannot be what the relay meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    /// A required field is missing.
    #[error("the field {0} is missing")]
    Missing(HeaderName),
    /// A field stands there twice.
    #[error("the field {0} is given twice")]
    Duplicate(HeaderName),
    /// A field's value is not one.
    #[error("the field {0} holds nonsense")]
    Invalid(HeaderName),
}

impl StreamHead {
    /// Writes the head into a request's fields, over anything the caller put there.
    pub fn encode(&self, headers: &mut HeaderMap) -> Result<(), HeadError> {
        strip(headers);
        let caller = HeaderValue::from_str(&self.caller.to_string())
            .map_err(|_| HeadError::Invalid(CALLER))?;
        headers.insert(CALLER, caller);
        headers.insert(SCHEME, HeaderValue::from_static(self.scheme.as_str()));
        headers.insert(REQUEST, id_value(&REQUEST, &self.request)?);
        if let Some(id) = &self.app_connection {
            headers.insert(APP_CONNECTION, id_value(&APP_CONNECTION, id)?);
        }
        headers.insert(SCOPE, HeaderValue::from_static(self.scope.as_str()));
        if self.may_code {
            headers.insert(CODINGS, DEFLATE);
        }
        Ok(())
    }

    /// Reads the head and removes it, and everything else of the tunnel's, from the fields.
    pub fn decode(headers: &mut HeaderMap) -> Result<Self, HeadError> {
        let head = Self::read(headers);
        strip(headers);
        head
    }

    fn read(headers: &HeaderMap) -> Result<Self, HeadError> {
        let caller = required(headers, CALLER)?;
        let scheme = match required(headers, SCHEME)? {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            _ => return Err(HeadError::Invalid(SCHEME)),
        };
        let caller = caller.parse().map_err(|_| HeadError::Invalid(CALLER))?;
        let request = required(headers, REQUEST)?;
        let app_connection = single(headers, APP_CONNECTION)?;
        let codings = single(headers, CODINGS)?.unwrap_or_default();
        // Of tomorrow's relays, too, which may undo others besides.
        let may_code = codings.split(',').any(|coding| DEFLATE == coding.trim());
        let scope = match single(headers, SCOPE)? {
            None | Some("full") => Scope::Full,
            Some("view") => Scope::View,
            // Not less than what somebody chose: a scope of tomorrow may be narrower.
            Some(_) => return Err(HeadError::Invalid(SCOPE)),
        };
        Ok(Self {
            caller,
            scheme,
            app_connection: app_connection
                .map(|id| id_text(APP_CONNECTION, id))
                .transpose()?,
            scope,
            request: id_text(REQUEST, request)?,
            may_code,
        })
    }
}

/// The one value of a field that may stand there at most once.
pub(super) fn single(headers: &HeaderMap, name: HeaderName) -> Result<Option<&str>, HeadError> {
    let mut values = headers.get_all(&name).iter();
    let first = values.next();
    if values.next().is_some() {
        return Err(HeadError::Duplicate(name));
    }
    first
        .map(|value| value.to_str().map_err(|_| HeadError::Invalid(name)))
        .transpose()
}

fn required(headers: &HeaderMap, name: HeaderName) -> Result<&str, HeadError> {
    single(headers, name.clone())?.ok_or(HeadError::Missing(name))
}

/// Removes every field whose name is the tunnel's, in either spelling: servers that pass
/// fields on as environment variables fold `_` and `-` into one.
pub(super) fn strip(headers: &mut HeaderMap) {
    let ours: Vec<HeaderName> = headers
        .keys()
        .filter(|name| {
            name.as_str()
                .strip_prefix("latchkey")
                .is_some_and(|rest| rest.starts_with(['-', '_']))
        })
        .cloned()
        .collect();
    for name in ours {
        headers.remove(name);
    }
}

fn is_id(text: &str) -> bool {
    (1..=MAX_ID).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte))
}

fn id_text(name: HeaderName, text: &str) -> Result<String, HeadError> {
    if is_id(text) {
        Ok(text.to_owned())
    } else {
        Err(HeadError::Invalid(name))
    }
}

fn id_value(name: &HeaderName, text: &str) -> Result<HeaderValue, HeadError> {
    let invalid = || HeadError::Invalid(name.clone());
    if !is_id(text) {
        return Err(invalid());
    }
    HeaderValue::from_str(text).map_err(|_| invalid())
}
