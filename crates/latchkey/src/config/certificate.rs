//! `tls` and `hosts.tls` of `relay.yaml`: where a relay's certificates are, or who gives the first.

use std::path::{Path, PathBuf};

use latchkey_model::account::Email;
use latchkey_net::authority::Authority;
use latchkey_net::tls::Files;
use latchkey_relay::config as relay;
use serde::{Deserialize, Serialize};
use url::Url;

use super::{Checking, ConfigError, shown};

/// Files, or somebody who gives them.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawTls {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cert: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) acme: Option<RawAcme>,
}

/// Who is asked for a certificate.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawAcme {
    pub(crate) directory: Url,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) email: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ca: Option<PathBuf>,
    pub(crate) dns: RawAcmeDns,
}

/// How records in the DNS are set.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawAcmeDns {
    pub(crate) exec: PathBuf,
}

/// Where the certificate is, and who gives it.
pub(super) fn check(
    file: &Checking<'_>,
    raw: RawTls,
    data: &Path,
) -> Result<(Files, Option<relay::Acme>), ConfigError> {
    match (&raw.cert, &raw.key, raw.acme) {
        (None, None, Some(raw)) => Ok((relay::Acme::files(data), Some(acme(file, raw)?))),
        (None, None, None) => Err(file.wrong(
            "tls",
            "needs `cert` and `key`, or `acme` to get them itself",
        )),
        (_, _, None) => Ok((pair(file, "tls", raw.cert, raw.key)?, None)),
        (_, _, Some(_)) => {
            let message = "gets a certificate and its key; `tls.cert` and `tls.key` are for others";
            Err(file.wrong("tls.acme", message))
        }
    }
}

/// Where the certificate of `place` is, which is none that the relay gets itself.
pub(super) fn files(file: &Checking<'_>, place: &str, raw: RawTls) -> Result<Files, ConfigError> {
    if raw.acme.is_some() {
        let message = format!(
            "cannot be used: the relay gets one certificate itself, by `tls.acme`. Leave out \
             `{place}`, and hosts are shown that one, or give `cert` and `key`"
        );
        return Err(file.wrong(&format!("{place}.acme"), message));
    }
    pair(file, place, raw.cert, raw.key)
}

fn pair(
    file: &Checking<'_>,
    place: &str,
    cert: Option<PathBuf>,
    key: Option<PathBuf>,
) -> Result<Files, ConfigError> {
    let lacks = |what: &str, other: &str| {
        let message = format!("goes with `{place}.{other}`");
        Err(file.wrong(&format!("{place}.{what}"), message))
    };
    match (cert, key) {
        (Some(cert), Some(key)) => Ok(Files {
            cert: file.resolve(&cert),
            key: file.resolve(&key),
        }),
        (None, Some(_)) => lacks("cert", "key"),
        (Some(_), None) => lacks("key", "cert"),
        (None, None) => Err(file.wrong(place, "needs `cert` and `key`")),
    }
}

fn acme(file: &Checking<'_>, raw: RawAcme) -> Result<relay::Acme, ConfigError> {
    let directory = &raw.directory;
    let bare = directory.username().is_empty() && directory.password().is_none();
    if directory.scheme() != "https" || !bare {
        let message = format!(
            "{} needs to begin with https:// and have no user name",
            shown(directory)
        );
        return Err(file.wrong("tls.acme.directory", message));
    }
    let email = raw.email.map(|text| {
        Email::parse(&text)
            .map_err(|error| file.wrong("tls.acme.email", format!("{text:?}: {error}")))
    });
    Ok(relay::Acme {
        email: email.transpose()?,
        ca: raw.ca.map(|ca| file.resolve(&ca)),
        hook: file.resolve(&raw.dns.exec),
        directory: raw.directory,
    })
}

/// A record in the DNS proves a name and never an address.
pub(super) fn has_a_name(
    file: &Checking<'_>,
    key: &str,
    given: &Authority,
) -> Result<(), ConfigError> {
    if given.ip().is_none() {
        return Ok(());
    }
    let message =
        format!("{given} needs to be a name: `tls.acme` gets no certificate for an address");
    Err(file.wrong(key, message))
}
