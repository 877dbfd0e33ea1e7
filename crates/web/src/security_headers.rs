//! The header fields every page of ours carries.

use axum::{extract::Request, middleware::Next, response::Response};
use http::{HeaderMap, HeaderName, HeaderValue, header};

/// What our own pages may load and do: only what we serve ourselves.
///
/// Chromium applies `form-action` to redirects after a form too, so the
/// portal's last step ends on a page of ours instead of redirecting to an app.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; \
     style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; \
     form-action 'self'; frame-ancestors 'none'; base-uri 'none'; \
     require-trusted-types-for 'script'";

/// Addresses of ours stay with us, but a form of ours says where it comes from: with `no-referrer`
/// browsers send `Origin: null` along with it (Fetch, "append a request `Origin` header").
const FIELDS: [(HeaderName, &str); 7] = [
    (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "same-origin"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("permissions-policy"),
        "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), \
         microphone=(), payment=(), serial=(), usb=()",
    ),
    (header::CACHE_CONTROL, "no-store"),
];

/// Adds the fields that are not there yet; a handler that set its own keeps it.
pub fn apply(headers: &mut HeaderMap) {
    for (name, value) in FIELDS {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
}

/// `router.layer(axum::middleware::from_fn(security_headers::layer))`
pub async fn layer(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    apply(response.headers_mut());
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policy_is_the_strict_one() {
        for unsafe_word in ["unsafe", "*", "http:", "https:"] {
            assert!(!CONTENT_SECURITY_POLICY.contains(unsafe_word));
        }
        assert!(!CONTENT_SECURITY_POLICY.contains("  "));
    }

    #[test]
    fn a_handlers_own_field_is_kept() {
        let mut headers = HeaderMap::new();
        headers.insert(
            header::CACHE_CONTROL,
            HeaderValue::from_static("public, max-age=60"),
        );
        apply(&mut headers);
        assert_eq!(headers[header::CACHE_CONTROL], "public, max-age=60");
        assert_eq!(headers[header::REFERRER_POLICY], "same-origin");
        assert_eq!(headers.len(), FIELDS.len());
    }
}
