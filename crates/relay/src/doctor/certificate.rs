//! The relay's own certificates: whether they load, cover what they must, and how long they hold.

use latchkey_model::clock::Timestamp;
use latchkey_net::tls::Certificate;

use super::{Finding, wrong};
use crate::acme;
use crate::certificate::{self, Stage};
use crate::config::Config;

pub(super) fn examine(config: &Config, now: Timestamp) -> Finding {
    let Some(files) = &config.tls else {
        return Finding::Note("TLS ends elsewhere: on loopback, or at a proxy in front".to_owned());
    };
    if let Some(acme) = &config.acme
        && !acme::can_run(&acme.hook)
    {
        return wrong(
            format!("{} is no program that can be run", acme.hook.display()),
            "`tls.acme.dns.exec` needs an executable file; without it no certificate is renewed",
        );
    }
    if let Some(acme) = &config.acme
        && !files.cert.exists()
    {
        let directory = &acme.directory;
        return Finding::Note(format!(
            "there is no certificate yet; the relay asks {directory} for one when it starts"
        ));
    }
    let certificate = match Certificate::from_files(files) {
        Ok(certificate) => certificate,
        Err(error) => {
            return wrong(
                error.to_string(),
                "`tls.cert` needs the whole chain in PEM, leaf first, and `tls.key` its key",
            );
        }
    };
    let names = certificate::names(config);
    if let Some(name) = names.iter().find(|name| !certificate.is_for(name)) {
        return wrong(
            format!("the certificate is not for {name}"),
            "it needs the host of `public_url` and a wildcard for `connection_domain`",
        );
    }
    let days = certificate::days(&certificate, now);
    days_left("the certificate", Stage::of(&certificate, now), days)
}

/// The certificate of the listener for hosts, if that has its own.
pub(super) fn examine_for_hosts(config: &Config, now: Timestamp) -> Option<Finding> {
    let files = config.own_tls_of_hosts()?;
    Some(match Certificate::from_files(files) {
        Ok(certificate) => {
            let days = certificate::days(&certificate, now);
            let stage = Stage::of(&certificate, now);
            days_left("the certificate for hosts", stage, days)
        }
        Err(error) => wrong(
            error.to_string(),
            "`hosts.tls.cert` needs the whole chain in PEM, leaf first, and `hosts.tls.key` its \
             key",
        ),
    })
}

fn days_left(subject: &str, stage: Stage, days: i64) -> Finding {
    match stage {
        Stage::NotYet => wrong(
            format!("{subject} is not good yet"),
            "see whether the clock of this machine is right",
        ),
        Stage::Over => wrong(
            format!("{subject} has ended {} days ago", -days),
            "renew it; until then nobody comes in who is shown it",
        ),
        Stage::Urgent => wrong(
            format!("{subject} ends in {days} days"),
            "see why it was not renewed by now",
        ),
        Stage::Soon => Finding::Note(format!(
            "{subject} ends in {days} days; it should be renewed about now"
        )),
        Stage::Fine => Finding::Fine(format!(
            "{subject} and its key load; it holds for {days} days"
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use latchkey_net::tls::Files;
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;
    use crate::config::{Acme, Hosts};

    #[test]
    fn a_relay_that_asks_for_its_certificate_is_told_what_it_lacks() {
        let folder = tempfile::tempdir().unwrap();
        let hook = folder.path().join("hook");
        let config = Config {
            tls: Some(Acme::files(folder.path())),
            acme: Some(Acme {
                directory: "https://acme.example/directory".parse().unwrap(),
                email: None,
                ca: None,
                hook: hook.clone(),
            }),
            ..crate::tests::config()
        };
        let now = Timestamp::from_millis(0);
        let found = examine(&config, now);
        let Finding::Wrong { what, .. } = found else {
            panic!("{found:?}");
        };
        assert!(
            what.ends_with("hook is no program that can be run"),
            "{what}"
        );
        fs::write(&hook, "#!/bin/sh\n").unwrap();
        fs::set_permissions(&hook, fs::Permissions::from_mode(0o700)).unwrap();
        let found = examine(&config, now);
        let Finding::Note(text) = found else {
            panic!("{found:?}");
        };
        assert!(
            text.contains("asks https://acme.example/directory for one"),
            "{text}"
        );
        fs::write(&config.tls.as_ref().unwrap().cert, "nothing").unwrap();
        assert!(matches!(examine(&config, now), Finding::Wrong { .. }));
    }

    #[test]
    fn the_certificate_for_hosts_is_looked_at_if_it_is_another_one() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files {
            cert: folder.path().join("cert.pem"),
            key: folder.path().join("key.pem"),
        };
        let hosts = Hosts {
            listen: "127.0.0.1:0".parse().unwrap(),
            tls: files.clone(),
        };
        let mut config = Config {
            hosts: Some(hosts),
            ..crate::tests::config()
        };
        let now = Timestamp::from_millis(1_795_000_000_000);
        let found = examine_for_hosts(&config, now);
        let Some(Finding::Wrong { try_this, .. }) = found else {
            panic!("{found:?}");
        };
        assert!(try_this.contains("`hosts.tls.cert`"), "{try_this}");
        let key = KeyPair::generate().unwrap();
        let mut wanted = CertificateParams::new(["a.example".to_owned()]).unwrap();
        wanted.not_before = date_time_ymd(2026, 11, 1);
        wanted.not_after = date_time_ymd(2027, 1, 30);
        let made = wanted.self_signed(&key).unwrap();
        fs::write(&files.cert, made.pem()).unwrap();
        fs::write(&files.key, key.serialize_pem()).unwrap();
        let found = examine_for_hosts(&config, now);
        let Some(Finding::Fine(text)) = found else {
            panic!("{found:?}");
        };
        assert!(
            text.starts_with("the certificate for hosts and its key load"),
            "{text}"
        );
        // The relay's own is told of already.
        config.tls = Some(files);
        assert_eq!(examine_for_hosts(&config, now), None);
        config.hosts = None;
        assert_eq!(examine_for_hosts(&config, now), None);
    }

    #[test]
    fn the_days_that_are_left_are_told() {
        let key = KeyPair::generate().unwrap();
        let mut wanted = CertificateParams::new(["a.example".to_owned()]).unwrap();
        wanted.not_before = date_time_ymd(2026, 11, 1);
        wanted.not_after = date_time_ymd(2027, 1, 30);
        let made = wanted.self_signed(&key).unwrap();
        let pem = (made.pem(), key.serialize_pem());
        let certificate = Certificate::from_pem(pem.0.as_bytes(), pem.1.as_bytes()).unwrap();
        for (before, is_wrong, said) in [
            (90, false, "holds for 90 days"),
            (21, false, "holds for 21 days"),
            (20, false, "ends in 20 days"),
            (6, true, "ends in 6 days"),
            (0, true, "ends in 0 days"),
            (-1, true, "1 days ago"),
            (91, true, "not good yet"),
        ] {
            let now = Timestamp::from_millis((certificate.ends() - before * 86_400) * 1000);
            let days = certificate::days(&certificate, now);
            match days_left("the certificate", Stage::of(&certificate, now), days) {
                Finding::Wrong { what, .. } => assert!(is_wrong && what.contains(said), "{what}"),
                Finding::Fine(text) | Finding::Note(text) => {
                    assert!(!is_wrong && text.contains(said), "{text}");
                }
            }
        }
    }
}
