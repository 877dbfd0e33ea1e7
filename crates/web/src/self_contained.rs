//! Answers that need nothing else from us: the style is in the page.
//!
//! Used where our assets cannot be reached, or may be what is broken.

use std::sync::LazyLock;

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use sha2::{Digest, Sha256};

use crate::{css::minify, security_headers};

static STYLE: LazyLock<String> = LazyLock::new(|| minify(include_str!("../static/edge.css")));

static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let hash = BASE64_STANDARD.encode(Sha256::digest(STYLE.as_bytes()));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; img-src data:; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'"
    );
    HeaderValue::from_str(&policy).expect("base64 is plain text")
});

/// The content of the page's `<style>`, byte for byte what the policy allows.
pub fn style() -> &'static str {
    &STYLE
}

pub(crate) fn page(status: StatusCode, html: &str) -> Response<Bytes> {
    let mut response = answer(
        status,
        "text/html; charset=utf-8",
        Bytes::copy_from_slice(html.as_bytes()),
    );
    response
        .headers_mut()
        .insert(header::CONTENT_SECURITY_POLICY, POLICY.clone());
    security_headers::apply(response.headers_mut());
    response
}

pub(crate) fn json(status: StatusCode, body: &serde_json::Value) -> Response<Bytes> {
    answer(status, "application/json", Bytes::from(body.to_string()))
}

fn answer(status: StatusCode, content_type: &'static str, body: Bytes) -> Response<Bytes> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let fields = response.headers_mut();
    fields.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    fields.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    fields.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    fields.insert(
        header::VARY,
        HeaderValue::from_static("Accept, Sec-Fetch-Mode, Sec-Fetch-Dest"),
    );
    response
}

#[cfg(test)]
mod tests {
    #[test]
    fn style_of_error_pages_is_small() {
        let size = super::style().len();
        assert!(size <= 5 * 1024, "{size} bytes");
    }
}
