//! What letters lead to: a confirmed address, a new password.

use std::net::IpAddr;
use std::time::Duration;

use latchkey_model::account::Email;
use latchkey_model::id::AccountId;
use latchkey_model::link::{Link, LinkPurpose};
use latchkey_model::secret::LinkSecret;
use latchkey_store::StoreError;
use latchkey_web::limits::{Limits, TooMany, Window, household};

use super::{AccountError, Accounts, check_password};

/// Letters with a new password's link to one address.
const REMINDERS: [Window; 1] = [Window::new(3, Duration::from_hours(1))];

/// Letters that one network causes without an account: by forgetting, and by signing up.
const ASKING: [Window; 1] = [Window::new(20, Duration::from_hours(1))];

/// Letters that one account has sent, to itself or to whom it invites.
const OF_AN_ACCOUNT: [Window; 1] = [Window::new(10, Duration::from_hours(1))];

/// How many letters people may cause.
pub(super) struct Causing {
    reminders: Limits<Email>,
    asking: Limits<IpAddr>,
    by_account: Limits<AccountId>,
}

impl Default for Causing {
    fn default() -> Self {
        Self {
            reminders: Limits::new(&REMINDERS),
            asking: Limits::new(&ASKING),
            by_account: Limits::new(&OF_AN_ACCOUNT),
        }
    }
}

/// What came of a letter's question whether an address is somebody's.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Confirmed {
    /// The address that the account had already.
    Same(Email),
    /// A new one, in place of the former.
    Changed {
        account: AccountId,
        email: Email,
        former: Email,
    },
    /// Another account has it by now.
    Taken,
    /// The link is no longer good.
    Gone,
}

impl Accounts {
    /// Whether somebody from here, whom we do not know, may cause one more letter. Counts.
    pub(crate) fn may_ask_for_letter(&self, address: IpAddr) -> Result<(), TooMany> {
        let asking = &self.causing.asking;
        asking.count(&household(address), self.clock.now())
    }

    /// Whether one more letter may go to this address, known or not. Counts.
    pub(crate) fn may_remind(&self, email: &Email) -> bool {
        let reminders = &self.causing.reminders;
        reminders.count(email, self.clock.now()).is_ok()
    }

    /// Whether an account may cause one more letter. Counts.
    pub(crate) fn may_write(&self, account: &AccountId) -> Result<(), TooMany> {
        self.causing.by_account.count(account, self.clock.now())
    }

    /// A link that is good for what `of` says of it.
    pub(crate) async fn make_link(&self, of: &Link) -> Result<LinkSecret, StoreError> {
        let secret = LinkSecret::generate(&*self.chance);
        self.store.links().create(&secret.hash(), of).await?;
        Ok(secret)
    }

    /// The link with this secret, if it is good for the purpose.
    pub(crate) async fn find_link(
        &self,
        code: &str,
        purpose: LinkPurpose,
    ) -> Result<Option<Link>, StoreError> {
        let Ok(secret) = LinkSecret::parse(code.trim()) else {
            return Ok(None);
        };
        let now = self.clock.now();
        let found = self.store.links().find(&secret.hash(), now).await?;
        Ok(found.filter(|link| link.purpose == purpose))
    }

    /// Uses up the link with this secret. Of several who try at once one gets it.
    pub(crate) async fn take_link(
        &self,
        code: &str,
        purpose: LinkPurpose,
    ) -> Result<Option<Link>, StoreError> {
        if LinkSecret::parse(code.trim()).is_err() {
            return Ok(None);
        }
        self.take(code, purpose).await
    }

    /// The link by which `email` becomes the confirmed address of an account. An earlier one is no
    /// longer good.
    pub(crate) async fn verification(
        &self,
        account: &AccountId,
        email: &Email,
    ) -> Result<LinkSecret, StoreError> {
        let links = self.store.links();
        links
            .drop_all(LinkPurpose::VerifyEmail, Some(account))
            .await?;
        let link = Link {
            account: Some(account.clone()),
            email: Some(email.clone()),
            ..Link::new(LinkPurpose::VerifyEmail, self.clock.now())
        };
        self.make_link(&link).await
    }

    /// Somebody who reads an address's letters says that it is theirs.
    pub(crate) async fn confirm_address(&self, code: &str) -> Result<Confirmed, StoreError> {
        let taken = self.take_link(code, LinkPurpose::VerifyEmail).await?;
        let Some((id, email)) = taken.and_then(|link| Some((link.account?, link.email?))) else {
            return Ok(Confirmed::Gone);
        };
        let Some(account) = self.store.accounts().find(&id).await? else {
            return Ok(Confirmed::Gone);
        };
        let now = self.clock.now();
        let accounts = self.store.accounts();
        if account.email == email {
            accounts.note_verified(&id, &email, now).await?;
            return Ok(Confirmed::Same(email));
        }
        match accounts.set_email(&id, &email, Some(now)).await {
            Ok(true) => {}
            Ok(false) => return Ok(Confirmed::Gone),
            Err(StoreError::Conflict) => return Ok(Confirmed::Taken),
            Err(error) => return Err(error),
        }
        self.drop_letters(&id).await?;
        tracing::info!(account.id = %id, "an account has another address");
        let former = account.email;
        Ok(Confirmed::Changed {
            account: id,
            email,
            former,
        })
    }

    /// Links to another password or address, which somebody else may have asked for, lead no longer
    /// where they did.
    pub(crate) async fn drop_letters(&self, account: &AccountId) -> Result<(), StoreError> {
        self.store.links().drop_letters(account).await?;
        Ok(())
    }

    /// Sets a password by a letter's link, and ends all sessions. Gives whose; nothing if the link
    /// is no longer good.
    pub(crate) async fn reset_password(
        &self,
        code: &str,
        password: &str,
    ) -> Result<Option<AccountId>, AccountError> {
        // A hash costs much: only who has a good link makes us work for it.
        if self
            .find_link(code, LinkPurpose::ResetPassword)
            .await?
            .is_none()
        {
            return Ok(None);
        }
        check_password(password)?;
        let hash = self.passwords.hash(password).await?;
        let taken = self.take_link(code, LinkPurpose::ResetPassword).await?;
        let Some((id, email)) = taken.and_then(|link| Some((link.account?, link.email?))) else {
            return Ok(None);
        };
        let accounts = self.store.accounts();
        let standing = accounts.find(&id).await?;
        if standing.is_none_or(|account| account.suspended.is_some()) {
            return Ok(None);
        }
        if !accounts.set_password_hash(&id, &hash).await? {
            return Ok(None);
        }
        self.store.sessions().end_others(&id, None).await?;
        // Whoever has the letter has the address.
        accounts
            .note_verified(&id, &email, self.clock.now())
            .await?;
        self.drop_letters(&id).await?;
        tracing::info!(account.id = %id, "a password was set by a letter's link");
        Ok(Some(id))
    }
}
