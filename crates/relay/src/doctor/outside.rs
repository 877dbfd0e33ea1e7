//! What a relay needs of others: names that lead to it, and a server that takes its letters.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use super::{Finding, wrong};
use crate::config::{Config, Smtp};

/// How long others may take: a page waits for it.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) async fn examine(config: &Config) -> Vec<Finding> {
    let (wildcard, mail) = tokio::join!(wildcard(config), async {
        match &config.smtp {
            Some(smtp) => mail(smtp).await,
            None => Finding::Note(
                "no mail server is configured: nobody is written to, and passwords are set by \
                 `latchkey account passwd`"
                    .to_owned(),
            ),
        }
    });
    vec![wildcard, mail]
}

async fn addresses(host: &str) -> BTreeSet<IpAddr> {
    match timeout(PATIENCE, lookup_host((host, 443))).await {
        Ok(Ok(found)) => found.map(|address| address.ip()).collect(),
        Ok(Err(_)) | Err(_) => BTreeSet::new(),
    }
}

/// Every app connection has a hostname of its own; only a wildcard covers them.
async fn wildcard(config: &Config) -> Finding {
    let host = config.connection_domain.host();
    if config.connection_domain.is_loopback() {
        return Finding::Note(format!(
            "browsers and curl find names under {host} by themselves; other programs may not"
        ));
    }
    let name = format!("app-latchkey-doctor.{host}");
    let own = config.public_url.authority().host().to_owned();
    let (theirs, ours) = tokio::join!(addresses(&name), addresses(&own));
    if theirs.is_empty() {
        return wrong(
            format!("*.{host} does not resolve, so no app can reach a printer"),
            format!("add a wildcard record *.{host} that points at this relay"),
        );
    }
    if !ours.is_empty() && theirs.is_disjoint(&ours) {
        return Finding::Note(format!(
            "*.{host} resolves to {} and {own} to {}; that is right if both lead to this relay",
            listed(&theirs),
            listed(&ours)
        ));
    }
    Finding::Fine(format!("*.{host} resolves"))
}

fn listed(addresses: &BTreeSet<IpAddr>) -> String {
    let shown: Vec<_> = addresses.iter().take(3).map(ToString::to_string).collect();
    shown.join(", ")
}

async fn mail(smtp: &Smtp) -> Finding {
    let (host, port) = (&smtp.host, smtp.port);
    let said = match timeout(PATIENCE, TcpStream::connect((host.as_str(), port))).await {
        Ok(Ok(_)) => {
            return Finding::Fine(format!("the mail server {host}:{port} takes connections"));
        }
        Ok(Err(error)) => format!("cannot connect to the mail server {host}:{port}: {error}"),
        Err(_) => format!("the mail server {host}:{port} does not answer"),
    };
    wrong(
        said,
        "see whether `smtp.host` and `smtp.port` are right and a firewall lets this machine out; \
         until then letters wait and go astray",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{config, smtp};

    #[tokio::test]
    async fn a_mail_server_that_is_not_there_is_told() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(matches!(mail(&smtp(port)).await, Finding::Fine(_)));
        drop(listener);
        assert!(matches!(mail(&smtp(port)).await, Finding::Wrong { .. }));
    }

    #[tokio::test]
    async fn names_on_loopback_need_no_record() {
        let mut config = config();
        config.connection_domain = "localhost:7010".parse().unwrap();
        assert!(matches!(wildcard(&config).await, Finding::Note(_)));
    }
}
