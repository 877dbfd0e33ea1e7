//! `POST /appportal/v1/token`: a code for the values it stands for (RFC 7636).
//!
//! No cookie counts here, so pages of any address may ask.

use axum::extract::rejection::JsonRejection;
use axum::extract::{DefaultBodyLimit, State as Shared};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_MAX_AGE,
};
use http::{HeaderValue, StatusCode};

use super::wire::{Exchange, ExchangeError, PortalValues};
use crate::state::State;

/// Largest body of an exchange.
const LARGEST: usize = 8 * 1024;

pub(super) fn routes() -> Router<State> {
    Router::new()
        .route("/appportal/v1/token", post(exchange).options(preflight))
        .layer(DefaultBodyLimit::max(LARGEST))
}

/// Fetch what a code stands for
///
/// For apps that asked the portal with `responseMode=code`: the values of the portal's result, once
/// and within a minute. Pages of any origin may ask.
#[utoipa::path(
    post,
    path = "/appportal/v1/token",
    tag = "Portal",
    request_body(content = Exchange, example = json!({
        "code": "lk_code_2fPq…", "codeVerifier": "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    })),
    responses(
        (status = 200, description = "What the person allowed.", body = PortalValues, example = json!({
            "success": "true",
            "id": "ac_4b9c",
            "url": "https://app-7qm2vxc9.printers.example.net",
            "appApiToken": "lk_api_…",
            "authbasichttpuser": "u-5b0f", "authbasichttppassword": "lk_pw_…",
            "authBearerToken": "lk_bearer_…",
            "printername": "Workshop",
            "userPrinterAccessUrl": "https://relay.example.com/view/Workshop",
            "printerLastKnownLocalIp": "192.168.1.9",
            "octoPrintApiKey": "lk_key_…",
            "authBasicHttpUser": "u-5b0f", "authBasicHttpPassword": "lk_pw_…"
        })),
        (status = 400, description = "The code or the body is not good. A code is used up by a wrong verifier too.", body = ExchangeError, example = json!({
            "error": "invalid_grant",
            "errorDescription": "The code is wrong, was used, is older than a minute, or was asked for by another."
        })),
    )
)]
pub(crate) async fn exchange(
    Shared(state): Shared<State>,
    body: Result<Json<Exchange>, JsonRejection>,
) -> Response {
    let refusal = |error, error_description| {
        let body = Json(ExchangeError {
            error,
            error_description,
        });
        shared((StatusCode::BAD_REQUEST, body).into_response())
    };
    let Ok(Json(exchange)) = body else {
        return refusal(
            "invalid_request",
            "Send a JSON object with code and codeVerifier.",
        );
    };
    match state.portal.redeem(&exchange.code, &exchange.code_verifier) {
        Some(values) => shared(Json(&*values).into_response()),
        None => refusal(
            "invalid_grant",
            "The code is wrong, was used, is older than a minute, or was asked for by another.",
        ),
    }
}

async fn preflight() -> Response {
    let fields = [
        (ACCESS_CONTROL_ALLOW_METHODS, "POST"),
        (ACCESS_CONTROL_ALLOW_HEADERS, "content-type"),
        (ACCESS_CONTROL_MAX_AGE, "600"),
    ];
    shared((StatusCode::NO_CONTENT, fields).into_response())
}

fn shared(mut answer: Response) -> Response {
    let anybody = HeaderValue::from_static("*");
    answer
        .headers_mut()
        .insert(ACCESS_CONTROL_ALLOW_ORIGIN, anybody);
    answer
}
