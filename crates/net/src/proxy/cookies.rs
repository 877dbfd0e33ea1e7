//! Cookies that a printer's server sets, bound to the one hostname they came through.
//!
//! Both hops do it: the relay because a host may be anybody's, the host because people
//! reach it without a relay too.

use http::HeaderMap;
use http::header::{HeaderValue, SET_COOKIE};

/// Without `Domain` a cookie goes back nowhere else (RFC 6265 section 5.3), and under
/// https it goes back encrypted only. Names stay, for OctoPrint's page looks for its own.
pub fn keep_at_home(headers: &mut HeaderMap, secure: bool) {
    rewrite(headers, |cookie| Some(at_home(cookie, secure)));
}

/// Drops cookies whose name begins with `prefix`, in any letter case.
pub fn drop_named(headers: &mut HeaderMap, prefix: &[u8]) {
    drop_where(headers, |cookie| {
        let start = cookie.trim_ascii_start().get(..prefix.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    });
}

/// Drops cookies, each given as it is set, name, value and attributes.
pub fn drop_where(headers: &mut HeaderMap, is_unwanted: impl Fn(&[u8]) -> bool) {
    rewrite(headers, |cookie| {
        (!is_unwanted(cookie)).then(|| cookie.to_vec())
    });
}

/// Lets a server that sees another path than its callers bind cookies to theirs.
pub fn map_paths(headers: &mut HeaderMap, public_path: impl Fn(&str) -> Option<String>) {
    rewrite(headers, |cookie| {
        Some(with_public_path(cookie, &public_path))
    });
}

/// Replaces each cookie; they are never joined. One that does not fit a field is dropped.
fn rewrite(headers: &mut HeaderMap, replace: impl Fn(&[u8]) -> Option<Vec<u8>>) {
    if !headers.contains_key(SET_COOKIE) {
        return;
    }
    let cookies: Vec<HeaderValue> = headers.get_all(SET_COOKIE).iter().cloned().collect();
    headers.remove(SET_COOKIE);
    for cookie in cookies {
        let replaced = replace(cookie.as_bytes());
        if let Some(Ok(value)) = replaced.map(|bytes| HeaderValue::from_bytes(&bytes)) {
            headers.append(SET_COOKIE, value);
        }
    }
}

/// Works on bytes: a value need not be text, and must not hide its attributes by it.
fn at_home(cookie: &[u8], secure: bool) -> Vec<u8> {
    let mut parts = cookie.split(|byte| *byte == b';');
    let mut kept = parts.next().unwrap_or_default().to_vec();
    let mut is_secure = false;
    for part in parts.filter(|part| !is_attribute(part, b"domain")) {
        is_secure |= is_attribute(part, b"secure");
        kept.push(b';');
        kept.extend_from_slice(part);
    }
    if secure && !is_secure {
        kept.extend_from_slice(b"; Secure");
    }
    kept
}

fn with_public_path(cookie: &[u8], public_path: &impl Fn(&str) -> Option<String>) -> Vec<u8> {
    let mut parts = cookie.split(|byte| *byte == b';');
    let mut kept = parts.next().unwrap_or_default().to_vec();
    for part in parts {
        kept.push(b';');
        let mapped = path_of(part).and_then(public_path);
        match mapped {
            Some(path) => kept.extend_from_slice(format!(" Path={path}").as_bytes()),
            None => kept.extend_from_slice(part),
        }
    }
    kept
}

fn path_of(part: &[u8]) -> Option<&str> {
    if !is_attribute(part, b"path") {
        return None;
    }
    let value = part.splitn(2, |byte| *byte == b'=').nth(1)?;
    str::from_utf8(value.trim_ascii()).ok()
}

fn is_attribute(part: &[u8], name: &[u8]) -> bool {
    let key = part.split(|byte| *byte == b'=').next().unwrap_or_default();
    key.trim_ascii().eq_ignore_ascii_case(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cookies(values: &[&[u8]]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(SET_COOKIE, HeaderValue::from_bytes(value).unwrap());
        }
        headers
    }

    fn shown(headers: &HeaderMap) -> Vec<String> {
        let values = headers.get_all(SET_COOKIE).iter();
        values
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            .collect()
    }

    #[test]
    fn a_cookie_stays_at_home_whatever_its_value() {
        let mut headers = cookies(&[
            b"session_P443=a; HttpOnly; Path=/; SameSite=Lax",
            b"b=1; Domain=example.net; Expires=Wed, 21 Oct 2026 07:28:00 GMT",
            b"c=2; secure; domain=.local",
            b"d=\xe9\xff; DOMAIN = example.net",
        ]);
        keep_at_home(&mut headers, true);
        assert_eq!(
            shown(&headers),
            [
                "session_P443=a; HttpOnly; Path=/; SameSite=Lax; Secure",
                "b=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT; Secure",
                "c=2; secure",
                "d=\u{fffd}\u{fffd}; Secure",
            ]
        );
    }

    #[test]
    fn planted_names_are_dropped_in_any_letter_case() {
        let mut headers = cookies(&[b"__Host-lk_s=x", b" __HOST-LK=\xff", b"session=1"]);
        drop_named(&mut headers, b"__host-lk");
        assert_eq!(shown(&headers), ["session=1"]);
    }

    #[test]
    fn paths_are_mapped_and_the_rest_stays() {
        let mut headers = cookies(&[b"a=1; Path=/cam/x; HttpOnly", b"b=2; Path=/other", b"c=3"]);
        map_paths(&mut headers, |path| {
            path.strip_prefix("/cam")
                .map(|rest| format!("/webcam{rest}"))
        });
        assert_eq!(
            shown(&headers),
            ["a=1; Path=/webcam/x; HttpOnly", "b=2; Path=/other", "c=3"]
        );
    }
}
