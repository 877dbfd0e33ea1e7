//! `latchkey app-keygen`: the key pair of an app, and the entry that registers it.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use latchkey_model::session_key::PublicKey;
use serde_json::json;

use crate::app_side::private_key::{PrivateKey, PrivateKeyFileError};
use crate::app_side::session_key::App;
use crate::app_side::{UsageError, waiting};
use crate::cli::AppKeygenArgs;
use crate::output;

pub(crate) async fn run(args: AppKeygenArgs) -> anyhow::Result<()> {
    let app = App::parse(&args.app.id, args.app.version.as_deref())?;
    let file = args.private_key.map_or_else(|| default_file(&app), Ok)?;
    // Before the seconds that a key takes; what writes it looks again.
    if file.symlink_metadata().is_ok() {
        let exists = PrivateKeyFileError::Exists(file.display().to_string());
        return Err(UsageError(exists.to_string()).into());
    }
    let bits = args.bits;
    let made = tokio::task::spawn_blocking(move || PrivateKey::generate(bits));
    let made = waiting::show(&format!("Computing a key of {bits} bits"), made).await;
    let key = made?.context("cannot make a key; try again")?;
    let written = key.write_new(&file);
    written.map_err(|error| UsageError(error.to_string()))?;
    let public = key.public();
    if args.json {
        output::result(&report(&app, public, &file));
    } else {
        output::result(&entry(&app, public));
    }
    output::note(&next(&app, public, &file));
    Ok(())
}

/// Named by the id, if that is a plain file name.
fn default_file(app: &App) -> Result<PathBuf, UsageError> {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-');
    if app.id().starts_with(char::is_alphanumeric) && app.id().chars().all(plain) {
        return Ok(PathBuf::from(format!("{}.pem", app.id())));
    }
    Err(UsageError(
        "this --id makes no good name of a file; name one with --private-key".to_owned(),
    ))
}

/// What a host reads, in its own file or beside it.
fn entry(app: &App, public: &PublicKey) -> String {
    // A JSON string is one in YAML, whatever is in it.
    let name = json!(app.to_string());
    let pubkey = public.to_base64();
    format!("api:\n  apps:\n    {name}:\n      pubkey: {pubkey}")
}

fn report(app: &App, public: &PublicKey, file: &Path) -> String {
    let report = json!({
        "name": app.to_string(),
        "pubkey": public.to_base64(),
        "fingerprint": public.fingerprint(),
        "bits": public.bits(),
        "private_key": file,
    });
    report.to_string()
}

fn next(app: &App, public: &PublicKey, file: &Path) -> String {
    let (id, file) = (app.id(), file.display());
    let version = app.version().map(|version| format!(" --version {version}"));
    let version = version.unwrap_or_default();
    let (bits, fingerprint) = (public.bits(), public.fingerprint());
    format!(
        "\nThe private key is in {file} ({bits} bits, {fingerprint}).\n\
         Whoever has it is the app: keep it secret, and keep a copy.\n\
         The entry on standard output tells a host of the app: put it into a .yaml file in the \
         host's apps.d/, or into its host.yaml.\n\
         Then try it: latchkey key session URL --id {id}{version} --private-key {file}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_named_by_the_id_if_that_can_be_a_name() {
        let file = |id| default_file(&App::parse(id, None).unwrap());
        let plain = file("com.example.my_app-2").unwrap();
        assert_eq!(plain, Path::new("com.example.my_app-2.pem"));
        for id in ["../app", "a/b", ".app", "-app", "a*"] {
            let error = file(id).unwrap_err().to_string();
            assert!(error.contains("--private-key"), "{error}");
        }
    }
}
