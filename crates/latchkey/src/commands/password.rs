//! A new password, by prompt or from standard input; never from an argument.

use std::io::IsTerminal as _;

use anyhow::{Context as _, bail};
use latchkey_model::secret::PasswordHash;
use latchkey_web::password::Passwords;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};

use crate::app_side::UsageError;
use crate::cli::PasswordArgs;

/// A line longer than any password.
const LONGEST_LINE: u64 = 4096;

/// A new password that passes `check`, from where the arguments say, as it is kept.
pub(super) async fn ask<E: std::fmt::Display>(
    args: &PasswordArgs,
    check: impl Fn(&str) -> Result<(), E>,
) -> anyhow::Result<PasswordHash> {
    let check = |password: &str| check(password).map_err(|error| UsageError(error.to_string()));
    let password = if args.password_stdin {
        from_stdin().await?
    } else {
        from_terminal(check)?
    };
    check(&password)?;
    Ok(Passwords::default().hash(&password).await?)
}

async fn from_stdin() -> anyhow::Result<String> {
    let mut line = String::new();
    let mut input = BufReader::new(tokio::io::stdin().take(LONGEST_LINE));
    input
        .read_line(&mut line)
        .await
        .context("cannot read the password from standard input")?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

fn from_terminal(check: impl Fn(&str) -> Result<(), UsageError>) -> anyhow::Result<String> {
    if !std::io::stdin().is_terminal() {
        let why = "there is no terminal to ask for a password; give it with --password-stdin";
        return Err(UsageError(why.to_owned()).into());
    }
    let prompt = |text: &str| rpassword::prompt_password(text).context("cannot ask for a password");
    let password = prompt("Password: ")?;
    check(&password)?;
    if prompt("Once more: ")? != password {
        bail!("the two passwords differ; nothing was changed");
    }
    Ok(password)
}
