//! `/admin/audit`: who did what here.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::Query;
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Form, Router};
use latchkey_model::account::Email;
use latchkey_model::audit::AuditRecord;
use latchkey_model::id::{AccountId, PrinterId};
use latchkey_store::StoreError;
use latchkey_store::relay::AuditFilter;
use serde::Deserialize;

use super::VERSION;
use crate::audit::{APP, COMMAND_LINE, RELAY, in_words};
use crate::pages::paths;
use crate::pages::views::{AdminAudit, AuditWho, ListedEntry, Tab};
use crate::pages::visit::{Answered, Visit};
use crate::state::State;

const HERE: &str = "/admin/audit";

/// Entries on a page.
const PAGE: u32 = 50;

/// Longer is no word for an act, and no address.
const LONGEST: usize = 254;

pub(super) fn routes() -> Router<State> {
    Router::new()
        .route("/admin/audit", get(show))
        .route("/admin/audit/find", post(find))
}

#[derive(Default, Deserialize)]
struct Asked {
    #[serde(default)]
    act: String,
    #[serde(default)]
    email: String,
    #[serde(default)]
    before: String,
    #[serde(default)]
    csrf_token: String,
}

impl Asked {
    fn act(&self) -> String {
        self.act.trim().chars().take(LONGEST).collect()
    }

    fn email(&self) -> String {
        self.email.trim().chars().take(LONGEST).collect()
    }

    /// The page with these entries.
    fn path(&self) -> String {
        let mut path = HERE.to_owned();
        for (name, value) in [("act", self.act()), ("email", self.email())] {
            if !value.is_empty() {
                path = paths::with(&path, name, &value);
            }
        }
        path
    }
}

async fn find(visit: Visit, Form(form): Form<Asked>) -> Answered {
    // Nothing is changed by looking, so no password is asked for.
    visit.form(&form.csrf_token, HERE)?;
    visit.administrator()?;
    Ok(visit.go_on(&form.path()))
}

async fn show(visit: Visit, Query(asked): Query<Asked>) -> Answered {
    let account = visit.administrator()?;
    let failed = |failure: StoreError| visit.failed(&failure);
    let (act, email) = (asked.act(), asked.email());
    let wanted = whose(&visit, &email).await?;
    let nobody = wanted.is_none() && !email.is_empty();
    let filter = AuditFilter {
        before: asked.before.parse().ok(),
        account: wanted,
        act: (!act.is_empty()).then(|| act.clone()),
    };
    let mut found = if nobody {
        Vec::new()
    } else {
        let found = visit.state.audit.list(&filter, PAGE + 1).await;
        found.map_err(failed)?
    };
    let more = found.len() > PAGE as usize;
    found.truncate(PAGE as usize);
    let next = found.last().filter(|_| more);
    let next = next.map(|last| paths::with(&asked.path(), "before", &last.number.to_string()));
    let names = Names::of(&visit, &found).await.map_err(failed)?;
    let acts = visit.state.store.audit().acts().await.map_err(failed)?;
    let site = visit.site();
    let page = AdminAudit {
        shell: visit.viewer(account).bar(&site, Tab::Administration),
        site,
        version: VERSION,
        acts: acts
            .into_iter()
            .map(|word| (word.clone(), in_words(&word)))
            .collect(),
        act,
        email,
        nobody,
        list: found
            .iter()
            .map(|record| names.listed(&visit, record))
            .collect(),
        next,
    };
    Ok(visit.page(&page))
}

/// The account that is looked for: by its address, or by its id when it is gone.
async fn whose(visit: &Visit, text: &str) -> Result<Option<AccountId>, Response> {
    if let Ok(id) = text.parse::<AccountId>() {
        return Ok(Some(id));
    }
    let Ok(email) = Email::parse(text) else {
        return Ok(None);
    };
    let found = visit.state.store.accounts().find_by_email(&email).await;
    let found = found.map_err(|failure| visit.failed(&failure))?;
    Ok(found.map(|account| account.id))
}

/// The names of today for the ids in entries. None is kept with them: what somebody was called is
/// gone with their account.
struct Names {
    emails: BTreeMap<String, String>,
    printers: BTreeMap<String, String>,
}

impl Names {
    async fn of(visit: &Visit, found: &[AuditRecord]) -> Result<Self, StoreError> {
        let store = &visit.state.store;
        let entries = || found.iter().map(|record| &record.entry);
        let accounts = entries().flat_map(|entry| [Some(&entry.actor), entry.account.as_ref()]);
        let accounts: BTreeSet<_> = accounts.flatten().collect();
        let mut emails = BTreeMap::new();
        for text in accounts {
            let Ok(id) = text.parse::<AccountId>() else {
                continue;
            };
            if let Some(account) = store.accounts().find(&id).await? {
                emails.insert(text.clone(), account.email.as_str().to_owned());
            }
        }
        let ids: BTreeSet<_> = entries()
            .filter_map(|entry| entry.printer.as_ref())
            .collect();
        let mut printers = BTreeMap::new();
        for text in ids {
            let Ok(id) = text.parse::<PrinterId>() else {
                continue;
            };
            if let Some(printer) = store.printers().find(&id).await? {
                printers.insert(text.clone(), printer.name.to_string());
            }
        }
        Ok(Self { emails, printers })
    }

    fn who(&self, word: &str) -> AuditWho {
        match word {
            COMMAND_LINE => AuditWho::CommandLine,
            APP => AuditWho::App,
            RELAY => AuditWho::Relay,
            id => match self.emails.get(id) {
                Some(email) => AuditWho::Account {
                    id: id.to_owned(),
                    email: email.clone(),
                },
                None => AuditWho::Gone { id: id.to_owned() },
            },
        }
    }

    fn listed(&self, visit: &Visit, record: &AuditRecord) -> ListedEntry {
        let entry = &record.entry;
        let about = entry.account.as_ref().filter(|id| **id != entry.actor);
        let printer = entry.printer.as_ref();
        let whole = record.address.as_ref().map(|whole| whole.text.clone());
        ListedEntry {
            number: record.number,
            at: visit.moment(entry.at),
            who: self.who(&entry.actor),
            act: in_words(&entry.act),
            about: about.map(|id| self.who(id)),
            printer: printer.map(|id| self.printers.get(id).unwrap_or(id).clone()),
            detail: entry.detail.clone(),
            from: whole.or_else(|| entry.network.clone()),
        }
    }
}
