//! Accounts: signing up, signing in, passwords, and the first administrator.

mod again;
pub(crate) mod http;
mod recovery;
mod second_step;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use latchkey_model::account::{Account, Email};
use latchkey_model::chance::Chance;
use latchkey_model::clock::Clock;
use latchkey_model::id::AccountId;
use latchkey_model::link::{Link, LinkPurpose};
use latchkey_model::secret::{LinkHash, LinkSecret, PasswordHash};
use latchkey_store::relay::SignIn;
use latchkey_store::{RelayStore, StoreError};
use latchkey_web::limits::{Limits, TooMany, Window, household};
use latchkey_web::password::{Passwords, PasswordsError};

pub(crate) use self::recovery::Confirmed;
pub(crate) use self::second_step::begin;
use crate::config::{Config, Registration};

/// Fewest characters of a password, and most bytes.
pub(crate) const LEAST_PASSWORD: usize = 12;
pub(crate) const MOST_PASSWORD: usize = 1024;

/// Attempts to sign up from one address: each costs a password's hash, and tells whether an
/// address is taken.
const ATTEMPTS: [Window; 1] = [Window::new(20, Duration::from_hours(1))];

/// Accounts that come from one address without invitations.
const SIGN_UPS: [Window; 1] = [Window::new(10, Duration::from_hours(24))];

/// Why an account was not made or changed.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    #[error("this is not an e-mail address")]
    Email,
    #[error("somebody has this address already")]
    Taken,
    #[error("the password is too short")]
    PasswordTooShort,
    #[error("the password is too long")]
    PasswordTooLong,
    /// Nobody may sign up, or not without an invitation that is good.
    #[error("this relay takes new accounts by invitation only")]
    NotInvited,
    #[error("the password is not the right one")]
    WrongPassword,
    #[error("too many sign up from this address")]
    TooMany(TooMany),
    #[error(transparent)]
    Passwords(#[from] PasswordsError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What somebody typed to sign up.
pub(crate) struct SigningUp<'a> {
    pub(crate) email: &'a str,
    pub(crate) password: &'a str,
    /// The secret of an invitation, or of the first administrator's link.
    pub(crate) invitation: &'a str,
    /// From where.
    pub(crate) address: IpAddr,
}

impl SigningUp<'_> {
    fn is_local(&self) -> bool {
        self.address.to_canonical().is_loopback()
    }
}

/// The people known to this relay.
pub(crate) struct Accounts {
    config: Arc<Config>,
    store: RelayStore,
    clock: Arc<dyn Clock>,
    chance: Arc<dyn Chance>,
    passwords: Passwords,
    attempts: Limits<IpAddr>,
    sign_ups: Limits<IpAddr>,
    causing: recovery::Causing,
}

impl Accounts {
    pub(crate) fn new(
        config: &Arc<Config>,
        store: &RelayStore,
        clock: &Arc<dyn Clock>,
        chance: &Arc<dyn Chance>,
    ) -> Self {
        Self {
            config: Arc::clone(config),
            store: store.clone(),
            clock: Arc::clone(clock),
            chance: Arc::clone(chance),
            passwords: Passwords::new(Arc::clone(chance)),
            attempts: Limits::new(&ATTEMPTS),
            sign_ups: Limits::new(&SIGN_UPS),
            causing: recovery::Causing::default(),
        }
    }

    /// Whether somebody without an invitation may sign up.
    pub(crate) fn registration(&self) -> Registration {
        self.config.registration
    }

    /// The account with this address and password, and what the password was checked against. An
    /// unknown address takes as long as a wrong password (T-14).
    pub(crate) async fn sign_in(
        &self,
        email: &Email,
        password: &str,
    ) -> Result<SignIn, AccountError> {
        let found = self.store.accounts().find_sign_in(email).await?;
        let known = found.and_then(|found| Some((found.account, found.password_hash?)));
        let Some((account, mut hash)) = known else {
            self.passwords.pretend(password).await?;
            return Err(AccountError::WrongPassword);
        };
        let verified = self.passwords.verify(password, &hash).await?;
        if !verified.ok || account.suspended.is_some() {
            return Err(AccountError::WrongPassword);
        }
        if verified.rehash {
            let new = self.passwords.hash(password).await?;
            let accounts = self.store.accounts();
            let kept = accounts.replace_password_hash(&account.id, &hash, &new);
            if !kept.await? {
                return Err(AccountError::WrongPassword);
            }
            hash = new;
        }
        Ok(SignIn {
            account,
            password_hash: Some(hash),
        })
    }

    /// Makes an account, if it may be made.
    pub(crate) async fn sign_up(&self, wish: &SigningUp<'_>) -> Result<SignIn, AccountError> {
        let email = Email::parse(wish.email).map_err(|_| AccountError::Email)?;
        check_password(wish.password)?;
        let invited = self.invitation(wish.invitation).await?;
        let from = household(wish.address);
        // Before anything is found out: of many at once no more come through than of one by one.
        let counted = self.attempts.count(&from, self.clock.now());
        counted.map_err(AccountError::TooMany)?;
        let outcome = self.make_account(wish, email, invited).await;
        let innocent = match &outcome {
            // Who was invited is known, and a machine's own people have no others' address.
            Ok(_) => invited.is_some() || wish.is_local(),
            Err(error) => matches!(error, AccountError::Passwords(_) | AccountError::Store(_)),
        };
        if innocent {
            self.attempts.take_back(&from);
        }
        outcome
    }

    async fn make_account(
        &self,
        wish: &SigningUp<'_>,
        email: Email,
        invited: Option<LinkPurpose>,
    ) -> Result<SignIn, AccountError> {
        if invited.is_none() && self.config.registration != Registration::Open {
            return Err(AccountError::NotInvited);
        }
        let from = household(wish.address);
        let limited = invited.is_none() && !wish.is_local();
        if limited {
            let may = self.sign_ups.check(&from, self.clock.now());
            may.map_err(AccountError::TooMany)?;
        }
        let hash = self.passwords.hash(wish.password).await?;
        let now = self.clock.now();
        let id = AccountId::generate(&*self.chance);
        let mut account = Account::new(id, email, now, self.config.default_plan.clone());
        account.administrator = invited == Some(LinkPurpose::FirstAdministrator);
        if limited {
            // Once more, and counted: others from here may have been hashed at the same time.
            let counted = self.sign_ups.count(&from, now);
            counted.map_err(AccountError::TooMany)?;
        }
        let created = self.create(&account, &hash, wish, invited).await;
        if created.is_err() && limited {
            self.sign_ups.take_back(&from);
        }
        created?;
        tracing::info!(account.id = %account.id, "an account was made");
        Ok(SignIn {
            account,
            password_hash: Some(hash),
        })
    }

    async fn create(
        &self,
        account: &Account,
        hash: &PasswordHash,
        wish: &SigningUp<'_>,
        invited: Option<LinkPurpose>,
    ) -> Result<(), AccountError> {
        let accounts = self.store.accounts();
        let created = match invited {
            None => accounts.create(account, Some(hash)).await.map(|()| true),
            // Of two who use one invitation at once one gets the account.
            Some(purpose) => {
                let link = LinkHash::of(wish.invitation.trim());
                let created = accounts.create_by_link(account, hash, &link, purpose);
                created.await
            }
        };
        match created {
            Ok(true) => Ok(()),
            Ok(false) => Err(AccountError::NotInvited),
            Err(StoreError::Conflict) => Err(AccountError::Taken),
            Err(error) => Err(error.into()),
        }
    }

    /// What an invitation's secret is good for, while it is good.
    pub(crate) async fn invitation(&self, secret: &str) -> Result<Option<LinkPurpose>, StoreError> {
        let Ok(secret) = LinkSecret::parse(secret.trim()) else {
            return Ok(None);
        };
        let now = self.clock.now();
        let found = self.store.links().find(&secret.hash(), now).await?;
        Ok(match found.map(|link| link.purpose) {
            Some(LinkPurpose::FirstAdministrator)
                if self.store.accounts().has_administrator().await? =>
            {
                None
            }
            Some(purpose @ (LinkPurpose::Invitation | LinkPurpose::FirstAdministrator)) => {
                Some(purpose)
            }
            _ => None,
        })
    }

    async fn take(&self, secret: &str, purpose: LinkPurpose) -> Result<Option<Link>, StoreError> {
        let hash = LinkHash::of(secret.trim());
        let now = self.clock.now();
        self.store.links().take(&hash, purpose, now).await
    }

    /// Changes the password of who proved theirs; the account's other sessions are for the
    /// caller to end.
    pub(crate) async fn set_password(
        &self,
        proved: &SignIn,
        password: &str,
    ) -> Result<(), AccountError> {
        check_password(password)?;
        let hash = self.passwords.hash(password).await?;
        let old = proved.password_hash.as_ref();
        let old = old.ok_or(AccountError::WrongPassword)?;
        let accounts = self.store.accounts();
        let changed = accounts.replace_password_hash(&proved.account.id, old, &hash);
        // It was another one already when the new one was hashed.
        changed
            .await?
            .then_some(())
            .ok_or(AccountError::WrongPassword)
    }

    /// Makes the link by which a relay without administrator gets its first; nothing if it has
    /// one. An earlier link is no longer good.
    pub(crate) async fn first_administrator(&self) -> Result<Option<LinkSecret>, StoreError> {
        if self.store.accounts().has_administrator().await? {
            return Ok(None);
        }
        let links = self.store.links();
        links
            .drop_all(LinkPurpose::FirstAdministrator, None)
            .await?;
        let secret = LinkSecret::generate(&*self.chance);
        let link = Link::new(LinkPurpose::FirstAdministrator, self.clock.now());
        links.create(&secret.hash(), &link).await?;
        Ok(Some(secret))
    }
}

/// Whether a text will do as a password.
pub fn check_password(password: &str) -> Result<(), AccountError> {
    if password.chars().count() < LEAST_PASSWORD {
        Err(AccountError::PasswordTooShort)
    } else if password.len() > MOST_PASSWORD {
        Err(AccountError::PasswordTooLong)
    } else {
        Ok(())
    }
}
