//! `latchkey account …`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::PasswordArgs;

#[derive(Debug, Subcommand)]
pub(crate) enum AccountAction {
    /// Make an account
    Add {
        /// By what its person signs in
        email: String,
        /// Which plan applies [default: the configuration's `default_plan`]
        #[arg(long)]
        plan: Option<String>,
        /// They run this relay: accounts and plans of others
        #[arg(long)]
        admin: bool,
        #[command(flatten)]
        password: PasswordArgs,
        #[command(flatten)]
        config: RelayConfigArgs,
    },
    /// List the accounts
    List {
        /// Print a JSON array
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        config: RelayConfigArgs,
    },
    /// Put an account on another plan
    ///
    /// Without app connections in the plan, those of the account are cut and answer 605 until
    /// another plan applies; then they work again, with nothing to set up anew.
    Plan {
        /// Whose
        email: String,
        /// A plan of the configuration
        plan: String,
        #[command(flatten)]
        config: RelayConfigArgs,
    },
    /// Suspend an account: its app connections are cut and answer 605
    Suspend {
        /// Whose
        email: String,
        /// Why, for whoever runs the relay; they are not told
        #[arg(long, value_parser = clap::builder::NonEmptyStringValueParser::new())]
        reason: String,
        #[command(flatten)]
        config: RelayConfigArgs,
    },
    /// End a suspension; everything works again
    Unsuspend {
        /// Whose
        email: String,
        #[command(flatten)]
        config: RelayConfigArgs,
    },
    /// Give an account another password, which ends its sessions
    Passwd {
        /// Whose
        email: String,
        #[command(flatten)]
        password: PasswordArgs,
        #[command(flatten)]
        config: RelayConfigArgs,
    },
    /// What an account is guarded by beside its password
    #[command(subcommand)]
    SecondFactor(SecondFactorAction),
    /// Delete an account with its printers and app connections, for good
    Remove {
        /// Whose
        email: String,
        #[command(flatten)]
        config: RelayConfigArgs,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum SecondFactorAction {
    /// Take codes and passkeys away from who lost them, which ends their sessions
    ///
    /// Their password alone is enough until they set up new ones. Be sure that it is them who asks.
    Remove {
        /// Whose
        email: String,
        #[command(flatten)]
        config: RelayConfigArgs,
    },
}

#[derive(Debug, Args)]
pub(crate) struct RelayConfigArgs {
    /// The relay's configuration
    #[arg(long, value_name = "FILE", default_value = "relay.yaml")]
    pub(crate) config: PathBuf,
}
