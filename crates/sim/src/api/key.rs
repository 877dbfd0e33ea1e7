//! The API key: where it may stand in a request, and the middleware that asks for it.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderMap, Uri, header};
use subtle::ConstantTimeEq;

use super::ApiError;
use crate::App;

/// Lets a request through that carries the key; everything else is 403, as with OctoPrint, never 401.
pub(crate) async fn require(
    State(app): State<App>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    if holds_key(&app.config.api_key, request.uri(), request.headers()) {
        Ok(next.run(request).await)
    } else {
        Err(ApiError::Forbidden)
    }
}

/// Whether the first key found in a request is the right one. A right key in a later place does not
/// make up for a wrong one in an earlier.
pub(crate) fn holds_key(expected: &str, uri: &Uri, headers: &HeaderMap) -> bool {
    sent_key(uri, headers).is_some_and(|sent| sent.as_bytes().ct_eq(expected.as_bytes()).into())
}

fn sent_key(uri: &Uri, headers: &HeaderMap) -> Option<String> {
    query_value(uri, "apikey")
        .or_else(|| header_text(headers, "x-api-key").map(str::to_owned))
        .or_else(|| {
            header_text(headers, header::AUTHORIZATION.as_str())?
                .strip_prefix("Bearer ")
                .map(str::to_owned)
        })
        .filter(|key| !key.is_empty())
}

/// The first value of that name in a query.
pub(crate) fn query_value(uri: &Uri, name: &str) -> Option<String> {
    url::form_urlencoded::parse(uri.query()?.as_bytes())
        .find(|(known, _)| known == name)
        .map(|(_, value)| value.into_owned())
}

pub(crate) fn header_text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    use super::holds_key;
    use http::{HeaderMap, HeaderName, HeaderValue, Uri};

    fn held(uri: &str, headers: &[(&'static str, &'static str)]) -> bool {
        let headers: HeaderMap = headers
            .iter()
            .map(|(k, v)| (HeaderName::from_static(k), HeaderValue::from_static(v)))
            .collect();
        holds_key("right", &uri.parse::<Uri>().unwrap(), &headers)
    }

    #[test]
    fn the_key_may_stand_in_three_places() {
        assert!(held("/api?apikey=right", &[]));
        assert!(held("/api", &[("x-api-key", "right")]));
        assert!(held("/api", &[("authorization", "Bearer right")]));
    }

    #[test]
    fn a_wrong_key_in_an_earlier_place_is_not_made_good() {
        assert!(!held("/api?apikey=wrong", &[("x-api-key", "right")]));
        assert!(!held(
            "/api",
            &[("x-api-key", "wrong"), ("authorization", "Bearer right")]
        ));
    }

    #[test]
    fn anything_else_is_no_key() {
        assert!(!held("/api", &[]));
        assert!(!held("/api?apikey=", &[]));
        assert!(!held("/api", &[("authorization", "bearer right")]));
        assert!(!held("/api", &[("authorization", "Basic right")]));
        assert!(!held("/api?apikey=righ", &[]));
    }
}
