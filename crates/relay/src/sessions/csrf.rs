//! The proof that a form was sent from a page of ours (OWASP: signed double submit, bound to the
//! session).
//!
//! A browser has a random cookie from its first page on. The token in a page's forms is a MAC of
//! that cookie and of the session, so that it is worth nothing in another browser, nor after
//! signing in as somebody else; and nothing has to be kept. A second MAC, of the cookie alone,
//! tells a page that was open since before from one of somebody else's.

use data_encoding::BASE64URL_NOPAD;
use http::header::{HeaderMap, HeaderName, HeaderValue, ORIGIN};
use latchkey_model::chance::Chance;
use latchkey_model::id::SessionId;
use latchkey_model::sealed::SigningKey;

use super::cookies::Cookie;
use crate::config::PublicUrl;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// Bytes of chance in the cookie.
const RANDOM: usize = 16;
const MAC: usize = 32;

/// What a page needs for the forms in it.
#[derive(Debug, Clone)]
pub(crate) struct Csrf {
    pub(crate) token: String,
    /// For a browser that has none yet.
    pub(crate) set_cookie: Option<HeaderValue>,
}

/// Which page a form was sent from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sender {
    /// One of ours, in this browser and session.
    Own,
    /// One of ours, in this browser, in a session before or after this one.
    OtherSession,
    /// None that we know of.
    Unknown,
}

/// Makes and checks tokens.
#[derive(Debug, Clone)]
pub(super) struct Tokens {
    key: SigningKey,
    public: PublicUrl,
}

impl Tokens {
    pub(super) const fn new(key: SigningKey, public: PublicUrl) -> Self {
        Self { key, public }
    }

    fn is_secure(&self) -> bool {
        self.public.scheme().is_secure()
    }

    pub(super) fn of_page(
        &self,
        headers: &HeaderMap,
        session: Option<&SessionId>,
        chance: &dyn Chance,
    ) -> Csrf {
        let secure = self.is_secure();
        let held = Cookie::Form
            .read(headers, secure)
            .find(|held| is_ours(held));
        if let Some(held) = held {
            return Csrf {
                token: self.token(held, session),
                set_cookie: None,
            };
        }
        let mut random = [0; RANDOM];
        chance.fill(&mut random);
        let fresh = BASE64URL_NOPAD.encode(&random);
        Csrf {
            token: self.token(&fresh, session),
            set_cookie: Some(Cookie::Form.set(&fresh, secure)),
        }
    }

    fn token(&self, cookie: &str, session: Option<&SessionId>) -> String {
        let macs = [self.key.sign(&text(cookie, session)), self.key.sign(cookie)];
        BASE64URL_NOPAD.encode(&macs.concat())
    }

    pub(super) fn sender(
        &self,
        headers: &HeaderMap,
        token: &str,
        session: Option<&SessionId>,
    ) -> Sender {
        let decoded = BASE64URL_NOPAD.decode(token.as_bytes());
        let Ok(Ok(macs)) = decoded.map(<[u8; 2 * MAC]>::try_from) else {
            return Sender::Unknown;
        };
        if self.is_from_elsewhere(headers) {
            return Sender::Unknown;
        }
        let (of_session, of_browser) = macs.split_at(MAC);
        let held = Cookie::Form
            .read(headers, self.is_secure())
            .find(|held| is_ours(held) && self.key.verify(held, of_browser));
        match held {
            Some(held) if self.key.verify(&text(held, session), of_session) => Sender::Own,
            Some(_) => Sender::OtherSession,
            None => Sender::Unknown,
        }
    }

    /// Whether a browser says that a page of ours made the request, as it does of every request
    /// that a script makes to change something.
    pub(super) fn is_from_here(&self, headers: &HeaderMap) -> bool {
        headers.contains_key(ORIGIN) && !self.is_from_elsewhere(headers)
    }

    /// Whether a browser says that a page of another address made the request.
    pub(super) fn is_from_elsewhere(&self, headers: &HeaderMap) -> bool {
        let own = self.public.to_string();
        headers
            .get_all(ORIGIN)
            .iter()
            .any(|origin| origin.as_bytes() != own.as_bytes())
            || headers
                .get(SEC_FETCH_SITE)
                .is_some_and(|site| site != "same-origin" && site != "none")
    }
}

fn text(cookie: &str, session: Option<&SessionId>) -> String {
    format!("{cookie} {}", session.map_or("-", SessionId::as_str))
}

/// Whether a cookie has the form of ours, which has no space in it.
fn is_ours(cookie: &str) -> bool {
    BASE64URL_NOPAD
        .decode(cookie.as_bytes())
        .is_ok_and(|bytes| bytes.len() == RANDOM)
}

#[cfg(test)]
mod tests {
    use http::header::COOKIE;
    use latchkey_model::chance::SeededChance;
    use latchkey_model::sealed::MasterKey;

    use super::Sender::{OtherSession, Own, Unknown};
    use super::*;

    fn made_with(key: u8) -> Tokens {
        let public = PublicUrl::from_url(&"https://relay.example.net".parse().unwrap()).unwrap();
        Tokens::new(MasterKey::from_bytes([key; 32]).signing("csrf"), public)
    }

    fn cookie_of(csrf: &Csrf) -> String {
        let set = csrf.set_cookie.as_ref().unwrap().to_str().unwrap();
        set.split(';').next().unwrap().to_owned()
    }

    #[test]
    fn only_what_a_page_of_this_browser_and_session_sends_passes() {
        let chance = SeededChance::new(1);
        let tokens = made_with(1);
        let session: SessionId = "abcdefghijklmnopqrst".parse().unwrap();
        let other_session: SessionId = "bbcdefghijklmnopqrst".parse().unwrap();
        let page = tokens.of_page(&HeaderMap::new(), Some(&session), &chance);
        let elsewhere = tokens.of_page(&HeaderMap::new(), Some(&session), &chance);
        let cookie = cookie_of(&page);
        let ask = |cookie: Option<&str>, token: &str, session, more: &[(&'static str, &str)]| {
            let mut headers = HeaderMap::new();
            if let Some(cookie) = cookie {
                headers.insert(COOKIE, cookie.parse().unwrap());
            }
            for (name, value) in more {
                headers.append(*name, value.parse().unwrap());
            }
            tokens.sender(&headers, token, session)
        };
        let token = page.token.as_str();
        let own = Some(&session);
        let good = [
            ("origin", "https://relay.example.net"),
            ("sec-fetch-site", "same-origin"),
        ];
        let held = Some(cookie.as_str());
        let forged = made_with(2).of_page(&HeaderMap::new(), own, &chance);
        // Of one page the session's half, of another the browser's.
        let (halves, other) = (token.split_at(40).0, elsewhere.token.split_at(40).1);
        let mixed = format!("{halves}{other}");
        for (held, token, session, expected) in [
            (held, token, own, Own),
            (held, token, Some(&other_session), OtherSession),
            (held, token, None, OtherSession),
            (None, token, own, Unknown),
            (held, "", own, Unknown),
            (held, &token[..43], own, Unknown),
            (held, elsewhere.token.as_str(), own, Unknown),
            (held, mixed.as_str(), own, Unknown),
            (held, forged.token.as_str(), own, Unknown),
            (Some("__Host-lk_form=a b"), token, own, Unknown),
        ] {
            assert_eq!(ask(held, token, session, &[]), expected, "{held:?} {token}");
        }
        assert_eq!(ask(held, token, own, &good), Own);
        for (name, value) in [
            ("origin", "null"),
            ("origin", "https://evil.example"),
            ("origin", "http://relay.example.net"),
            ("origin", "https://relay.example.net:444"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
        ] {
            for session in [own, None] {
                let sender = ask(held, token, session, &[(name, value)]);
                assert_eq!(sender, Unknown, "{value}");
            }
        }
    }

    #[test]
    fn a_browser_keeps_its_cookie() {
        let chance = SeededChance::new(1);
        let tokens = made_with(1);
        let first = tokens.of_page(&HeaderMap::new(), None, &chance);
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, cookie_of(&first).parse().unwrap());
        let second = tokens.of_page(&headers, None, &chance);
        assert!(second.set_cookie.is_none());
        assert_eq!(first.token, second.token);
    }
}
