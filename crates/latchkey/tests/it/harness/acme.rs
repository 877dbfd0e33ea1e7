//! A certificate authority that speaks ACME (Pebble), and the name server it asks.
//!
//! `LATCHKEY_PEBBLE` names the program, with `pebble-challtestsrv` beside it; `scripts/pebble-env` prints it and `./test`
//! sets it.

use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use bytes::Bytes;
use http::{Request, Version};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use super::eventually;
use super::stack::free_address;
use super::tls::TlsCaller;

/// Its program, unless the system has none.
pub(crate) fn program() -> Option<PathBuf> {
    let program = std::env::var("LATCHKEY_PEBBLE").unwrap_or_else(|_| {
        panic!(
            "This test needs an ACME server, and LATCHKEY_PEBBLE does not name it. Run `./test it`, which sets it \
             up, or `export LATCHKEY_PEBBLE=$(scripts/pebble-env)`."
        )
    });
    if program == "none" {
        #[expect(clippy::print_stderr, reason = "what is left out is said loudly")]
        {
            eprintln!("left out: this system has no Pebble");
        }
        return None;
    }
    Some(program.into())
}

/// Where an authority will be, before it is there.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    directory: SocketAddr,
    management: SocketAddr,
    names: SocketAddr,
    records: SocketAddr,
}

/// A running authority with its name server; ended when dropped.
pub(crate) struct Authority {
    place: Place,
    folder: PathBuf,
    servers: [Child; 2],
}

impl Place {
    pub(crate) fn choose() -> Self {
        Self {
            directory: free_address(),
            management: free_address(),
            names: free_address(),
            records: free_address(),
        }
    }

    /// What a relay is told: `tls` of `relay.yaml`. The program is made by [`Authority::start`].
    pub(crate) fn settings(&self) -> Value {
        json!({"acme": {
            "directory": format!("https://localhost:{}/dir", self.directory.port()),
            "email": "operator@latchkey.example",
            "ca": "ca.pem",
            "dns": {"exec": "hook"},
        }})
    }
}

impl Authority {
    /// Starts it with the certificate in `folder`, whose CA file then has its root as well. What it gives is good for
    /// so many seconds.
    pub(crate) async fn start(program: &Path, place: Place, folder: &Path, seconds: u32) -> Self {
        let settings = json!({"pebble": {
            "listenAddress": place.directory.to_string(),
            "managementListenAddress": place.management.to_string(),
            "certificate": folder.join("relay.pem"),
            "privateKey": folder.join("relay.key"),
            "httpPort": 1,
            "tlsPort": 1,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": false,
            "certificateValidityPeriod": seconds,
        }});
        let file = folder.join("pebble.json");
        std::fs::write(&file, settings.to_string()).unwrap();
        let names = place.names.to_string();
        let server = program.with_file_name("pebble-challtestsrv");
        let mut names_command = Command::new(server);
        names_command.args(["-http01", "", "-https01", "", "-tlsalpn01", ""]);
        names_command.args(["-dns01", &names, "-management"]);
        names_command.arg(place.records.to_string());
        let mut command = Command::new(program);
        command.arg("-config").arg(file);
        command.args(["-strict", "-dnsserver", &names]);
        command.env("PEBBLE_VA_NOSLEEP", "1");
        // Every order is proved anew, so that a test sees it.
        command.env("PEBBLE_AUTHZREUSE", "0");
        let servers = [
            begin(names_command, &folder.join("names.log")),
            begin(command, &folder.join("pebble.log")),
        ];
        hook(folder, place.records);
        for address in [place.records, place.management, place.directory] {
            eventually("the authority to listen", async || {
                TcpStream::connect(address).await.is_ok()
            })
            .await;
        }
        let authority = Self {
            place,
            folder: folder.to_owned(),
            servers,
        };
        authority.believe().await;
        authority
    }

    /// Puts the root of what it gives beside the CA of its own server.
    async fn believe(&self) {
        let ca = self.folder.join("ca.pem");
        let port = self.place.management.port();
        let mut caller = TlsCaller::connect("localhost", port, &ca, Version::HTTP_11).await;
        let asked = Request::get(format!("https://localhost:{port}/roots/0"));
        let root = caller.send(asked.body(Bytes::new()).unwrap()).await;
        assert_eq!(root.status.as_u16(), 200, "{root:?}");
        let mut file = std::fs::OpenOptions::new().append(true).open(ca).unwrap();
        file.write_all(&root.body).unwrap();
    }

    /// Ends it, so that another one can take its place.
    pub(crate) async fn stop(mut self) {
        for server in &mut self.servers {
            server.kill().await.unwrap();
        }
    }

    /// What the program was told so far, one call a line.
    pub(crate) fn calls(&self) -> Vec<String> {
        let told = std::fs::read_to_string(self.folder.join("hook.log")).unwrap_or_default();
        told.lines().map(str::to_owned).collect()
    }

    /// What the authority and its name server said.
    pub(crate) fn log(&self) -> String {
        let logs = ["names.log", "pebble.log"].map(|name| self.folder.join(name));
        logs.map(|path| std::fs::read_to_string(path).unwrap_or_default())
            .concat()
    }
}

fn begin(mut command: Command, log: &Path) -> Child {
    let log = std::fs::File::create(log).unwrap();
    command
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

/// An operator's program: it notes what it is told, and tells the name server.
fn hook(folder: &Path, records: SocketAddr) {
    let text = r#"#!/usr/bin/env bash
set -euo pipefail
printf '%s %s %s\n' "$1" "$2" "$3" >>"FOLDER/hook.log"
case $1 in
  present) path=/set-txt body="{\"host\":\"$2.\",\"value\":\"$3\"}" ;;
  cleanup) path=/clear-txt body="{\"host\":\"$2.\"}" ;;
esac
exec 3<>/dev/tcp/127.0.0.1/PORT
printf 'POST %s HTTP/1.0\r\nContent-Length: %d\r\n\r\n%s' "$path" "${#body}" "$body" >&3
[[ $(cat <&3) == *' 200 OK'* ]] || { echo "the name server refused" >&2; exit 1; }
"#;
    let text = text.replace("FOLDER", &folder.display().to_string());
    let text = text.replace("PORT", &records.port().to_string());
    let path = folder.join("hook");
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
}
