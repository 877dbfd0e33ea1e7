//! What programs call at a host, as an OpenAPI document and as a page made from it.
//!
//! The document is made from what stands beside each handler; a test compares it with
//! `docs/reference/openapi-host.json`, and with the routes that are there. What is only passed on to
//! the printer's server is not ours to describe.

pub(crate) mod described;
pub(crate) mod http;
#[cfg(test)]
mod tests;

use latchkey_web::openapi::status_is_at;
use utoipa::openapi::OpenApi as Document;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, SecurityScheme};
use utoipa::{Modify, OpenApi};

/// Sources of the description.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Latchkey host",
        description = "What programs call at a host and the host answers itself, at home and, with what an app \
                       connection asks for besides, through it. Every other address is the printer's own server, for \
                       whoever may go there, and answers as that does. With `authority: upstream` only `/apps/auth`, \
                       `/api/plugin/octoeverywhere` and `/api/plugin/latchkey` are the host's. A host without an \
                       administrator refuses all of `appkeys` with 403, and whatever is not for callers who may only \
                       look is 403 for them.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
    ),
    servers((url = "/", description = "Where the host answers, at home `http://ADDRESS:5010`")),
    tags(
        (name = "Asking for a key", description = "How an app gets a key: it asks, a person decides in a browser, it fetches."),
        (name = "App keys", description = "The keys that there are."),
        (name = "Session keys", description = "How a registered app gets a key by signing for it, and nobody is asked."),
        (name = "This host", description = "What an app at home finds out before it has a key."),
        (name = "Signing in", description = "Sessions of people, and who one is."),
        (name = "Push socket", description = "Where clients hear what happens. The socket itself is no matter of OpenAPI."),
        (name = "Description", description = "This."),
        (name = "Status", description = "For operators, on `status_listen`."),
    ),
    paths(
        crate::key_requests::http::probe,
        crate::key_requests::http::ask,
        crate::key_requests::http::poll,
        crate::key_requests::http::decide,
        crate::app_keys::http::list,
        crate::app_keys::http::command,
        crate::session_keys::http::begin,
        crate::session_keys::http::verify,
        crate::local_api::http::plugin,
        crate::local_api::http::change_plugin,
        crate::local_api::http::host,
        crate::local_api::http::change_host,
        crate::sessions::http::log_in,
        crate::sessions::http::log_out,
        crate::sessions::http::current_user,
        crate::push::routes::info,
        http::document,
        latchkey_web::health::healthz,
        latchkey_web::health::readyz,
        latchkey_web::health::metrics,
    ),
    modifiers(&Additions)
)]
struct Described;

/// What the macro cannot say.
struct Additions;

impl Modify for Additions {
    fn modify(&self, document: &mut Document) {
        let key = ApiKeyValue::with_description(
            "X-Api-Key",
            "An app's key. It may stand in `Authorization: Bearer` or `?apikey=` as well. A browser has the cookie of \
             a session in its place, and sends `X-CSRF-Token` with whatever changes something.",
        );
        let scheme = SecurityScheme::ApiKey(ApiKey::Header(key));
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("app_key", scheme);
        status_is_at(document, "http://127.0.0.1:5011", "host");
    }
}

/// The document.
pub(crate) fn document() -> Document {
    Described::openapi()
}
