//! The cookies that clients of `OctoPrint` know, by their names and attributes.

use std::fmt::Write as _;
use std::time::Duration;

use http::HeaderValue;
use http::header::{COOKIE, HeaderMap};
use latchkey_model::session::REMEMBERED;

use crate::public::Public;

/// A cookie of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cookie {
    /// What a page of ours sends back beside the cookie; scripts read it.
    CsrfToken,
    /// A browser's sign-in.
    Session,
    /// What signs a browser in again when its session has ended.
    RememberToken,
    /// Says that the person left on purpose.
    ActiveLogout,
}

/// How many cookies of one name are looked at: a browser may hold some of several paths.
const MOST: usize = 4;

impl Cookie {
    /// Every one.
    pub(crate) const ALL: [Self; 4] = [
        Self::CsrfToken,
        Self::Session,
        Self::RememberToken,
        Self::ActiveLogout,
    ];

    /// Its name, without the suffix.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::CsrfToken => "csrf_token",
            Self::Session => "session",
            Self::RememberToken => "remember_token",
            Self::ActiveLogout => "active_logout",
        }
    }

    /// How long a browser keeps it; none is kept beyond the browser's own session else.
    const fn lasts(self) -> Option<Duration> {
        match self {
            Self::RememberToken => Some(REMEMBERED),
            _ => None,
        }
    }

    /// Its values in a request: those of this very address first, then those without a suffix.
    pub(super) fn read<'h>(self, headers: &'h HeaderMap, public: &Public) -> Vec<&'h str> {
        let suffix = public.cookie_suffix();
        let mut own = Vec::new();
        let mut plain = Vec::new();
        let pairs = headers
            .get_all(COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(';'))
            .filter_map(|pair| pair.trim().split_once('='));
        for (name, value) in pairs {
            match name.strip_prefix(self.name()) {
                Some("") => plain.push(value),
                Some(rest) if rest == suffix => own.push(value),
                _ => {}
            }
        }
        own.truncate(MOST);
        plain.truncate(MOST);
        own.append(&mut plain);
        own
    }

    /// Sets it at this address.
    pub(super) fn set(self, value: &str, public: &Public) -> HeaderValue {
        self.write(value, self.lasts(), public)
    }

    /// Takes it away again.
    pub(super) fn remove(self, public: &Public) -> HeaderValue {
        self.write("", Some(Duration::ZERO), public)
    }

    fn write(self, value: &str, lasts: Option<Duration>, public: &Public) -> HeaderValue {
        let name = self.name();
        let (suffix, path) = (public.cookie_suffix(), public.path());
        let mut text = format!("{name}{suffix}={value}; Path={path}; SameSite=Lax");
        if let Some(lasts) = lasts {
            let _ = write!(text, "; Max-Age={}", lasts.as_secs());
        }
        if matches!(self, Self::Session | Self::RememberToken) {
            text.push_str("; HttpOnly");
        }
        if public.is_secure() {
            text.push_str("; Secure");
        }
        let mut value = HeaderValue::try_from(text).expect("a prefix and our values are ASCII");
        value.set_sensitive(true);
        value
    }
}

#[cfg(test)]
mod tests {
    use latchkey_net::client_addr::Scheme;

    use super::*;
    use crate::public::tests::inbound;

    fn public(scheme: Scheme, authority: &str, prefix: &str) -> Public {
        Public::of(&inbound(scheme, authority, prefix))
    }

    #[test]
    fn cookies_are_written_as_clients_know_them() {
        let behind = public(Scheme::Https, "p.example", "/octo");
        let home = public(Scheme::Http, "octopi.local:5000", "");
        for (cookie, public, expected) in [
            (
                Cookie::CsrfToken,
                &behind,
                "csrf_token_P443_R|octo=x; Path=/octo/; SameSite=Lax; Secure",
            ),
            (
                Cookie::Session,
                &behind,
                "session_P443_R|octo=x; Path=/octo/; SameSite=Lax; HttpOnly; Secure",
            ),
            (
                Cookie::Session,
                &home,
                "session_P5000=x; Path=/; SameSite=Lax; HttpOnly",
            ),
            (
                Cookie::RememberToken,
                &home,
                "remember_token_P5000=x; Path=/; SameSite=Lax; Max-Age=7776000; HttpOnly",
            ),
            (
                Cookie::ActiveLogout,
                &home,
                "active_logout_P5000=x; Path=/; SameSite=Lax",
            ),
        ] {
            assert_eq!(cookie.set("x", public), expected);
        }
        assert_eq!(
            Cookie::Session.remove(&home),
            "session_P5000=; Path=/; SameSite=Lax; Max-Age=0; HttpOnly"
        );
    }

    #[test]
    fn the_cookie_of_this_address_comes_first_and_one_without_suffix_counts_too() {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, "session=a; session_P5000=b".parse().unwrap());
        headers.append(COOKIE, "session_P80=c;session_P5000_R|x=d".parse().unwrap());
        let home = public(Scheme::Http, "octopi.local:5000", "");
        assert_eq!(Cookie::Session.read(&headers, &home), ["b", "a"]);
        assert!(Cookie::CsrfToken.read(&headers, &home).is_empty());
    }
}
