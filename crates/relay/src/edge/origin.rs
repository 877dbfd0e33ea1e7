//! Requests that a web page of another origin makes a person's browser send.
//!
//! A credential that the browser adds by itself (a hostname alone, or a Basic pair it
//! remembers) proves nothing about the page. A bearer token does: no browser adds one.

use http::header::{HeaderName, ORIGIN};
use http::{HeaderMap, Method};
use latchkey_model::app_connection::AdmittedBy;
use latchkey_net::authority::Authority;
use url::Url;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");

/// Whether a request must be refused because another origin's page is behind it.
pub(super) fn is_forged(
    method: &Method,
    headers: &HeaderMap,
    own: &Authority,
    websocket: bool,
    by: AdmittedBy,
) -> bool {
    if by == AdmittedBy::Bearer {
        return false;
    }
    if websocket {
        return headers.contains_key(ORIGIN) && !is_own_origin(headers, own);
    }
    let safe = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    !safe && is_cross_site(headers)
}

/// The same where a cookie lets in, as at people's own hostnames. Printers are each other's
/// neighbours under one domain, and a cookie goes along with what a neighbour's page sends: from
/// elsewhere only a person may come, by opening a page in a window of its own.
pub(super) fn is_foreign(
    method: &Method,
    headers: &HeaderMap,
    own: &Authority,
    websocket: bool,
) -> bool {
    let is_reading = matches!(*method, Method::GET | Method::HEAD) && !websocket;
    let is = |name: &HeaderName, word| headers.get(name).is_some_and(|value| value == word);
    let opens_page = is(&SEC_FETCH_MODE, "navigate") && is(&SEC_FETCH_DEST, "document");
    if is_cross_site(headers) {
        return !(is_reading && opens_page);
    }
    // Browsers that do not say from which site say from which page, for all that changes anything.
    !is_reading && headers.contains_key(ORIGIN) && !is_own_origin(headers, own)
}

fn is_own_origin(headers: &HeaderMap, own: &Authority) -> bool {
    let named = headers
        .get(ORIGIN)
        .and_then(|origin| origin.to_str().ok())
        .and_then(|origin| Url::parse(origin).ok());
    named.is_some_and(|origin| {
        let default = if matches!(origin.scheme(), "https" | "wss") {
            443
        } else {
            80
        };
        origin.host_str() == Some(own.host())
            && origin.port().unwrap_or(default) == own.port_or(default)
    })
}

/// Browsers say so themselves; apps do not send the field.
fn is_cross_site(headers: &HeaderMap) -> bool {
    headers
        .get(SEC_FETCH_SITE)
        .is_some_and(|site| site == "cross-site" || site == "same-site")
}

#[cfg(test)]
mod tests {
    use AdmittedBy::{Basic, Bearer, Hostname};

    use super::*;

    #[test]
    fn a_foreign_page_cannot_use_what_the_browser_adds() {
        let own: Authority = "app-x.example.net:8443".parse().unwrap();
        let own_origin = "https://app-x.example.net:8443";
        let evil = "https://evil.example";
        let other_port = "https://app-x.example.net";
        let site = "sec-fetch-site";
        for (method, field, value, websocket, by, forged) in [
            (Method::GET, "origin", evil, true, Hostname, true),
            (Method::GET, "origin", evil, true, Basic, true),
            (Method::GET, "origin", evil, true, Bearer, false),
            (Method::GET, "origin", "null", true, Basic, true),
            (Method::GET, "origin", own_origin, true, Basic, false),
            (Method::GET, "origin", other_port, true, Basic, true),
            (Method::GET, "x-none", "", true, Basic, false),
            (Method::POST, site, "cross-site", false, Basic, true),
            (Method::POST, site, "same-origin", false, Basic, false),
            (Method::GET, site, "cross-site", false, Basic, false),
            (Method::DELETE, "x-none", "", false, Hostname, false),
            (
                Method::POST,
                "origin",
                "capacitor://localhost",
                false,
                Basic,
                false,
            ),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(field, value.parse().unwrap());
            assert_eq!(
                is_forged(&method, &headers, &own, websocket, by),
                forged,
                "{method} {field}: {value}, {by:?}"
            );
        }
    }

    #[test]
    fn at_an_own_hostname_only_a_person_comes_from_elsewhere() {
        let own: Authority = "own-x.example.net".parse().unwrap();
        let (get, post) = (Method::GET, Method::POST);
        let navigates = "navigate";
        for (method, site, mode, dest, websocket, foreign) in [
            (&get, "same-origin", "cors", "empty", false, false),
            (&get, "none", navigates, "document", false, false),
            (&get, "cross-site", navigates, "document", false, false),
            (&get, "same-site", navigates, "document", false, false),
            (&get, "same-site", navigates, "iframe", false, true),
            (&get, "same-site", "no-cors", "image", false, true),
            (&get, "same-site", "cors", "empty", false, true),
            (&get, "same-site", "websocket", "websocket", true, true),
            (&get, "cross-site", "no-cors", "script", false, true),
            (&post, "same-site", navigates, "document", false, true),
            (&post, "cross-site", navigates, "document", false, true),
            (&post, "same-origin", "cors", "empty", false, false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(SEC_FETCH_SITE, site.parse().unwrap());
            headers.insert(SEC_FETCH_MODE, mode.parse().unwrap());
            headers.insert(SEC_FETCH_DEST, dest.parse().unwrap());
            let found = is_foreign(method, &headers, &own, websocket);
            assert_eq!(found, foreign, "{method} {site} {mode} {dest}");
        }
        for (origin, method, websocket, foreign) in [
            ("https://own-x.example.net", &post, false, false),
            ("https://own-x.example.net", &get, true, false),
            ("https://own-y.example.net", &post, false, true),
            ("https://own-y.example.net", &get, true, true),
            ("null", &Method::DELETE, false, true),
            ("https://own-y.example.net", &get, false, false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ORIGIN, origin.parse().unwrap());
            let found = is_foreign(method, &headers, &own, websocket);
            assert_eq!(found, foreign, "{origin} {method} {websocket}");
        }
    }
}
