//! What apps and people did at a printer, in the few kinds in which it is kept and told.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::text::clean;

/// What was done so often within this time by the same one is told once, with how often.
pub const SLOT: Duration = Duration::from_mins(15);

/// Longest name of a file that is kept, in characters.
const LONGEST_FILE: usize = 120;

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $word:literal;)*) => {
        /// What was done.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Did {
            $($(#[$doc])* $kind,)*
        }

        impl Did {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$kind,)*];

            /// The stable word for it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$kind => $word,)* }
            }

            /// Reads [`Self::as_str`].
            pub fn parse(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|kind| kind.as_str() == word)
            }
        }
    };
}

kinds! {
    /// An app looked at the printer's state.
    Read = "read";
    /// An app fetched a picture.
    Picture = "picture";
    /// An app opened the running picture.
    Camera = "camera";
    /// An app added a file.
    Upload = "upload";
    /// An app fetched a file.
    Download = "download";
    /// An app started a print.
    Start = "start";
    /// An app paused a print.
    Pause = "pause";
    /// An app let a print go on.
    Resume = "resume";
    /// An app ended a print.
    Cancel = "cancel";
    /// An app did something with the print that is not told apart.
    Job = "job";
    /// An app moved, heated or sent a command.
    Control = "control";
    /// An app removed a file.
    Delete = "delete";
    /// A person let an app in.
    Allowed = "allowed";
    /// A person revoked an app.
    Revoked = "revoked";
    /// A live link was made.
    Shared = "shared";
    /// A live link was taken back.
    Unshared = "unshared";
    /// Somebody tried a wrong password at an app's address.
    WrongPassword = "wrong_password";
}

/// The beginning of the quarter of an hour in which something is told once.
pub fn slot_of(at: Timestamp) -> Timestamp {
    let slot = i64::try_from(SLOT.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_millis(at.millis().div_euclid(slot) * slot)
}

/// The day of a moment in UTC, counted from 1970.
pub fn day_of(at: Timestamp) -> i64 {
    at.millis().div_euclid(24 * 60 * 60 * 1000)
}

/// The name of a file as it is kept: without folders and what could mislead. Nothing if nothing
/// is left.
pub fn file_name(text: &str) -> Option<String> {
    let name = text.rsplit(['/', '\\']).next().unwrap_or_default();
    let name: String = clean(name).chars().take(LONGEST_FILE).collect();
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_one_word_each() {
        for &kind in Did::ALL {
            assert_eq!(Did::parse(kind.as_str()), Some(kind));
        }
        assert_eq!(Did::parse("melted"), None);
    }

    #[test]
    fn slots_and_days_begin_where_they_should_before_1970_too() {
        let at = |millis| Timestamp::from_millis(millis);
        assert_eq!(slot_of(at(899_999)), at(0));
        assert_eq!(slot_of(at(900_000)), at(900_000));
        assert_eq!(slot_of(at(-1)), at(-900_000));
        assert_eq!(day_of(at(86_399_999)), 0);
        assert_eq!(day_of(at(86_400_000)), 1);
        assert_eq!(day_of(at(-1)), -1);
    }

    #[test]
    fn names_of_files_are_short_and_do_not_mislead() {
        for (text, name) in [
            ("folder/spiral vase.gcode", Some("spiral vase.gcode")),
            ("C:\\prints\\a.gcode", Some("a.gcode")),
            ("a\u{202e}edocg.b", Some("aedocg.b")),
            ("folder/", None),
            ("", None),
        ] {
            assert_eq!(file_name(text).as_deref(), name, "{text:?}");
        }
        assert_eq!(file_name(&"x".repeat(999)).unwrap().len(), 120);
    }
}
