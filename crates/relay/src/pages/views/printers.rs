//! `/printers`, `/printers/{id}` and what hangs below it.

use askama::Template;
use latchkey_model::activity::Did;
use latchkey_model::printing::EventKind;
use latchkey_web::moment::Moment;
use latchkey_web::shell::BarShell;

use super::activity::DataBar;
use super::{
    ActivityLine, ActivityWhat, AppStanding, DataUsed, Now, Reminder, Site, Telling, UsageLine,
    WebhookFailure, WebhookHealth, Word, size,
};

/// Whether a printer's host is here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Presence {
    /// Since when, if that is known.
    Online(Option<Moment>),
    /// When it was last here.
    Offline(Option<Moment>),
}

/// A card among the printers.
#[derive(Debug, Clone)]
pub struct PrinterCard {
    pub id: String,
    pub name: String,
    pub presence: Presence,
    pub now: Now,
    /// Another running computer has its identity.
    pub copied: bool,
    pub apps: u64,
    /// Whose it is, if it is somebody else's.
    pub owner: Option<String>,
}

impl PrinterCard {
    /// What needs the person first, then what prints, what is here, and what is not; each by name.
    pub fn order(&self) -> (bool, u8, String) {
        let needs_somebody = self.needs_somebody();
        (
            !needs_somebody,
            self.now.word.order(),
            self.name.to_lowercase(),
        )
    }

    fn path(&self) -> String {
        format!("/printers/{}", self.id)
    }

    pub fn needs_somebody(&self) -> bool {
        self.copied || self.now.word.needs_somebody()
    }
}

/// What was just done, as a page of printers says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PrintersDone {
    Removed,
    Left,
    /// There was none to remove or leave, as at a second click.
    Gone,
}

#[derive(Debug, Clone, Template)]
#[template(path = "relay/printers.html")]
pub struct Printers {
    pub shell: BarShell,
    pub site: Site,
    /// The relay's address, for the command that pairs a host with it.
    pub address: String,
    pub reminder: Option<Reminder>,
    pub done: Option<PrintersDone>,
    pub cards: Vec<PrinterCard>,
}

impl Printers {
    /// How many do what, in words: "4 printers: 1 needs you, 1 printing, 1 offline".
    fn summary(&self) -> String {
        let count =
            |of: &dyn Fn(&PrinterCard) -> bool| self.cards.iter().filter(|card| of(card)).count();
        let needing = count(&|card| card.needs_somebody());
        let parts = [
            (
                needing,
                if needing == 1 {
                    "needs you"
                } else {
                    "need you"
                },
            ),
            (count(&|card| card.now.word == Word::Printing), "printing"),
            (count(&|card| card.now.word == Word::Ready), "ready"),
            (count(&|card| card.now.word == Word::Online), "online"),
            (count(&|card| card.now.word == Word::Offline), "offline"),
        ];
        let parts: Vec<_> = parts
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        let all = self.cards.len();
        let s = if all == 1 { "" } else { "s" };
        format!("{all} printer{s}: {}", parts.join(", "))
    }
}

/// An app connection in a list, or about to be revoked.
#[derive(Debug, Clone)]
pub struct ListedApp {
    pub id: String,
    pub app: String,
    pub standing: AppStanding,
    /// Where its logo is, if it has one here.
    pub logo: Option<String>,
    /// Whether it may look only.
    pub watch_only: bool,
    /// Who allowed it, if it was somebody else.
    pub allowed_by: Option<String>,
    pub created: Moment,
    pub used: Option<Moment>,
    pub requests: u64,
    pub bytes: u64,
}

impl ListedApp {
    pub(super) fn initial(&self) -> String {
        super::initial(&self.app)
    }

    pub(super) fn size(&self) -> String {
        size(self.bytes)
    }
}

/// Somebody a printer is shared with.
#[derive(Debug, Clone)]
pub struct ListedMember {
    pub id: String,
    pub email: String,
    pub since: Moment,
    /// Whether they may only look.
    pub watch_only: bool,
}

/// An invitation nobody has accepted yet.
#[derive(Debug, Clone)]
pub struct ListedInvitation {
    /// The hash of its secret, which names it and opens nothing.
    pub hash: String,
    pub email: Option<String>,
    pub made: Moment,
    /// In how many days it is no longer good.
    pub days: u64,
    /// Whether it lets somebody only look.
    pub watch_only: bool,
}

/// That another computer was held off.
#[derive(Debug, Clone)]
pub struct Copied {
    pub seen: Moment,
    pub network: Option<String>,
}

/// What the owner alone sees of a printer.
#[derive(Debug, Clone)]
pub struct Ownership {
    pub members: Vec<ListedMember>,
    pub invitations: Vec<ListedInvitation>,
    pub copied: Option<Copied>,
    pub rename: Rename,
}

#[derive(Debug, Clone)]
pub struct Rename {
    /// The name as it was typed.
    pub name: String,
    pub problem: Option<NameProblem>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameProblem {
    Missing,
    TooLong,
    Misleading,
}

/// What was just done, as a printer's page says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PrinterDone {
    Revoked,
    RevokedAll,
    Renamed,
    MemberRemoved,
    InvitationTaken,
    Joined,
    Paired,
    Letters,
    Untold,
    Raised,
    Lowered,
}

#[derive(Debug, Clone, Template)]
#[template(path = "relay/printer.html")]
pub struct PrinterPage {
    pub shell: BarShell,
    pub site: Site,
    pub done: Option<PrinterDone>,
    pub id: String,
    pub name: String,
    pub presence: Presence,
    pub now: Now,
    /// Whether the running picture is shown.
    pub watching: bool,
    pub activity: Vec<ActivityLine>,
    pub data: DataUsed,
    pub paired: bool,
    /// From which network its host is, or was, connected.
    pub network: Option<String>,
    pub local_address: Option<String>,
    pub version: Option<String>,
    pub added: Moment,
    pub apps: Vec<ListedApp>,
    pub telling: Telling,
    pub usage: UsageLine,
    /// Whose it is, if it is somebody else's.
    pub owner: Option<String>,
    /// Whether the person may only look.
    pub watch_only: bool,
    pub ownership: Option<Ownership>,
}

impl PrinterPage {
    fn path(&self) -> String {
        format!("/printers/{}", self.id)
    }
}

/// `/printers/{id}/invite`: the form, or what it made.
#[derive(Debug, Clone, Template)]
#[template(path = "relay/invite.html")]
pub struct Invite {
    pub shell: BarShell,
    pub site: Site,
    pub id: String,
    pub name: String,
    /// Whether it can be sent by e-mail.
    pub by_mail: bool,
    /// What is chosen: to look only.
    pub watch_only: bool,
    pub email: String,
    pub problem: Option<InviteProblem>,
    pub made: Option<Made>,
}

/// A link that is shown once.
#[derive(Debug, Clone)]
pub struct Made {
    pub url: String,
    /// Where it was sent too.
    pub sent_to: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InviteProblem {
    EmailUnfit,
    /// So many invitations are open, or so many people use it.
    Full {
        most: usize,
    },
    TooMany {
        minutes: u64,
    },
}

impl Invite {
    fn email_wrong(&self) -> bool {
        self.problem == Some(InviteProblem::EmailUnfit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_the_person_comes_first_then_what_is_here() {
        let card = |name: &str, copied, word| PrinterCard {
            id: String::new(),
            name: name.to_owned(),
            presence: Presence::Online(None),
            now: Now {
                word,
                ..Now::unknown(true)
            },
            copied,
            apps: 0,
            owner: None,
        };
        let mut cards = [
            card("a", false, Word::Offline),
            card("C", false, Word::Ready),
            card("b", false, Word::Online),
            card("p", false, Word::Printing),
            card("z", true, Word::Offline),
            card("w", false, Word::Error),
            card("y", true, Word::Ready),
            card("x", false, Word::Paused),
        ];
        cards.sort_by_cached_key(PrinterCard::order);
        let names = cards.each_ref().map(|card| card.name.as_str());
        assert_eq!(names, ["w", "x", "y", "z", "p", "b", "C", "a"]);
        let page = Printers {
            address: String::new(),
            shell: BarShell {
                place: latchkey_web::shell::Place::relay("x"),
                prefix: String::new(),
                home: "/",
                nav: Vec::new(),
                account: None,
            },
            site: Site {
                relay: String::new(),
                csrf: String::new(),
            },
            reminder: None,
            done: None,
            cards: cards.to_vec(),
        };
        assert_eq!(
            page.summary(),
            "8 printers: 4 need you, 1 printing, 2 ready, 1 online, 2 offline"
        );
    }
}
