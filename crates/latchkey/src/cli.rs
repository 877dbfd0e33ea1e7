//! The command line. Stable: scripts rely on it.

pub(crate) mod account;
pub(crate) mod app;
pub(crate) mod audit;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use latchkey_model::user::Group;
use latchkey_web::logging::{Format, InitLoggingError, init_logging};
use url::Url;

use crate::config::host::{RawAuthority, RawKind};

/// App access to 3D printers, at home and away.
///
/// Start with `latchkey demo`: a relay, a host and a simulated printer on this machine.
///
/// Exit codes: 0 done, 1 failed, 2 usage or configuration.
#[derive(Debug, Parser)]
#[command(name = "latchkey", version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) log: LogArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Try everything on one machine: relay, host and a simulated printer
    Demo(DemoArgs),
    /// Run a relay: the public side, where apps and people connect
    Relay {
        /// The relay's configuration
        #[arg(long, value_name = "FILE", default_value = "relay.yaml")]
        config: PathBuf,
    },
    /// Run a host: the side beside the printer
    Host {
        /// The host's configuration
        #[arg(long, value_name = "FILE", default_value = "host.yaml")]
        config: PathBuf,
    },
    /// Pair a host with a relay: shows a code, and waits until its owner has confirmed it
    ///
    /// Works beside a running host, which connects by itself then.
    Pair(PairArgs),
    /// Run a simulated printer that speaks OctoPrint's API
    Sim(SimArgs),
    /// People known to the host
    #[command(subcommand)]
    User(UserAction),
    /// People known to the relay
    #[command(subcommand)]
    Account(account::AccountAction),
    /// Take over people and app keys from an OctoPrint
    ///
    /// Reads OctoPrint's folder and changes nothing in it. People keep their passwords, and apps
    /// their keys. Says what was taken and what was not; what the host has already stays.
    ImportOctoprint(ImportArgs),
    /// The app's side: get a key for an app
    #[command(subcommand)]
    Key(KeyAction),
    /// Apps that a relay vouches for in its portal
    #[command(subcommand)]
    App(app::AppAction),
    /// Who did what at a relay
    #[command(subcommand)]
    Audit(audit::AuditAction),
    /// The app's side: get access to a printer through a relay
    ///
    /// Prints the address where somebody chooses a printer and allows it, waits for the browser to
    /// come back to this machine, and keeps what the app needs in a file that only you may read.
    /// Prints the name of that file on standard output.
    Connect(ConnectArgs),
    /// What a relay says of an app connection
    Info(InfoArgs),
    /// Make one request through an app connection
    ///
    /// Prints what the printer's server answers. What the relay itself says instead (600 to 613)
    /// is explained on standard error, with whether trying again helps.
    Request(RequestArgs),
    /// Make the key pair of an app that signs in with session keys
    ///
    /// Writes the private key into a new file, for the app, and prints the entry that tells a
    /// host of the app: it goes into a file in the host's `apps.d/`, or into its host.yaml. An
    /// app whose pair exists already needs none. Then `latchkey key session` tries it.
    AppKeygen(AppKeygenArgs),
    /// Check a configuration file, or show what it means
    #[command(subcommand)]
    Config(ConfigAction),
    /// Look for what keeps a host or relay from working, and say what to do
    Doctor {
        /// The configuration of the host or relay
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(crate) struct PairArgs {
    /// The host's configuration
    #[arg(long, value_name = "FILE", default_value = "host.yaml")]
    pub(crate) config: PathBuf,
    /// The relay, such as `https://relay.example.com` [default: as the configuration says]
    #[arg(value_name = "RELAY_URL")]
    pub(crate) relay: Option<Url>,
    /// What the host calls itself to whoever confirms [default: `name` of the configuration]
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Also believe the certificates in this file (PEM)
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
    /// Print a JSON object with `code` and `link` at once, and one with the outcome at the end
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeyAction {
    /// Ask for a key; somebody who may allow it decides in a browser
    ///
    /// Prints the address where to decide on standard error, waits, and prints the key, and
    /// nothing else, on standard output.
    Request(KeyRequestArgs),
    /// Sign in with an app's private key, and get a key for two hours
    ///
    /// For apps that a host knows by their public key (App Session Keys); nobody is asked. Prints
    /// the key, and nothing else, on standard output, and on standard error for how long it is
    /// good. It cannot be renewed: ask again. `latchkey app-keygen` makes the pair. OctoPrint
    /// knows session keys before 1.4 only.
    Session(KeySessionArgs),
}

#[derive(Debug, Args)]
pub(crate) struct KeyRequestArgs {
    /// What the app calls itself; the person who decides sees it
    #[arg(long, value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub(crate) name: String,
    /// Only this user may decide, and the key will be theirs
    #[arg(long)]
    pub(crate) user: Option<String>,
    /// Open the page where to decide in a browser
    #[arg(long)]
    pub(crate) open: bool,
    /// Print a JSON object with `api_key` instead of the bare key
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

#[derive(Debug, Args)]
pub(crate) struct KeySessionArgs {
    #[command(flatten)]
    pub(crate) app: AppArgs,
    /// The app's private key: RSA, PEM (PKCS#1 or PKCS#8), not encrypted
    #[arg(long, value_name = "FILE")]
    pub(crate) private_key: PathBuf,
    /// Print a JSON object with `key` and `valid_until` (seconds since 1970) instead of the bare
    /// key
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

/// Which app, as hosts know it.
#[derive(Debug, Args)]
pub(crate) struct AppArgs {
    /// The app's id, such as com.example.app
    #[arg(long)]
    pub(crate) id: String,
    /// Its version, which is part of what a host knows it by [default: any]
    #[arg(long)]
    pub(crate) version: Option<String>,
}

#[derive(Args)]
pub(crate) struct ServerArgs {
    /// The printer's server: a Latchkey host or an OctoPrint, with its path if it has one. For an
    /// app connection with its user name and password: `https://USER:PASSWORD@host`
    pub(crate) url: String,
    /// Also believe the certificates in this file (PEM)
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
}

// The URL may hold a password.
impl std::fmt::Debug for ServerArgs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerArgs").finish_non_exhaustive()
    }
}

#[derive(Args)]
pub(crate) struct ConnectArgs {
    /// The relay's own address, as in `https://relay.example.com`
    pub(crate) relay_url: String,
    /// The app's id, as the relay may know it
    #[arg(long, value_name = "ID", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub(crate) app_id: String,
    /// Propose this printer
    #[arg(long, value_name = "ID")]
    pub(crate) printer: Option<String>,
    /// Also get a key for the printer's own server, under this name
    #[arg(long, value_name = "NAME")]
    pub(crate) name_for_key: Option<String>,
    /// Where the app connection goes [default: app-connection.json]
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Replace that file if there is one
    #[arg(long)]
    pub(crate) force: bool,
    /// Open the page where to allow it in a browser
    #[arg(long)]
    pub(crate) open: bool,
    /// Come back to this path, for an app that is registered with a loopback address [default: one
    /// that nobody can guess]
    #[arg(long, value_name = "PATH")]
    pub(crate) return_path: Option<String>,
    /// How long to wait for somebody to decide, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) timeout: u64,
    /// Print a JSON object with `file`, `id`, `printername` and `has_printer_key` instead of the
    /// file's name
    #[arg(long)]
    pub(crate) json: bool,
    /// Also believe the certificates in this file (PEM)
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
}

// The URL may hold a password, if by mistake.
impl std::fmt::Debug for ConnectArgs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConnectArgs").finish_non_exhaustive()
    }
}

#[derive(Debug, Args)]
pub(crate) struct InfoArgs {
    /// What `latchkey connect` made
    #[arg(default_value = "app-connection.json")]
    pub(crate) file: PathBuf,
    /// Print the answer as JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// Also believe the certificates in this file (PEM)
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct RequestArgs {
    /// What `latchkey connect` made
    pub(crate) file: PathBuf,
    /// The path at the printer's server, with its query, as in /api/job
    pub(crate) path: String,
    /// The method [default: GET, or POST if something is sent]
    #[arg(short = 'X', long = "request", value_name = "METHOD")]
    pub(crate) method: Option<String>,
    /// Send this text
    #[arg(long, value_name = "TEXT", conflicts_with = "data_file")]
    pub(crate) data: Option<String>,
    /// Send what is in this file; - is standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) data_file: Option<PathBuf>,
    /// What it is [default: application/json for --data, application/octet-stream for --data-file]
    #[arg(long, value_name = "TYPE")]
    pub(crate) content_type: Option<String>,
    /// Print the status and the header fields of the answer before it
    #[arg(short, long)]
    pub(crate) include: bool,
    /// Write the answer into this file
    #[arg(short, long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Also believe the certificates in this file (PEM)
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
}

// Paths and bodies may hold keys.
impl std::fmt::Debug for RequestArgs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RequestArgs").finish_non_exhaustive()
    }
}

#[derive(Debug, Args)]
pub(crate) struct AppKeygenArgs {
    #[command(flatten)]
    pub(crate) app: AppArgs,
    /// Where the private key goes; nothing is ever overwritten [default: the id, with .pem]
    #[arg(long, value_name = "FILE")]
    pub(crate) private_key: Option<PathBuf>,
    /// How long the key is: 2048 to 4096 bits. Longer takes longer, now and to sign
    #[arg(long, default_value_t = 3072, value_parser = parse_bits)]
    pub(crate) bits: usize,
    /// Print a JSON object with `name`, `pubkey`, `fingerprint`, `bits` and `private_key` (the
    /// file) instead of the entry
    #[arg(long)]
    pub(crate) json: bool,
}

fn parse_bits(text: &str) -> Result<usize, String> {
    let bits = text.parse().ok();
    // In whole bytes: some programs take no other keys.
    let bits = bits.filter(|bits: &usize| (2048..=4096).contains(bits) && bits.is_multiple_of(8));
    bits.ok_or_else(|| "needs to be 2048 to 4096, in steps of 8".to_owned())
}

#[derive(Debug, Subcommand)]
pub(crate) enum UserAction {
    /// Make a user known
    Add {
        /// By what they sign in
        name: String,
        /// Everything, other users included; short for --group admins
        #[arg(long, conflicts_with = "group")]
        admin: bool,
        /// What they may do
        #[arg(long, value_name = "GROUP", default_value = "users", value_parser = Group::ALL.map(Group::as_str))]
        group: String,
        #[command(flatten)]
        password: PasswordArgs,
        #[command(flatten)]
        config: HostConfigArgs,
    },
    /// List the users
    List {
        /// Print a JSON array
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        config: HostConfigArgs,
    },
    /// Give a user another password, which ends their sessions
    Passwd {
        /// Who
        name: String,
        #[command(flatten)]
        password: PasswordArgs,
        #[command(flatten)]
        config: HostConfigArgs,
    },
    /// Remove a user and their app keys
    Remove {
        /// Who
        name: String,
        #[command(flatten)]
        config: HostConfigArgs,
    },
}

#[derive(Debug, Args)]
pub(crate) struct PasswordArgs {
    /// Read the password from standard input, one line, instead of asking for it
    #[arg(long)]
    pub(crate) password_stdin: bool,
}

#[derive(Debug, Args)]
pub(crate) struct HostConfigArgs {
    /// The host's configuration
    #[arg(long, value_name = "FILE", default_value = "host.yaml")]
    pub(crate) config: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// OctoPrint's folder, with its `config.yaml` and `users.yaml`; usually ~/.octoprint
    pub(crate) dir: PathBuf,
    #[command(flatten)]
    pub(crate) config: HostConfigArgs,
    /// Say what would be taken, and take nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print a JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigAction {
    /// Say whether a file is a valid configuration, and what is wrong if not
    Check {
        /// host.yaml or relay.yaml
        file: PathBuf,
    },
    /// Print the configuration with every default filled in, as YAML
    Show {
        /// host.yaml or relay.yaml
        file: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Port of the relay; 0 takes a free one
    #[arg(long, default_value_t = 7010)]
    pub(crate) relay_port: u16,
    /// Port of the host; 0 takes a free one
    #[arg(long, default_value_t = 5010)]
    pub(crate) host_port: u16,
    /// Where the demo keeps its state; a second start goes on with it
    #[arg(long, value_name = "DIR", default_value = "demo-data")]
    pub(crate) data: PathBuf,
    /// Print one JSON object on standard output once everything answers
    #[arg(long)]
    pub(crate) json: bool,
    /// Open the printer in a browser
    #[arg(long)]
    pub(crate) open: bool,
    /// A printer server of yours, instead of the simulated one
    #[arg(long, value_name = "URL")]
    pub(crate) upstream: Option<Url>,
    /// What kind of server that is
    #[arg(
        long,
        value_name = "KIND",
        requires = "upstream",
        default_value = "octoprint"
    )]
    pub(crate) upstream_kind: RawKind,
    /// A file with that server's API key
    #[arg(long, value_name = "FILE", requires = "upstream")]
    pub(crate) upstream_key_file: Option<PathBuf>,
    /// Who checks callers [default: upstream with --upstream, else host]
    #[arg(long, value_name = "WHO")]
    pub(crate) authority: Option<RawAuthority>,
}

#[derive(Debug, Args)]
pub(crate) struct SimArgs {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:5000")]
    pub(crate) listen: SocketAddr,
    /// A file with the API key [default: the key "latchkey-sim"]
    #[arg(long, value_name = "FILE")]
    pub(crate) api_key_file: Option<PathBuf>,
    /// Keep uploaded files here [default: a temporary folder]
    #[arg(long, value_name = "DIR")]
    pub(crate) files: Option<PathBuf>,
    /// Simulated seconds per real second
    #[arg(long, value_name = "FACTOR", default_value_t = 2.0)]
    pub(crate) speed: f64,
    /// Webcam frames per second
    #[arg(long, default_value_t = 10.0)]
    pub(crate) fps: f64,
    /// Webcam picture size
    #[arg(long, value_name = "WIDTHxHEIGHT", default_value = "640x360", value_parser = parse_size)]
    pub(crate) size: (u16, u16),
    /// Do not start printing the bundled model by itself
    #[arg(long)]
    pub(crate) idle: bool,
}

fn parse_size(text: &str) -> Result<(u16, u16), String> {
    let parsed = text
        .split_once('x')
        .and_then(|(width, height)| Some((width.parse().ok()?, height.parse().ok()?)));
    parsed.ok_or_else(|| "needs the form WIDTHxHEIGHT, as in 640x360".to_owned())
}

#[derive(Debug, Args)]
pub(crate) struct LogArgs {
    /// What to log: off, error, warn, info, debug, or a filter such as `info,latchkey_net=debug`
    /// [default: info for relay, host and sim, off for doctor, else warn]
    #[arg(long, global = true, value_name = "FILTER")]
    log: Option<String>,
    /// How to write the log [default: human on a terminal, else json]
    #[arg(long, global = true, value_name = "FORMAT")]
    log_format: Option<LogFormat>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum LogFormat {
    Human,
    Json,
}

impl LogArgs {
    /// Sets up the process's log, on standard error.
    pub(crate) fn init(&self, default: &str) -> Result<(), InitLoggingError> {
        let format = match self.log_format {
            Some(LogFormat::Human) => Format::Human,
            Some(LogFormat::Json) => Format::Json,
            None => Format::for_output(&std::io::stderr()),
        };
        init_logging(
            format,
            self.log.as_deref().unwrap_or(default),
            std::io::stderr(),
        )
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
