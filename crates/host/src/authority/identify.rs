//! Who is calling: a browser's session, a remembered browser, an app's key, an app connection
//! that the relay has let in, or nobody known. The first of these that is there counts.

use std::borrow::Cow;

use http::header::{AUTHORIZATION, HeaderMap};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Uri};
use latchkey_model::secret::AppKeyHash;
use latchkey_store::StoreError;

use super::Authority;
use super::caller::Caller;
use super::endings::{Hold, Holder};
use crate::public::Public;
use crate::service::{Door, Inbound};
use crate::sessions::Sessions;
use crate::upstream::credentials::X_API_KEY;

/// How often a caller is looked up again because something ended meanwhile. More is no chance.
const MOST_LOOKS: usize = 8;

/// Who is calling.
pub(crate) struct Identified {
    pub(crate) caller: Caller,
    /// Ends what the caller has open with their key or session.
    pub(crate) hold: Option<Hold>,
    /// What the answer has to set, whatever it is.
    pub(crate) set_cookies: Vec<HeaderValue>,
}

impl Authority {
    /// Who makes a request. A remembered browser comes back only where the answer can tell it so
    /// and goes on with it.
    pub(crate) async fn identify(
        &self,
        parts: &Parts,
        inbound: &Inbound,
        comes_back: bool,
    ) -> Result<Identified, StoreError> {
        let mut set_cookies = Vec::new();
        for _ in 0..MOST_LOOKS {
            let before = self.endings.count();
            let cookies = comes_back.then_some(&mut set_cookies);
            let caller = self.look(parts, inbound, cookies).await?;
            let hold = self.hold(&caller);
            let caller = if inbound.door.only_shows() {
                caller.watching()
            } else {
                caller
            };
            // What ended between the two would not have ended what is opened now.
            if self.endings.count() == before {
                return Ok(Identified {
                    caller,
                    hold,
                    set_cookies,
                });
            }
        }
        Ok(Identified {
            caller: Caller::Guest,
            hold: None,
            set_cookies,
        })
    }

    /// Joins what is open in the caller's name. What an app connection has open ends at the relay,
    /// which cuts it.
    pub(crate) fn hold(&self, caller: &Caller) -> Option<Hold> {
        let holder = match caller {
            Caller::Person(person) => Holder::Session(person.1.id.clone()),
            Caller::App(app) => Holder::Key(app.1.id.clone()),
            Caller::SessionKey(key) => Holder::SessionKey(key.id.clone()),
            Caller::Guest | Caller::AppConnection(..) => return None,
        };
        Some(self.endings.hold(holder))
    }

    async fn look(
        &self,
        parts: &Parts,
        inbound: &Inbound,
        set_cookies: Option<&mut Vec<HeaderValue>>,
    ) -> Result<Caller, StoreError> {
        let public = Public::of(inbound);
        for cookie in Sessions::cookies(&parts.headers, &public) {
            if let Some(person) = self.sessions.find(cookie).await? {
                return Ok(person);
            }
        }
        if let Some(set_cookies) = set_cookies {
            let returned = self.sessions.come_back(&parts.headers, inbound, &public);
            if let Some((person, cookies)) = returned.await? {
                *set_cookies = cookies;
                return Ok(person);
            }
        }
        // An empty key is no key, and hides those in later places all the same.
        match key_of(&parts.headers, &parts.uri) {
            Some(key) if !key.is_empty() => return self.by_key(&key).await,
            _ => {}
        }
        Ok(match &inbound.door {
            Door::Tunnel {
                app_connection: Some(id),
                scope,
            } => Caller::AppConnection(id.clone(), *scope),
            Door::Lan | Door::Tunnel { .. } => Caller::Guest,
        })
    }

    /// The app whose key it is, one that it signed for or one that a user gave it. Looked up by its
    /// digest, so that the time it takes tells nothing of keys that exist.
    pub(crate) async fn by_key(&self, key: &str) -> Result<Caller, StoreError> {
        if let Some(verified) = self.session_keys.find(key) {
            return Ok(Caller::SessionKey(verified));
        }
        let hash = AppKeyHash::of(key);
        let found = self.store.app_keys().recall_by_hash(&hash).await?;
        Ok(match found {
            Some(found) => Caller::App(Box::new((found.user.clone(), found.key.clone()))),
            None => Caller::Guest,
        })
    }
}

/// The key that a request shows: of several places the first counts, even with a wrong key or an
/// empty one.
pub(crate) fn key_of<'r>(headers: &'r HeaderMap, uri: &'r Uri) -> Option<Cow<'r, str>> {
    let field = |name: HeaderName| headers.get(name)?.to_str().ok();
    let bearer = || field(AUTHORIZATION)?.strip_prefix("Bearer ");
    key_in_query(uri.query()).or_else(|| {
        let key = field(X_API_KEY).or_else(bearer);
        key.map(Cow::Borrowed)
    })
}

/// The key in a query.
pub(crate) fn key_in_query(query: Option<&str>) -> Option<Cow<'_, str>> {
    url::form_urlencoded::parse(query?.as_bytes())
        .find(|(name, _)| name == "apikey")
        .map(|(_, key)| key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_place_with_a_key_counts() {
        for (query, x_api_key, authorization, expected) in [
            ("", None, None, None),
            ("?apikey=a", Some("b"), Some("Bearer c"), Some("a")),
            ("", Some("b"), Some("Bearer c"), Some("b")),
            ("", None, Some("Bearer c"), Some("c")),
            ("", None, Some("bearer c"), None),
            ("", None, Some("Basic c"), None),
            ("?apikey=", Some("b"), None, Some("")),
            ("", Some(""), Some("Bearer c"), Some("")),
            ("", None, Some("Bearer "), Some("")),
            ("?x=1&apikey=a%20b", None, None, Some("a b")),
            ("?APIKEY=a", None, None, None),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in [(X_API_KEY, x_api_key), (AUTHORIZATION, authorization)] {
                if let Some(value) = value {
                    headers.insert(name, value.parse().unwrap());
                }
            }
            let uri: Uri = format!("/api/job{query}").parse().unwrap();
            let key = key_of(&headers, &uri);
            assert_eq!(key.as_deref(), expected, "{query} {x_api_key:?}");
        }
    }
}
