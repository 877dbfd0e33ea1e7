//! The cookie by which a browser is let in at a hostname of its person.
//!
//! A random secret, of which the hash is kept, and a MAC of it and the hostname. The MAC lets
//! nobody in: it proves, after everything else of a hostname is forgotten, that the browser once had
//! access there.

use data_encoding::BASE64URL_NOPAD;
use http::header::{COOKIE, HeaderMap, HeaderValue};
use latchkey_model::account_session::LONGEST;
use latchkey_model::own_access::OwnLabel;
use latchkey_model::sealed::SigningKey;
use latchkey_model::secret::{OwnCookie, OwnCookieHash};

/// Names of the relay's own cookies begin like this, at whatever hostname.
const OURS: [&[u8]; 2] = [b"__host-lk", b"lk_own"];

/// How many cookies of our name are looked at.
const MOST: usize = 4;

/// Makes and reads these cookies.
pub(crate) struct Cookies {
    key: SigningKey,
    secure: bool,
}

impl Cookies {
    pub(super) const fn new(key: SigningKey, secure: bool) -> Self {
        Self { key, secure }
    }

    /// Over plain http, in a demo, browsers refuse the prefix.
    const fn name(&self) -> &'static str {
        if self.secure {
            "__Host-lk_own"
        } else {
            "lk_own"
        }
    }

    pub(super) fn set(&self, label: &OwnLabel, cookie: &OwnCookie) -> HeaderValue {
        let mac = self.key.sign(&text(label, cookie.expose()));
        let mac = BASE64URL_NOPAD.encode(&mac);
        self.write(&format!("{}.{mac}", cookie.expose()), LONGEST.as_secs())
    }

    /// Takes it away again.
    pub(crate) fn remove(&self) -> HeaderValue {
        self.write("", 0)
    }

    fn write(&self, value: &str, lasts: u64) -> HeaderValue {
        let name = self.name();
        let secure = if self.secure { "; Secure" } else { "" };
        let text =
            format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={lasts}{secure}");
        let mut value = HeaderValue::try_from(text).expect("our values are ASCII");
        value.set_sensitive(true);
        value
    }

    /// The hash of the cookie in a request, if it was given for this hostname.
    pub(super) fn read(&self, headers: &HeaderMap, label: &OwnLabel) -> Option<OwnCookieHash> {
        let name = self.name();
        let values = headers
            .get_all(COOKIE)
            .iter()
            .flat_map(|value| value.as_bytes().split(|byte| *byte == b';'))
            .filter_map(|pair| str::from_utf8(pair).ok())
            .filter_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='));
        values.take(MOST).find_map(|value| {
            let (cookie, mac) = value.split_once('.')?;
            let mac = BASE64URL_NOPAD.decode(mac.as_bytes()).ok()?;
            let is_ours = self.key.verify(&text(label, cookie), &mac);
            is_ours.then(|| OwnCookieHash::of(cookie))
        })
    }
}

fn text(label: &OwnLabel, cookie: &str) -> String {
    format!("{label} {cookie}")
}

/// Takes the relay's own cookies out of a request: they are nothing for a printer.
pub(crate) fn strip(headers: &mut HeaderMap) {
    let is_ours = |pair: &[u8]| {
        let pair = pair.trim_ascii_start();
        OURS.iter().any(|ours| {
            let start = pair.get(..ours.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(ours))
        })
    };
    let values: Vec<HeaderValue> = headers.get_all(COOKIE).iter().cloned().collect();
    let any = |value: &HeaderValue| value.as_bytes().split(|byte| *byte == b';').any(is_ours);
    if !values.iter().any(any) {
        return;
    }
    headers.remove(COOKIE);
    for value in values {
        let kept = value.as_bytes().split(|byte| *byte == b';');
        let kept: Vec<&[u8]> = kept.filter(|pair| !is_ours(pair)).collect();
        let kept = kept.join(&b';');
        let kept = kept.trim_ascii();
        if !kept.is_empty()
            && let Ok(mut value) = HeaderValue::from_bytes(kept)
        {
            value.set_sensitive(true);
            headers.append(COOKIE, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use latchkey_model::chance::SeededChance;
    use latchkey_model::sealed::MasterKey;

    use super::*;

    fn cookies(secure: bool) -> Cookies {
        Cookies::new(
            MasterKey::from_bytes([7; 32]).signing("relay own access"),
            secure,
        )
    }

    fn headers(values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(COOKIE, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn a_cookie_is_good_at_the_hostname_it_was_given_for() {
        let chance = SeededChance::new(1);
        let (label, other) = (OwnLabel::generate(&chance), OwnLabel::generate(&chance));
        let cookie = OwnCookie::generate(&chance);
        let secure = cookies(true);
        let set = secure.set(&label, &cookie);
        let set = set.to_str().unwrap();
        assert!(set.starts_with("__Host-lk_own=lk_own_"), "{set}");
        assert!(set.ends_with("; Path=/; HttpOnly; SameSite=Lax; Max-Age=2592000; Secure"));
        let pair = set.split(';').next().unwrap();
        let read = |values: &[&str]| secure.read(&headers(values), &label);
        assert_eq!(read(&[pair]), Some(cookie.hash()));
        assert_eq!(read(&["a=b", &format!("c=d; {pair}")]), Some(cookie.hash()));
        let fake = format!("__Host-lk_own={}.AAAA", cookie.expose());
        assert_eq!(read(&[&fake]), None);
        assert_eq!(read(&[&fake, pair]), Some(cookie.hash()));
        assert_eq!(read(&[pair.trim_start_matches("__Host-")]), None);
        assert_eq!(secure.read(&headers(&[pair]), &other), None);
        let plain = cookies(false).set(&label, &cookie);
        let plain = plain.to_str().unwrap();
        assert!(plain.starts_with("lk_own=") && !plain.contains("Secure"));
    }

    #[test]
    fn no_cookie_of_ours_goes_to_a_printer() {
        for (sent, kept) in [
            (&["__Host-lk_own=x"][..], &[][..]),
            (&["a=1; __Host-lk_own=x; b=2"], &["a=1; b=2"]),
            (&["lk_own=x; session_P443=y"], &["session_P443=y"]),
            (&["__host-LK_session=x;a=1", "b=2"], &["a=1", "b=2"]),
            (&["a=lk_own; b=__Host-lk"], &["a=lk_own; b=__Host-lk"]),
        ] {
            let mut headers = headers(sent);
            strip(&mut headers);
            let left: Vec<_> = headers.get_all(COOKIE).iter().collect();
            assert_eq!(left, kept, "{sent:?}");
        }
    }
}
