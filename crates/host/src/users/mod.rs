//! Users: people known to the host.

mod password;

pub use password::{Passwords, PasswordsError, Verified, is_known_form, octoprint_sha512};
