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

/// Whether a browser's `Origin` is this printer as the caller sees it. Apps send none, which is fine.
pub(crate) fn same_origin(headers: &HeaderMap) -> bool {
    let Some(origin) = header_text(headers, "origin") else {
        return !headers.contains_key("origin");
    };
    let Some((scheme, host_of_origin)) = origin.split_once("://") else {
        return false;
    };
    // The scheme is left out: a proxy that ends TLS does not always say so.
    without_default_port(scheme, host_of_origin)
        .eq_ignore_ascii_case(without_default_port(scheme, host(headers)))
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

fn without_default_port<'a>(scheme: &str, host: &'a str) -> &'a str {
    let default = if scheme.eq_ignore_ascii_case("https") {
        ":443"
    } else {
        ":80"
    };
    host.strip_suffix(default).unwrap_or(host)
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
                true,
            ),
            (
                vec![("host", "p.example:443"), ("origin", "https://p.example")],
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
