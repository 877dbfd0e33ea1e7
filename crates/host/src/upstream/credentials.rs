//! What a caller proved itself with to the host, taken out before the printer's server is asked.

use std::borrow::Cow;

use http::header::{AUTHORIZATION, COOKIE, HeaderMap, HeaderName, HeaderValue};
use latchkey_net::proxy::cookies;

use crate::config::UpstreamKind;
use crate::public::is_cookie_suffix;
use crate::sessions::cookies::Cookie;

pub(crate) const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const X_CSRF_TOKEN: HeaderName = HeaderName::from_static("x-csrf-token");

/// Takes a caller's credentials out of a request's fields.
pub(super) fn remove_from_fields(headers: &mut HeaderMap) {
    for name in [X_API_KEY, AUTHORIZATION, X_CSRF_TOKEN] {
        headers.remove(name);
    }
    let Some(cookie) = headers.get(COOKIE) else {
        return;
    };
    let kept: Vec<&[u8]> = cookie
        .as_bytes()
        .split(|byte| *byte == b';')
        .map(<[u8]>::trim_ascii)
        .filter(|cookie| !cookie.is_empty() && !is_hosts(cookie))
        .collect();
    match HeaderValue::from_bytes(&kept.join(&b"; "[..])) {
        Ok(rest) if !rest.is_empty() => headers.insert(COOKIE, rest),
        _ => headers.remove(COOKIE),
    };
}

/// Path and query without credentials; the rest stays byte for byte.
pub(super) fn remove_from_target(kind: UpstreamKind, target: &str) -> Cow<'_, str> {
    let Some((path, query)) = target.split_once('?') else {
        return target.into();
    };
    match remove_from_query(kind, query) {
        None => target.into(),
        Some(rest) if rest.is_empty() => path.into(),
        Some(rest) => format!("{path}?{rest}").into(),
    }
}

/// The query without credentials; `None` if it has none.
fn remove_from_query(kind: UpstreamKind, query: &str) -> Option<String> {
    // Some servers separate by `;` too, and would find there what was not looked for.
    let is_separator = |character| matches!(character, '&' | ';');
    let mut kept = String::with_capacity(query.len());
    let mut removed = false;
    for piece in query.split_inclusive(is_separator) {
        let pair = piece.trim_end_matches(is_separator);
        if is_credential(kind, pair) {
            removed = true;
        } else {
            kept.push_str(piece);
        }
    }
    if removed && !query.ends_with(is_separator) {
        kept.truncate(kept.trim_end_matches(is_separator).len());
    }
    removed.then_some(kept)
}

/// Drops cookies of the host's names from an answer. A printer's server that sets them means
/// itself and would overwrite ours.
pub(super) fn drop_set_cookies(headers: &mut HeaderMap) {
    cookies::drop_where(headers, is_hosts);
}

fn is_credential(kind: UpstreamKind, pair: &str) -> bool {
    let name = pair.split('=').next().unwrap_or_default();
    let name = url::form_urlencoded::parse(name.as_bytes()).next();
    let name: Cow<'_, str> = name.map_or(Cow::Borrowed(""), |(name, _)| name);
    let names: &[&str] = match kind {
        // A wrong one of these would be refused, whatever key came with it.
        UpstreamKind::Moonraker => &["apikey", "token", "access_token"],
        _ => &["apikey"],
    };
    names
        .iter()
        .any(|known| name.trim().eq_ignore_ascii_case(known))
}

/// Whether a cookie, with whatever follows its name, is one of the host's.
fn is_hosts(cookie: &[u8]) -> bool {
    let name = cookie.split(|byte| matches!(byte, b'=' | b';')).next();
    let name = String::from_utf8_lossy(name.unwrap_or_default());
    let name = name.trim();
    Cookie::ALL.into_iter().any(|own| {
        name.strip_prefix(own.name())
            .is_some_and(|suffix| suffix.is_empty() || is_cookie_suffix(suffix))
    })
}

#[cfg(test)]
mod tests {
    use http::header::SET_COOKIE;

    use super::*;

    #[test]
    fn a_query_loses_credentials_and_nothing_else() {
        for (query, rest) in [
            ("apikey=k", Some("")),
            ("apikey", Some("")),
            ("a=%20&apikey=k&b=+;c", Some("a=%20&b=+;c")),
            ("apikey=1&a&apikey=2", Some("a")),
            ("a=b&%61pi%4bey=k", Some("a=b")),
            ("APIKEY=k&a", Some("a")),
            ("a;apikey=k;b", Some("a;b")),
            ("apikey=k&", Some("")),
            ("a&apikey=k&", Some("a&")),
            ("+apikey=k&a", Some("a")),
            ("myapikey=k&a=apikey=k&token=t", None),
            ("", None),
            ("&&a", None),
        ] {
            let found = remove_from_query(UpstreamKind::OctoPrint, query);
            assert_eq!(found.as_deref(), rest, "{query}");
        }
        let found = remove_from_query(UpstreamKind::Moonraker, "a&token=t&access_token=j&b");
        assert_eq!(found.as_deref(), Some("a&b"));
    }

    #[test]
    fn the_hosts_cookies_are_taken_out_and_others_pass() {
        for (cookie, rest) in [
            ("session=a", None),
            (
                "session_P443=a; remember_token_P80_R|octo=b; csrf_token_P5000=c; active_logout=d",
                None,
            ),
            (
                "theme=dark; session_P1=a; _ga=\"x\"",
                Some("theme=dark; _ga=\"x\""),
            ),
            (
                "sessions=a; my_session=b; session_id=c; session_P=d; session_P1x=e",
                Some("sessions=a; my_session=b; session_id=c; session_P=d; session_P1x=e"),
            ),
            ("\u{a0}session=a;;\tcsrf_token =b", None),
            ("session", None),
        ] {
            let mut headers = HeaderMap::new();
            let value = HeaderValue::from_bytes(cookie.as_bytes()).unwrap();
            headers.insert(COOKIE, value);
            remove_from_fields(&mut headers);
            let left = headers.get(COOKIE).map(|left| left.to_str().unwrap());
            assert_eq!(left, rest, "{cookie}");
        }
    }

    #[test]
    fn a_server_cannot_set_the_hosts_cookies() {
        let mut headers = HeaderMap::new();
        for cookie in [
            "session_P443=a; HttpOnly; Path=/",
            " csrf_token=b",
            "theme=dark; Path=/session",
            "remember_token_P80_R|octo=; Max-Age=0",
        ] {
            headers.append(SET_COOKIE, HeaderValue::from_static(cookie));
        }
        drop_set_cookies(&mut headers);
        let left: Vec<_> = headers.get_all(SET_COOKIE).iter().collect();
        assert_eq!(left, ["theme=dark; Path=/session"]);
    }
}
