//! Answers of the App API, in the form that apps know.

use std::net::{IpAddr, SocketAddr};

use http::StatusCode;
use latchkey_model::clock::Timestamp;
use latchkey_model::plan::Entitlements;
use latchkey_model::printer::{Printer, Seen};
use latchkey_model::relay_status::RelayStatus;
use latchkey_web::moment::Moment;
use serde::Serialize;
use utoipa::ToSchema;

use crate::webhooks::{Answer, Set};

/// For what never was. Apps read it as a date and fail on null.
const NEVER: &str = "0001-01-01T00:00:00";

/// The largest number that programs in JavaScript can count to, for sizes without a limit.
const MOST_BYTES: u64 = (1 << 53) - 1;

/// For times without a limit: 68 years, which fits where programs keep seconds in 32 bits.
const MOST_SECONDS: u64 = i32::MAX.unsigned_abs() as u64;

/// Where a host is that never said so. Apps take the printer over only if there is something.
const UNKNOWN_ADDRESS: &str = "127.0.0.1";

/// What an app is told about its app connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Info {
    pub(super) printer_name: String,
    pub(super) printer_local_ip: String,
    pub(super) is_online: bool,
    pub(super) last_connection_time_utc: String,
    pub(super) last_disconnect_time_utc: String,
    pub(super) user_facing_printer_url: String,
    pub(super) printer_limits: PrinterLimits,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct PrinterLimits {
    pub(super) max_download_file_size_bytes: u64,
    pub(super) max_upload_file_size_bytes: u64,
    pub(super) max_single_webcam_stream_length_seconds: u64,
    pub(super) max_total_webcam_stream_time_per_time_window_seconds: Option<u64>,
    pub(super) webcam_stream_time_window: Option<u64>,
}

impl Info {
    pub(super) fn new(
        printer: &Printer,
        is_online: bool,
        page: String,
        plan: &Entitlements,
    ) -> Self {
        Self {
            printer_name: printer.name.as_str().to_owned(),
            printer_local_ip: local_ip(printer.local_address.as_deref()),
            is_online,
            last_connection_time_utc: date(printer.seen.last_connected),
            last_disconnect_time_utc: date(last_disconnect(&printer.seen, is_online)),
            user_facing_printer_url: page,
            printer_limits: PrinterLimits::of(plan),
        }
    }
}

impl PrinterLimits {
    fn of(plan: &Entitlements) -> Self {
        let bytes = |limit: Option<u64>| limit.unwrap_or(MOST_BYTES).min(MOST_BYTES);
        let seconds = |limit: u64| limit.min(MOST_SECONDS);
        let webcam = plan.webcam_allowance();
        Self {
            max_download_file_size_bytes: bytes(plan.max_download_bytes),
            max_upload_file_size_bytes: bytes(plan.max_upload_bytes),
            max_single_webcam_stream_length_seconds: plan
                .max_webcam_stream_seconds
                .map_or(MOST_SECONDS, seconds),
            max_total_webcam_stream_time_per_time_window_seconds: webcam
                .map(|webcam| seconds(webcam.seconds)),
            webcam_stream_time_window: webcam.map(|webcam| seconds(webcam.window_seconds)),
        }
    }
}

/// Apps put it into addresses: nothing but an IP address, with or without a port. It is the
/// host's own word.
fn local_ip(said: Option<&str>) -> String {
    let said = said.unwrap_or_default().trim();
    let is_address = said.parse::<IpAddr>().is_ok() || said.parse::<SocketAddr>().is_ok();
    if is_address { said } else { UNKNOWN_ADDRESS }.to_owned()
}

/// While it is connected, when it was lost before that is not kept.
fn last_disconnect(seen: &Seen, is_online: bool) -> Option<Timestamp> {
    if is_online { None } else { seen.last_seen }
}

fn date(at: Option<Timestamp>) -> String {
    at.map_or_else(|| NEVER.to_owned(), |at| Moment { at, now: at }.exact())
}

/// What watches prints for failures says of the present one. Nothing here does, so it is off:
/// apps ask whenever a printer is linked, and take an error for a broken link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct GadgetStatus {
    state: u8,
    status: &'static str,
    status_color: &'static str,
    rating: u8,
}

impl GadgetStatus {
    pub(super) const DISABLED: Self = Self {
        state: 0,
        status: "",
        status_color: "w",
        rating: 10,
    };
}

/// A webhook that was set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct WebhookSet {
    /// In every call to that address, and nowhere else.
    secret_key: String,
    /// Set it again before.
    expires_utc: String,
}

impl WebhookSet {
    pub(super) fn new(set: &Set) -> Self {
        Self {
            secret_key: set.secret.expose().to_owned(),
            expires_utc: date(Some(set.until)),
        }
    }
}

/// That there is no webhook any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct WebhookDeleted {}

/// How a webhook answered a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Tested {
    /// 0 if there was no answer.
    status_code: u16,
    /// Why there was none: `unknown_name`, `closed_network`, `refused_address`,
    /// `connection_failed`, `bad_certificate` or `timed_out`.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<&'static str>,
}

impl Tested {
    pub(super) fn of(answer: Answer) -> Self {
        match answer {
            Answer::Status(status) => Self {
                status_code: status.as_u16(),
                failure: None,
            },
            Answer::None(error) => Self {
                status_code: 0,
                failure: Some(error.as_str()),
            },
        }
    }
}

/// What every answer is in.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Envelope<R> {
    status: u16,
    error: &'static str,
    is_user_error: bool,
    result: Option<R>,
}

impl<R> Envelope<R> {
    pub(super) fn of(result: R) -> Self {
        Self {
            status: StatusCode::OK.as_u16(),
            error: "",
            is_user_error: false,
            result: Some(result),
        }
    }
}

impl Envelope<()> {
    pub(super) fn refusal(status: RelayStatus) -> Self {
        Self {
            status: status.code(),
            error: status.meaning(),
            is_user_error: status.is_user_error(),
            result: None,
        }
    }

    /// For what is wrong with the request itself.
    pub(super) fn wrong(status: StatusCode, error: &'static str) -> Self {
        Self {
            status: status.as_u16(),
            error,
            is_user_error: true,
            result: None,
        }
    }
}

/// The envelope with the members of the result repeated beside it: the documents show them
/// bare, and apps were written from either.
#[derive(Debug, Serialize)]
pub(super) struct Flat<'a, R> {
    #[serde(flatten)]
    envelope: Envelope<&'a R>,
    #[serde(flatten)]
    members: &'a R,
}

impl<'a, R> Flat<'a, R> {
    pub(super) fn of(result: &'a R) -> Self {
        Self {
            envelope: Envelope::of(result),
            members: result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_local_address_is_an_ip_address_or_nothing_known() {
        for (said, told) in [
            (None, "127.0.0.1"),
            (Some(""), "127.0.0.1"),
            (Some("192.168.1.9"), "192.168.1.9"),
            (Some(" 192.168.1.9:5010 "), "192.168.1.9:5010"),
            (Some("fd00::9"), "fd00::9"),
            (Some("[fd00::9]:5010"), "[fd00::9]:5010"),
            (Some("octopi.local"), "127.0.0.1"),
            (Some("192.168.1.9/evil"), "127.0.0.1"),
            (Some("user@192.168.1.9"), "127.0.0.1"),
        ] {
            assert_eq!(local_ip(said), told, "{said:?}");
        }
    }

    #[test]
    fn dates_are_iso_8601_in_utc_and_never_null() {
        assert_eq!(date(None), "0001-01-01T00:00:00");
        let at = Timestamp::from_millis(1_614_729_600_000);
        assert_eq!(date(Some(at)), "2021-03-03T00:00:00Z");
    }

    #[test]
    fn limits_are_whole_numbers_that_programs_can_hold() {
        let huge = Entitlements {
            max_upload_bytes: Some(u64::MAX),
            max_download_bytes: Some(u64::MAX),
            max_webcam_stream_seconds: Some(u64::MAX),
            ..Entitlements::default()
        };
        for none in [Entitlements::default(), huge] {
            let limits = serde_json::to_value(PrinterLimits::of(&none)).unwrap();
            let most = 9_007_199_254_740_991_u64;
            assert_eq!(limits["MaxDownloadFileSizeBytes"], most);
            assert_eq!(limits["MaxUploadFileSizeBytes"], most);
            assert_eq!(
                limits["MaxSingleWebcamStreamLengthSeconds"],
                2_147_483_647_u64
            );
            assert!(limits["MaxTotalWebcamStreamTimePerTimeWindowSeconds"].is_null());
            assert!(limits["WebcamStreamTimeWindow"].is_null());
        }
        let some = Entitlements {
            max_upload_bytes: Some(1),
            max_download_bytes: Some(2),
            max_webcam_stream_seconds: Some(3),
            max_webcam_seconds_per_window: Some(4),
            ..Entitlements::default()
        };
        let limits = PrinterLimits::of(&some);
        assert_eq!(limits.max_upload_file_size_bytes, 1);
        assert_eq!(limits.max_download_file_size_bytes, 2);
        assert_eq!(limits.max_single_webcam_stream_length_seconds, 3);
        let window = limits.max_total_webcam_stream_time_per_time_window_seconds;
        assert_eq!(window, Some(4));
        assert_eq!(limits.webcam_stream_time_window, Some(86_400));
    }

    #[test]
    fn a_disconnect_is_told_while_it_lasts() {
        let at = Timestamp::from_millis(1);
        let seen = Seen {
            online_since: Some(at),
            last_connected: Some(at),
            last_seen: Some(at),
            ..Seen::default()
        };
        assert_eq!(last_disconnect(&seen, true), None);
        assert_eq!(last_disconnect(&seen, false), Some(at));
    }
}
