//! Bodies of the local plugin API.

use std::net::{IpAddr, SocketAddr};

use latchkey_model::id::PrinterId;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{Frontend, LocalApi};
use crate::config::{AuthorityMode, UpstreamKind};

/// The version of OctoEverywhere's plugin whose interface apps find here: they compare it with
/// the one they need. Our own stands in the other document.
const PLUGIN_VERSION: &str = "5.3.1";

/// `GET /api/plugin/octoeverywhere`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Plugin)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PluginBody {
    plugin_version: &'static str,
    #[schema(value_type = String)]
    printer_id: PrinterId,
}

impl PluginBody {
    pub(super) fn of(api: &LocalApi) -> Self {
        Self {
            plugin_version: PLUGIN_VERSION,
            printer_id: api.printer_id(),
        }
    }
}

/// `GET /api/plugin/latchkey`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Host)]
pub(super) struct HostBody<'a> {
    version: &'static str,
    name: &'a str,
    #[schema(value_type = String)]
    printer_id: PrinterId,
    /// Who checks callers: `host` or `upstream`.
    authority: &'static str,
    upstream: UpstreamBody,
    relay: Option<RelayBody>,
    /// Whether that relay knows this host.
    paired: bool,
    /// Where this host answers in the local network.
    addresses: Vec<String>,
    /// Where a local proxy shows it, if a page has told.
    frontend: Option<Frontend>,
    /// Whether apps can ask for a key here.
    app_keys: bool,
    /// Whether any app is registered to sign for one.
    session_keys: bool,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = HostUpstream)]
struct UpstreamBody {
    /// `octoprint`, `moonraker`, `prusalink` or `generic`.
    kind: &'static str,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = HostRelay)]
struct RelayBody {
    name: String,
    connected: bool,
}

impl<'a> HostBody<'a> {
    pub(super) fn of(api: &'a LocalApi, session_keys: bool) -> Self {
        let facts = api.facts();
        let port = facts.listen.port();
        Self {
            version: env!("CARGO_PKG_VERSION"),
            name: &facts.name,
            printer_id: api.printer_id(),
            authority: match facts.authority {
                AuthorityMode::Host => "host",
                AuthorityMode::Upstream => "upstream",
            },
            upstream: UpstreamBody {
                kind: kind(facts.upstream),
            },
            relay: api.relay().map(|name| RelayBody {
                name,
                connected: api.is_connected(),
            }),
            paired: api.is_paired(),
            addresses: api.addresses().iter().map(|ip| url(*ip, port)).collect(),
            frontend: api.frontend(),
            // An OctoPrint that judges callers itself has them; its kind is all that is known.
            app_keys: facts.authority == AuthorityMode::Host
                || facts.upstream == UpstreamKind::OctoPrint,
            session_keys,
        }
    }
}

fn kind(kind: UpstreamKind) -> &'static str {
    match kind {
        UpstreamKind::OctoPrint => "octoprint",
        UpstreamKind::Moonraker => "moonraker",
        UpstreamKind::PrusaLink => "prusalink",
        UpstreamKind::Generic => "generic",
    }
}

fn url(address: IpAddr, port: u16) -> String {
    format!("http://{}", SocketAddr::new(address, port))
}

// As it is described; `command` reads it.
/// Where a local proxy shows this host.
#[derive(ToSchema)]
#[schema(as = SetFrontend)]
#[expect(dead_code, reason = "read member by member")]
pub(super) struct FrontendBody {
    command: FrontendWord,
    #[schema(minimum = 1, maximum = 65535)]
    port: u32,
    #[schema(rename = "isHttps")]
    is_https: Option<bool>,
}

/// What is to be done.
#[derive(ToSchema)]
#[schema(as = SetFrontendWord, rename_all = "camelCase")]
#[expect(dead_code, reason = "stands for a word in the description")]
enum FrontendWord {
    SetFrontendLocalPort,
}

/// What a command asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Command {
    SetFrontend(Frontend),
}

/// Reads a command; the sentence says what is wrong with one that cannot be followed.
pub(super) fn command(members: &Map<String, Value>) -> Result<Command, &'static str> {
    match members.get("command").and_then(Value::as_str) {
        Some("setFrontendLocalPort") => {}
        _ => return Err("The member command needs to be setFrontendLocalPort."),
    }
    let port = members.get("port").and_then(Value::as_u64);
    let port = port.and_then(|port| u16::try_from(port).ok());
    let port = port.filter(|port| *port > 0);
    let port = port.ok_or("The member port needs to be a number from 1 to 65535.")?;
    let https = match members.get("isHttps") {
        None | Some(Value::Null) => false,
        Some(https) => https
            .as_bool()
            .ok_or("The member isHttps needs to be true or false.")?,
    };
    Ok(Command::SetFrontend(Frontend { port, https }))
}
