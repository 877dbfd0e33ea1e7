//! What differs between databases. Everything else is common ground of SQLite and PostgreSQL.

use sqlx::error::DatabaseError;

/// The database in use.
pub(crate) type Engine = sqlx::Sqlite;
/// One of its connections, or a transaction on it.
pub(crate) type Connection = sqlx::SqliteConnection;
/// One of its rows.
pub(crate) type Row = sqlx::sqlite::SqliteRow;

/// Begins a transaction that will write.
///
/// A deferred transaction that reads first gets `SQLITE_BUSY_SNAPSHOT` at once when another
/// process wrote in between, whatever the busy timeout says; an immediate one waits.
pub(crate) const BEGIN_WRITE: &str = "BEGIN IMMEDIATE";

/// Whether the database could not serve at this moment: busy, locked, full, read-only, or its
/// file cannot be read, written or opened.
pub(crate) fn is_unavailable(error: &dyn DatabaseError) -> bool {
    // SQLITE_BUSY, _LOCKED, _READONLY, _IOERR, _FULL, _CANTOPEN; the rest of the number is detail.
    const UNAVAILABLE: [u32; 6] = [5, 6, 8, 10, 13, 14];
    error
        .code()
        .and_then(|code| code.parse::<u32>().ok())
        .is_some_and(|code| UNAVAILABLE.contains(&(code & 0xff)))
}
