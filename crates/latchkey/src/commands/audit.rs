//! `latchkey audit …`: who did what at a relay. Works beside a running relay, too.

use anyhow::{anyhow, bail};
use latchkey_model::account::Email;
use latchkey_model::audit::{AuditChecked, AuditHead, AuditRecord, ChainHash};
use latchkey_model::id::AccountId;
use latchkey_store::relay::AuditFilter;
use latchkey_web::moment::Moment;
use serde_json::json;

use super::account::Known;
use crate::app_side::UsageError;
use crate::cli::audit::AuditAction;
use crate::output;

pub(crate) async fn run(action: AuditAction) -> anyhow::Result<()> {
    match action {
        AuditAction::List {
            account,
            act,
            most,
            json,
            config,
        } => {
            let relay = Known::open(&config).await?;
            let account = match &account {
                Some(text) => Some(whose(&relay, text).await?),
                None => None,
            };
            let filter = AuditFilter {
                account,
                act,
                before: None,
            };
            let found = relay.audit.list(&filter, most).await;
            relay.store.close().await;
            list(&found?, json)
        }
        AuditAction::Verify {
            known,
            json,
            config,
        } => {
            let known = known.as_deref().map(head).transpose()?;
            let relay = Known::open(&config).await?;
            let checked = relay.audit.verify(known).await;
            relay.store.close().await;
            verify(&checked?, json)
        }
    }
}

/// An account that is there, or the id of one that is gone.
async fn whose(relay: &Known, text: &str) -> anyhow::Result<AccountId> {
    if let Ok(id) = text.parse() {
        return Ok(id);
    }
    let missing = || {
        anyhow!(
            "there is no account {text:?}; of one that is gone, the log has the id and no address"
        )
    };
    let email = Email::parse(text).map_err(|_| missing())?;
    let found = relay.store.accounts().find_by_email(&email).await?;
    found.map(|account| account.id).ok_or_else(missing)
}

fn head(text: &str) -> anyhow::Result<AuditHead> {
    let read = text.split_once(':').and_then(|(number, hash)| {
        Some(AuditHead {
            number: number.parse().ok()?,
            hash: ChainHash::parse(hash)?,
        })
    });
    let form = "--known needs the form NUMBER:HASH, with the 64 digits of the hash";
    read.ok_or_else(|| UsageError(form.to_owned()).into())
}

fn list(found: &[AuditRecord], as_json: bool) -> anyhow::Result<()> {
    if as_json {
        let all: Vec<_> = found.iter().rev().map(shown).collect();
        output::result(&serde_json::to_string(&all)?);
        return Ok(());
    }
    if found.is_empty() {
        output::note("There is nothing of that in the log.");
    }
    for record in found.iter().rev() {
        let entry = &record.entry;
        let mut line = format!(
            "{}  {}  {}  by {}",
            record.number,
            moment(record),
            entry.act,
            entry.actor
        );
        let about = entry.account.as_ref().filter(|id| **id != entry.actor);
        for (word, value) in [
            ("account", about),
            ("printer", entry.printer.as_ref()),
            ("from", from(record)),
        ] {
            if let Some(value) = value {
                line.push_str(", ");
                line.push_str(word);
                line.push(' ');
                line.push_str(value);
            }
        }
        if !entry.detail.is_empty() {
            line.push_str(": ");
            line.push_str(&entry.detail);
        }
        output::result(&line);
    }
    Ok(())
}

/// The address while it is kept, then its network.
fn from(record: &AuditRecord) -> Option<&String> {
    let whole = record.address.as_ref().map(|whole| &whole.text);
    whole.or(record.entry.network.as_ref())
}

fn moment(record: &AuditRecord) -> String {
    let at = record.entry.at;
    Moment { at, now: at }.exact()
}

fn shown(record: &AuditRecord) -> serde_json::Value {
    let entry = &record.entry;
    json!({
        "number": record.number,
        "at": moment(record),
        "at_ms": entry.at.millis(),
        "actor": entry.actor,
        "act": entry.act,
        "account": entry.account,
        "printer": entry.printer,
        "detail": entry.detail,
        "address": record.address.as_ref().map(|whole| &whole.text),
        "network": entry.network,
        "hash": record.hash.to_string(),
    })
}

fn verify(checked: &AuditChecked, as_json: bool) -> anyhow::Result<()> {
    let AuditChecked {
        entries,
        head,
        faults,
    } = checked;
    let said: Vec<_> = faults.iter().map(ToString::to_string).collect();
    if as_json {
        let result = json!({
            "good": faults.is_empty(),
            "entries": entries,
            "last": head.number,
            "hash": head.hash.to_string(),
            "faults": said,
        });
        output::result(&result.to_string());
    } else {
        for fault in &said {
            output::note(&format!("  FAIL  {fault}"));
        }
        output::note(&format!(
            "Looked at {entries} entries. The log ends with {}:{}",
            head.number, head.hash
        ));
    }
    if !faults.is_empty() {
        bail!("the audit log is not as it was written");
    }
    if !as_json {
        output::note("It is as it was written. Keep the line above elsewhere, for --known.");
    }
    Ok(())
}
