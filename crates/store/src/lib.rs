//! What is remembered: queries and migrations.
//!
//! Holds no rules: it keeps and finds the model's values, and puts filtering and authority into
//! the `WHERE`, so that nobody can load what they do not own. One file per noun; which database
//! it is, only `pool` and `dialect` know.
#![warn(missing_docs)]

mod commits;
#[cfg(any(test, feature = "contract"))]
pub mod contract;
mod dialect;
mod error;
pub mod host;
mod pool;
mod recall;
pub mod relay;
mod row;

#[cfg(test)]
mod tests;

pub use error::{Cause, StoreError};
pub use host::HostStore;
pub use pool::SchemaVersions;
pub use relay::RelayStore;
