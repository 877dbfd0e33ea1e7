//! Where the caller believes the printer is: behind a reverse proxy that is not where it listens.

use http::HeaderMap;

use super::key::header_text;

/// `https://printer.example/prefix`, without a slash at the end. The first entry of a list counts.
pub(crate) fn base_url(headers: &HeaderMap) -> String {
    let prefix = first(headers, "x-script-name")
        .or_else(|| first(headers, "x-forwarded-prefix"))
        .unwrap_or("");
    let prefix = prefix.trim_matches('/');
    let slash = if prefix.is_empty() { "" } else { "/" };
    format!("{}://{}{slash}{prefix}", scheme(headers), host(headers))
}

/// Whether a browser's `Origin` is the address that was asked. Apps send none, which is fine.
///
/// As in OctoPrint 1.11.8, the forwarded fields do not count here, though they do for every address it gives out:
/// a proxy that changes `Host` has to change `Origin` with it.
pub(crate) fn same_origin(headers: &HeaderMap) -> bool {
    let Some(origin) = header_text(headers, "origin") else {
        return !headers.contains_key("origin");
    };
    let Some((_, asked)) = origin.split_once("://") else {
        return false;
    };
    header_text(headers, "host").is_some_and(|host| asked.eq_ignore_ascii_case(host))
}

fn scheme(headers: &HeaderMap) -> &str {
    match first(headers, "x-forwarded-proto").or_else(|| first(headers, "x-scheme")) {
        Some(scheme) if scheme.eq_ignore_ascii_case("https") => "https",
        _ => "http",
    }
}

fn host(headers: &HeaderMap) -> &str {
    first(headers, "x-forwarded-host")
        .or_else(|| first(headers, "host"))
        .unwrap_or("localhost")
}

fn first<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    header_text(headers, name)?
        .split(',')
        .next()
        .map(str::trim)
        .filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::{base_url, same_origin};
    use http::{HeaderMap, HeaderName, HeaderValue};

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(k, v)| (HeaderName::from_static(k), HeaderValue::from_static(v)))
            .collect()
    }

    #[test]
    fn addresses_follow_the_forwarded_headers() {
        for (pairs, expected) in [
            (vec![("host", "127.0.0.1:5000")], "http://127.0.0.1:5000"),
            (
                vec![
                    ("host", "h"),
                    ("x-forwarded-host", "p.example:8443, x"),
                    ("x-forwarded-proto", "https"),
                ],
                "https://p.example:8443",
            ),
            (
                vec![("host", "h"), ("x-script-name", "/octo/")],
                "http://h/octo",
            ),
            (vec![("host", "h"), ("x-scheme", "https")], "https://h"),
        ] {
            assert_eq!(base_url(&headers(&pairs)), expected);
        }
    }

    #[test]
    fn only_pages_from_here_and_apps_may_open_the_socket() {
        for (pairs, same) in [
            (vec![("host", "h:5000")], true),
            (vec![("host", "h:5000"), ("origin", "http://h:5000")], true),
            (
                vec![
                    ("host", "h"),
                    ("x-forwarded-host", "p.example"),
                    ("origin", "https://p.example"),
                ],
                false,
            ),
            (
                vec![
                    ("host", "h"),
                    ("x-forwarded-host", "p.example"),
                    ("origin", "http://h"),
                ],
                true,
            ),
            (
                vec![("host", "h:5000"), ("origin", "http://evil.example")],
                false,
            ),
            (vec![("host", "h:5000"), ("origin", "null")], false),
        ] {
            assert_eq!(same_origin(&headers(&pairs)), same, "{pairs:?}");
        }
    }
}
