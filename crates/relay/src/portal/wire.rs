//! What browsers and apps send to the portal.

use latchkey_model::access::KeyScope;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

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
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Exchange {
    /// As the portal's result had it.
    pub(super) code: String,
    /// What the challenge in the portal's request was made from (RFC 7636).
    pub(super) code_verifier: String,
}

/// Why there are no values.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ExchangeError {
    /// `invalid_request` or `invalid_grant`.
    pub(super) error: &'static str,
    pub(super) error_description: &'static str,
}

/// The portal's result, as it is described: [`latchkey_model::portal::Completion`] is what it is
/// made from. After a refusal only the first and the last three are there.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "stands for the answer in the description")]
pub(crate) struct PortalValues {
    /// `true`, or `false` if the person refused.
    success: String,
    id: Option<String>,
    /// Where the printer is.
    url: Option<String>,
    /// For the App API.
    app_api_token: Option<String>,
    authbasichttpuser: Option<String>,
    authbasichttppassword: Option<String>,
    auth_bearer_token: Option<String>,
    printername: Option<String>,
    user_printer_access_url: Option<String>,
    printer_last_known_local_ip: Option<String>,
    /// A key of the printer's server, if the app asked for one and the person allowed it.
    octo_print_api_key: Option<String>,
    auth_basic_http_user: Option<String>,
    auth_basic_http_password: Option<String>,
    /// `denied`, `cancelled` and others.
    error: Option<String>,
    error_description: Option<String>,
    /// The app's own, as it sent it.
    state: Option<String>,
}
