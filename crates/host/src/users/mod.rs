//! Users: people known to the host.

mod password;

use latchkey_model::user::UserName;
use latchkey_store::StoreError;

pub use password::{Passwords, PasswordsError, Verified, is_known_form, octoprint_sha512};

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
