//! The behaviour that every database behind a store must show.
//!
//! Each case is one statement about an empty store and fails with a sentence when it does not
//! hold. Whoever brings another database runs all of them on it.

use std::future::Future;
use std::pin::Pin;

use latchkey_model::clock::Timestamp;

pub mod host;
pub mod relay;

/// What a case ends with.
pub type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;
type Running<'a> = Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>;
/// A named case about the store `S`.
pub type Case<S> = (&'static str, for<'a> fn(&'a S) -> Running<'a>);

macro_rules! cases {
    ($store:ty, $($name:ident,)*) => {
        pub(super) const CASES: &[Case<$store>] =
            &[$((stringify!($name), |store| Box::pin($name(store)))),*];
    };
}

macro_rules! check {
    ($holds:expr) => {
        if !$holds {
            return Err(concat!("does not hold: ", stringify!($holds)).into());
        }
    };
}

macro_rules! check_eq {
    ($left:expr, $right:expr) => {
        match (&$left, &$right) {
            (left, right) if left == right => {}
            (left, right) => {
                let what = concat!(stringify!($left), " is ", stringify!($right));
                return Err(format!("does not hold: {what}: {left:?}, {right:?}").into());
            }
        }
    };
}

use {cases, check, check_eq};

/// The moment `millis` after the epoch.
pub const fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}
