//! One template per code.
#![expect(
    unused_qualifications,
    reason = "askama's derive writes variant names in full"
)]

use askama::Template;
use latchkey_model::relay_status::RelayStatus;

use super::View;

#[derive(Template)]
pub(super) enum EdgePage<'a> {
    #[template(path = "edge/600.html")]
    Unknown { p: View<'a> },
    #[template(path = "edge/601.html")]
    NotConnected { p: View<'a> },
    #[template(path = "edge/602.html")]
    TimedOut { p: View<'a> },
    #[template(path = "edge/603.html")]
    NotFound { p: View<'a> },
    #[template(path = "edge/604.html")]
    Ended { p: View<'a> },
    #[template(path = "edge/605.html")]
    OwnerNotEntitled { p: View<'a> },
    #[template(path = "edge/606.html")]
    Unauthorized { p: View<'a> },
    #[template(path = "edge/607.html")]
    DownloadTooLarge { p: View<'a> },
    #[template(path = "edge/608.html")]
    UploadTooLarge { p: View<'a> },
    #[template(path = "edge/609.html")]
    WebcamLimit { p: View<'a> },
    #[template(path = "edge/610.html")]
    HostUpdateRequired { p: View<'a> },
    #[template(path = "edge/611.html")]
    NoBetaAccess { p: View<'a> },
    #[template(path = "edge/612.html")]
    HostFailed { p: View<'a> },
    #[template(path = "edge/613.html")]
    NoActivePrint { p: View<'a> },
    #[template(path = "edge/421.html")]
    Misdirected { p: View<'a> },
}

impl<'a> EdgePage<'a> {
    pub(super) fn about(status: RelayStatus, p: View<'a>) -> Self {
        match status {
            RelayStatus::Unknown => Self::Unknown { p },
            RelayStatus::NotConnected => Self::NotConnected { p },
            RelayStatus::TimedOut => Self::TimedOut { p },
            RelayStatus::NotFound => Self::NotFound { p },
            RelayStatus::Ended => Self::Ended { p },
            RelayStatus::OwnerNotEntitled => Self::OwnerNotEntitled { p },
            RelayStatus::Unauthorized => Self::Unauthorized { p },
            RelayStatus::DownloadTooLarge => Self::DownloadTooLarge { p },
            RelayStatus::UploadTooLarge => Self::UploadTooLarge { p },
            RelayStatus::WebcamLimit => Self::WebcamLimit { p },
            RelayStatus::HostUpdateRequired => Self::HostUpdateRequired { p },
            RelayStatus::NoBetaAccess => Self::NoBetaAccess { p },
            RelayStatus::HostFailed => Self::HostFailed { p },
            RelayStatus::NoActivePrint => Self::NoActivePrint { p },
        }
    }
}
