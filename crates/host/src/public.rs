//! The address under which a caller knows this host: what URLs, redirects and the names of
//! cookies are made of.

use http::header::ORIGIN;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Uri};
use latchkey_net::authority::Authority;
use latchkey_net::client_addr::Scheme;

use crate::service::Inbound;

/// Scheme, host, port and path prefix as the caller used them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Public {
    scheme: Scheme,
    /// Without the scheme's default port.
    authority: Authority,
    prefix: String,
}

impl Public {
    pub(crate) fn of(inbound: &Inbound) -> Self {
        Self {
            scheme: inbound.scheme,
            authority: inbound.public_authority(),
            prefix: inbound.prefix.clone(),
        }
    }

    /// Where pages of this host come from (RFC 6454): `https://p.example`.
    pub(crate) fn origin(&self) -> String {
        format!("{}://{}", self.scheme.as_str(), self.authority)
    }

    /// The URL of a path of ours.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{}{path}", self.origin(), self.prefix)
    }

    /// `/octo`, usually empty.
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The path that all of ours are below: `/octo/`.
    pub(crate) fn path(&self) -> String {
        format!("{}/", self.prefix)
    }

    pub(crate) fn is_secure(&self) -> bool {
        self.scheme.is_secure()
    }

    pub(crate) fn port(&self) -> u16 {
        self.authority
            .port_or(if self.is_secure() { 443 } else { 80 })
    }

    /// Whether a browser that says this `Origin` shows a page of this address.
    pub(crate) fn is_origin(&self, origin: &HeaderValue) -> bool {
        let origin = origin.to_str();
        origin.is_ok_and(|origin| origin.eq_ignore_ascii_case(&self.origin()))
    }

    /// Whether nothing says that a page of another address sent this: browsers say `Origin` with
    /// whatever changes something.
    pub(crate) fn may_have_sent(&self, headers: &HeaderMap) -> bool {
        let origin = headers.get(ORIGIN);
        origin.is_none_or(|origin| self.is_origin(origin))
    }

    /// By what cookies of several servers on one machine are told apart; clients compute it too.
    pub(crate) fn cookie_suffix(&self) -> String {
        let mut suffix = format!("_P{}", self.port());
        if !self.prefix.is_empty() {
            suffix.push_str("_R");
            suffix.push_str(&self.prefix.replace('/', "|"));
        }
        suffix
    }
}

/// Whether it is a [`Public::cookie_suffix`], of whichever address: `_P443` or `_P443_R|octo`.
pub(crate) fn is_cookie_suffix(suffix: &str) -> bool {
    let Some(rest) = suffix.strip_prefix("_P") else {
        return false;
    };
    let rest_of_port = rest.trim_start_matches(|digit: char| digit.is_ascii_digit());
    rest_of_port.len() < rest.len() && (rest_of_port.is_empty() || rest_of_port.starts_with("_R"))
}

/// Takes the prefix off a request's path, if the proxy left it on.
pub(crate) fn strip_prefix(uri: &mut Uri, prefix: &str) {
    if prefix.is_empty() {
        return;
    }
    let Some(target) = uri.path_and_query() else {
        return;
    };
    let Some(rest) = target.as_str().strip_prefix(prefix) else {
        return;
    };
    let rest = match rest.as_bytes().first() {
        None => "/".to_owned(),
        Some(b'?') => format!("/{rest}"),
        Some(b'/') => rest.to_owned(),
        Some(_) => return,
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = PathAndQuery::try_from(rest).ok();
    if let Ok(stripped) = Uri::from_parts(parts) {
        *uri = stripped;
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::service::Door;

    pub(crate) fn inbound(scheme: Scheme, authority: &str, prefix: &str) -> Inbound {
        Inbound {
            door: Door::Lan,
            address: [192, 168, 1, 9].into(),
            scheme,
            authority: authority.parse().unwrap(),
            prefix: prefix.to_owned(),
            websocket: false,
            request_id: "1".to_owned(),
        }
    }

    #[test]
    fn addresses_and_cookies_follow_what_the_caller_used() {
        for (scheme, authority, prefix, base, suffix) in [
            (
                Scheme::Https,
                "p.example",
                "/octo",
                "https://p.example/octo",
                "_P443_R|octo",
            ),
            (
                Scheme::Https,
                "p.example:443",
                "",
                "https://p.example",
                "_P443",
            ),
            (
                Scheme::Http,
                "p.example:443",
                "",
                "http://p.example:443",
                "_P443",
            ),
            (
                Scheme::Http,
                "octopi.local",
                "",
                "http://octopi.local",
                "_P80",
            ),
            (
                Scheme::Http,
                "[fe80::1]:5010",
                "/a/b",
                "http://[fe80::1]:5010/a/b",
                "_P5010_R|a|b",
            ),
        ] {
            let public = Public::of(&inbound(scheme, authority, prefix));
            assert_eq!(public.url(""), base);
            assert_eq!(public.url("/login/"), format!("{base}/login/"));
            assert_eq!(public.cookie_suffix(), suffix, "{base}");
            assert_eq!(public.path(), format!("{prefix}/"));
        }
    }

    #[test]
    fn a_path_may_come_with_or_without_the_prefix() {
        for (prefix, path, stripped) in [
            ("/octo", "/octo/api/job?x=1", "/api/job?x=1"),
            ("/octo", "/api/job", "/api/job"),
            ("/octo", "/octo", "/"),
            ("/octo", "/octo?x=1", "/?x=1"),
            ("/octo", "/octopus", "/octopus"),
            ("/octo", "/octo//x", "//x"),
            ("", "/octo/x", "/octo/x"),
            ("/octo", "http://p.example/octo/x", "http://p.example/x"),
        ] {
            let mut uri: Uri = path.parse().unwrap();
            strip_prefix(&mut uri, prefix);
            assert_eq!(uri.to_string(), stripped, "{prefix} {path}");
        }
    }
}
