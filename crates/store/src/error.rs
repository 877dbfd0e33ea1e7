//! The one error of this crate.

use sqlx::migrate::MigrateError;

use crate::dialect;

/// Why something could not be kept or found.
///
/// Except for [`Conflict`](Self::Conflict) and [`Missing`](Self::Missing) it says nothing about
/// the thing asked for: a caller that gets another error knows *nothing*, and must answer so.
///
/// Its text is whole: it ends with what the database said, so that a log line with nothing but
/// the text tells the operator why. It may be logged, because what the database says names
/// tables, columns and constraints, and never a value that was to be kept. It is no text for
/// callers.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It collides with what is kept: something that must be unique is taken, or what it refers
    /// to is gone. Nothing was changed.
    #[error("it collides with what is kept")]
    Conflict,
    /// What was asked for by its id is not there.
    #[error("there is no such row in {table}")]
    Missing {
        /// Where it was looked for.
        table: &'static str,
    },
    /// A row breaks the rules of the model.
    #[error("row {row} in {table} breaks the rules")]
    Inconsistent {
        /// Where it is.
        table: &'static str,
        /// Its id.
        row: String,
    },
    /// The database cannot be used at present.
    #[error("the database cannot be used at present: {0}")]
    Unavailable(Cause),
    /// Anything else: a bug, or a broken file.
    #[error("the database failed: {0}")]
    Failed(Cause),
}

/// What the database said.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

impl StoreError {
    pub(crate) fn inconsistent(table: &'static str, row: &str) -> Self {
        Self::Inconsistent {
            table,
            row: row.to_owned(),
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(cause)
                if cause.is_unique_violation() || cause.is_foreign_key_violation() =>
            {
                Self::Conflict
            }
            sqlx::Error::Database(cause) if dialect::is_unavailable(cause.as_ref()) => {
                Self::Unavailable(error.into())
            }
            sqlx::Error::Io(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => Self::Unavailable(error.into()),
            _ => Self::Failed(error.into()),
        }
    }
}

impl From<MigrateError> for StoreError {
    fn from(error: MigrateError) -> Self {
        match error {
            MigrateError::VersionMissing(version) => Self::Failed(
                format!("a newer version of this program made its schema (migration {version})")
                    .into(),
            ),
            error => Self::Failed(error.into()),
        }
    }
}
