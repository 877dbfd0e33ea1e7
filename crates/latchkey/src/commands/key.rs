//! `latchkey key …`: the app's side of getting a key.

use anyhow::{Context as _, anyhow};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use crate::app_side::client::Client;
use crate::app_side::key_request;
use crate::app_side::server::Server;
use crate::app_side::{UsageError, waiting};
use crate::browser;
use crate::cli::KeyRequestArgs;
use crate::output;

pub(crate) async fn request(args: KeyRequestArgs) -> anyhow::Result<()> {
    if args.name.trim().is_empty() {
        return Err(UsageError("--name needs to say what the app is called".to_owned()).into());
    }
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for signals")?;
    tokio::select! {
        done = ask(&args) => done,
        _ = tokio::signal::ctrl_c() => Err(stopped()),
        _ = terminate.recv() => Err(stopped()),
    }
}

fn stopped() -> anyhow::Error {
    anyhow!("stopped; a request that was made ends by itself within a few seconds")
}

async fn ask(args: &KeyRequestArgs) -> anyhow::Result<()> {
    let server = Server::parse(&args.url)?;
    let mut client = Client::new(server, args.ca_file.as_deref())?;
    key_request::probe(&mut client).await?;
    // An empty name of a user is the same as none.
    let user = args.user.as_deref().filter(|user| !user.is_empty());
    let pending = key_request::request(&mut client, args.name.trim(), user).await?;
    let dialog = pending.dialog.as_str();
    output::note(&format!("Allow or deny it here: {dialog}"));
    if args.open {
        browser::open(dialog);
    }
    let key = waiting::show(
        "Waiting for a decision",
        key_request::wait(&mut client, &pending),
    )
    .await?;
    if args.json {
        output::result(&json!({ "api_key": key, "auth_dialog": dialog }).to_string());
    } else {
        output::result(&key);
    }
    Ok(())
}
