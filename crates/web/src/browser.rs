//! Tells a person in a browser from an app.

use http::{HeaderMap, HeaderName, Method, header};

/// The fields [`wants_page`] reads. They outlive the request, which is gone by the time
/// a problem has to be told.
pub fn about_the_asker(headers: &HeaderMap) -> HeaderMap {
    const TELLING: [HeaderName; 3] = [
        header::ACCEPT,
        HeaderName::from_static("sec-fetch-mode"),
        HeaderName::from_static("sec-fetch-dest"),
    ];
    let mut kept = HeaderMap::with_capacity(TELLING.len());
    for name in TELLING {
        for value in headers.get_all(&name) {
            kept.append(name.clone(), value.clone());
        }
    }
    kept
}

/// Whether the answer will be looked at by a person, and should be a page.
///
/// Browsers say so themselves (`Sec-Fetch-*`); what they say is final, so that
/// a script's `fetch` gets JSON whatever it accepts. Callers that send no such
/// field are browsers if they name `text/html`: apps send `*/*` or JSON.
pub fn wants_page(headers: &HeaderMap, method: &Method) -> bool {
    let field = |name: &str| headers.get(name).and_then(|v| v.to_str().ok());
    let mode = field("sec-fetch-mode");
    let dest = field("sec-fetch-dest");
    if mode.is_some() || dest.is_some() {
        return mode == Some("navigate") || matches!(dest, Some("document" | "iframe"));
    }
    (method == Method::GET || method == Method::HEAD) && names_html(headers)
}

fn names_html(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|range| {
            let mut parts = range.split(';').map(str::trim);
            let html = parts
                .next()
                .is_some_and(|kind| kind.eq_ignore_ascii_case("text/html"));
            html && !parts.any(|p| matches!(p, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn pages_go_to_navigations_only() {
        type Fields = &'static [(&'static str, &'static str)];
        let cases: [(Fields, Method, bool); 11] = [
            (
                &[
                    ("sec-fetch-mode", "navigate"),
                    ("sec-fetch-dest", "document"),
                ],
                Method::GET,
                true,
            ),
            (&[("sec-fetch-mode", "navigate")], Method::POST, true),
            (&[("sec-fetch-dest", "iframe")], Method::GET, true),
            (
                &[("sec-fetch-mode", "cors"), ("accept", "text/html")],
                Method::GET,
                false,
            ),
            (
                &[("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image")],
                Method::GET,
                false,
            ),
            (&[("sec-fetch-mode", "websocket")], Method::GET, false),
            (
                &[("accept", "text/html,application/xhtml+xml,*/*;q=0.8")],
                Method::GET,
                true,
            ),
            (&[("accept", "text/html")], Method::POST, false),
            (&[("accept", "*/*")], Method::GET, false),
            (
                &[("accept", "application/json, text/html;q=0")],
                Method::GET,
                false,
            ),
            (&[], Method::GET, false),
        ];
        for (fields, method, expected) in cases {
            let mut headers = HeaderMap::new();
            for (name, value) in fields {
                headers.insert(*name, HeaderValue::from_static(value));
            }
            assert_eq!(
                wants_page(&headers, &method),
                expected,
                "{method} {fields:?}"
            );
        }
    }
}
