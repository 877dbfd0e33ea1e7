//! The codes 600 to 613, as the pages and envelopes need them.

/// Why a request on an app connection was not answered by the printer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RelayStatus {
    Failed,
    NotConnected,
    NoAnswer,
    NotFound,
    Ended,
    NotEntitled,
    WrongCredentials,
    DownloadTooLarge,
    UploadTooLarge,
    CameraLimit,
    HostTooOld,
    NotOffered,
    HostFailed,
    NoPrint,
}

impl RelayStatus {
    pub const ALL: [Self; 14] = [
        Self::Failed,
        Self::NotConnected,
        Self::NoAnswer,
        Self::NotFound,
        Self::Ended,
        Self::NotEntitled,
        Self::WrongCredentials,
        Self::DownloadTooLarge,
        Self::UploadTooLarge,
        Self::CameraLimit,
        Self::HostTooOld,
        Self::NotOffered,
        Self::HostFailed,
        Self::NoPrint,
    ];

    pub fn code(self) -> u16 {
        match self {
            Self::Failed => 600,
            Self::NotConnected => 601,
            Self::NoAnswer => 602,
            Self::NotFound => 603,
            Self::Ended => 604,
            Self::NotEntitled => 605,
            Self::WrongCredentials => 606,
            Self::DownloadTooLarge => 607,
            Self::UploadTooLarge => 608,
            Self::CameraLimit => 609,
            Self::HostTooOld => 610,
            Self::NotOffered => 611,
            Self::HostFailed => 612,
            Self::NoPrint => 613,
        }
    }

    pub fn from_code(code: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.code() == code)
    }

    /// The sentence apps show; the pages say more.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Failed => "Something between here and the printer failed. Try again in a moment.",
            Self::NotConnected => "The printer is not connected. Try again when it is.",
            Self::NoAnswer => "The printer is connected but did not answer in time. Try again.",
            Self::NotFound => "This address does not lead to a printer. Connect the app again.",
            Self::Ended => "This access has ended. Connect the app again.",
            Self::NotEntitled => {
                "The owner's account is paused, so its printers cannot be reached."
            }
            Self::WrongCredentials => "User name, password or key is missing or wrong.",
            Self::DownloadTooLarge => "The answer is larger than the owner's plan lets through.",
            Self::UploadTooLarge => "What you sent is larger than the owner's plan lets through.",
            Self::CameraLimit => "The camera has been watched as long as the plan allows for now.",
            Self::HostTooOld => "Latchkey beside the printer needs an update for this.",
            Self::NotOffered => "This relay does not offer that.",
            Self::HostFailed => "Latchkey beside the printer failed. Try again in a moment.",
            Self::NoPrint => "No print is running.",
        }
    }

    /// Whether the caller or the owner can do something about it.
    pub fn is_user_error(self) -> bool {
        !matches!(
            self,
            Self::Failed
                | Self::NotConnected
                | Self::NoAnswer
                | Self::HostTooOld
                | Self::HostFailed
        )
    }

    /// Whether a page about it asks again by itself.
    pub(crate) fn retries_itself(self) -> bool {
        matches!(self, Self::Failed | Self::NotConnected | Self::NoAnswer)
    }

    /// Whether its page may say which printer this is, to somebody who may know.
    ///
    /// The others are shown to anybody who types an address.
    pub(crate) fn may_name_printer(self) -> bool {
        !matches!(
            self,
            Self::NotFound | Self::Ended | Self::NotEntitled | Self::WrongCredentials
        )
    }
}
