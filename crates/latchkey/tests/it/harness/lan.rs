//! Two machines in a network that nobody else is in: network namespaces with a cable between them. What is announced
//! there reaches no other test and no other machine.

use std::ffi::{OsStr, OsString};
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, Command};

use super::within;

/// What holds a namespace open: it ends with its standard input, which ends with the test.
const HOLDER: &str = "cat";
const CABLE: &str = "lan0";

/// A network with the host's machine and that of the apps. It goes away with its machines.
pub(crate) struct Lan {
    pub(crate) host: Machine,
    pub(crate) apps: Machine,
}

/// One machine: a network namespace, and the process that keeps it.
pub(crate) struct Machine {
    holder: Child,
    /// How a program gets in.
    entrance: Vec<OsString>,
}

impl Lan {
    pub(crate) const HOST: &str = "10.77.0.1";
    pub(crate) const HOST_V6: &str = "fd77::1";
    pub(crate) const APPS: &str = "10.77.0.2";
    pub(crate) const APPS_V6: &str = "fd77::2";

    /// Both machines, connected, each with an address of IPv4.
    pub(crate) async fn connect() -> Self {
        let lan = Self::without_addresses().await;
        lan.host.take_address(Self::HOST).await;
        lan.apps.take_address(Self::APPS).await;
        lan
    }

    /// Both machines, connected, before they got addresses.
    pub(crate) async fn without_addresses() -> Self {
        let (host, inner) = Machine::first().await;
        let mut within_it = host.entrance.clone();
        within_it.extend(["unshare", "--net", HOLDER].map(OsString::from));
        let holder = hold(&within_it).await.unwrap();
        let apps = Machine::kept_by(holder, inner);
        let other = apps.holder.id().unwrap().to_string();
        host.ip(&["link", "add", "name", CABLE, "type", "veth"], &{
            ["peer", "name", CABLE, "netns", &other]
        })
        .await;
        for machine in [&host, &apps] {
            machine.ip(&["link", "set", "lo", "up"], &[]).await;
            machine.ip(&["link", "set", CABLE, "up"], &[]).await;
        }
        Self { host, apps }
    }
}

impl Lan {
    pub(crate) const HOST_SECOND: &str = "10.78.0.1";
    pub(crate) const HOST_SECOND_V6: &str = "fd78::1";

    /// Plugs the host's machine in a second time: another interface, with addresses of its own, in the same network.
    pub(crate) async fn plug_in_again(&self) {
        let (switch, second) = ("home0", "lan1");
        let apps = &self.apps;
        let other = apps.holder.id().unwrap().to_string();
        self.host
            .ip(&["link", "add", "name", second, "type", "veth"], &{
                ["peer", "name", second, "netns", &other]
            })
            .await;
        apps.ip(&["link", "add", "name", switch, "type", "bridge"], &[])
            .await;
        apps.ip(&["address", "flush", "dev", CABLE], &[]).await;
        for port in [CABLE, second] {
            apps.ip(&["link", "set", port, "master", switch], &[]).await;
        }
        for (machine, link) in [(apps, second), (apps, switch), (&self.host, second)] {
            machine.ip(&["link", "set", link, "up"], &[]).await;
        }
        for (machine, address, link) in [
            (apps, Self::APPS, switch),
            (apps, Self::APPS_V6, switch),
            (&self.host, Self::HOST_V6, CABLE),
            (&self.host, Self::HOST_SECOND, second),
            (&self.host, Self::HOST_SECOND_V6, second),
        ] {
            machine.take_address_at(address, link).await;
        }
    }
}

impl Machine {
    /// The first machine, and what gets a program into its surroundings: for everybody but root a namespace of users.
    async fn first() -> (Self, &'static [&'static str]) {
        let for_root = ["unshare", "--net", HOLDER];
        let for_others = ["unshare", "--user", "--map-root-user", "--net", HOLDER];
        let mut said = Vec::new();
        for (command, inner) in [
            (&for_root[..], &["--net"][..]),
            (
                &for_others[..],
                &["--user", "--preserve-credentials", "--net"][..],
            ),
        ] {
            let command: Vec<_> = command.iter().map(OsString::from).collect();
            match hold(&command).await {
                Ok(holder) => return (Self::kept_by(holder, inner), inner),
                Err(error) => said.push(error),
            }
        }
        panic!(
            "No network of its own can be made for this story: {}. It needs `unshare` and `nsenter` (util-linux) and `ip` \
             (iproute2), which `scripts/lan-env` installs, and to be root with CAP_SYS_ADMIN or allowed to make namespaces \
             of users (sysctl kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0).",
            said.join("; ")
        );
    }

    fn kept_by(holder: Child, inner: &[&str]) -> Self {
        let id = holder.id().unwrap().to_string();
        let mut entrance: Vec<OsString> = ["nsenter", "--target", &id].map(OsString::from).into();
        entrance.extend(inner.iter().map(OsString::from));
        Self { holder, entrance }
    }

    /// What gets a program in, before its own name and arguments. The process is the program's own.
    pub(crate) fn entrance(&self) -> &[OsString] {
        &self.entrance
    }

    /// A program in this machine; killed when dropped.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = command(&self.entrance[0]);
        command.args(&self.entrance[1..]).arg(program);
        command
    }

    /// Gives the machine an address. IPv6 would otherwise look around for a second whether it is free.
    pub(crate) async fn take_address(&self, address: &str) {
        self.take_address_at(address, CABLE).await;
    }

    async fn take_address_at(&self, address: &str, link: &str) {
        let (net, options) = if address.contains(':') {
            (format!("{address}/64"), &["nodad"][..])
        } else {
            (format!("{address}/24"), &[][..])
        };
        self.ip(&["address", "add", &net, "dev", link], options)
            .await;
    }

    /// Takes an address of IPv4 away again.
    pub(crate) async fn lose_address(&self, address: &str) {
        let net = format!("{address}/24");
        self.ip(&["address", "del", &net, "dev", CABLE], &[]).await;
    }

    async fn ip(&self, arguments: &[&str], more: &[&str]) {
        let mut command = self.command("ip");
        let ended = command.args(arguments).args(more).output().await.unwrap();
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(
            ended.status.success(),
            "ip {arguments:?} {more:?}: {said}Is iproute2 installed? scripts/lan-env sees to it."
        );
    }
}

/// Starts a holder and waits until it is where it should be.
async fn hold(words: &[OsString]) -> Result<Child, String> {
    let mut holder = command(&words[0])
        .args(&words[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{}: {error}", words[0].display()))?;
    // It says back what it is told once it runs, and it runs inside.
    let told = holder.stdin.as_mut().unwrap().write_all(b"inside\n").await;
    let mut line = String::new();
    let mut heard = BufReader::new(holder.stdout.as_mut().unwrap());
    let inside = within("a namespace", heard.read_line(&mut line)).await;
    if told.is_ok() && inside.is_ok() && line == "inside\n" {
        return Ok(holder);
    }
    let ended = within("unshare to end", holder.wait_with_output()).await;
    let said = String::from_utf8_lossy(&ended.unwrap().stderr)
        .trim()
        .to_owned();
    Err(said)
}

/// `ip` is not where everybody's programs are.
fn command(program: &OsStr) -> Command {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/sbin:/sbin");
    let mut command = Command::new(program);
    command.env("PATH", path).kill_on_drop(true);
    command
}
