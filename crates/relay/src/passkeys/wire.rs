//! What the script of the pages and this relay say to each other, in JSON.

use serde::{Deserialize, Serialize};
use webauthn_rs::prelude::{
    PublicKeyCredential, RegisterPublicKeyCredential, RequestChallengeResponse,
};

/// Nothing but the token of the page.
#[derive(Deserialize)]
pub(super) struct Beginning {}

/// What the device made.
#[derive(Deserialize)]
pub(super) struct Made {
    #[serde(default)]
    pub(super) name: String,
    pub(super) made: RegisterPublicKeyCredential,
}

/// What the device has.
#[derive(Deserialize)]
pub(super) struct Shown {
    #[serde(default)]
    pub(super) step: String,
    #[serde(default)]
    pub(super) then: String,
    #[serde(rename = "shown")]
    pub(super) answer: PublicKeyCredential,
}

/// What to ask devices for.
#[derive(Serialize)]
pub(super) struct Question {
    pub(super) step: String,
    pub(super) ask: RequestChallengeResponse,
}

/// The same for a new passkey.
#[derive(Serialize)]
pub(super) struct NewQuestion {
    pub(super) ask: serde_json::Value,
}

/// Where the page goes on to.
#[derive(Serialize)]
pub(super) struct GoOn<'a> {
    pub(super) go: &'a str,
}

/// What the page says: it has a sentence for each.
#[derive(Serialize)]
pub(super) struct Problem {
    pub(super) problem: &'static str,
}
