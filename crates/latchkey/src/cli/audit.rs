//! `latchkey audit …`.

use clap::Subcommand;

use super::account::RelayConfigArgs;

#[derive(Debug, Subcommand)]
pub(crate) enum AuditAction {
    /// Show what was done, the newest last
    List {
        /// Only what this account did, or what was done to it: an e-mail address or an id
        #[arg(long)]
        account: Option<String>,
        /// Only this, such as `plan_changed`
        #[arg(long)]
        act: Option<String>,
        /// At most so many
        #[arg(long, value_name = "NUMBER", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
        most: u32,
        /// Print a JSON array
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        config: RelayConfigArgs,
    },
    /// Say whether the log is as it was written
    ///
    /// Looks at every entry, at the place up to which old ones were cut off, and at the note of
    /// where the log ends. Exit code 1 if something does not fit.
    Verify {
        /// Where the log ended once, as the relay's log or this command said: it must still be so
        #[arg(long, value_name = "NUMBER:HASH")]
        known: Option<String>,
        /// Print a JSON object
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        config: RelayConfigArgs,
    },
}
