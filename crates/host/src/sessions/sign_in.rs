//! Signing in with a name and a password.

use http::{HeaderMap, HeaderValue};
use latchkey_model::access::KeyScope;
use latchkey_model::secret::{PasswordHash, SessionToken};
use latchkey_model::session::{Mechanism, Session};
use latchkey_model::user::{User, UserName};
use latchkey_store::StoreError;
use latchkey_web::limits::TooMany;

use super::cookies::Cookie;
use super::{Sessions, Visitor};
use crate::authority::caller::Caller;
use crate::public::Public;
use crate::service::Inbound;
use crate::users::PasswordsError;

/// Somebody wants to sign in.
pub(super) struct Attempt<'a> {
    pub(super) user: &'a str,
    pub(super) password: &'a str,
    pub(super) remember: bool,
    /// Who they are so far.
    pub(super) caller: &'a Caller,
    pub(super) headers: &'a HeaderMap,
    pub(super) inbound: &'a Inbound,
    pub(super) public: &'a Public,
}

/// Somebody signed in.
pub(super) struct SignedIn {
    pub(super) caller: Caller,
    /// For the answer to set.
    pub(super) cookies: Vec<HeaderValue>,
}

/// Why somebody did not.
#[derive(Debug, thiserror::Error)]
pub(super) enum SignInError {
    /// Wrong password, unknown or inactive user: nobody is told which.
    #[error("name and password do not go together")]
    Wrong,
    #[error("there were too many tries")]
    TooMany(TooMany),
    #[error(transparent)]
    Passwords(#[from] PasswordsError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<TooMany> for SignInError {
    fn from(too_many: TooMany) -> Self {
        Self::TooMany(too_many)
    }
}

impl Sessions {
    pub(super) async fn sign_in(&self, attempt: Attempt<'_>) -> Result<SignedIn, SignInError> {
        self.may_try(attempt.inbound, attempt.user)?;
        let user = self.check_password(attempt.user, attempt.password).await?;
        // Once more: of many who try at the same time no more may learn an answer than of those
        // who try one after the other.
        self.may_try(attempt.inbound, attempt.user)?;
        let Some((user, kept)) = user else {
            self.note_failure(attempt.inbound, attempt.user);
            return Err(SignInError::Wrong);
        };
        let (session, token) = self.begin_or_renew(&user, &attempt).await?;
        let Attempt {
            headers, public, ..
        } = attempt;
        // A password that was changed since it was checked has ended all that it opened but this.
        if !self.is_still(&user.name, &kept).await? {
            self.end(&session.id).await?;
            return Err(SignInError::Wrong);
        }
        let mut cookies = vec![
            Cookie::Session.set(token.expose(), public),
            Cookie::ActiveLogout.remove(public),
        ];
        let is_again = attempt.caller.user_name() == Some(&user.name);
        if !attempt.remember && !is_again {
            // Somebody else may have been remembered in this browser.
            cookies.push(Cookie::RememberToken.remove(public));
        }
        if attempt.remember {
            self.forget_browser(headers, public).await?;
            let token = self.remember(&user.name).await?;
            cookies.push(Cookie::RememberToken.set(token.expose(), public));
        }
        Ok(SignedIn {
            caller: Caller::Person(Box::new((user, session, KeyScope::Full))),
            cookies,
        })
    }

    /// The active user of that name and password. Does the same work whether there is one or not.
    async fn check_password(
        &self,
        name: &str,
        password: &str,
    ) -> Result<Option<(User, PasswordHash)>, SignInError> {
        let passwords = &self.0.passwords;
        let found = match UserName::parse(name) {
            Ok(name) => self.0.store.users().find_sign_in(&name).await?,
            Err(_) => None,
        };
        let Some((user, kept)) = found.and_then(|found| Some((found.user, found.password_hash?)))
        else {
            passwords.pretend(password).await?;
            return Ok(None);
        };
        let verified = passwords.verify(password, &kept).await?;
        if !verified.ok || !user.active {
            return Ok(None);
        }
        if verified.rehash {
            let better = passwords.hash(password).await?;
            let users = self.0.store.users();
            if users.rehash(&user.name, &kept, &better).await? {
                return Ok(Some((user, better)));
            }
        }
        Ok(Some((user, kept)))
    }

    /// Whether the password's hash is the one that was checked.
    async fn is_still(&self, name: &UserName, checked: &PasswordHash) -> Result<bool, StoreError> {
        let found = self.0.store.users().find_sign_in(name).await?;
        let now = found.and_then(|found| found.password_hash);
        // Hashes are no secret to compare in constant time: nobody presents one.
        Ok(now.is_some_and(|now| now.expose() == checked.expose()))
    }

    /// The same person in the same browser goes on with their session; its cookie is another one
    /// all the same, so that nobody holds it who knew the cookie before.
    async fn begin_or_renew(
        &self,
        user: &User,
        attempt: &Attempt<'_>,
    ) -> Result<(Session, SessionToken), StoreError> {
        if let Some(session) = attempt.caller.session() {
            if session.user == user.name
                && let Some(renewed) = self.renew(session).await?
            {
                return Ok(renewed);
            }
            self.end(&session.id).await?;
        }
        let visitor = Visitor::of(attempt.headers, attempt.inbound);
        self.begin(&user.name, Mechanism::Password, visitor).await
    }

    async fn renew(
        &self,
        session: &Session,
    ) -> Result<Option<(Session, SessionToken)>, StoreError> {
        let token = SessionToken::generate(&*self.0.chance);
        let now = self.0.clock.now();
        let store = self.0.store.sessions();
        if !store.renew(&session.id, &token.hash(), now).await? {
            return Ok(None);
        }
        let renewed = Session {
            mechanism: Mechanism::Password,
            seen: session.seen.max(now),
            credentials_seen: Some(now),
            ..session.clone()
        };
        Ok(Some((renewed, token)))
    }
}
