//! The header fields that OctoPrint gives every answer below `/api/`.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use http::header::{
    CACHE_CONTROL, EXPIRES, HeaderMap, PRAGMA, VARY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderName, HeaderValue, Method, StatusCode};

const X_ROBOTS_TAG: HeaderName = HeaderName::from_static("x-robots-tag");
const NEVER: &str = "no-store, no-cache, must-revalidate, post-check=0, pre-check=0, max-age=0";

pub(super) async fn of_api(request: Request, next: Next) -> Response {
    let is_api = request.uri().path().starts_with("/api/");
    let method = request.method().clone();
    let mut response = next.run(request).await;
    if is_api {
        let status = response.status();
        add(response.headers_mut(), &method, status);
    }
    response
}

fn add(headers: &mut HeaderMap, method: &Method, status: StatusCode) {
    let mut set = |name: HeaderName, value: &'static str| {
        headers.insert(name, HeaderValue::from_static(value));
    };
    set(X_ROBOTS_TAG, "noindex, nofollow, noimageindex");
    set(X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(X_FRAME_OPTIONS, "sameorigin");
    set(VARY, "Cookie");
    match (status, method) {
        (StatusCode::METHOD_NOT_ALLOWED, _) => {}
        (_, &Method::GET) => set(CACHE_CONTROL, "max-age=0"),
        _ => {
            set(CACHE_CONTROL, NEVER);
            set(PRAGMA, "no-cache");
            set(EXPIRES, "-1");
        }
    }
}
