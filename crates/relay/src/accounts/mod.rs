//! Accounts: signing up, signing in, passwords, and the first administrator.

pub(crate) mod http;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use latchkey_model::account::{Account, Email};
use latchkey_model::chance::Chance;
use latchkey_model::clock::Clock;
use latchkey_model::id::AccountId;
use latchkey_model::link::{Link, LinkPurpose};
use latchkey_model::secret::{LinkHash, LinkSecret, PasswordHash};
use latchkey_store::{RelayStore, StoreError};
use latchkey_web::limits::{Limits, TooMany, Window, household};
use latchkey_web::password::{Passwords, PasswordsError};

use crate::config::{Config, Registration};

/// Fewest characters of a password, and most bytes.
pub(crate) const LEAST_PASSWORD: usize = 12;
pub(crate) const MOST_PASSWORD: usize = 1024;

/// Attempts to sign up from one address that came to nothing: each costs a password's hash, and
/// tells whether an address is taken.
const OF_AN_ADDRESS: [Window; 1] = [Window::new(20, Duration::from_hours(1))];

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
}

/// The people known to this relay.
pub(crate) struct Accounts {
    config: Arc<Config>,
    store: RelayStore,
    clock: Arc<dyn Clock>,
    chance: Arc<dyn Chance>,
    passwords: Passwords,
    sign_ups: Limits<IpAddr>,
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
            sign_ups: Limits::new(&OF_AN_ADDRESS),
        }
    }

    /// Whether somebody without an invitation may sign up.
    pub(crate) fn registration(&self) -> Registration {
        self.config.registration
    }

    /// Whether one more attempt to sign up may come from this address.
    pub(crate) fn may_sign_up(&self, address: IpAddr) -> Result<(), TooMany> {
        self.sign_ups.check(&household(address), self.clock.now())
    }

    /// Counts an attempt that came to nothing.
    pub(crate) fn note_failed_sign_up(&self, address: IpAddr) {
        // One that is too many was refused before it was looked at.
        let _ = self.sign_ups.count(&household(address), self.clock.now());
    }

    /// The account with this address and password. An unknown address takes as long as a wrong
    /// password (T-14).
    pub(crate) async fn sign_in(
        &self,
        email: &Email,
        password: &str,
    ) -> Result<Account, AccountError> {
        let found = self.store.accounts().find_sign_in(email).await?;
        let known = found.and_then(|found| Some((found.account, found.password_hash?)));
        let Some((account, hash)) = known else {
            self.passwords.pretend(password).await?;
            return Err(AccountError::WrongPassword);
        };
        let verified = self.passwords.verify(password, &hash).await?;
        if !verified.ok || account.suspended.is_some() {
            return Err(AccountError::WrongPassword);
        }
        if verified.rehash {
            let hash = self.passwords.hash(password).await?;
            self.store
                .accounts()
                .set_password_hash(&account.id, &hash)
                .await?;
        }
        Ok(account)
    }

    /// Makes an account, if it may be made.
    pub(crate) async fn sign_up(&self, wish: &SigningUp<'_>) -> Result<Account, AccountError> {
        let email = Email::parse(wish.email).map_err(|_| AccountError::Email)?;
        check_password(wish.password)?;
        let invited = self.invitation(wish.invitation).await?;
        if invited.is_none() && self.config.registration != Registration::Open {
            return Err(AccountError::NotInvited);
        }
        let hash = self.passwords.hash(wish.password).await?;
        let mut account = Account::new(
            AccountId::generate(&*self.chance),
            email,
            self.clock.now(),
            self.config.default_plan.clone(),
        );
        account.administrator = invited == Some(LinkPurpose::FirstAdministrator);
        if self
            .store
            .accounts()
            .find_by_email(&account.email)
            .await?
            .is_some()
        {
            return Err(AccountError::Taken);
        }
        // Of two who use one invitation at once one gets the account.
        if let Some(purpose) = invited {
            let taken = self.take(wish.invitation, purpose).await?;
            taken.ok_or(AccountError::NotInvited)?;
        }
        self.create(&account, &hash).await?;
        if account.administrator {
            let links = self.store.links();
            links
                .drop_all(LinkPurpose::FirstAdministrator, None)
                .await?;
        }
        Ok(account)
    }

    async fn create(&self, account: &Account, hash: &PasswordHash) -> Result<(), AccountError> {
        match self.store.accounts().create(account, Some(hash)).await {
            Ok(()) => {
                tracing::info!(account.id = %account.id, "an account was made");
                Ok(())
            }
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
        let purpose = found.map(|link| link.purpose);
        Ok(purpose.filter(|purpose| {
            matches!(
                purpose,
                LinkPurpose::Invitation | LinkPurpose::FirstAdministrator
            )
        }))
    }

    async fn take(&self, secret: &str, purpose: LinkPurpose) -> Result<Option<Link>, StoreError> {
        let hash = LinkHash::of(secret.trim());
        let now = self.clock.now();
        self.store.links().take(&hash, purpose, now).await
    }

    /// Changes a password; the account's other sessions are for the caller to end.
    pub(crate) async fn set_password(
        &self,
        account: &AccountId,
        password: &str,
    ) -> Result<(), AccountError> {
        check_password(password)?;
        let hash = self.passwords.hash(password).await?;
        self.store
            .accounts()
            .set_password_hash(account, &hash)
            .await?;
        Ok(())
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
