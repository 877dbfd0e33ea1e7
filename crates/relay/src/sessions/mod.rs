//! Signing in: sessions of browsers, and how often somebody may try.

mod cookies;
mod csrf;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use latchkey_model::account::Email;
use latchkey_model::account_session::AccountSession;
use latchkey_model::app_key::network_of;
use latchkey_model::chance::Chance;
use latchkey_model::clock::Clock;
use latchkey_model::id::{AccountId, PasskeyId, SessionId};
use latchkey_model::sealed::MasterKey;
use latchkey_model::secret::{SessionHash, SessionToken};
use latchkey_store::relay::{FoundSession, Known, SignIn};
use latchkey_store::{RelayStore, StoreError};
use latchkey_web::device;
use latchkey_web::limits::{Limits, TooMany, Window, household};

use self::cookies::Cookie;
use self::csrf::Tokens;
pub(crate) use self::csrf::{Csrf, Sender};
use crate::config::Config;

/// Wrong passwords for one account, whoever tries.
const OF_AN_ACCOUNT: [Window; 1] = [Window::new(10, Duration::from_hours(1))];

/// Wrong passwords from one address, for whatever accounts.
const OF_AN_ADDRESS: [Window; 2] = [
    Window::new(20, Duration::from_mins(10)),
    Window::new(60, Duration::from_hours(1)),
];

/// How often a session's last use is written.
const TOUCH_EVERY: Duration = Duration::from_mins(1);

/// Who signs in, from where.
pub(crate) struct Visitor<'a> {
    pub(crate) headers: &'a HeaderMap,
    pub(crate) address: IpAddr,
}

/// By what somebody proved who they are, beside their password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Second {
    None,
    /// A code of theirs, or a recovery code.
    Code,
    /// One of their passkeys, in place of the password too.
    Passkey(PasskeyId),
}

/// A session that just began.
pub(crate) struct Opened {
    /// The cookie to set.
    pub(crate) cookie: HeaderValue,
    /// Browser and network, if the account was not used with both of them before, but was used.
    pub(crate) new_from: Option<(String, String)>,
}

/// The browsers that are signed in.
pub(crate) struct Sessions {
    store: RelayStore,
    clock: Arc<dyn Clock>,
    chance: Arc<dyn Chance>,
    tokens: Tokens,
    secure: bool,
    by_account: Limits<Email>,
    by_address: Limits<IpAddr>,
}

impl Sessions {
    pub(crate) fn new(
        config: &Config,
        store: &RelayStore,
        clock: &Arc<dyn Clock>,
        chance: &Arc<dyn Chance>,
        key: &MasterKey,
    ) -> Self {
        Self {
            store: store.clone(),
            clock: Arc::clone(clock),
            chance: Arc::clone(chance),
            tokens: Tokens::new(key.signing("relay forms"), config.public_url.clone()),
            secure: config.public_url.scheme().is_secure(),
            by_account: Limits::new(&OF_AN_ACCOUNT),
            by_address: Limits::new(&OF_AN_ADDRESS),
        }
    }

    /// The session of a browser, while it holds. Of a suspended account none does.
    pub(crate) async fn find(
        &self,
        headers: &HeaderMap,
    ) -> Result<Option<FoundSession>, StoreError> {
        let now = self.clock.now();
        for cookie in Cookie::Session.read(headers, self.secure) {
            let Ok(token) = SessionToken::parse(cookie) else {
                continue;
            };
            let found = self.store.sessions().find(&token.hash()).await?;
            let holds = found
                .filter(|found| found.session.is_alive(now) && found.account.suspended.is_none());
            if let Some(found) = holds {
                if now.since(found.session.seen) >= TOUCH_EVERY {
                    self.store.sessions().touch(&found.session.id, now).await?;
                }
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// What a page needs for the forms in it.
    pub(crate) fn csrf(&self, headers: &HeaderMap, session: Option<&SessionId>) -> Csrf {
        self.tokens.of_page(headers, session, &*self.chance)
    }

    /// Which page a form was sent from.
    pub(crate) fn sender(
        &self,
        headers: &HeaderMap,
        token: &str,
        session: Option<&SessionId>,
    ) -> Sender {
        self.tokens.sender(headers, token, session)
    }

    /// Whether a browser says that a page of another address made the request.
    pub(crate) fn is_from_elsewhere(&self, headers: &HeaderMap) -> bool {
        self.tokens.is_from_elsewhere(headers)
    }

    /// Whether a browser says that a page of ours made the request.
    pub(crate) fn is_from_here(&self, headers: &HeaderMap) -> bool {
        self.tokens.is_from_here(headers)
    }

    /// Whether one more password may be tried.
    pub(crate) fn may_try(&self, email: &Email, address: IpAddr) -> Result<(), TooMany> {
        let now = self.clock.now();
        self.by_account.check(email, now)?;
        self.by_address.check(&household(address), now)
    }

    /// Counts a wrong password, unless it is one too many.
    pub(crate) fn note_failure(&self, email: &Email, address: IpAddr) -> Result<(), TooMany> {
        let now = self.clock.now();
        self.by_account.count(email, now)?;
        self.by_address.count(&household(address), now)
    }

    /// Signs a browser in by a password alone; see [`Self::open_with`].
    pub(crate) async fn open(
        &self,
        proved: &SignIn,
        visitor: &Visitor<'_>,
    ) -> Result<Option<Opened>, StoreError> {
        self.open_with(proved, &Second::None, visitor).await
    }

    /// Signs a browser in; what it had before ends. Nothing, if what was proved no longer holds:
    /// the account has another password by now, is suspended, asks for more than was proved, or has
    /// the passkey no longer.
    pub(crate) async fn open_with(
        &self,
        proved: &SignIn,
        second: &Second,
        visitor: &Visitor<'_>,
    ) -> Result<Option<Opened>, StoreError> {
        let account = &proved.account;
        if let Some(before) = self.find(visitor.headers).await? {
            self.end(&before.account.id, &before.session.id).await?;
        }
        let now = self.clock.now();
        let session = AccountSession {
            id: SessionId::generate(&*self.chance),
            account: account.id.clone(),
            created: now,
            seen: now,
            proved: now,
            second_factor: (*second != Second::None).then_some(now),
            device: device::of(visitor.headers),
            network: network_of(visitor.address),
        };
        let token = SessionToken::generate(&*self.chance);
        let password = proved.password_hash.as_ref();
        let passkey = match second {
            Second::Passkey(passkey) => Some(passkey),
            Second::None | Second::Code => None,
        };
        let (sessions, hash) = (self.store.sessions(), token.hash());
        let opened = sessions.open_by(&session, &hash, password, passkey);
        if !opened.await? {
            return Ok(None);
        }
        tracing::info!(account.id = %account.id, "somebody signed in");
        let known = self.store.sessions().note_browser(&session).await?;
        Ok(Some(Opened {
            cookie: Cookie::Session.set(token.expose(), self.secure),
            new_from: (known == Known::New).then_some((session.device, session.network)),
        }))
    }

    /// Notes that the person proved once more who they are, by their password alone. The cookie
    /// changes (T-11).
    pub(crate) async fn renew(&self, id: &SessionId) -> Result<HeaderValue, StoreError> {
        self.renew_with(id, false).await
    }

    /// The same, also with a second factor.
    pub(crate) async fn renew_with(
        &self,
        id: &SessionId,
        second_factor: bool,
    ) -> Result<HeaderValue, StoreError> {
        let token = SessionToken::generate(&*self.chance);
        let hash: SessionHash = token.hash();
        let now = self.clock.now();
        let sessions = self.store.sessions();
        if sessions.renew(id, &hash, now, second_factor).await? {
            Ok(Cookie::Session.set(token.expose(), self.secure))
        } else {
            Ok(self.forget())
        }
    }

    /// Ends all other sessions of an account, because what guards it is another thing from now on
    /// (T-11). This one goes on with another cookie.
    pub(crate) async fn go_on_alone(
        &self,
        account: &AccountId,
        id: &SessionId,
        second_factor: bool,
    ) -> Result<HeaderValue, StoreError> {
        let sessions = self.store.sessions();
        sessions.end_others(account, Some(id)).await?;
        self.renew_with(id, second_factor).await
    }

    /// Ends one session of an account.
    pub(crate) async fn end(
        &self,
        account: &AccountId,
        id: &SessionId,
    ) -> Result<bool, StoreError> {
        self.store.sessions().end(account, id).await
    }

    /// The cookie that makes a browser forget.
    pub(crate) fn forget(&self) -> HeaderValue {
        Cookie::Session.remove(self.secure)
    }
}
