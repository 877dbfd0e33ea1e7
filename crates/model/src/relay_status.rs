//! The statuses 600–613, by which a relay tells its own failures from a printer's.
//!
//! 603 to 606 are destructive: apps delete their connection on them. They may only be sent when
//! what is kept says so with certainty; every doubt is [`RelayStatus::Unknown`].

/// A status that the relay itself answers on an app connection or in the App API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum RelayStatus {
    /// Something failed, or is in doubt.
    Unknown = 600,
    /// The printer's host is not connected.
    NotConnected = 601,
    /// The host is connected but did not answer in time.
    TimedOut = 602,
    /// There is no such app connection.
    NotFound = 603,
    /// The app connection has ended.
    Ended = 604,
    /// The owner may not use app connections at present.
    OwnerNotEntitled = 605,
    /// The credentials are missing or wrong.
    Unauthorized = 606,
    /// The response body is over the limit.
    DownloadTooLarge = 607,
    /// The request body is over the limit.
    UploadTooLarge = 608,
    /// The webcam was used too much.
    WebcamLimit = 609,
    /// The host is too old for this call.
    HostUpdateRequired = 610,
    /// The owner has no beta access. Reserved: never sent by us.
    NoBetaAccess = 611,
    /// The host failed.
    HostFailed = 612,
    /// The link is bound to a print, and none is active.
    NoActivePrint = 613,
}

impl RelayStatus {
    /// All of them, in order.
    pub const ALL: [Self; 14] = [
        Self::Unknown,
        Self::NotConnected,
        Self::TimedOut,
        Self::NotFound,
        Self::Ended,
        Self::OwnerNotEntitled,
        Self::Unauthorized,
        Self::DownloadTooLarge,
        Self::UploadTooLarge,
        Self::WebcamLimit,
        Self::HostUpdateRequired,
        Self::NoBetaAccess,
        Self::HostFailed,
        Self::NoActivePrint,
    ];

    /// The number.
    pub const fn code(self) -> u16 {
        self as u16
    }

    /// What it means, in a short sentence that an app may show.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Unknown => "Something went wrong on the way to the printer.",
            Self::NotConnected => "The printer is not connected.",
            Self::TimedOut => "The printer did not answer in time.",
            Self::NotFound => "This app connection does not exist.",
            Self::Ended => "This app connection was revoked or has expired.",
            Self::OwnerNotEntitled => {
                "The owner of this printer cannot use app connections at present."
            }
            Self::Unauthorized => "The credentials of this app connection are missing or wrong.",
            Self::DownloadTooLarge => "The download is larger than allowed.",
            Self::UploadTooLarge => "The upload is larger than allowed.",
            Self::WebcamLimit => "The webcam was used too much; it will be available again later.",
            Self::HostUpdateRequired => "The software at the printer must be updated for this.",
            Self::NoBetaAccess => "The owner of this printer has no access to this beta feature.",
            Self::HostFailed => "The software at the printer failed.",
            Self::NoActivePrint => "There is no active print.",
        }
    }

    /// Whether the caller or the owner can do something about it.
    pub const fn is_user_error(self) -> bool {
        !matches!(
            self,
            Self::Unknown
                | Self::NotConnected
                | Self::TimedOut
                | Self::HostUpdateRequired
                | Self::HostFailed
        )
    }

    /// Whether it may pass within seconds, so that a page about it asks again by itself.
    pub const fn may_pass_soon(self) -> bool {
        matches!(self, Self::Unknown | Self::NotConnected | Self::TimedOut)
    }

    /// Whether apps delete their connection on it, so that it must never be sent in doubt.
    pub const fn is_destructive(self) -> bool {
        matches!(
            self,
            Self::NotFound | Self::Ended | Self::OwnerNotEntitled | Self::Unauthorized
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_as_contracted() {
        // Code, user error, may pass soon, destructive.
        let table = [
            (RelayStatus::Unknown, 600, false, true, false),
            (RelayStatus::NotConnected, 601, false, true, false),
            (RelayStatus::TimedOut, 602, false, true, false),
            (RelayStatus::NotFound, 603, true, false, true),
            (RelayStatus::Ended, 604, true, false, true),
            (RelayStatus::OwnerNotEntitled, 605, true, false, true),
            (RelayStatus::Unauthorized, 606, true, false, true),
            (RelayStatus::DownloadTooLarge, 607, true, false, false),
            (RelayStatus::UploadTooLarge, 608, true, false, false),
            (RelayStatus::WebcamLimit, 609, true, false, false),
            (RelayStatus::HostUpdateRequired, 610, false, false, false),
            (RelayStatus::NoBetaAccess, 611, true, false, false),
            (RelayStatus::HostFailed, 612, false, false, false),
            (RelayStatus::NoActivePrint, 613, true, false, false),
        ];
        assert_eq!(table.map(|row| row.0), RelayStatus::ALL);
        for (status, code, user_error, passes, destructive) in table {
            assert_eq!(status.code(), code);
            assert_eq!(status.is_user_error(), user_error, "{code}");
            assert_eq!(status.may_pass_soon(), passes, "{code}");
            assert_eq!(status.is_destructive(), destructive, "{code}");
        }
    }

    #[test]
    fn each_meaning_is_one_short_sentence() {
        for status in RelayStatus::ALL {
            let meaning = status.meaning();
            assert!(meaning.ends_with('.') && meaning.len() < 80, "{meaning}");
            assert_eq!(meaning.matches('.').count(), 1, "{meaning}");
        }
    }
}
