//! Saying in time that a certificate ends.

use std::time::Duration;

use latchkey_model::clock::Timestamp;
use latchkey_net::tls::Certificate;
use latchkey_web::metrics::{Gauge, Metrics};

use super::Place;

const DAY: i64 = 24 * 60 * 60;
/// From here on somebody should know.
const SOON: i64 = 21;
/// From here on somebody must act.
const URGENT: i64 = 7;
/// While something is to be said, how often it is said again.
const AGAIN: Duration = Duration::from_hours(24);

/// How many whole days a certificate is good from now on; below zero, it ended.
pub(crate) fn days(certificate: &Certificate, now: Timestamp) -> i64 {
    (certificate.ends() - now.millis().div_euclid(1000)).div_euclid(DAY)
}

/// How near the end of a certificate is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    NotYet,
    Fine,
    /// Somebody should know.
    Soon,
    /// Somebody must act.
    Urgent,
    Over,
}

impl Stage {
    pub(crate) fn of(certificate: &Certificate, now: Timestamp) -> Self {
        let left = days(certificate, now);
        if now.millis() < certificate.begins().saturating_mul(1000) {
            Self::NotYet
        } else if left < 0 {
            Self::Over
        } else if left < URGENT {
            Self::Urgent
        } else if left < SOON {
            Self::Soon
        } else {
            Self::Fine
        }
    }
}

/// What was said last.
pub(super) struct Ending {
    place: Place,
    said: Option<(Stage, Timestamp)>,
    ends: Gauge,
}

impl Ending {
    /// Nothing was said. When the certificate ends is a metric, too.
    pub(super) fn new(place: Place, metrics: &Metrics) -> Self {
        let ends = match place {
            Place::Relay => metrics.gauge(
                "certificate_ends_timestamp_seconds",
                "When the certificate that is shown ends, in seconds since 1970",
            ),
            Place::Hosts => metrics.gauge(
                "hosts_certificate_ends_timestamp_seconds",
                "When the certificate that only hosts are shown ends, in seconds since 1970",
            ),
        };
        Self {
            place,
            said: None,
            ends,
        }
    }

    /// Says it when the stage changes, and once a day while there is something to say. Returns
    /// what was said.
    pub(super) fn tell(&mut self, certificate: &Certificate, now: Timestamp) -> Option<Stage> {
        self.ends.set(certificate.ends());
        let stage = Stage::of(certificate, now);
        let known = self.said.is_some_and(|(said, at)| {
            said == stage && (stage == Stage::Fine || now.since(at) < AGAIN)
        });
        if known {
            return None;
        }
        self.said = Some((stage, now));
        let (days, at) = (days(certificate, now), self.place.key());
        match stage {
            Stage::Fine => tracing::debug!(
                certificate.days = days,
                certificate.at = at,
                "the certificate is good"
            ),
            Stage::Soon => tracing::warn!(
                certificate.days = days,
                certificate.at = at,
                "the certificate ends soon"
            ),
            Stage::Urgent => tracing::error!(
                certificate.days = days,
                certificate.at = at,
                "the certificate ends in a few days; nobody will connect then"
            ),
            Stage::Over => tracing::error!(
                certificate.days = days,
                certificate.at = at,
                "the certificate has ended; nobody connects"
            ),
            Stage::NotYet => tracing::error!(
                certificate.at = at,
                "the certificate is not good yet; is the clock of this machine right?"
            ),
        }
        Some(stage)
    }
}
