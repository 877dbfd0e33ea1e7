//! The relay's two cookies.
//!
//! Under https their names begin with `__Host-`, so that no other host name can set them
//! (RFC 6265bis section 4.1.3.2). Over plain http, in a demo, browsers refuse that prefix.

use http::HeaderValue;
use http::header::{COOKIE, HeaderMap};

/// A cookie of the relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cookie {
    /// A browser's sign-in.
    Session,
    /// What the forms of a browser are bound to.
    Form,
}

/// How many cookies of one name are looked at.
const MOST: usize = 4;

impl Cookie {
    const fn name(self, secure: bool) -> &'static str {
        match (self, secure) {
            (Self::Session, true) => "__Host-lk_session",
            (Self::Session, false) => "lk_session",
            (Self::Form, true) => "__Host-lk_form",
            (Self::Form, false) => "lk_form",
        }
    }

    /// Its values in a request.
    pub(super) fn read(self, headers: &HeaderMap, secure: bool) -> impl Iterator<Item = &str> {
        let name = self.name(secure);
        headers
            .get_all(COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(';'))
            .filter_map(move |pair| pair.trim().strip_prefix(name)?.strip_prefix('='))
            .take(MOST)
    }

    /// Sets it, until the browser is closed or, for a sign-in, for its longest.
    pub(super) fn set(self, value: &str, secure: bool) -> HeaderValue {
        let lasts = match self {
            Self::Session => Some(latchkey_model::account_session::LONGEST.as_secs()),
            Self::Form => None,
        };
        self.write(value, lasts, secure)
    }

    /// Takes it away again.
    pub(super) fn remove(self, secure: bool) -> HeaderValue {
        self.write("", Some(0), secure)
    }

    fn write(self, value: &str, lasts: Option<u64>, secure: bool) -> HeaderValue {
        let name = self.name(secure);
        let secure = if secure { "; Secure" } else { "" };
        let lasts = lasts.map_or_else(String::new, |seconds| format!("; Max-Age={seconds}"));
        let text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax{lasts}{secure}");
        let mut value = HeaderValue::try_from(text).expect("our values are ASCII");
        value.set_sensitive(true);
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_belong_to_one_host_name_alone() {
        assert_eq!(
            Cookie::Form.set("x", true),
            "__Host-lk_form=x; Path=/; HttpOnly; SameSite=Lax; Secure"
        );
        assert_eq!(
            Cookie::Session.set("x", true),
            "__Host-lk_session=x; Path=/; HttpOnly; SameSite=Lax; Max-Age=2592000; Secure"
        );
        assert_eq!(
            Cookie::Session.remove(false),
            "lk_session=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0"
        );
    }

    #[test]
    fn a_cookie_without_the_prefix_does_not_count_under_https() {
        let mut headers = HeaderMap::new();
        headers.append(
            COOKIE,
            "lk_session=a; __Host-lk_session=b; x=c".parse().unwrap(),
        );
        let read = |secure| Cookie::Session.read(&headers, secure).collect::<Vec<_>>();
        assert_eq!(read(true), ["b"]);
        assert_eq!(read(false), ["a"]);
    }
}
