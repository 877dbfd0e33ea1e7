//! Users: people known to the host, and the first of them.

mod first;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use latchkey_model::chance::Chance;
use latchkey_model::clock::Clock;
use latchkey_model::id::SessionId;
use latchkey_model::secret::PasswordHash;
use latchkey_model::user::{Group, User, UserName};
use latchkey_store::StoreError;
use latchkey_store::host::{Change, Ended, HostStore};

use crate::authority::endings::{Endings, Holder};
use crate::notices::{EndReason, Notice, Notices};

pub(crate) use first::FirstError;
use first::SetupCode;
pub use latchkey_web::password::{
    Passwords, PasswordsError, Verified, is_known_form, octoprint_sha512,
};

/// Fewest and most characters of a password. Length is what counts (NIST SP 800-63B section
/// 3.1.1.2); the upper bound keeps hashing cheap.
pub const LEAST_PASSWORD: usize = 8;
/// See [`LEAST_PASSWORD`].
pub const MOST_PASSWORD: usize = 256;

/// What cannot be done to a user, and why.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    #[error("a user needs a name")]
    NameMissing,
    #[error(
        "a user's name has 1 to 64 visible characters, without blanks, colons and slashes, and does not begin with _"
    )]
    NameUnfit,
    #[error("there is a user of that name already")]
    NameTaken,
    #[error("a password needs at least {LEAST_PASSWORD} characters")]
    PasswordTooShort,
    #[error("a password has at most {MOST_PASSWORD} characters")]
    PasswordTooLong,
    #[error("the password is not the one so far")]
    OldWrong,
    #[error("there is no such user")]
    Missing,
    #[error("somebody has to stay who administers this host")]
    LastAdmin,
    #[error(transparent)]
    Passwords(#[from] PasswordsError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Reads a name for a new user.
pub fn new_name(name: &str) -> Result<UserName, UserError> {
    if name.trim().is_empty() {
        return Err(UserError::NameMissing);
    }
    let name = UserName::parse(name).map_err(|_| UserError::NameUnfit)?;
    if name.is_reserved() {
        return Err(UserError::NameUnfit);
    }
    Ok(name)
}

/// Whether a password is one that can be set.
pub fn check_new_password(password: &str) -> Result<(), UserError> {
    match password.chars().count() {
        0..LEAST_PASSWORD => Err(UserError::PasswordTooShort),
        LEAST_PASSWORD..=MOST_PASSWORD => Ok(()),
        _ => Err(UserError::PasswordTooLong),
    }
}

/// The use cases of users. Clones share everything.
#[derive(Clone)]
pub(crate) struct Users {
    store: HostStore,
    pub(crate) passwords: Passwords,
    endings: Endings,
    notices: Notices,
    clock: Arc<dyn Clock>,
    set_up: Arc<AtomicBool>,
    code: SetupCode,
}

impl Users {
    pub(crate) fn new(
        store: HostStore,
        endings: Endings,
        notices: Notices,
        clock: Arc<dyn Clock>,
        chance: &Arc<dyn Chance>,
    ) -> Self {
        Self {
            store,
            passwords: Passwords::new(Arc::clone(chance)),
            endings,
            notices,
            clock,
            set_up: Arc::default(),
            code: SetupCode::new(&**chance),
        }
    }

    /// Whether there is an administrator, so that the first run is over. A database that does not
    /// answer counts as one with an administrator: nobody may become the first meanwhile.
    pub(crate) async fn is_set_up(&self) -> bool {
        if self.set_up.load(Ordering::Relaxed) {
            return true;
        }
        let any = self.store.users().any_admin().await;
        if let Ok(true) = any {
            self.set_up.store(true, Ordering::Relaxed);
        }
        any.unwrap_or(true)
    }

    /// The code that the first administrator has to know, for the console; `None` once there is one.
    pub(crate) async fn setup_code(&self) -> Option<String> {
        (!self.is_set_up().await).then(|| self.code.shown())
    }

    /// Makes the first administrator, for whoever knows the code.
    pub(crate) async fn create_first(
        &self,
        code: &str,
        name: &str,
        password: &str,
    ) -> Result<User, FirstError> {
        if self.is_set_up().await {
            return Err(FirstError::Done);
        }
        let name = new_name(name)?;
        check_new_password(password)?;
        self.code.check(code, self.clock.now())?;
        let hash = self
            .passwords
            .hash(password)
            .await
            .map_err(UserError::from)?;
        let user = self.new_user(name, Group::Admins);
        let first = self.store.users().create_first(&user, &hash).await;
        match first {
            Ok(true) => {}
            Ok(false) => return Err(FirstError::Done),
            Err(StoreError::Conflict) => return Err(UserError::NameTaken.into()),
            Err(failure) => return Err(UserError::from(failure).into()),
        }
        tracing::info!("the first administrator was made");
        Ok(user)
    }

    pub(crate) async fn exists(&self, name: &UserName) -> Result<bool, StoreError> {
        Ok(self.find(name).await?.is_some())
    }

    pub(crate) async fn find(&self, name: &UserName) -> Result<Option<User>, StoreError> {
        self.store.users().find(name).await
    }

    pub(crate) async fn list(&self) -> Result<Vec<User>, StoreError> {
        self.store.users().list().await
    }

    pub(crate) async fn add(
        &self,
        name: &str,
        password: &str,
        group: Group,
    ) -> Result<User, UserError> {
        let name = new_name(name)?;
        check_new_password(password)?;
        if self.exists(&name).await? {
            return Err(UserError::NameTaken);
        }
        let hash = self.passwords.hash(password).await?;
        let user = self.new_user(name, group);
        match self.store.users().create(&user, Some(&hash)).await {
            Err(StoreError::Conflict) => Err(UserError::NameTaken),
            done => Ok(done.map(|()| user)?),
        }
    }

    pub(crate) async fn set_group(&self, name: &UserName, group: Group) -> Result<(), UserError> {
        let change = self.store.users().set_group(name, group).await?;
        self.done(name, change, EndReason::Modified)
    }

    pub(crate) async fn set_active(&self, name: &UserName, active: bool) -> Result<(), UserError> {
        let change = self.store.users().set_active(name, active).await?;
        self.done(name, change, EndReason::Modified)
    }

    /// With the user go their keys, what was granted to apps for them, and their sessions.
    pub(crate) async fn remove(&self, name: &UserName) -> Result<(), UserError> {
        let change = self.store.users().remove(name).await?;
        self.done(name, change, EndReason::Removed)
    }

    /// Sets somebody's password; their browsers have to sign in again, but for `keep`.
    pub(crate) async fn set_password(
        &self,
        name: &UserName,
        password: &str,
        keep: Option<&SessionId>,
    ) -> Result<(), UserError> {
        check_new_password(password)?;
        let hash = self.passwords.hash(password).await?;
        self.keep_password(name, &hash, keep).await
    }

    /// Changes one's own password; the old one proves who asks.
    pub(crate) async fn change_own_password(
        &self,
        name: &UserName,
        old: &str,
        new: &str,
        keep: &SessionId,
    ) -> Result<(), UserError> {
        check_new_password(new)?;
        let found = self.store.users().find_sign_in(name).await?;
        let kept = found.and_then(|found| found.password_hash);
        let kept = kept.ok_or(UserError::Missing)?;
        if !self.passwords.verify(old, &kept).await?.ok {
            return Err(UserError::OldWrong);
        }
        let hash = self.passwords.hash(new).await?;
        self.keep_password(name, &hash, Some(keep)).await
    }

    async fn keep_password(
        &self,
        name: &UserName,
        hash: &PasswordHash,
        keep: Option<&SessionId>,
    ) -> Result<(), UserError> {
        let users = self.store.users();
        match users.set_password_hash(name, hash, keep).await? {
            Change::Done(ended) => {
                // Told afterwards: a socket is concerned if its session has ended.
                self.end(ended);
                self.notices.tell(Notice::PasswordChanged {
                    user: name.to_string(),
                });
                Ok(())
            }
            Change::Missing | Change::LastAdmin => Err(UserError::Missing),
        }
    }

    fn new_user(&self, name: UserName, group: Group) -> User {
        User {
            name,
            group,
            active: true,
            created: self.clock.now(),
        }
    }

    fn done(&self, name: &UserName, change: Change, reason: EndReason) -> Result<(), UserError> {
        match change {
            Change::Done(ended) => {
                // Told first: a socket says why before it loses its session.
                self.notices.tell(Notice::UserChanged {
                    user: name.to_string(),
                    reason,
                });
                self.end(ended);
                Ok(())
            }
            Change::Missing => Err(UserError::Missing),
            Change::LastAdmin => Err(UserError::LastAdmin),
        }
    }

    fn end(&self, ended: Ended) {
        let keys = ended.app_keys.into_iter().map(Holder::Key);
        let sessions = ended.sessions.into_iter().map(Holder::Session);
        for holder in keys.chain(sessions) {
            self.endings.end(&holder);
        }
    }
}

#[cfg(test)]
mod tests;
