//! A web server in front of a relay, started from the configuration that operators are given.
//!
//! `LATCHKEY_NGINX` and `LATCHKEY_CADDY` name the programs; `scripts/nginx-env` and `scripts/caddy-env` print them and
//! `./test` sets them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use super::stack::free_address;
use super::{eventually, within};

const NGINX: &str = include_str!("../../../../../packaging/nginx/latchkey.conf");
const CADDY: &str = include_str!("../../../../../packaging/caddy/Caddyfile");

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Nginx,
    Caddy,
}

/// A running web server; ended when dropped.
pub(crate) struct Front {
    address: SocketAddr,
    child: Child,
    folder: TempDir,
}

impl Kind {
    /// Its program, unless the system has none.
    pub(crate) fn program(self) -> Option<PathBuf> {
        let variable = match self {
            Self::Nginx => "LATCHKEY_NGINX",
            Self::Caddy => "LATCHKEY_CADDY",
        };
        let program = std::env::var(variable).unwrap_or_else(|_| {
            panic!(
                "This test needs a web server, and {variable} does not name it. Run `./test it`, which sets it up, \
                 or `export {variable}=$(scripts/{}-env)`.",
                if self == Self::Nginx { "nginx" } else { "caddy" }
            )
        });
        if program == "none" {
            #[expect(clippy::print_stderr, reason = "what is left out is said loudly")]
            {
                eprintln!("left out: this system has no {self:?}");
            }
            return None;
        }
        Some(program.into())
    }

    /// The documented configuration, with what operators change changed.
    fn configuration(self, folder: &Path, listen: SocketAddr, relay: SocketAddr) -> String {
        let certificates = "/etc/letsencrypt/live/relay.example.com/";
        let own = folder.display();
        let (text, changes): (_, Vec<(&str, String)>) = match self {
            Self::Nginx => (
                NGINX,
                vec![
                    ("listen 443 ssl", format!("listen {listen} ssl")),
                    (
                        "server_name relay.example.com *.printers.example.net;",
                        "server_name localhost *.printers.localhost;".to_owned(),
                    ),
                    ("/var/log/nginx/", format!("{own}/")),
                ],
            ),
            Self::Caddy => (
                CADDY,
                vec![
                    (
                        "https://relay.example.com, https://*.printers.example.net",
                        format!(
                            "https://localhost:{port}, https://*.printers.localhost:{port}",
                            port = listen.port()
                        ),
                    ),
                    (
                        "auto_https disable_redirects",
                        "auto_https disable_redirects\n\tadmin off".to_owned(),
                    ),
                ],
            ),
        };
        let files = [
            (
                format!("{certificates}fullchain.pem"),
                format!("{own}/relay.pem"),
            ),
            (
                format!("{certificates}privkey.pem"),
                format!("{own}/relay.key"),
            ),
            ("127.0.0.1:7010".to_owned(), relay.to_string()),
        ];
        let mut text = text.to_owned();
        let changes = changes.into_iter().map(|(from, to)| (from.to_owned(), to));
        for (from, to) in changes.chain(files) {
            assert!(text.contains(&from), "{from} is not in the file");
            // What stands in comments is for people.
            let lines = text.lines().map(|line| {
                if line.trim_start().starts_with('#') {
                    line.to_owned()
                } else {
                    line.replace(&from, &to)
                }
            });
            text = lines.collect::<Vec<_>>().join("\n") + "\n";
        }
        text
    }
}

/// An address for a web server that is started later.
pub(crate) fn place() -> SocketAddr {
    free_address()
}

impl Front {
    /// Starts it at this address before the relay at that one, with the certificate in `certified`.
    pub(crate) async fn start(
        kind: Kind,
        program: &Path,
        listen: SocketAddr,
        relay: SocketAddr,
        certified: &Path,
    ) -> Self {
        let folder = TempDir::with_prefix("latchkey-front-").unwrap();
        for name in ["relay.pem", "relay.key"] {
            std::fs::copy(certified.join(name), folder.path().join(name)).unwrap();
        }
        let text = kind.configuration(folder.path(), listen, relay);
        let file = folder.path().join("latchkey.conf");
        std::fs::write(&file, text).unwrap();
        let mut command = Command::new(program);
        match kind {
            Kind::Nginx => {
                let whole = folder.path().join("nginx.conf");
                std::fs::write(&whole, around(folder.path())).unwrap();
                command.arg("-c").arg(whole).arg("-p").arg(folder.path());
            }
            Kind::Caddy => {
                command.args(["run", "--adapter", "caddyfile", "--config"]);
                command.arg(file).env("HOME", folder.path());
                command.env("XDG_DATA_HOME", folder.path());
                command.env("XDG_CONFIG_HOME", folder.path());
            }
        }
        let output = std::fs::File::create(folder.path().join("output.log")).unwrap();
        let child = command
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut front = Self {
            address: listen,
            child,
            folder,
        };
        let log = front.folder.path().join("output.log");
        eventually("the web server to listen", async || {
            if let Some(status) = front.child.try_wait().unwrap() {
                panic!(
                    "{kind:?} ended with {status}: {}",
                    std::fs::read_to_string(&log).unwrap()
                );
            }
            TcpStream::connect(listen).await.is_ok()
        })
        .await;
        front
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Ends it, its workers as well.
    pub(crate) async fn stop(mut self) {
        super::stack::signal(self.child.id().unwrap(), "TERM").await;
        within("the web server to end", self.child.wait())
            .await
            .unwrap();
    }
}

/// What Debian's `nginx.conf` has around the file, as far as it matters. One process, so that killing it ends all.
fn around(folder: &Path) -> String {
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("    {name}_temp_path {}/{name};\n", folder.display()))
        .concat();
    format!(
        "daemon off;\nmaster_process off;\npid {0}/pid;\nerror_log stderr;\nevents {{ worker_connections 768; }}\n\
         http {{\n    sendfile on;\n    tcp_nopush on;\n    gzip on;\n{temporary}    include {0}/latchkey.conf;\n}}\n",
        folder.display()
    )
}
