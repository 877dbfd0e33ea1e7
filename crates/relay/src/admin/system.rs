//! `/admin/system`: what runs here, and what keeps it from working.

use axum::Router;
use axum::routing::get;

use super::VERSION;
use crate::config::{Config, Registration, SmtpTls, UnregisteredApps};
use crate::doctor;
use crate::pages::views::{AdminSystem, Tab};
use crate::pages::visit::{Answered, Visit};
use crate::role::Relay;
use crate::state::State;

pub(super) fn routes() -> Router<State> {
    Router::new().route("/admin/system", get(show))
}

async fn show(visit: Visit) -> Answered {
    let account = visit.administrator()?;
    let config = &visit.state.config;
    let (now, store) = (visit.state.clock.now(), &visit.state.store);
    let findings = doctor::examine_this(config, now, store).await;
    let site = visit.site();
    let page = AdminSystem {
        shell: visit.viewer(account).bar(&site, Tab::Administration),
        site,
        version: VERSION,
        started: visit.moment(visit.state.started),
        database: size_of_database(config).await,
        free: doctor::free_space(&config.data),
        traffic: visit.state.tunnels.rate_of_all(),
        facts: facts(config),
        findings,
    };
    Ok(visit.page(&page))
}

/// With what SQLite keeps beside the file for a while.
async fn size_of_database(config: &Config) -> u64 {
    let path = Relay::database(&config.data);
    let mut size = 0;
    for suffix in ["", "-wal", "-shm"] {
        let mut file = path.clone().into_os_string();
        file.push(suffix);
        size += tokio::fs::metadata(file).await.map_or(0, |meta| meta.len());
    }
    size
}

/// What is configured, without anything secret.
fn facts(config: &Config) -> Vec<(&'static str, String)> {
    let registration = match config.registration {
        Registration::Open => "everybody",
        Registration::Invite => "whoever has an invitation",
        Registration::Closed => "nobody by themselves",
    };
    let unregistered = match config.unregistered_apps {
        UnregisteredApps::Allow => "may ask, called unverified",
        UnregisteredApps::Loopback => "may ask on the person’s own device",
        UnregisteredApps::Refuse => "are refused",
    };
    let tls = match &config.tls {
        Some(files) => format!("ends here, with {}", files.cert.display()),
        None => "ends elsewhere".to_owned(),
    };
    let mail = config.smtp.as_ref().map(|smtp| {
        let protected = match smtp.tls {
            SmtpTls::Starttls | SmtpTls::Tls => "",
            SmtpTls::None => ", not encrypted",
        };
        format!("by {}:{}{protected}", smtp.host, smtp.port)
    });
    let status = config.status_listen.map(|address| address.to_string());
    vec![
        ("Web address", config.public_url.to_string()),
        ("App connections", format!("*.{}", config.connection_domain)),
        ("Listens on", config.listen.to_string()),
        ("Status", status.unwrap_or_else(|| "off".to_owned())),
        ("TLS", tls),
        ("Data", config.data.display().to_string()),
        ("New accounts", registration.to_owned()),
        ("Other apps", unregistered.to_owned()),
        ("E-mail", mail.unwrap_or_else(|| "none".to_owned())),
    ]
}
