//! The portal: how an app sends a person here to be given access, and what goes back to it.
//!
//! Responsible for what an app may ask for ([`PortalRequest`]), where the portal leads back
//! ([`ReturnTarget`]) and what it hands over ([`Completion`]). Leaves to others who is asked, and
//! what they decide.

mod code;
mod completion;
mod request;
mod target;

pub use code::{CodeChallenge, CodeWish, ParseChallengeError};
pub use completion::{Completion, Given, Refused};
pub use request::{PortalRequest, QUERY_VALUE, RequestError};
pub use target::{ReturnTarget, RuleError, TargetError, TargetKind, TargetRule};
