//! Bodies of `/apps/auth`.

use data_encoding::BASE64;
use latchkey_model::clock::Timestamp;
use latchkey_model::session_key::SessionAppName;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{Claim, Unverified};

/// `GET /apps/auth`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UnverifiedKey)]
#[serde(rename_all = "camelCase")]
pub(super) struct UnverifiedBody<'a> {
    unverified_key: &'a str,
    valid_until: f64,
}

impl<'a> UnverifiedBody<'a> {
    pub(super) fn of(unverified: &'a Unverified) -> Self {
        Self {
            unverified_key: unverified.key.expose(),
            valid_until: seconds(unverified.until),
        }
    }
}

/// `POST /apps/auth`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = VerifiedKey)]
#[serde(rename_all = "camelCase")]
pub(super) struct VerifiedBody<'a> {
    pub(super) key: &'a str,
    pub(super) valid_until: f64,
}

// As it is described; `claim` reads it.
/// An app with its signature.
#[derive(ToSchema)]
#[schema(as = Claim)]
#[expect(dead_code, reason = "read member by member")]
pub(super) struct ClaimBody {
    appid: String,
    /// Without it, the app is looked for as it is registered for any version.
    appversion: Option<String>,
    /// From the answer to the first step.
    key: String,
    /// In BASE64.
    #[schema(rename = "_sig")]
    sig: String,
}

/// Seconds since 1970 with a fraction.
pub(super) fn seconds(at: Timestamp) -> f64 {
    #[expect(
        clippy::cast_precision_loss,
        reason = "milliseconds of the next 280,000 years are exact"
    )]
    let millis = at.millis() as f64;
    millis / 1000.0
}

/// What is wrong with the body of a claim.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ClaimError {
    Missing(&'static str),
    /// Present, and no text.
    Malformed(&'static str),
    /// The signature is not BASE64.
    Signature,
}

/// Reads a claim. Members are looked at in the contract's order.
pub(super) fn claim(members: &Map<String, Value>) -> Result<Claim<'_>, ClaimError> {
    let [id, key, signature] = ["appid", "key", "_sig"].map(|name| (name, members.get(name)));
    for (name, value) in [id, key, signature] {
        if value.is_none_or(Value::is_null) {
            return Err(ClaimError::Missing(name));
        }
    }
    let text = |(name, value): (&'static str, Option<&'_ Value>)| {
        let text = value.and_then(Value::as_str).map(str::to_owned);
        text.ok_or(ClaimError::Malformed(name))
    };
    let id = text(id)?;
    let version = match members.get("appversion") {
        None | Some(Value::Null) => None,
        Some(Value::String(version)) => Some(version.clone()),
        // Versions look like numbers, and are written as such.
        Some(Value::Number(version)) => Some(version.to_string()),
        Some(_) => return Err(ClaimError::Malformed("appversion")),
    };
    let signature = text(signature)?;
    let key = key.1.and_then(Value::as_str);
    Ok(Claim {
        app: SessionAppName::asked(&id, version.as_deref()),
        key: key.ok_or(ClaimError::Malformed("key"))?,
        signature: BASE64
            .decode(signature.as_bytes())
            .map_err(|_| ClaimError::Signature)?,
    })
}
