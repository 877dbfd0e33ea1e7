//! Routes of the App API. Paths are those of [`crate::paths`], in lower case.

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use axum::{Extension, Json, Router};
use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ALLOW, CACHE_CONTROL,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use latchkey_model::relay_status::RelayStatus;
use serde::Serialize;

use super::described::{
    AppApiRefusals, GadgetAnswer, InfoAnswer, LiveBody, LiveMadeAnswer, RefusalAnswer, TokenBody,
};
use super::live::{LiveWish, NoLink};
use super::wire::{Envelope, Flat};
use super::{AppApi, token, webhook};
use crate::pages::visit::Arrival;

/// Below these is the App API, and nothing else.
const ROOMS: [&str; 3] = ["/api/appconnection/", "/api/gadget/", "/api/live/"];

/// By which an operator finds the line in the log.
const REQUEST_ID: HeaderName = HeaderName::from_static("latchkey-request-id");

/// Longest body of a request.
const MAX_BODY: usize = 16 * 1024;

/// Whether a path, already in lower case, is the App API's.
pub(crate) fn owns(path: &str) -> bool {
    ROOMS.iter().any(|room| path.starts_with(room))
}

/// The routes. Who calls is read from the request's extension [`Arrival`].
pub(crate) fn routes(api: AppApi) -> Router {
    let no_post = async || wrong_method("GET, HEAD, OPTIONS");
    let no_get = async || wrong_method("POST, OPTIONS");
    let no_head = async || wrong_method("GET, OPTIONS");
    let unknown = async || nothing_here();
    Router::new()
        .route("/api/appconnection/info", get(info).fallback(no_post))
        .route(
            "/api/gadget/getstatusfromappconnection",
            post(gadget_status).fallback(no_get),
        )
        .route(
            "/api/appconnection/setnotificationwebhook",
            post(webhook::set).fallback(no_get),
        )
        .route(
            "/api/appconnection/deletenotificationwebhook",
            post(webhook::delete).fallback(no_get),
        )
        .route(
            "/api/appconnection/testwebhook",
            // It calls somebody: nothing that a HEAD may do.
            get(webhook::test).head(no_head).fallback(no_head),
        )
        .route(
            "/api/live/createfromappconnection",
            post(create_live_link).fallback(no_get),
        )
        .route("/api/appconnection/{*rest}", any(unknown))
        .route("/api/gadget/{*rest}", any(unknown))
        .route("/api/live/{*rest}", any(unknown))
        .layer(middleware::from_fn(share))
        .with_state(api)
}

/// Tell what an app connection leads to
///
/// Which printer it is, whether it is connected, and the limits of its owner's plan. A printer that
/// is not connected is a fact, and no error.
#[utoipa::path(
    get,
    path = "/api/appconnection/info",
    tag = "App API",
    security(("app_token" = [])),
    responses(
        (status = 200, description = "The printer. The members of `Result` are there a second time beside it.", body = InfoAnswer, example = json!({
            "Status": 200, "Error": "", "IsUserError": false,
            "Result": {
                "PrinterName": "Workshop",
                "PrinterLocalIp": "192.168.1.9:5010",
                "IsOnline": true,
                "LastConnectionTimeUtc": "2026-11-25T20:41:07Z",
                "LastDisconnectTimeUtc": "0001-01-01T00:00:00",
                "UserFacingPrinterUrl": "https://relay.example.com/view/Workshop",
                "PrinterLimits": {
                    "MaxDownloadFileSizeBytes": 1_073_741_824,
                    "MaxUploadFileSizeBytes": 1_073_741_824,
                    "MaxSingleWebcamStreamLengthSeconds": 2_147_483_647,
                    "MaxTotalWebcamStreamTimePerTimeWindowSeconds": null,
                    "WebcamStreamTimeWindow": null
                }
            },
            "PrinterName": "Workshop",
            "PrinterLocalIp": "192.168.1.9:5010",
            "IsOnline": true,
            "LastConnectionTimeUtc": "2026-11-25T20:41:07Z",
            "LastDisconnectTimeUtc": "0001-01-01T00:00:00",
            "UserFacingPrinterUrl": "https://relay.example.com/view/Workshop",
            "PrinterLimits": {
                "MaxDownloadFileSizeBytes": 1_073_741_824,
                "MaxUploadFileSizeBytes": 1_073_741_824,
                "MaxSingleWebcamStreamLengthSeconds": 2_147_483_647,
                "MaxTotalWebcamStreamTimePerTimeWindowSeconds": null,
                "WebcamStreamTimeWindow": null
            }
        })),
        AppApiRefusals,
    )
)]
pub(crate) async fn info(
    State(api): State<AppApi>,
    Extension(arrival): Extension<Arrival>,
    headers: HeaderMap,
) -> Response {
    let token = match token::find(&headers, &[]) {
        Ok(token) => token,
        Err(why) => return wrong(StatusCode::BAD_REQUEST, why.sentence()),
    };
    match api.info(&token).await {
        Ok(info) => Json(Flat::of(&info)).into_response(),
        Err(status) => refuse(&api, status, &arrival).await,
    }
}

/// Tell what watches the print for failures
///
/// Nothing does, so it is off. Apps ask whenever a printer is linked, and take an error for a
/// broken link. The token may stand in a JSON body instead of the field.
#[utoipa::path(
    post,
    path = "/api/gadget/GetStatusFromAppConnection",
    tag = "App API",
    security(("app_token" = [])),
    request_body(content = TokenBody, description = "Not needed with the field `AppToken`."),
    responses(
        (status = 200, description = "That it is off.", body = GadgetAnswer, example = json!({
            "Status": 200, "Error": "", "IsUserError": false,
            "Result": {"State": 0, "Status": "", "StatusColor": "w", "Rating": 10}
        })),
        AppApiRefusals,
    )
)]
pub(crate) async fn gadget_status(
    State(api): State<AppApi>,
    Extension(arrival): Extension<Arrival>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let (token, _) = match in_post(&headers, body).await {
        Ok(found) => found,
        Err(answer) => return answer,
    };
    match api.gadget_status(&token).await {
        // Its member `Status` is not the envelope's, so it is not repeated beside it.
        Ok(status) => Json(Envelope::of(status)).into_response(),
        Err(status) => refuse(&api, status, &arrival).await,
    }
}

/// The token of a POST, and its body.
pub(super) async fn in_post(headers: &HeaderMap, body: Body) -> Result<(String, Bytes), Response> {
    let body = match to_bytes(body, MAX_BODY).await {
        Ok(body) => body,
        Err(_) if headers.contains_key("apptoken") => Bytes::new(),
        Err(_) => {
            let sentence = "The body of the request is too long or broke off.";
            return Err(wrong(StatusCode::BAD_REQUEST, sentence));
        }
    };
    let token = token::find(headers, &body);
    let token = token.map_err(|why| wrong(StatusCode::BAD_REQUEST, why.sentence()))?;
    Ok((token, body))
}

/// Make a live link
///
/// An address at which anybody watches the printer, and can do nothing else. It ends with its time,
/// with the app connection, or when the printer's owner ends it.
#[utoipa::path(
    post,
    path = "/api/live/createFromAppConnection",
    tag = "App API",
    security(("app_token" = [])),
    request_body(content = LiveBody, description = "Not needed with the field `AppToken`.", example = json!({
        "ExpirationHours": 12, "EndWhenCurrentPrintIsComplete": false
    })),
    responses(
        (status = 200, description = "The link. The members of `Result` are there a second time beside it.", body = LiveMadeAnswer, example = json!({
            "Status": 200, "Error": "", "IsUserError": false,
            "Result": {
                "LiveId": "m4q7x2…",
                "Url": "https://relay.example.com/live/2fpq…",
                "ShortUrl": "https://relay.example.com/l/2fpq…"
            },
            "LiveId": "m4q7x2…",
            "Url": "https://relay.example.com/live/2fpq…",
            "ShortUrl": "https://relay.example.com/l/2fpq…"
        })),
        AppApiRefusals,
        (status = 400, description = "No token, or two that differ; or the body is not good, over 16 KiB, or broke off; or the printer has 50 good links.", body = RefusalAnswer),
        (status = 613, description = "The link is to end with the print, and none goes on.", body = RefusalAnswer),
    )
)]
pub(crate) async fn create_live_link(
    State(api): State<AppApi>,
    Extension(arrival): Extension<Arrival>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let Ok(body) = to_bytes(body, MAX_BODY).await else {
        let sentence = "The body of the request is too long or broke off.";
        return wrong(StatusCode::BAD_REQUEST, sentence);
    };
    let token = match token::find(&headers, &body) {
        Ok(token) => token,
        Err(why) => return wrong(StatusCode::BAD_REQUEST, why.sentence()),
    };
    let wish = match LiveWish::read(&body) {
        Ok(wish) => wish,
        Err(sentence) => return wrong(StatusCode::BAD_REQUEST, sentence),
    };
    match api.make_live_link(&token, wish).await {
        Ok(made) => Json(Flat::of(&made)).into_response(),
        Err(NoLink::Status(status)) => refuse(&api, status, &arrival).await,
        Err(NoLink::TooMany) => {
            let sentence = "The printer has as many live links as it may. Its owner can end some.";
            wrong(StatusCode::BAD_REQUEST, sentence)
        }
    }
}

/// Answers a refusal, later if this caller has tried too many wrong tokens.
pub(super) async fn refuse(api: &AppApi, status: RelayStatus, arrival: &Arrival) -> Response {
    api.slow_down(status, arrival.address).await;
    let code = StatusCode::from_u16(status.code()).expect("600 to 613 are three digits");
    let mut response = json(code, &Envelope::refusal(status));
    if let Ok(id) = HeaderValue::from_str(&arrival.request_id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

pub(super) fn wrong(status: StatusCode, sentence: &'static str) -> Response {
    json(status, &Envelope::wrong(status, sentence))
}

fn wrong_method(allowed: &'static str) -> Response {
    let sentence = "This address does not take that method.";
    let mut response = wrong(StatusCode::METHOD_NOT_ALLOWED, sentence);
    response
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static(allowed));
    response
}

fn nothing_here() -> Response {
    wrong(StatusCode::NOT_FOUND, "There is nothing at this address.")
}

fn json(status: StatusCode, body: &impl Serialize) -> Response {
    (status, Json(body)).into_response()
}

/// Lets pages of any origin call: an app in a browser has its token, and nothing here goes by
/// what a browser sends by itself. So a browser's question whether it may is always answered
/// yes, and everything can be read, the status of a refusal too.
async fn share(request: Request, next: Next) -> Response {
    let mut response = if request.method() == Method::OPTIONS {
        preflight()
    } else {
        next.run(request).await
    };
    let fields = response.headers_mut();
    let any = HeaderValue::from_static("*");
    fields.insert(ACCESS_CONTROL_ALLOW_ORIGIN, any);
    let readable = HeaderValue::from_static("Latchkey-Request-Id, Retry-After");
    fields.insert(ACCESS_CONTROL_EXPOSE_HEADERS, readable);
    fields.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn preflight() -> Response {
    let fields = [
        (ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD, POST, OPTIONS"),
        (
            ACCESS_CONTROL_ALLOW_HEADERS,
            "AppToken, Content-Type, Accept, Cache-Control, *",
        ),
        (ACCESS_CONTROL_MAX_AGE, "7200"),
    ];
    (StatusCode::NO_CONTENT, fields).into_response()
}
