//! What apps, hosts and operators call, as an OpenAPI document and as a page made from it.
//!
//! The document is made from what stands beside each handler; a test compares it with
//! `docs/reference/openapi-relay.json`, and with the routes that are there.

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
        title = "Latchkey relay",
        description = "What apps, hosts and operators call at a relay's own address. Traffic to printers goes to the \
                       hostname of an app connection and passes unchanged; only the statuses from 600 on are the \
                       relay's there, as in the App API. They mean that the way is the matter, not the printer's server: \
                       600 a doubt, 601 not connected, 602 no answer in time, 603 unknown, 604 ended, 605 not allowed \
                       at present, 606 credentials missing or wrong, 607 to 609 a limit, 610 update needed, 612 the \
                       printer's software failed, 613 no print.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
    ),
    servers((url = "/", description = "`public_url` of the relay")),
    tags(
        (name = "App API", description = "What an app may ask by its app connection."),
        (name = "Portal", description = "Where a browser ends that an app sent to `/appportal/v1`."),
        (name = "Pairing", description = "How a host comes to an account."),
        (name = "Description", description = "This."),
        (name = "Status", description = "For operators, on `status_listen`."),
    ),
    paths(
        crate::app_api::http::info,
        crate::app_api::http::gadget_status,
        crate::app_api::webhook::set,
        crate::app_api::webhook::delete,
        crate::app_api::webhook::test,
        crate::app_api::http::create_live_link,
        crate::portal::exchange::exchange,
        crate::pairing::http::start,
        crate::pairing::http::poll,
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
        let token = ApiKeyValue::with_description(
            "AppToken",
            "`appApiToken` of the portal's result. A POST may have it in its JSON body.",
        );
        let scheme = SecurityScheme::ApiKey(ApiKey::Header(token));
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("app_token", scheme);
        status_is_at(document, "http://127.0.0.1:7011", "relay");
    }
}

/// The document.
pub(crate) fn document() -> Document {
    Described::openapi()
}
