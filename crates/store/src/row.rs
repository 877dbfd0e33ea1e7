//! Reading rows as values of the model, and writing what needs bounds.
//!
//! Every row that is read so has a column `id`, which names it when it breaks the rules.

use std::time::Duration;

use latchkey_model::clock::Timestamp;
use sqlx::Row as _;

use crate::dialect::Row;
use crate::error::StoreError;

/// Reads a column's text as a value of the model.
pub(crate) fn parse<T>(
    row: &Row,
    table: &'static str,
    column: &str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<T, StoreError> {
    let text: &str = row.try_get(column)?;
    parse(text).ok_or_else(|| inconsistent(row, table))
}

pub(crate) fn time(row: &Row, column: &str) -> Result<Timestamp, StoreError> {
    Ok(Timestamp::from_millis(row.try_get(column)?))
}

pub(crate) fn optional_time(row: &Row, column: &str) -> Result<Option<Timestamp>, StoreError> {
    let millis: Option<i64> = row.try_get(column)?;
    Ok(millis.map(Timestamp::from_millis))
}

/// Reads 32 bytes.
pub(crate) fn bytes(row: &Row, table: &'static str, column: &str) -> Result<[u8; 32], StoreError> {
    optional_bytes(row, table, column)?.ok_or_else(|| inconsistent(row, table))
}

/// Reads 32 bytes, if there are any.
pub(crate) fn optional_bytes(
    row: &Row,
    table: &'static str,
    column: &str,
) -> Result<Option<[u8; 32]>, StoreError> {
    let Some(bytes) = row.try_get::<Option<&[u8]>, _>(column)? else {
        return Ok(None);
    };
    match bytes.try_into() {
        Ok(bytes) => Ok(Some(bytes)),
        Err(_) => Err(inconsistent(row, table)),
    }
}

/// Reads a sum of counters' steps.
pub(crate) fn number(row: &Row, column: &str) -> Result<u64, StoreError> {
    let value: i64 = row.try_get(column)?;
    Ok(u64::try_from(value).unwrap_or(0))
}

/// A counter's step as it is kept. Bounded, so that no single step brings the sum near its end.
pub(crate) fn count(step: u64) -> i64 {
    const LARGEST: i64 = 1 << 48;
    i64::try_from(step).unwrap_or(LARGEST).min(LARGEST)
}

/// Says that a row breaks the rules of the model.
pub(crate) fn inconsistent(row: &Row, table: &'static str) -> StoreError {
    match row.try_get("id") {
        Ok(id) => StoreError::inconsistent(table, id),
        Err(error) => error.into(),
    }
}

/// A length of time in milliseconds, as times are kept.
pub(crate) fn span(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
