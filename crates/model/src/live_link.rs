//! Live links: addresses at which anybody who has them may watch a printer, and nothing else.

use std::time::Duration;

use data_encoding::BASE32_NOPAD;

use crate::clock::Timestamp;
use crate::id::{AccountId, AppConnectionId, LiveLinkId, PrintId, PrinterId};
use crate::printing::{Condition, PrinterState};
use crate::sealed::SigningKey;
use crate::secret::LiveLinkSecret;

/// For how many hours a link is good if nobody says.
pub const USUAL_HOURS: u32 = 24;

/// The most hours a link may be good for: two years.
pub const MOST_HOURS: u32 = 17_520;

/// So many links of one printer may be good at once.
pub const MOST_OF_A_PRINTER: u32 = 50;

/// For how long a link shows how its print ended.
pub const AFTER_THE_PRINT: Duration = Duration::from_hours(24);

/// For how long a link is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkHours(u32);

/// A number is not for how many hours a link may be good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a live link is good for 1 to {MOST_HOURS} hours")]
pub struct LinkHoursError;

impl LinkHours {
    /// [`USUAL_HOURS`].
    pub const USUAL: Self = Self(USUAL_HOURS);

    /// When a link made at this moment is no longer good.
    pub fn after(self, now: Timestamp) -> Timestamp {
        now.plus(Duration::from_hours(u64::from(self.0)))
    }
}

impl TryFrom<u64> for LinkHours {
    type Error = LinkHoursError;

    fn try_from(hours: u64) -> Result<Self, LinkHoursError> {
        match u32::try_from(hours) {
            Ok(hours @ 1..=MOST_HOURS) => Ok(Self(hours)),
            _ => Err(LinkHoursError),
        }
    }
}

/// A live link, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveLink {
    /// By which its owner names it.
    pub id: LiveLinkId,
    /// What it shows.
    pub printer: PrinterId,
    /// Who made it, or allowed the app that did.
    pub account: AccountId,
    /// By which app connection it was made, if an app did; it ends with it.
    pub app_connection: Option<AppConnectionId>,
    /// When it was made.
    pub created: Timestamp,
    /// When it is no longer good, whatever the print does.
    pub expires: Timestamp,
    /// The print with which it ends, if it does with one.
    pub print: Option<PrintId>,
    /// How that print ended.
    pub ended: Option<PrintEnd>,
}

/// How a link's print ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrintEnd {
    /// When.
    pub at: Timestamp,
    /// Whether it is complete; nothing if nobody saw it end.
    pub complete: Option<bool>,
    /// How long it took, in seconds.
    pub seconds: Option<u64>,
    /// Of which file it was.
    pub file: Option<String>,
}

/// What a link shows at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shows<'a> {
    /// The printer.
    Printer,
    /// How the print ended, and the printer no longer.
    End(&'a PrintEnd),
    /// Nothing: as if it had never been.
    Nothing,
}

impl LiveLink {
    /// What it shows now.
    pub fn shows(&self, now: Timestamp) -> Shows<'_> {
        match &self.ended {
            Some(end) if now < end.at.plus(AFTER_THE_PRINT) => Shows::End(end),
            None if now < self.expires => Shows::Printer,
            _ => Shows::Nothing,
        }
    }

    /// Whether what the printer's host says means that the link's print is over, though nobody saw
    /// it end: the host was away, or this relay was.
    pub fn is_over_by(&self, state: &PrinterState) -> bool {
        let Some(print) = &self.print else {
            return false;
        };
        match state.condition {
            Condition::Ready => true,
            Condition::Printing | Condition::Paused => {
                state.job.as_ref().is_some_and(|job| job.print != *print)
            }
            // It may go on.
            Condition::Error | Condition::Unavailable => false,
        }
    }
}

/// The secret of a link: made from its id with a key that is not in the database, so that its
/// owner can see it again and nobody can who has the database alone.
pub fn secret_of(id: &LiveLinkId, key: &SigningKey) -> LiveLinkSecret {
    const LENGTH: usize = 26;
    let text = BASE32_NOPAD.encode(&key.sign(id.as_str()));
    LiveLinkSecret::parse(&text.to_ascii_lowercase()[..LENGTH]).expect("letters and digits")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chance::SeededChance;
    use crate::printing::{Heats, Job, Progress};
    use crate::sealed::MasterKey;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    fn link(print: Option<&PrintId>) -> LiveLink {
        let chance = SeededChance::new(1);
        LiveLink {
            id: LiveLinkId::generate(&chance),
            printer: PrinterId::generate(&chance),
            account: AccountId::generate(&chance),
            app_connection: None,
            created: at(0),
            expires: at(100),
            print: print.cloned(),
            ended: None,
        }
    }

    #[test]
    fn a_link_shows_its_printer_until_its_time_and_how_the_print_ended_for_a_day() {
        let mut link = link(None);
        assert_eq!(link.shows(at(99)), Shows::Printer);
        assert_eq!(link.shows(at(100)), Shows::Nothing);
        let end = PrintEnd {
            at: at(50),
            complete: Some(true),
            seconds: Some(40),
            file: None,
        };
        link.ended = Some(end.clone());
        // The picture is over at once; how it ended may be read after the link's own time.
        for seconds in [50, 99, 101, 50 + 86_399] {
            assert_eq!(link.shows(at(seconds)), Shows::End(&end));
        }
        assert_eq!(link.shows(at(50 + 86_400)), Shows::Nothing);
    }

    #[test]
    fn hours_are_those_of_the_contract() {
        for hours in [1, 24, 17_520] {
            let hours = LinkHours::try_from(hours).unwrap();
            assert!(hours.after(at(0)) > at(0));
        }
        for hours in [0, 17_521, u64::MAX] {
            assert_eq!(LinkHours::try_from(hours), Err(LinkHoursError));
        }
        assert_eq!(LinkHours::USUAL.after(at(0)), at(86_400));
    }

    #[test]
    fn a_print_is_over_when_the_printer_does_something_else() {
        let chance = SeededChance::new(2);
        let (print, other) = (PrintId::generate(&chance), PrintId::generate(&chance));
        let state = |condition, print: Option<&PrintId>| PrinterState {
            at: at(1),
            condition,
            job: print.map(|print| Job {
                print: print.clone(),
                file: "vase.gcode".to_owned(),
                started: None,
                progress: Progress::default(),
            }),
            heat: Heats::default(),
            message: None,
            has_camera: true,
        };
        let bound = link(Some(&print));
        for (condition, job, over) in [
            (Condition::Printing, Some(&print), false),
            (Condition::Paused, Some(&print), false),
            (Condition::Printing, Some(&other), true),
            (Condition::Printing, None, false),
            (Condition::Ready, Some(&print), true),
            (Condition::Ready, None, true),
            (Condition::Error, Some(&print), false),
            (Condition::Unavailable, None, false),
        ] {
            assert_eq!(
                bound.is_over_by(&state(condition, job)),
                over,
                "{condition:?}"
            );
            assert!(!link(None).is_over_by(&state(condition, job)));
        }
    }

    #[test]
    fn a_links_secret_comes_of_its_id_and_the_key() {
        let chance = SeededChance::new(3);
        let (one, other) = (LiveLinkId::generate(&chance), LiveLinkId::generate(&chance));
        let key = MasterKey::from_bytes([7; 32]).signing("live links 1");
        let secret = secret_of(&one, &key);
        assert_eq!(secret.expose().len(), 26);
        assert_eq!(secret.hash(), secret_of(&one, &key).hash());
        assert_ne!(secret.hash(), secret_of(&other, &key).hash());
        let another = MasterKey::from_bytes([8; 32]).signing("live links 1");
        assert_ne!(secret.hash(), secret_of(&one, &another).hash());
    }
}
