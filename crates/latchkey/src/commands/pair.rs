//! `latchkey pair`: attaches the host to an account at a relay, by a code that a person confirms.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use latchkey_host::config::Config;
use latchkey_host::relay::{KeptRelay, paired};
use latchkey_model::clock::{Clock as _, SystemClock};
use latchkey_net::tunnel::{
    PairingAnswer, PairingClient, PairingError, PairingStarted, PairingState, relay_name,
};
use latchkey_web::qr::Qr;
use serde_json::json;
use url::Url;

use crate::app_side::{UsageError, waiting};
use crate::cli::PairArgs;
use crate::config::{self, Checking, relay_line};
use crate::lifecycle::unless_signalled;
use crate::output;

/// The pause after a question that got no answer grows by this, up to that.
const SLOWER: Duration = Duration::from_secs(5);
const SLOWEST: Duration = Duration::from_secs(30);

pub(crate) async fn run(args: PairArgs) -> anyhow::Result<()> {
    unless_signalled(Box::pin(pair(&args)), stopped).await
}

fn stopped() -> anyhow::Error {
    anyhow!("stopped; do not confirm the code any more, or pair again")
}

async fn pair(args: &PairArgs) -> anyhow::Result<()> {
    let config = config::host::read(&Checking::with_environment(&args.config))?.config;
    let file = KeptRelay::file(&config.data);
    let (url, ca_file) = relay(args, &config, &KeptRelay::load(&file))?;
    // The running host has another working folder.
    let ca_file = ca_file.map(std::path::absolute).transpose()?;
    let client = PairingClient::new(&url, ca_file.as_deref())
        .map_err(|error| UsageError(error.to_string()))?;
    let identity = config.load_identity()?;
    let name = name(args, &config)?;
    let now = SystemClock.now().millis().div_euclid(1000);
    let started = client.start(&identity, &name, now).await?;
    show(args, &client, &started, &name);
    let answer = wait(&client, &started).await?;
    let answer = decided(&client, answer)?;
    let now = SystemClock.now().millis();
    paired(url.clone(), ca_file.clone(), &answer, None, now)
        .save(&file)
        .with_context(|| format!("paired, but cannot write {}", file.display()))?;
    told(args, &client, &answer);
    if config.relay.is_none() {
        write_down(&args.config, &url, ca_file.as_deref());
    }
    output::note(&format!(
        "A running host connects by itself within a few seconds; else start it: latchkey host --config {}",
        args.config.display()
    ));
    Ok(())
}

/// Which relay: the argument, the configuration, or where it was paired before.
fn relay(
    args: &PairArgs,
    config: &Config,
    kept: &KeptRelay,
) -> Result<(Url, Option<PathBuf>), UsageError> {
    let file = args.config.display();
    if let Some(url) = &args.relay
        && relay_name(url).is_err()
    {
        return Err(UsageError(
            "the relay's URL needs the form https://relay.example.com, without a path".to_owned(),
        ));
    }
    match (&args.relay, &config.relay) {
        (Some(asked), Some(configured)) if *asked != configured.url => Err(UsageError(format!(
            "{file} names another relay, {}; change it there first, a host has one relay at a time",
            configured.url
        ))),
        (_, Some(configured)) => {
            let ca_file = args.ca_file.clone().or_else(|| configured.ca_file.clone());
            Ok((configured.url.clone(), ca_file))
        }
        (Some(asked), None) => Ok((asked.clone(), args.ca_file.clone())),
        (None, None) => match &kept.url {
            Some(url) => {
                let ca_file = args.ca_file.clone().or_else(|| kept.ca_file.clone());
                Ok((url.clone(), ca_file))
            }
            None => Err(UsageError(format!(
                "which relay? {file} names none: latchkey pair --config {file} https://relay.example.com"
            ))),
        },
    }
}

fn name(args: &PairArgs, config: &Config) -> Result<String, UsageError> {
    let name = args.name.as_ref().unwrap_or(&config.name).trim();
    if name.is_empty() || name.len() > 128 || name.contains(char::is_control) {
        let sentence = "--name needs to be 1 to 128 bytes of text on one line";
        return Err(UsageError(sentence.to_owned()));
    }
    Ok(name.to_owned())
}

fn show(args: &PairArgs, client: &PairingClient, started: &PairingStarted, name: &str) {
    if args.json {
        let shown = json!({
            "code": started.code,
            "link": started.link,
            "page": started.page,
            "expires_in": started.expires_in,
        });
        output::result(&shown.to_string());
    }
    if std::io::stderr().is_terminal()
        && let Some(qr) = Qr::of(&started.link)
    {
        output::note(&qr.terminal());
    }
    output::note(&format!(
        "Code   {}\nOpen   {}\n\nSign in there, check that {} shows this code and the name {name:?}, and confirm.\nThe code is good for {} minutes and for one use.",
        printable(&started.code),
        printable(&started.link),
        client.relay(),
        started.expires_in / 60,
    ));
}

async fn wait(client: &PairingClient, started: &PairingStarted) -> anyhow::Result<PairingAnswer> {
    let left = Duration::from_secs(started.expires_in.min(3600));
    let work = tokio::time::timeout(left, poll(client, started));
    match waiting::show_left("Waiting for you to confirm", left, work).await {
        Ok(answer) => Ok(answer?),
        Err(_) => bail!("the code is no longer good, and nothing was paired; pair again"),
    }
}

/// Asks until somebody has decided. A relay that restarts meanwhile is waited for.
async fn poll(
    client: &PairingClient,
    started: &PairingStarted,
) -> Result<PairingAnswer, PairingError> {
    let interval = Duration::from_secs(started.interval).clamp(Duration::from_secs(1), SLOWEST);
    let mut pause = interval;
    loop {
        tokio::time::sleep(pause).await;
        match client.poll(&started.poll).await {
            Ok(answer) if answer.state == PairingState::Pending => pause = interval,
            Ok(answer) => return Ok(answer),
            Err(error) if error.may_pass() => pause = (pause + SLOWER).min(SLOWEST),
            Err(error) => return Err(error),
        }
    }
}

fn decided(client: &PairingClient, answer: PairingAnswer) -> anyhow::Result<PairingAnswer> {
    let relay = client.relay();
    match answer.state {
        PairingState::Confirmed => Ok(answer),
        PairingState::Refused => {
            bail!("somebody at {relay} says that this printer is not theirs; nothing was paired")
        }
        PairingState::Expired | PairingState::Pending => {
            bail!("the code is no longer good, and nothing was paired; pair again")
        }
    }
}

fn told(args: &PairArgs, client: &PairingClient, answer: &PairingAnswer) {
    let text = |text: &Option<String>| text.as_deref().map(printable);
    let printer = text(&answer.printer_name).unwrap_or_default();
    let account = text(&answer.account).unwrap_or_else(|| "an account".to_owned());
    output::note(&format!(
        "Paired: {account} confirmed, and calls this printer {printer:?} at {}.\nIf you do not know {account}, a stranger has taken it: run latchkey pair again at once, or take the relay out of the configuration.",
        client.relay()
    ));
    if args.json {
        let done = json!({
            "state": "confirmed",
            "printer_id": answer.printer_id,
            "printer_name": answer.printer_name,
            "account": answer.account,
        });
        output::result(&done.to_string());
    }
}

/// So that the configuration says what is true; it works without.
fn write_down(file: &Path, url: &Url, ca_file: Option<&Path>) {
    let shown = file.display();
    match relay_line::add(file, url, ca_file) {
        Ok(()) => output::note(&format!("Wrote the relay into {shown}.")),
        Err(error) => output::note(&format!(
            "It works, but {shown} does not say so ({error}). To write it down, add:\n\n{}",
            relay_line::lines(url, ca_file)
        )),
    }
}

/// A relay's text, fit for a terminal.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(300).collect()
}
