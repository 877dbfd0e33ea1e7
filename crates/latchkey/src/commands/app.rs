//! `latchkey app …`: apps that a relay vouches for. Works beside a running relay, too.

use std::path::Path;

use anyhow::{Context as _, bail};
use latchkey_model::app::{AppId, RegisteredApp};
use latchkey_model::clock::{Clock as _, SystemClock};
use latchkey_relay::apps::{RegisterError, Registration, logo, register};
use latchkey_relay::audit::{Act, Actor, Entry};
use serde_json::json;
use tokio::io::AsyncReadExt as _;

use super::account::Known;
use crate::app_side::UsageError;
use crate::cli::account::RelayConfigArgs;
use crate::cli::app::{AppAction, AppAddArgs};
use crate::output;

pub(crate) async fn run(action: AppAction) -> anyhow::Result<()> {
    match action {
        AppAction::Add(args) => add(&args).await,
        AppAction::List { json, config } => list(json, &config).await,
        AppAction::Remove { id, json, config } => remove(&id, json, &config).await,
    }
}

async fn add(args: &AppAddArgs) -> anyhow::Result<()> {
    let logo = match &args.logo {
        Some(path) => Some(picture(path).await?),
        None => None,
    };
    let wanted = Registration {
        id: &args.id,
        name: &args.name,
        developer: args.developer.as_deref(),
        website: args.website.as_deref(),
        targets: &args.target,
        logo: logo.as_deref(),
    };
    let relay = Known::open(&args.config).await?;
    let registered = register(&relay.store, &wanted, SystemClock.now()).await;
    if let Ok(app) = &registered {
        note(&relay, Act::AppRegistered, &app.id).await;
    }
    relay.store.close().await;
    let app = match registered {
        Ok(app) => app,
        Err(error) if error.is_usage() => return Err(UsageError(error.to_string()).into()),
        Err(error @ RegisterError::LooksLike { .. }) => {
            bail!("{error}; people could not tell the two apart")
        }
        Err(error) => return Err(error.into()),
    };
    if args.json {
        output::result(&shown(&app).to_string());
        return Ok(());
    }
    output::note(&format!("Registered {} ({}).", app.name, app.id));
    if app.targets.is_empty() {
        output::note(
            "It has no target, so the portal leads to its own last page only; \
             --target names where the app wants people back.",
        );
    }
    if !app.is_brand() {
        output::note("With the target * anybody can be this app, so it is not called verified.");
    }
    Ok(())
}

async fn note(relay: &Known, act: Act, app: &AppId) {
    let entry = Entry {
        detail: app.to_string(),
        ..Entry::new(Actor::CommandLine, act)
    };
    relay.audit.note(entry).await;
}

/// The file, or as much of it as shows that it is too large.
async fn picture(path: &Path) -> anyhow::Result<Vec<u8>> {
    let read = async {
        let mut bytes = Vec::new();
        let most = u64::try_from(logo::LARGEST_FILE).unwrap_or(u64::MAX) + 1;
        let file = tokio::fs::File::open(path).await?;
        file.take(most).read_to_end(&mut bytes).await?;
        std::io::Result::Ok(bytes)
    };
    let read = read.await;
    read.with_context(|| format!("cannot read the logo {}", path.display()))
}

fn shown(app: &RegisteredApp) -> serde_json::Value {
    let targets: Vec<_> = app.targets.iter().map(ToString::to_string).collect();
    json!({
        "id": app.id.as_str(),
        "name": app.name.as_str(),
        "developer": app.developer.as_ref().map(ToString::to_string),
        "website": app.website.as_ref().map(ToString::to_string),
        "targets": targets,
        "logo": app.has_logo,
        "verified": app.is_brand(),
        "created_ms": app.created.millis(),
    })
}

async fn list(as_json: bool, config: &RelayConfigArgs) -> anyhow::Result<()> {
    let store = Known::open(config).await?.store;
    let apps = store.apps().list().await;
    store.close().await;
    let apps = apps?;
    if as_json {
        let apps: Vec<_> = apps.iter().map(shown).collect();
        output::result(&serde_json::to_string(&apps)?);
        return Ok(());
    }
    if apps.is_empty() {
        output::note("No app is registered. `latchkey app add ID --name NAME` registers one.");
    }
    let width = apps.iter().map(|app| app.id.as_str().chars().count());
    let width = width.max().unwrap_or_default();
    for app in &apps {
        let targets: Vec<_> = app.targets.iter().map(ToString::to_string).collect();
        let (id, name, targets) = (app.id.as_str(), app.name.as_str(), targets.join(" "));
        output::result(format!("{id:width$}  {name}  {targets}").trim_end());
    }
    Ok(())
}

async fn remove(id: &str, as_json: bool, config: &RelayConfigArgs) -> anyhow::Result<()> {
    let relay = Known::open(config).await?;
    let removed = match AppId::parse(id) {
        Ok(id) => {
            let removed = relay.store.apps().remove(&id).await;
            if matches!(removed, Ok(true)) {
                note(&relay, Act::AppRemoved, &id).await;
            }
            removed
        }
        Err(_) => Ok(false),
    };
    relay.store.close().await;
    if !removed? {
        bail!("there is no app {id:?}; `latchkey app list` shows which there are");
    }
    if as_json {
        output::result(&json!({"removed": id}).to_string());
    } else {
        output::note(&format!(
            "Removed {id}. Its app connections go on; in the portal it is unverified from now on."
        ));
    }
    Ok(())
}
