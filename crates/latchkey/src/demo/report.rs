//! What the demo says once it runs: a JSON object for scripts, some lines for people.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::files;
use crate::cli::DemoArgs;

/// The demo's addresses and credentials. The members are stable: scripts rely on them.
#[derive(Serialize, Deserialize)]
pub(super) struct Report {
    pub(super) relay_url: String,
    pub(super) connection_domain: String,
    pub(super) host_url: String,
    pub(super) sim_url: Option<String>,
    pub(super) account: DemoAccount,
    pub(super) host_users: Vec<DemoUser>,
    pub(super) printer_id: String,
    pub(super) app_connections: Vec<DemoAppConnection>,
}

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct DemoAccount {
    pub(super) email: String,
    pub(super) password: String,
}

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct DemoUser {
    pub(super) name: String,
    pub(super) password: String,
    pub(super) admin: bool,
}

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct DemoAppConnection {
    pub(super) access: String,
    pub(super) id: String,
    pub(super) url: String,
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
    pub(super) bearer: Option<String>,
    pub(super) app_token: String,
}

impl Report {
    fn path(data: &Path) -> PathBuf {
        data.join("demo.json")
    }

    /// The report of the previous start, if there was one and it can be read.
    pub(super) fn load(data: &Path) -> Option<Self> {
        let text = std::fs::read_to_string(Self::path(data)).ok()?;
        serde_json::from_str(&text).ok()
    }

    pub(super) fn save(&self, data: &Path) -> anyhow::Result<()> {
        files::save(&Self::path(data), &serde_json::to_string_pretty(self)?)
    }

    pub(super) fn app_connection(&self, access: &str) -> Option<&DemoAppConnection> {
        self.app_connections
            .iter()
            .find(|connection| connection.access == access)
    }

    /// The address a browser can open without being asked for credentials.
    pub(super) fn browser_url(&self) -> String {
        self.app_connection("none")
            .map_or_else(|| self.relay_url.clone(), |open| format!("{}/", open.url))
    }

    /// What runs where, what to click, what to paste.
    pub(super) fn for_people(&self, args: &DemoArgs) -> String {
        let data = args.data.display();
        let mut text = String::from("\nThe Latchkey demo is running. Stop it with Ctrl-C.\n\n");
        let mut row = |what: &str, address: &str, note: &str| {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "  {what:<10} {address:<34} {note}");
        };
        match (&self.sim_url, &args.upstream) {
            (Some(sim), _) => row(
                "printer",
                &format!("{sim}/"),
                "simulated; its key is in sim.key",
            ),
            (None, Some(url)) => row("printer", url.as_str(), "yours"),
            (None, None) => {}
        }
        row(
            "host",
            &format!("{}/latchkey/", self.host_url),
            "beside the printer",
        );
        row("relay", &format!("{}/", self.relay_url), "the public side");
        let _ = writeln!(
            text,
            "\nOpen the printer through the relay, as its owner does from anywhere:\n\n  {}",
            self.browser_url()
        );
        let _ = writeln!(
            text,
            "\nAway, sign in at {}/ as {} with the password {}\nand let an app in (it leads you to the relay and back):\n\n  {} connect {} --app-id my-app --open",
            self.relay_url,
            self.account.email,
            self.account.password,
            this_program(),
            self.relay_url
        );
        if let Some(admin) = self.host_users.iter().find(|user| user.admin) {
            let _ = writeln!(
                text,
                "\nAt home, sign in at {}/latchkey/ as {} with the password {}\nand let an app in (it asks, you decide in the browser):\n\n  {} key request {} --name \"My first app\" --open",
                self.host_url,
                admin.name,
                admin.password,
                this_program(),
                self.host_url
            );
        }
        if let Some(curl) = self.curl() {
            let _ = writeln!(text, "\nCall it as an app does:\n\n  {curl}");
        }
        let _ = write!(
            text,
            "\nState, configuration and all credentials are kept in {data}/ (demo.json).",
        );
        text
    }

    fn curl(&self) -> Option<String> {
        let connection = self.app_connection("enhanced")?;
        let (user, password) = (connection.user.as_ref()?, connection.password.as_ref()?);
        Some(format!(
            "curl -u {user}:{password} {}/api/version",
            connection.url
        ))
    }
}

/// What to type for another command of this program: cargo's line where cargo built it.
fn this_program() -> String {
    match std::env::current_exe() {
        Ok(path) if path.components().any(|part| part.as_os_str() == "target") => {
            "cargo run --release --".to_owned()
        }
        Ok(path) => path.display().to_string(),
        Err(_) => "latchkey".to_owned(),
    }
}
