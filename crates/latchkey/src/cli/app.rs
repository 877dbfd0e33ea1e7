//! `latchkey app …`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::account::RelayConfigArgs;

#[derive(Debug, Subcommand)]
pub(crate) enum AppAction {
    /// Register an app: its name cannot be taken by others, and the portal leads back to its own
    /// addresses only
    Add(AppAddArgs),
    /// List the registered apps
    List {
        /// Print a JSON array
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        config: RelayConfigArgs,
    },
    /// Take an app's registration away; its app connections go on
    Remove {
        /// Which
        id: String,
        /// Print a JSON object
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        config: RelayConfigArgs,
    },
}

#[derive(Debug, Args)]
pub(crate) struct AppAddArgs {
    /// What the app sends as `appId`
    pub(crate) id: String,
    /// What people call it
    #[arg(long)]
    pub(crate) name: String,
    /// Who makes it
    #[arg(long)]
    pub(crate) developer: Option<String>,
    /// Where its makers are: `https://…`
    #[arg(long, value_name = "URL")]
    pub(crate) website: Option<String>,
    /// Where the portal may lead back to: an address, compared as a whole, but with any port on
    /// loopback; an app's scheme as in `octopod:`; or `*` for anything, which makes it an app for
    /// trying things out. May be given several times
    #[arg(long, value_name = "TARGET")]
    pub(crate) target: Vec<String>,
    /// Its picture: a PNG of 16 to 2048 pixels a side. What is kept is 128 by 128
    #[arg(long, value_name = "FILE")]
    pub(crate) logo: Option<PathBuf>,
    /// Print a JSON object
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) config: RelayConfigArgs,
}
