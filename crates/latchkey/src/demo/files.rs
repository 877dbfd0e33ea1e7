//! The demo's directory: configuration of the roles, and the simulated printer's key.

use std::fs::{DirBuilder, OpenOptions, Permissions};
use std::io::{ErrorKind, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::Context;
use latchkey_model::chance::{SystemChance, letters};
use serde_json::{Value, json};

use super::authority;
use crate::cli::DemoArgs;

const SIM_KEY: &str = "sim.key";

/// Makes the directory, for its owner alone.
pub(super) fn prepare(data: &Path) -> anyhow::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(data)
        .with_context(|| format!("cannot make the directory {}", data.display()))?;
    // One that was there before may be open to others; what comes into it is secret.
    std::fs::set_permissions(data, Permissions::from_mode(0o700))
        .with_context(|| format!("cannot close the directory {} to others", data.display()))
}

/// The simulated printer's key; made on the first start.
pub(super) fn sim_key(data: &Path) -> anyhow::Result<String> {
    let path = data.join(SIM_KEY);
    match std::fs::read_to_string(&path) {
        Ok(key) if !key.trim().is_empty() => return Ok(key.trim().to_owned()),
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("cannot read {}", path.display()));
        }
        _ => {}
    }
    let key = letters(&SystemChance, b"0123456789ABCDEF", 32);
    save(&path, &format!("{key}\n"))?;
    Ok(key)
}

/// Writes both roles' configuration for this start; says where.
pub(super) fn write(
    args: &DemoArgs,
    relay_port: u16,
    host_port: u16,
    sim: Option<SocketAddr>,
) -> anyhow::Result<(PathBuf, PathBuf)> {
    let relay_file = args.data.join("relay.yaml");
    let host_file = args.data.join("host.yaml");
    save_yaml(&relay_file, &relay(relay_port))?;
    save_yaml(&host_file, &host(args, relay_port, host_port, sim)?)?;
    Ok((relay_file, host_file))
}

fn relay(port: u16) -> Value {
    json!({
        "listen": format!("127.0.0.1:{port}"),
        "status_listen": "127.0.0.1:0",
        "public_url": format!("http://localhost:{port}"),
        "connection_domain": format!("localhost:{port}"),
        "data": "relay",
        "registration": "open",
    })
}

fn host(
    args: &DemoArgs,
    relay_port: u16,
    host_port: u16,
    sim: Option<SocketAddr>,
) -> anyhow::Result<Value> {
    let (upstream, webcams) = match (sim, &args.upstream) {
        (Some(sim), _) => {
            let sim = format!("http://{sim}");
            (
                json!({"kind": "octoprint", "url": sim, "api_key_file": SIM_KEY}),
                json!([{"path": "/webcam/", "url": format!("{sim}/webcam/")}]),
            )
        }
        (None, Some(url)) => {
            let mut upstream = json!({"kind": args.upstream_kind, "url": url});
            if let Some(path) = &args.upstream_key_file {
                // The file stands beside whoever typed its name, not beside ours.
                let path = std::path::absolute(path)?;
                upstream["api_key_file"] = json!(path);
            }
            (upstream, json!([]))
        }
        (None, None) => unreachable!("without an upstream there is a simulated printer"),
    };
    Ok(json!({
        "name": "Demo printer",
        "listen": format!("127.0.0.1:{host_port}"),
        "status_listen": "127.0.0.1:0",
        "data": "host",
        "upstream": upstream,
        "authority": authority(args),
        "webcams": webcams,
        "relay": {"url": format!("http://localhost:{relay_port}")},
        "api": {"apps": session_apps()},
    }))
}

/// The two example apps of the documentation of App Session Keys, whose private key everybody has.
fn session_apps() -> Value {
    const PUBKEY: &str = "MEgCQQCIWfi7Nc8bcnfZJJtA6a4RyMC+sKBlMOb25OVNNB4L2v0TiGO72jVKR4osvb4oztlb\
                          RW5GkdiY0T2LJcfDYvkJAgMBAAE=";
    let app = |enabled| json!({"pubkey": PUBKEY, "enabled": enabled, "allow_weak_keys": true});
    json!({
        "com.example.my_octoprint_app:1.0": app(true),
        "com.example.my_octoprint_app:0.9": app(false),
    })
}

fn save_yaml(path: &Path, value: &Value) -> anyhow::Result<()> {
    let text = serde_saphyr::to_string(value)?;
    save(
        path,
        &format!("# Written by `latchkey demo` at each start.\n{text}"),
    )
}

/// Writes a file that only its owner can read, whole or not at all.
pub(super) fn save(path: &Path, text: &str) -> anyhow::Result<()> {
    let fresh = path.with_extension("new");
    let write = || -> std::io::Result<()> {
        match std::fs::remove_file(&fresh) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        // Never somebody else's file, nor one that a link leads to.
        let mut options = OpenOptions::new();
        let mut file = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&fresh)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&fresh, path)
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}
