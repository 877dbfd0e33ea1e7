//! The relay's own certificate: whether it loads, covers what it must, and how long it holds.

use latchkey_model::clock::Timestamp;
use latchkey_net::tls;

use super::{Finding, wrong};
use crate::config::Config;

const DAY: i64 = 24 * 60 * 60 * 1000;

/// So many days before its end a certificate should have been renewed.
const SOON: i64 = 14;

pub(super) fn examine(config: &Config, now: Timestamp) -> Finding {
    let Some(files) = &config.tls else {
        return Finding::Note("TLS ends elsewhere: on loopback, or at a proxy in front".to_owned());
    };
    if let Err(error) = tls::server_config(&files.cert, &files.key) {
        return wrong(
            error.to_string(),
            "`tls.cert` needs the whole chain in PEM, leaf first, and `tls.key` its key",
        );
    }
    match tls::valid_until(&files.cert) {
        Some(end) => days_left(end.saturating_mul(1000), now),
        None => Finding::Note(
            "the certificate and its key load; until when it holds cannot be read".to_owned(),
        ),
    }
}

fn days_left(end: i64, now: Timestamp) -> Finding {
    let days = end.saturating_sub(now.millis()).div_euclid(DAY);
    if days < 0 {
        return wrong(
            format!("the certificate has ended {} days ago", -days),
            "renew it; until then neither apps nor hosts come in",
        );
    }
    if days < SOON {
        return wrong(
            format!("the certificate ends in {days} days"),
            "see why it was not renewed by now",
        );
    }
    Finding::Fine(format!(
        "the certificate and its key load; it holds for {days} days"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_days_that_are_left_are_told() {
        let now = Timestamp::from_millis(100 * DAY);
        for (end, wrong, said) in [
            (101 * DAY, true, "ends in 1 days"),
            (100 * DAY + 1, true, "ends in 0 days"),
            (99 * DAY, true, "1 days ago"),
            (114 * DAY, false, "holds for 14 days"),
            (114 * DAY - 1, true, "ends in 13 days"),
        ] {
            match days_left(end, now) {
                Finding::Wrong { what, .. } => assert!(wrong && what.contains(said), "{what}"),
                Finding::Fine(text) | Finding::Note(text) => {
                    assert!(!wrong && text.contains(said), "{text}");
                }
            }
        }
    }
}
