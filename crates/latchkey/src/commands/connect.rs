//! `latchkey connect`: an app's way through a relay's portal, to an app connection in a file.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use latchkey_model::chance::SystemChance;
use latchkey_web::returned::Returned;
use serde_json::json;
use tokio::time::timeout;

use crate::app_side::client::Client;
use crate::app_side::connection::{AppConnection, Destination};
use crate::app_side::portal::{Outcome, Run, Wish, plain, random};
use crate::app_side::return_address::{Arrival, ReturnAddress};
use crate::app_side::server::Server;
use crate::app_side::{UsageError, waiting};
use crate::browser;
use crate::cli::ConnectArgs;
use crate::lifecycle::unless_signalled;
use crate::output;

pub(crate) async fn run(args: ConnectArgs) -> anyhow::Result<()> {
    let stopped = || anyhow!("stopped; nothing was kept");
    unless_signalled(Box::pin(connect(&args)), stopped).await
}

async fn connect(args: &ConnectArgs) -> anyhow::Result<()> {
    let mut client = client(args)?;
    let (wish, return_path) = (wish(args)?, return_path(args)?);
    let path = args.out.clone();
    let path = path.unwrap_or_else(|| PathBuf::from("app-connection.json"));
    // What is wrong with the file or the relay is found before a person is asked.
    let destination = Destination::reserve(&path, args.force)?;
    client.reach().await?;
    let run = Run::new(&SystemChance, args.return_path.is_none());
    let mut back = ReturnAddress::open(return_path)
        .await
        .context("cannot listen on this machine's loopback address")?;
    let start = run.start(client.server().base(), &wish, back.url());
    output::note(&format!("Allow or refuse it here: {start}"));
    if args.open {
        browser::open(start.as_str());
    }
    let patience = Duration::from_secs(args.timeout);
    let waited = waiting::show(
        "Waiting for somebody to allow it in a browser",
        timeout(patience, decision(&run, &mut back)),
    );
    let Ok((outcome, tell)) = waited.await else {
        let minutes = patience.as_secs().div_ceil(60);
        return Err(anyhow!(
            "nobody decided within {minutes} min; ask again when somebody is there"
        ));
    };
    let is_allowed = outcome.is_success();
    let fetching = run.finish(&mut client, wish.app, outcome);
    let fetched = answer_the_browser_meanwhile(&run, &mut back, fetching).await;
    let kept = fetched.map_err(anyhow::Error::from).and_then(|made| {
        let kept = destination.keep(&made);
        kept.with_context(|| format!("cannot write {}", path.display()))?;
        Ok(made)
    });
    let page = match &kept {
        Ok(_) => Returned::Done,
        Err(_) if is_allowed => Returned::Failed,
        Err(_) => Returned::NotAllowed,
    };
    let _ = tell.send(page);
    back.close().await;
    report(&kept?, &path, args.json);
    Ok(())
}

fn client(args: &ConnectArgs) -> anyhow::Result<Client> {
    let server = Server::parse(&args.relay_url)?;
    if server.authorization().is_some() {
        let sentence = "the URL of a relay has no user name in it; people sign in in the browser";
        return Err(UsageError(sentence.to_owned()).into());
    }
    Ok(Client::new(server, args.ca_file.as_deref())?)
}

fn wish(args: &ConnectArgs) -> Result<Wish<'_>, UsageError> {
    let key_name = args.name_for_key.as_deref();
    let length = key_name.map(|name| name.chars().count());
    if length.is_some_and(|length| !(2..=60).contains(&length)) {
        let sentence = "--name-for-key needs 2 to 60 characters";
        return Err(UsageError(sentence.to_owned()));
    }
    Ok(Wish {
        app: &args.app_id,
        // Empty is the same as none.
        printer: args.printer.as_deref().filter(|id| !id.is_empty()),
        key_name,
    })
}

/// A path that nobody can guess, unless one was named.
fn return_path(args: &ConnectArgs) -> Result<String, UsageError> {
    let Some(path) = &args.return_path else {
        return Ok(format!("/{}", random(&SystemChance)));
    };
    let plain = |byte: u8| byte.is_ascii_graphic() && !b"?#".contains(&byte);
    if path.starts_with('/') && path.bytes().all(plain) {
        return Ok(path.clone());
    }
    let sentence = "--return-path needs a path such as /done, without a query";
    Err(UsageError(sentence.to_owned()))
}

type Tell = tokio::sync::oneshot::Sender<Returned>;

/// Waits for what belongs to this run; everything else is told so and changes nothing.
async fn decision(run: &Run, back: &mut ReturnAddress) -> (Outcome, Tell) {
    loop {
        let Arrival { query, tell } = back.next().await;
        match run.outcome(&query) {
            Some(outcome) => return (outcome, tell),
            None => drop(tell.send(Returned::Stray)),
        }
    }
}

/// Somebody may load the page once more while the code is exchanged.
async fn answer_the_browser_meanwhile<T>(
    run: &Run,
    back: &mut ReturnAddress,
    work: impl Future<Output = T>,
) -> T {
    tokio::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return done,
            Arrival { query, tell } = back.next() => {
                let belongs = run.outcome(&query).is_some();
                let _ = tell.send(if belongs { Returned::Again } else { Returned::Stray });
            }
        }
    }
}

fn report(made: &AppConnection, path: &std::path::Path, as_json: bool) {
    let printer = plain(made.text("printername"));
    let has_key = !made.text("octoPrintApiKey").is_empty();
    let name = path.display();
    let of = if printer.is_empty() {
        String::new()
    } else {
        format!(" to {printer}")
    };
    output::note(&format!(
        "The app connection{of} is in {name}. Whoever has that file has the access: keep it \
         secret.\nTry it: latchkey info {name}, latchkey request {name} /api/version"
    ));
    if as_json {
        let report = json!({
            "file": path,
            "id": made.text("id"),
            "printername": made.text("printername"),
            "has_printer_key": has_key,
        });
        output::result(&report.to_string());
    } else {
        output::result(&name.to_string());
    }
}
