//! `latchkey import-octoprint`: people and app keys of an OctoPrint into the host's database.

use latchkey_host::KeptError;
use latchkey_host::config::Config;
use latchkey_model::access::KeyScope;
use latchkey_model::app_key::AppKey;
use latchkey_model::chance::SystemChance;
use latchkey_model::clock::{Clock as _, SystemClock};
use latchkey_model::id::AppKeyId;
use latchkey_model::sealed::SealingKey;
use latchkey_model::user::User;
use latchkey_store::host::NewAppKey;
use latchkey_store::{HostStore, StoreError};
use serde_json::{Map, Value, json};

use crate::cli::ImportArgs;
use crate::import::{self, Found, FoundKey, Left, Person, SessionApp};
use crate::output;

/// What became of the import.
#[derive(Default)]
struct Report {
    users: Vec<String>,
    keys: Vec<(String, String)>,
    apps: Vec<SessionApp>,
    left: Vec<Left>,
}

impl Report {
    fn leave(&mut self, what: String, why: &str) {
        let why = why.to_owned();
        self.left.push(Left { what, why });
    }
}

pub(crate) async fn run(args: &ImportArgs) -> anyhow::Result<()> {
    let config = super::user::host(&args.config)?;
    let found = import::read(&args.dir)?;
    let report = if args.dry_run {
        preview(&config, found).await?
    } else {
        write(&config, found).await?
    };
    if args.json {
        output::result(&as_json(&report, args.dry_run).to_string());
    } else {
        say(&report, args.dry_run)?;
    }
    Ok(())
}

async fn write(config: &Config, found: Found) -> anyhow::Result<Report> {
    let store = config.open_store().await?;
    let sealing = config.load_master_key()?.sealing();
    let mut report = Report {
        apps: found.apps,
        left: found.left,
        ..Report::default()
    };
    for person in &found.people {
        add_person(&store, person, &mut report).await?;
    }
    for key in &found.keys {
        add_key(&store, &sealing, key, &mut report).await?;
    }
    store.close().await;
    Ok(report)
}

const KNOWN_USER: &str = "there is a user of that name already, who stays as they are";

async fn add_person(store: &HostStore, person: &Person, report: &mut Report) -> anyhow::Result<()> {
    let user = User {
        name: person.name.clone(),
        group: person.group,
        active: person.active,
        created: SystemClock.now(),
    };
    match store.users().create(&user, person.password.as_ref()).await {
        Ok(()) => report.users.push(person.name.to_string()),
        Err(StoreError::Conflict) => report.leave(format!("user {}", person.name), KNOWN_USER),
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

/// Why a key cannot be kept beside what the host has; nothing if it can.
async fn hindrance(
    store: &HostStore,
    found: &FoundKey,
) -> Result<Option<&'static str>, StoreError> {
    let hash = found.key.hash();
    if let Some(other) = store.app_keys().find_by_hash(&hash).await? {
        let is_same = other.key.user == found.user;
        return Ok(Some(if is_same {
            "the host has that key already"
        } else {
            "the host has that key already, of another user"
        }));
    }
    let twin = store.app_keys().find(&found.user, &found.app).await?;
    Ok(twin.map(|_| {
        "the host has another key of that app for that user; revoke it and import again to take \
         this one"
    }))
}

async fn add_key(
    store: &HostStore,
    sealing: &SealingKey,
    found: &FoundKey,
    report: &mut Report,
) -> anyhow::Result<()> {
    if let Some(why) = hindrance(store, found).await? {
        report.leave(named(found), why);
        return Ok(());
    }
    let id = AppKeyId::generate(&SystemChance);
    let new = NewAppKey {
        sealed: sealing.seal(&found.key, &id, &SystemChance),
        key: AppKey {
            id,
            user: found.user.clone(),
            app: found.app.clone(),
            hash: found.key.hash(),
            scope: KeyScope::Full,
            created: SystemClock.now(),
            last_use: None,
            requests: 0,
            through: None,
        },
    };
    match store.app_keys().keep(&new).await {
        Ok(_) => report.keys.push(entry(found)),
        Err(StoreError::Conflict) => {
            report.leave(named(found), "the host was changed meanwhile; import again");
        }
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

/// What would be taken, as far as it can be said without changing anything.
async fn preview(config: &Config, found: Found) -> anyhow::Result<Report> {
    let mut report = Report {
        apps: found.apps,
        left: found.left,
        ..Report::default()
    };
    // A missing database is not made, and one of another version not brought up to date.
    let path = config.database();
    let store = if path.exists() {
        let versions = HostStore::inspect(&path).await;
        let versions = versions.map_err(|cause| KeptError::Database { path, cause })?;
        if versions.found < versions.known {
            None
        } else {
            Some(config.open_store().await?)
        }
    } else {
        None
    };
    for person in &found.people {
        let known = match &store {
            Some(store) => store.users().find(&person.name).await?.is_some(),
            None => false,
        };
        if known {
            report.leave(format!("user {}", person.name), KNOWN_USER);
        } else {
            report.users.push(person.name.to_string());
        }
    }
    for key in &found.keys {
        let why = match &store {
            Some(store) => hindrance(store, key).await?,
            None => None,
        };
        match why {
            Some(why) => report.leave(named(key), why),
            None => report.keys.push(entry(key)),
        }
    }
    if let Some(store) = store {
        store.close().await;
    }
    Ok(report)
}

fn named(key: &FoundKey) -> String {
    format!("key of {} for {}", key.app, key.user)
}

fn entry(key: &FoundKey) -> (String, String) {
    (key.user.to_string(), key.app.to_string())
}

fn apps_yaml(apps: &[SessionApp]) -> Value {
    let entries: Map<String, Value> = apps
        .iter()
        .map(|app| {
            let entry = json!({ "pubkey": app.pubkey, "enabled": app.enabled });
            (app.name.clone(), entry)
        })
        .collect();
    json!({ "api": { "apps": entries } })
}

fn as_json(report: &Report, dry_run: bool) -> Value {
    let keys = report.keys.iter();
    let keys: Vec<_> = keys
        .map(|(user, app)| json!({ "user": user, "app": app }))
        .collect();
    let left = report.left.iter();
    let left: Vec<_> = left
        .map(|left| json!({ "what": left.what, "why": left.why }))
        .collect();
    let mut value = json!({
        "dry_run": dry_run,
        "users": report.users,
        "app_keys": keys,
        "not_taken": left,
    });
    value["host_yaml"] = match report.apps.as_slice() {
        [] => json!({}),
        apps => apps_yaml(apps),
    };
    value
}

fn say(report: &Report, dry_run: bool) -> anyhow::Result<()> {
    let took = if dry_run { "Would take" } else { "Took" };
    output::note(&format!("{took} {} users:", report.users.len()));
    for user in &report.users {
        output::note(&format!("  {user}"));
    }
    output::note(&format!("{took} {} app keys:", report.keys.len()));
    for (user, app) in &report.keys {
        output::note(&format!("  {app}, of {user}"));
    }
    if !report.left.is_empty() {
        output::note("Not taken, or not as it was:");
        for Left { what, why } in &report.left {
            output::note(&format!("  {what}: {why}"));
        }
    }
    if !report.apps.is_empty() {
        output::note("Registered apps stand in the configuration. Put this into host.yaml:");
        let yaml = serde_saphyr::to_string(&apps_yaml(&report.apps))?;
        output::result(yaml.trim_end());
    }
    Ok(())
}
