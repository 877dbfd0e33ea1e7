//! What browsers and apps send to the portal.

use latchkey_model::access::KeyScope;
use serde::{Deserialize, Serialize};

/// The forms of all pages of the portal.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Fields {
    /// The app's request, as it is carried along.
    pub(super) request: String,
    pub(super) csrf_token: String,
    pub(super) decision: String,
    pub(super) printer: String,
    pub(super) scope: String,
    /// Ticked: a key as well.
    pub(super) key: String,
    /// Ticked: the person began this in the app.
    pub(super) sure: String,
    /// The form's name.
    pub(super) once: String,
}

impl Fields {
    /// What the app may do. Our page always says; what says something else gets the least.
    pub(super) fn scope(&self) -> KeyScope {
        self.scope.parse().unwrap_or(KeyScope::View)
    }

    pub(super) fn wants_key(&self) -> bool {
        self.key == "yes"
    }

    pub(super) fn is_sure(&self) -> bool {
        self.sure == "yes"
    }
}

/// What the page for the decision is asked with, beside the app's request.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Chosen {
    pub(super) printer: String,
    pub(super) scope: String,
    pub(super) key: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Done {
    pub(super) once: String,
}

/// `POST /appportal/v1/token`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Exchange {
    pub(super) code: String,
    pub(super) code_verifier: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ExchangeError {
    pub(super) error: &'static str,
    pub(super) error_description: &'static str,
}
