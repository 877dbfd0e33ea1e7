//! nginx as one plain hop, and tunnels that carry TCP.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context as _, ensure};
use tokio::process::Command;

use super::{Contender, Setting, free_address, write};
use crate::certificates;
use crate::load::Target;
use crate::process::Running;

/// Debian's nginx as operators put it in front of a server: connections to it are kept, bodies pass as they come.
pub async fn nginx(setting: &Setting, server: SocketAddr) -> anyhow::Result<Option<Contender>> {
    let Some(program) = &setting.nginx else {
        return Ok(None);
    };
    let folder = setting.room("nginx")?;
    let address = free_address()?;
    let own = folder.display();
    let text = format!(
        "worker_processes auto;
pid {own}/nginx.pid;
error_log {own}/error.log;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  client_body_temp_path {own}/body;
  proxy_temp_path {own}/proxy;
  fastcgi_temp_path {own}/fastcgi;
  uwsgi_temp_path {own}/uwsgi;
  scgi_temp_path {own}/scgi;
  keepalive_requests 1000000;
  map $http_upgrade $hop {{ default upgrade; '' ''; }}
  upstream printer {{ server {server}; keepalive 256; keepalive_requests 1000000; }}
  server {{
    listen {address} backlog=4096;
    client_max_body_size 0;
    location / {{
      proxy_pass http://printer;
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $hop;
      proxy_buffering off;
      proxy_request_buffering off;
      proxy_read_timeout 300;
    }}
  }}
}}
"
    );
    let file = write(&folder, "nginx.conf", text)?;
    let mut command = Command::new(program);
    command
        .args(["-g", "daemon off;", "-e"])
        .arg(folder.join("error.log"))
        .arg("-c")
        .arg(file);
    let mut running = Running::start("nginx", command, &folder)?;
    running.listens(address).await?;
    Ok(Some(Contender {
        name: "nginx",
        target: Target::plain(address),
        programs: vec![running],
    }))
}

/// bore: TCP, a connection for each connection, without TLS.
pub async fn bore(setting: &Setting, server: SocketAddr) -> anyhow::Result<Option<Contender>> {
    let Some(program) = setting.peer("bore") else {
        return Ok(None);
    };
    let folder = setting.room("bore")?;
    let address = free_address()?;
    let mut command = Command::new(&program);
    command.args(["server", "--bind-addr", "127.0.0.1"]);
    let mut relay = Running::start("bore-server", command, &folder)?;
    // Its own port cannot be chosen.
    relay
        .listens(SocketAddr::from(([127, 0, 0, 1], 7835)))
        .await?;
    let mut command = Command::new(&program);
    command
        .args(["local", "--local-host", "127.0.0.1", "--to", "127.0.0.1"])
        .args(["--port", &address.port().to_string()])
        .arg(server.port().to_string());
    let mut host = Running::start("bore-local", command, &folder)?;
    host.listens(address).await?;
    Ok(Some(Contender {
        name: "bore",
        target: Target::plain(address),
        programs: vec![relay, host],
    }))
}

/// rathole with TLS: TCP, a connection for each connection.
pub async fn rathole(setting: &Setting, server: SocketAddr) -> anyhow::Result<Option<Contender>> {
    let Some(program) = setting.peer("rathole") else {
        return Ok(None);
    };
    let folder = setting.room("rathole")?;
    certificates::certify(&folder, &["localhost"])?;
    pkcs12(&folder).await?;
    let (control, address) = (free_address()?, free_address()?);
    let own = folder.display();
    let relay = format!(
        "[server]
bind_addr = \"{control}\"
default_token = \"bench\"
[server.transport]
type = \"tls\"
[server.transport.tls]
pkcs12 = \"{own}/tls.pfx\"
pkcs12_password = \"bench\"
[server.services.printer]
bind_addr = \"{address}\"
"
    );
    let host = format!(
        "[client]
remote_addr = \"{control}\"
default_token = \"bench\"
[client.transport]
type = \"tls\"
[client.transport.tls]
trusted_root = \"{own}/ca.pem\"
hostname = \"localhost\"
[client.services.printer]
local_addr = \"{server}\"
"
    );
    let mut programs = Vec::new();
    for (name, text, waits) in [
        ("rathole-server", relay, control),
        ("rathole-client", host, address),
    ] {
        let file = write(&folder, &format!("{name}.toml"), text)?;
        let mut command = Command::new(&program);
        command.arg(file);
        let mut running = Running::start(name, command, &folder)?;
        running.listens(waits).await?;
        programs.push(running);
    }
    Ok(Some(Contender {
        name: "rathole",
        target: Target::plain(address),
        programs,
    }))
}

/// The certificate in the one form that rathole reads.
async fn pkcs12(folder: &Path) -> anyhow::Result<()> {
    let made = Command::new("openssl")
        .current_dir(folder)
        .args(["pkcs12", "-export", "-out", "tls.pfx", "-inkey", "tls.key"])
        .args([
            "-in",
            "tls.pem",
            "-certfile",
            "ca.pem",
            "-passout",
            "pass:bench",
        ])
        .output()
        .await
        .context("openssl")?;
    let said = String::from_utf8_lossy(&made.stderr);
    ensure!(made.status.success(), "openssl: {said}");
    Ok(())
}
