//! What an account's owner is told happened to it.

use crate::clock::Timestamp;

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident, $word:literal;)*) => {
        /// What happened.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum NoticeKind {
            $($(#[$doc])* $kind,)*
        }

        impl NoticeKind {
            /// All there are.
            pub const ALL: &[Self] = &[$(Self::$kind,)*];

            /// As it is kept.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$kind => $word,)*
                }
            }
        }
    };
}

kinds! {
    /// Signed in with a browser, or from a network, that was not seen before.
    NewDevice, "new_device";
    /// The password was changed.
    PasswordChanged, "password_changed";
    /// From now on codes are asked for.
    CodesOn, "codes_on";
    /// No codes are asked for any more.
    CodesOff, "codes_off";
    /// A recovery code was used.
    RecoveryCodeUsed, "recovery_code_used";
    /// There are new recovery codes.
    RecoveryCodesMade, "recovery_codes_made";
    /// A passkey was added; the detail is its name.
    PasskeyAdded, "passkey_added";
    /// A passkey was removed; the detail is its name.
    PasskeyRemoved, "passkey_removed";
    /// Whoever runs the relay took the second factors away.
    FactorsReset, "factors_reset";
    /// A printer was paired; the detail is its name.
    PrinterPaired, "printer_paired";
    /// A printer was removed; the detail is its name.
    PrinterRemoved, "printer_removed";
    /// A second host with a printer's key was held off; the detail is the printer's name.
    CopyHeldOff, "copy_held_off";
    /// An app was allowed to reach a printer; the detail is both names.
    AppConnected, "app_connected";
    /// An app got a key of its own through the portal; the detail is both names.
    AppKeyMade, "app_key_made";
    /// An app connection was revoked by its owner; the detail is the app's name.
    AppRevoked, "app_revoked";
    /// An app connection was used from a new network by a new program; the detail is the app's name.
    AppElsewhere, "app_elsewhere";
}

impl NoticeKind {
    /// The kind that is kept so.
    pub fn parse(text: &str) -> Option<Self> {
        let mut all = Self::ALL.iter().copied();
        all.find(|kind| kind.as_str() == text)
    }
}

/// One thing that happened to an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// When.
    pub at: Timestamp,
    /// What.
    pub kind: NoticeKind,
    /// What it was about, in the words of people; empty where there is nothing to say.
    pub detail: String,
    /// With which browser or program, if that is known.
    pub device: String,
    /// From which network, if that is known.
    pub network: String,
}

#[cfg(test)]
mod tests {
    use super::NoticeKind;

    #[test]
    fn kinds_are_read_as_they_are_written() {
        for kind in NoticeKind::ALL {
            assert_eq!(NoticeKind::parse(kind.as_str()), Some(*kind));
        }
        assert_eq!(NoticeKind::parse("unheard_of"), None);
    }
}
