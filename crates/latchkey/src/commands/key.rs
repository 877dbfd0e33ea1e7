//! `latchkey key …`: the app's side of getting a key.

use std::time::Duration;

use anyhow::anyhow;
use latchkey_model::session_key::STRONG_BITS;
use serde_json::json;

use crate::app_side::client::Client;
use crate::app_side::private_key::{self, PrivateKey};
use crate::app_side::server::Server;
use crate::app_side::session_key::{self, App};
use crate::app_side::{UsageError, key_request, waiting};
use crate::browser;
use crate::cli::{KeyRequestArgs, KeySessionArgs, ServerArgs};
use crate::lifecycle::unless_signalled;
use crate::output;

pub(crate) async fn request(args: KeyRequestArgs) -> anyhow::Result<()> {
    if args.name.trim().is_empty() {
        return Err(UsageError("--name needs to say what the app is called".to_owned()).into());
    }
    unless_signalled(Box::pin(ask(&args)), stopped).await
}

fn stopped() -> anyhow::Error {
    anyhow!("stopped; a request that was made ends by itself within a few seconds")
}

async fn ask(args: &KeyRequestArgs) -> anyhow::Result<()> {
    let mut client = client(&args.server)?;
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

/// Everything that can be wrong here is found before the server is asked: an unverified key
/// lives for a minute.
pub(crate) async fn session(args: &KeySessionArgs) -> anyhow::Result<()> {
    let mut client = client(&args.server)?;
    let app = App::parse(&args.app.id, args.app.version.as_deref())?;
    let file = &args.private_key;
    let key = PrivateKey::read(file).map_err(|error| UsageError(error.to_string()))?;
    let name = file.display();
    if private_key::is_shared(file) {
        output::note(&format!(
            "Others on this machine can read {name}, and whoever has it is the app: chmod 600 {name}"
        ));
    }
    let bits = key.public().bits();
    if bits < STRONG_BITS {
        output::note(&format!(
            "The private key has only {bits} bits: a host takes it only if its entry for the \
             app says so; latchkey app-keygen makes a longer one."
        ));
    }
    let session = session_key::obtain(&mut client, &app, &key).await?;
    match session.lasts {
        Some(lasts) => output::note(&format!(
            "The key is good for {}. It cannot be renewed: ask for another before.",
            in_words(lasts)
        )),
        None => output::note("The server does not say until when the key is good."),
    }
    if args.json {
        let valid_until = session.valid_until;
        output::result(&json!({ "key": session.key, "valid_until": valid_until }).to_string());
    } else {
        output::result(&session.key);
    }
    Ok(())
}

fn client(args: &ServerArgs) -> anyhow::Result<Client> {
    let server = Server::parse(&args.url)?;
    Ok(Client::new(server, args.ca_file.as_deref())?)
}

fn in_words(time: Duration) -> String {
    let minutes = time.as_secs() / 60;
    match (minutes / 60, minutes % 60) {
        (0, 0) => "less than a minute".to_owned(),
        (0, minutes) => format!("{minutes} min"),
        (hours, 0) => format!("{hours} h"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_in_hours_and_minutes_and_never_as_more_than_it_is() {
        for (seconds, words) in [
            (7200, "2 h"),
            (7199, "1 h 59 min"),
            (3660, "1 h 1 min"),
            (119, "1 min"),
            (59, "less than a minute"),
        ] {
            assert_eq!(in_words(Duration::from_secs(seconds)), words);
        }
    }
}
