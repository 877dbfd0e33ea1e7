//! `latchkey user …`: people known to the host. Works beside a running host, too.

use anyhow::{Context as _, anyhow, bail};
use latchkey_host::config::Config;
use latchkey_host::users::{check_new_password, new_name};
use latchkey_model::clock::{Clock as _, SystemClock};
use latchkey_model::user::{Group, User, UserName};
use latchkey_store::StoreError;
use latchkey_store::host::Change;
use serde_json::json;

use super::password;
use crate::app_side::UsageError;
use crate::cli::{HostConfigArgs, PasswordArgs, UserAction};
use crate::config::{self, Checking, ConfigError};
use crate::output;

pub(crate) async fn run(action: UserAction) -> anyhow::Result<()> {
    match action {
        UserAction::Add {
            name,
            admin,
            group,
            password,
            config,
        } => {
            let group = if admin { Group::Admins } else { group.parse()? };
            add(&name, group, &password, &config).await
        }
        UserAction::List { json, config } => list(json, &config).await,
        UserAction::Passwd {
            name,
            password,
            config,
        } => passwd(&name, &password, &config).await,
        UserAction::Remove { name, config } => remove(&name, &config).await,
    }
}

/// The configuration of the host that a command works on.
pub(super) fn host(args: &HostConfigArgs) -> anyhow::Result<Config> {
    let file = Checking::with_environment(&args.config);
    let read = config::host::read(&file);
    if let Err(ConfigError::Read { .. }) = &read {
        let hint = "this command needs the host's configuration; name it with --config";
        return Ok(read.context(hint)?.config);
    }
    Ok(read?.config)
}

async fn add(
    name: &str,
    group: Group,
    password: &PasswordArgs,
    config: &HostConfigArgs,
) -> anyhow::Result<()> {
    let config = host(config)?;
    let name = new_name(name).map_err(|error| UsageError(error.to_string()))?;
    let store = config.open_store().await?;
    if store.users().find(&name).await?.is_some() {
        bail!(taken(&name));
    }
    let hash = password::ask(password, check_new_password).await?;
    let user = User {
        name,
        group,
        active: true,
        created: SystemClock.now(),
    };
    match store.users().create(&user, Some(&hash)).await {
        Ok(()) => {}
        Err(StoreError::Conflict) => bail!(taken(&user.name)),
        Err(error) => return Err(error.into()),
    }
    store.close().await;
    output::note(&format!("Added {} to {}.", user.name, user.group));
    Ok(())
}

fn taken(name: &UserName) -> String {
    format!("there is a user {name} already; `latchkey user passwd {name}` sets their password")
}

async fn list(as_json: bool, config: &HostConfigArgs) -> anyhow::Result<()> {
    let store = host(config)?.open_store().await?;
    let users = store.users().list().await?;
    let keys = store.app_keys().list().await?;
    store.close().await;
    let keys_of = |user: &User| keys.iter().filter(|key| key.user == user.name).count();
    if as_json {
        let users: Vec<_> = users
            .iter()
            .map(|user| {
                json!({
                    "name": user.name.as_str(),
                    "group": user.group.as_str(),
                    "active": user.active,
                    "created_ms": user.created.millis(),
                    "app_keys": keys_of(user),
                })
            })
            .collect();
        output::result(&serde_json::to_string(&users)?);
        return Ok(());
    }
    if users.is_empty() {
        output::note("There are no users yet. `latchkey user add NAME --admin` adds the first.");
    }
    let width = users.iter().map(|user| user.name.as_str().chars().count());
    let width = width.max().unwrap_or_default();
    for user in &users {
        let state = if user.active { "" } else { ", not active" };
        let (name, group, keys) = (user.name.as_str(), user.group.as_str(), keys_of(user));
        output::result(&format!("{name:width$}  {group:8}  {keys} app keys{state}"));
    }
    Ok(())
}

async fn passwd(
    name: &str,
    password: &PasswordArgs,
    config: &HostConfigArgs,
) -> anyhow::Result<()> {
    let config = host(config)?;
    let store = config.open_store().await?;
    let name = known(name)?;
    if store.users().find(&name).await?.is_none() {
        bail!(missing(name.as_str()));
    }
    let hash = password::ask(password, check_new_password).await?;
    let change = store.users().set_password_hash(&name, &hash, None).await?;
    store.close().await;
    report(&change, &name, "Changed the password of")
}

async fn remove(name: &str, config: &HostConfigArgs) -> anyhow::Result<()> {
    let store = host(config)?.open_store().await?;
    let name = known(name)?;
    let change = store.users().remove(&name).await?;
    store.close().await;
    report(&change, &name, "Removed")
}

fn known(name: &str) -> anyhow::Result<UserName> {
    UserName::parse(name).map_err(|_| anyhow!(missing(name)))
}

fn missing(name: &str) -> String {
    format!("there is no user {name:?}; `latchkey user list` shows who there is")
}

fn report(change: &Change, name: &UserName, done: &str) -> anyhow::Result<()> {
    match change {
        Change::Done(ended) => {
            let (keys, sessions) = (ended.app_keys.len(), ended.sessions.len());
            output::note(&format!(
                "{done} {name}. Ended: {keys} app keys, {sessions} sessions."
            ));
            Ok(())
        }
        Change::Missing => bail!(missing(name.as_str())),
        Change::LastAdmin => bail!(
            "{name} is the last administrator; make another one first, with \
             `latchkey user add NAME --admin`"
        ),
    }
}
