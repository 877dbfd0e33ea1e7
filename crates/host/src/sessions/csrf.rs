//! The proof that a browser's request was made by a page of ours.
//!
//! A token is random and signed. A page of ours has it in a cookie that only pages of this
//! address can read, and sends it once more, in a header field or a form: a page elsewhere makes
//! the browser send the cookie, but cannot say what is in it; and who can set cookies, but not
//! read ours, cannot make one up.

use data_encoding::BASE64URL_NOPAD;
use http::header::{HeaderMap, HeaderName, HeaderValue, ORIGIN};
use latchkey_model::chance::Chance;
use latchkey_model::sealed::SigningKey;
use latchkey_model::secret::SecretHash;

use super::cookies::Cookie;
use crate::public::Public;

const X_CSRF_TOKEN: HeaderName = HeaderName::from_static("x-csrf-token");
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// Bytes of chance in a token.
const RANDOM: usize = 16;

/// What a page needs for the forms in it.
pub(crate) struct Csrf {
    pub(crate) token: String,
    /// Every page sets it, as OctoPrint's do.
    pub(crate) set_cookie: HeaderValue,
}

/// Why a request was not made by a page of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Forged {
    /// Its token is missing, made up, or not the cookie's.
    Token,
    /// The browser says that a page of another address made it.
    Origin,
}

enum Token {}

/// Makes and checks tokens. They do not expire.
#[derive(Debug, Clone)]
pub(super) struct Tokens(SigningKey);

impl Tokens {
    pub(super) fn new(key: SigningKey) -> Self {
        Self(key)
    }

    /// The token that the browser has already, so that pages opened earlier keep working, or else
    /// a new one.
    pub(super) fn of_page(
        &self,
        headers: &HeaderMap,
        public: &Public,
        chance: &dyn Chance,
    ) -> Csrf {
        let mut held = Cookie::CsrfToken.read(headers, public).into_iter();
        let token = held.find(|token| self.is_signed(token));
        let token = token.map_or_else(|| self.make(chance), str::to_owned);
        Csrf {
            set_cookie: Cookie::CsrfToken.set(&token, public),
            token,
        }
    }

    fn make(&self, chance: &dyn Chance) -> String {
        let mut random = [0; RANDOM];
        chance.fill(&mut random);
        let random = BASE64URL_NOPAD.encode(&random);
        let signature = BASE64URL_NOPAD.encode(&self.0.sign(&random));
        format!("{random}.{signature}")
    }

    fn is_signed(&self, token: &str) -> bool {
        let Some((random, signature)) = token.split_once('.') else {
            return false;
        };
        let signature = BASE64URL_NOPAD.decode(signature.as_bytes());
        signature.is_ok_and(|signature| self.0.verify(random, &signature))
    }

    /// Whether a page of ours made the request; `form` is what stands in a form of ours, which
    /// other requests say in `X-CSRF-Token`.
    pub(super) fn check(
        &self,
        headers: &HeaderMap,
        form: Option<&str>,
        public: &Public,
    ) -> Result<(), Forged> {
        let field = headers.get(X_CSRF_TOKEN);
        let presented = form.or_else(|| field?.to_str().ok()).unwrap_or_default();
        let hash = SecretHash::<Token>::of(presented);
        let is_held = Cookie::CsrfToken
            .read(headers, public)
            .into_iter()
            .any(|held| hash.matches(held));
        if !is_held || !self.is_signed(presented) {
            return Err(Forged::Token);
        }
        if is_from_elsewhere(headers, public) {
            return Err(Forged::Origin);
        }
        Ok(())
    }
}

/// Whether a browser says that a page of another address made the request.
fn is_from_elsewhere(headers: &HeaderMap, public: &Public) -> bool {
    let mut origins = headers.get_all(ORIGIN).iter();
    origins.any(|origin| !public.is_origin(origin))
        || headers
            .get(SEC_FETCH_SITE)
            .is_some_and(|site| site == "cross-site")
}

#[cfg(test)]
mod tests {
    use http::header::COOKIE;
    use latchkey_model::chance::SeededChance;
    use latchkey_model::sealed::MasterKey;
    use latchkey_net::client_addr::Scheme;

    use super::*;
    use crate::public::tests::inbound;

    fn fields(pairs: &[(&'static str, String)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn only_what_a_page_of_ours_sends_passes() {
        let public = Public::of(&inbound(Scheme::Http, "octopi.local", ""));
        let chance = SeededChance::new(1);
        let tokens = Tokens::new(MasterKey::from_bytes([1; 32]).signing("csrf"));
        let strange = Tokens::new(MasterKey::from_bytes([2; 32]).signing("csrf")).make(&chance);
        let (token, other) = (tokens.make(&chance), tokens.make(&chance));
        let cookie = |token: &str| ("cookie", format!("csrf_token_P80={token}"));
        let field = |token: &str| ("x-csrf-token", token.to_owned());
        let origin = |origin: &str| ("origin", origin.to_owned());
        for (sent, expected) in [
            (vec![cookie(&token), field(&token)], Ok(())),
            (
                vec![("cookie", format!("csrf_token={token}")), field(&token)],
                Ok(()),
            ),
            (
                vec![cookie(&token), field(&token), origin("http://octopi.local")],
                Ok(()),
            ),
            (vec![], Err(Forged::Token)),
            (vec![cookie(&token)], Err(Forged::Token)),
            (vec![field(&token)], Err(Forged::Token)),
            (vec![cookie(&token), field(&other)], Err(Forged::Token)),
            (vec![cookie(&strange), field(&strange)], Err(Forged::Token)),
            (vec![cookie("x"), field("x")], Err(Forged::Token)),
            (vec![cookie(""), field("")], Err(Forged::Token)),
            (vec![origin("https://evil.example")], Err(Forged::Token)),
            (
                vec![cookie(&token), field(&token), origin("null")],
                Err(Forged::Origin),
            ),
            (
                vec![cookie(&token), field(&token), origin("http://evil.example")],
                Err(Forged::Origin),
            ),
            (
                vec![
                    cookie(&token),
                    field(&token),
                    origin("http://octopi.local:81"),
                ],
                Err(Forged::Origin),
            ),
            (
                vec![
                    cookie(&token),
                    field(&token),
                    ("sec-fetch-site", "cross-site".to_owned()),
                ],
                Err(Forged::Origin),
            ),
        ] {
            let headers = fields(&sent);
            let found = tokens.check(&headers, None, &public);
            assert_eq!(found, expected, "{sent:?}");
        }
        let headers = fields(&[cookie(&token)]);
        assert_eq!(tokens.check(&headers, Some(&token), &public), Ok(()));
        let with_both = fields(&[cookie(&token), field(&token)]);
        assert_eq!(
            tokens.check(&with_both, Some(&other), &public),
            Err(Forged::Token),
            "a form's own field counts"
        );
    }

    #[test]
    fn a_browser_keeps_its_token_until_that_is_none_of_ours() {
        let public = Public::of(&inbound(Scheme::Http, "octopi.local", ""));
        let chance = SeededChance::new(1);
        let tokens = Tokens::new(MasterKey::from_bytes([1; 32]).signing("csrf"));
        let first = tokens.of_page(&HeaderMap::new(), &public, &chance);
        let cookie = format!("csrf_token_P80={};", first.token);
        let set = first.set_cookie.to_str().unwrap();
        assert!(set.starts_with(&cookie), "{set}");
        let mut headers = HeaderMap::new();
        let cookie = format!("csrf_token_P80={}", first.token);
        headers.insert(COOKIE, cookie.parse().unwrap());
        assert_eq!(
            tokens.of_page(&headers, &public, &chance).token,
            first.token
        );
        headers.insert(COOKIE, "csrf_token_P80=made-up".parse().unwrap());
        assert_ne!(tokens.of_page(&headers, &public, &chance).token, "made-up");
    }
}
