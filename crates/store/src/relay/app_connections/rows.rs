//! Reading rows of app connections.

use latchkey_model::app::{AppId, AppName};
use latchkey_model::app_connection::{
    AccessHashes, AppConnection, AppConnectionState, BasicHash, CredentialHashes, LiveAppConnection,
};
use latchkey_model::id::AppConnectionId;
use latchkey_model::printer::PrinterName;
use latchkey_model::secret::{AppTokenHash, BearerHash, LabelHash};
use sqlx::Row as _;

use super::{FoundAppConnection, Holder, Listed, Usage};
use crate::dialect::Row;
use crate::error::StoreError;
use crate::row::{bytes, inconsistent, number, optional_bytes, optional_time, parse, time};

const TABLE: &str = "app_connections";

pub(super) fn ids(rows: &[Row]) -> Result<Vec<AppConnectionId>, StoreError> {
    rows.iter()
        .map(|row| parse(row, TABLE, "id", |text| text.parse().ok()))
        .collect()
}

pub(super) fn found(row: &Row) -> Result<FoundAppConnection, StoreError> {
    let connection = connection(row)?;
    let holder = match connection.live() {
        None => None,
        Some(live) => Some(Holder {
            account: live.account.clone(),
            suspended: optional_time(row, "suspended_at")?.is_some(),
            plan: parse(row, TABLE, "plan", |text| text.parse().ok())?,
            printer: live.printer.clone(),
            printer_name: parse(row, TABLE, "printer_name", |text| {
                PrinterName::parse(text).ok()
            })?,
            host: match row.try_get::<Option<&str>, _>("host_id")? {
                None => None,
                Some(_) => Some(parse(row, TABLE, "host_id", |text| text.parse().ok())?),
            },
        }),
    };
    Ok(FoundAppConnection { connection, holder })
}

pub(super) fn listed(row: &Row) -> Result<Listed, StoreError> {
    Ok(Listed {
        connection: connection(row)?,
        usage: Usage {
            last_used: optional_time(row, "last_used_at")?,
            requests: number(row, "requests")?,
            bytes: number(row, "bytes")?,
        },
    })
}

fn connection(row: &Row) -> Result<AppConnection, StoreError> {
    Ok(AppConnection {
        id: parse(row, TABLE, "id", |text| text.parse().ok())?,
        hashes: hashes(row)?,
        state: match optional_time(row, "ended_at")? {
            Some(at) => AppConnectionState::Ended {
                reason: parse(row, TABLE, "end_reason", |text| text.parse().ok())?,
                at,
            },
            None => AppConnectionState::Live(LiveAppConnection {
                account: parse(row, TABLE, "account_id", |text| text.parse().ok())?,
                printer: parse(row, TABLE, "printer_id", |text| text.parse().ok())?,
                scope: parse(row, TABLE, "scope", |text| text.parse().ok())?,
                app: parse(row, TABLE, "app_id", |text| AppId::parse(text).ok())?,
                app_name: parse(row, TABLE, "app_name", |text| AppName::parse(text).ok())?,
                created: time(row, "created_at")?,
            }),
        },
    })
}

fn hashes(row: &Row) -> Result<CredentialHashes, StoreError> {
    let mode = parse(row, TABLE, "access_mode", |text| text.parse().ok())?;
    Ok(CredentialHashes {
        label: LabelHash::from_bytes(bytes(row, TABLE, "label_hash")?),
        app_token: AppTokenHash::from_bytes(bytes(row, TABLE, "app_token_hash")?),
        access: AccessHashes::new(
            mode,
            optional_bytes(row, TABLE, "basic_hash")?.map(BasicHash::from_bytes),
            optional_bytes(row, TABLE, "bearer_hash")?.map(BearerHash::from_bytes),
        )
        .ok_or_else(|| inconsistent(row, TABLE))?,
    })
}
