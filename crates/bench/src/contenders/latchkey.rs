//! A relay and a host as in the field, with everything on.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde_json::{Value, json};
use tokio::process::Command;

use super::{Access, Contender, Setting, free_address, paired, write};
use crate::certificates;
use crate::load::Target;
use crate::process::Running;

/// Where the host is, seen from the relay.
pub struct Place<'a> {
    /// The address at which the host finds the relay's machine.
    pub relay: &'a str,
    /// How a program is started where the host is.
    pub command: &'a dyn Fn(&std::path::Path) -> Command,
    /// The printer's server, as the host sees it.
    pub server: String,
    /// Which kind it is.
    pub kind: &'a str,
    /// Whether the host asks callers for its own key, and what it brings the server.
    pub key: Option<&'a str>,
}

/// A running pair.
pub struct Latchkey {
    /// The way through it.
    pub contender: Contender,
    /// Its folder, with configuration, data and logs.
    pub folder: PathBuf,
}

impl Latchkey {
    /// Starts both on this machine, in front of this server.
    pub async fn here(setting: &Setting, server: SocketAddr) -> anyhow::Result<Contender> {
        let place = Place {
            relay: "127.0.0.1",
            command: &|program| Command::new(program),
            server: format!("http://{server}"),
            kind: "generic",
            key: None,
        };
        let latchkey = Self::start(setting, "latchkey", &place).await?;
        Ok(latchkey.contender)
    }

    /// Starts both, and waits until a request gets through.
    pub async fn start(setting: &Setting, name: &str, place: &Place<'_>) -> anyhow::Result<Self> {
        let folder = setting.room(name)?;
        let (callers, at_home) = (free_address()?, free_address()?);
        let hosts: SocketAddr = format!("{}:{}", place.relay, free_address()?.port()).parse()?;
        certificates::certify(&folder, &["localhost", place.relay])?;
        let access = paired::prepare(&folder).await?;
        let domain = format!("printers.localhost:{}", callers.port());
        let relay = relay_config(callers, hosts, &domain);
        let host = host_config(at_home, hosts, place);
        if let Some(key) = place.key {
            write(&folder, "upstream.key", key)?;
        }
        write(&folder, "relay.yaml", relay.to_string())?;
        write(&folder, "host.yaml", host.to_string())?;

        let mut command = Command::new(&setting.latchkey);
        command
            .args(["relay", "--config"])
            .arg(folder.join("relay.yaml"));
        let mut relay = Running::start("relay", command, &folder)?;
        relay.says("the relay is listening", 1).await?;
        let mut command = (place.command)(&setting.latchkey);
        command
            .args(["host", "--config"])
            .arg(folder.join("host.yaml"));
        let host = Running::start("host", command, &folder)?;
        relay.says("a host connected", 1).await?;

        Ok(Self {
            contender: Contender {
                name: "latchkey",
                target: target(callers, &domain, access),
                programs: vec![relay, host],
            },
            folder,
        })
    }
}

fn target(address: SocketAddr, domain: &str, access: Access) -> Target {
    Target {
        address,
        authority: format!("{}.{domain}", access.label),
        headers: access.headers,
    }
}

/// Callers come without TLS, as to every other tunnel here, and hosts with.
fn relay_config(callers: SocketAddr, hosts: SocketAddr, domain: &str) -> Value {
    json!({
        "listen": callers,
        "hosts": {"listen": hosts, "tls": {"cert": "tls.pem", "key": "tls.key"}},
        "status_listen": null,
        "public_url": format!("http://localhost:{}", callers.port()),
        "connection_domain": domain,
        "data": "relay",
        // One caller here stands for as many as a whole relay has.
        "admission": {
            "max_concurrent_per_printer": 1024,
            "max_concurrent_per_account": 1024,
            "max_streams_per_caller": 1024,
        },
        // Limits that are counted and never reached.
        "plans": {"supporter": {
            "max_upload_bytes": 1_u64 << 50,
            "max_download_bytes": 1_u64 << 50,
            "max_concurrent_streams": 100_000,
            "max_bytes_per_month": 1_u64 << 50,
            "max_webcam_stream_seconds": 1_000_000,
        }},
    })
}

fn host_config(listen: SocketAddr, relay: SocketAddr, place: &Place<'_>) -> Value {
    let mut host = json!({
        "listen": listen,
        "status_listen": null,
        "announce": false,
        "data": "host",
        "upstream": {"kind": place.kind, "url": place.server, "max_concurrent": 512},
        "authority": "host",
        "relay": {"url": format!("https://{relay}"), "ca_file": "ca.pem"},
    });
    if place.kind == "generic" {
        // As a printer's camera is made known.
        let url = format!("{}/webcam/", place.server);
        host["webcams"] = json!([{"path": "/webcam/", "url": url}]);
    }
    if place.key.is_some() {
        host["upstream"]["api_key_file"] = json!("upstream.key");
    }
    host
}
