//! Printers, sharing them, and ending things.

use latchkey_net::egress::EgressError;

use super::{Pages, Words, live, seconds_ago};
use crate::pages::views::{
    AppStanding, Copied, EndAccount, EndAtPrinter, Ending, Invite, InviteProblem, Join, Joining,
    LetterChoice, ListedApp, ListedInvitation, ListedMember, ListedWebhook, Made, NameProblem, Now,
    Ownership, Presence, PrinterCard, PrinterDone, PrinterPage, Printers, PrintersDone, Reminder,
    Rename, Tab, Telling, UsageLine, WebhookFailure, WebhookHealth,
};

const ID: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567ABCDEFGHIJKLMNOPQRST";
const DAY: i64 = 86_400;

pub(super) fn add(words: &Words, pages: &mut Pages) {
    list(words, pages);
    one(words, pages);
    invite(words, pages);
    join(words, pages);
    ends(words, pages);
}

fn list(words: &Words, pages: &mut Pages) {
    let card = PrinterCard {
        id: ID.into(),
        name: words.printer.into(),
        presence: Presence::Online(Some(seconds_ago(3 * DAY))),
        now: live::printing(words),
        copied: false,
        apps: 3,
        owner: None,
    };
    let full = Printers {
        shell: words.viewer().bar(&words.site(), Tab::Printers),
        address: words.relay.into(),
        site: words.site(),
        reminder: Some(Reminder {
            email: words.email.into(),
        }),
        done: None,
        cards: vec![
            PrinterCard {
                copied: true,
                ..card.clone()
            },
            card.clone(),
            PrinterCard {
                presence: Presence::Offline(Some(seconds_ago(400))),
                now: Now::unknown(false),
                apps: 1,
                owner: Some(words.email.into()),
                ..card.clone()
            },
            PrinterCard {
                presence: Presence::Offline(None),
                now: Now::unknown(false),
                apps: 0,
                ..card.clone()
            },
            PrinterCard {
                presence: Presence::Online(None),
                now: live::paused(words),
                ..card
            },
        ],
    };
    pages.add("printers", &full);
    for (name, done) in [
        ("removed", PrintersDone::Removed),
        ("left", PrintersDone::Left),
        ("gone", PrintersDone::Gone),
    ] {
        let empty = Printers {
            reminder: None,
            done: Some(done),
            cards: Vec::new(),
            ..full.clone()
        };
        pages.add(&format!("printers-empty-{name}"), &empty);
    }
}

fn app(words: &Words) -> ListedApp {
    ListedApp {
        id: "abcdefghijklmnopqrst".into(),
        app: words.app.into(),
        standing: AppStanding::Verified,
        logo: Some("/apps/fieldglass/logo.png".into()),
        watch_only: false,
        allowed_by: None,
        created: seconds_ago(30 * DAY),
        used: Some(seconds_ago(14)),
        requests: 412,
        bytes: 9_400_000_000,
    }
}

fn invitation(words: &Words) -> ListedInvitation {
    ListedInvitation {
        hash: "00".repeat(32),
        email: Some(words.email.into()),
        made: seconds_ago(2 * DAY),
        days: 5,
        watch_only: true,
    }
}

/// Addresses in every state, and letters of somebody whose address is not confirmed.
fn telling(words: &Words) -> Telling {
    let healths = [
        (WebhookHealth::Good(None), 0),
        (WebhookHealth::Good(Some(seconds_ago(90))), 1),
        (
            WebhookHealth::Failing {
                why: WebhookFailure::Status(500),
                at: seconds_ago(40),
            },
            2,
        ),
        (
            WebhookHealth::Failing {
                why: WebhookFailure::None(EgressError::Certificate),
                at: seconds_ago(40),
            },
            0,
        ),
        (
            WebhookHealth::Off {
                since: seconds_ago(DAY),
                why: Some(WebhookFailure::Status(404)),
            },
            31,
        ),
        (
            WebhookHealth::Off {
                since: seconds_ago(DAY),
                why: Some(WebhookFailure::None(EgressError::TimedOut)),
            },
            31,
        ),
        (WebhookHealth::Over, 0),
    ];
    let listed = healths.map(|(health, skipped)| ListedWebhook {
        app_connection: "ac_example".into(),
        app: words.app.into(),
        receiver: words.relay.into(),
        health,
        skipped,
    });
    Telling {
        webhooks: listed.into(),
        letters: Some(LetterChoice {
            email: words.email.into(),
            confirmed: false,
            done: true,
            trouble: true,
            needs_you: false,
            away: false,
        }),
        pictures: true,
    }
}

fn one(words: &Words, pages: &mut Pages) {
    let app = app(words);
    let owned = PrinterPage {
        shell: words.viewer().bar(&words.site(), Tab::Printers),
        site: words.site(),
        done: None,
        id: ID.into(),
        name: words.printer.into(),
        presence: Presence::Online(Some(seconds_ago(3 * DAY))),
        now: live::printing(words),
        watching: false,
        activity: live::lines(words, false),
        data: live::data(),
        paired: true,
        network: Some(words.network.into()),
        local_address: Some(words.network.into()),
        version: Some(words.version.into()),
        added: seconds_ago(90 * DAY),
        apps: vec![
            app.clone(),
            ListedApp {
                standing: AppStanding::Unverified,
                logo: None,
                watch_only: true,
                allowed_by: Some(words.email.into()),
                used: None,
                requests: 0,
                bytes: 0,
                ..app.clone()
            },
        ],
        telling: telling(words),
        usage: UsageLine {
            bytes: 9_420_000_000,
            most_bytes: Some(50_000_000_000),
            webcam: Some((725, 3_600, 86_400)),
        },
        owner: None,
        watch_only: false,
        ownership: Some(Ownership {
            members: [true, false]
                .map(|watch_only| ListedMember {
                    id: "abcdefghijklmnopqrst".into(),
                    email: words.email.into(),
                    since: seconds_ago(9 * DAY),
                    watch_only,
                })
                .into(),
            invitations: vec![
                invitation(words),
                ListedInvitation {
                    email: None,
                    days: 1,
                    ..invitation(words)
                },
            ],
            copied: Some(Copied {
                seen: seconds_ago(360),
                network: Some(words.network.into()),
            }),
            rename: Rename {
                name: words.printer.into(),
                problem: None,
            },
        }),
    };
    pages.add("printer", &owned);
    changed(&owned, pages);
    let shared = PrinterPage {
        owner: Some(words.email.into()),
        watch_only: true,
        ownership: None,
        watching: true,
        apps: vec![app],
        ..owned
    };
    pages.add("printer-shared", &shared);
}

fn changed(owned: &PrinterPage, pages: &mut Pages) {
    for (name, done) in [
        ("revoked", PrinterDone::Revoked),
        ("revoked-all", PrinterDone::RevokedAll),
        ("renamed", PrinterDone::Renamed),
        ("ended", PrinterDone::MemberRemoved),
        ("withdrawn", PrinterDone::InvitationTaken),
        ("joined", PrinterDone::Joined),
        ("paired", PrinterDone::Paired),
        ("letters", PrinterDone::Letters),
        ("untold", PrinterDone::Untold),
        ("raised", PrinterDone::Raised),
        ("lowered", PrinterDone::Lowered),
    ] {
        let page = PrinterPage {
            done: Some(done),
            presence: Presence::Offline(Some(seconds_ago(3600))),
            now: Now::unknown(false),
            activity: Vec::new(),
            paired: false,
            apps: Vec::new(),
            telling: Telling {
                webhooks: Vec::new(),
                letters: None,
                pictures: true,
            },
            ..owned.clone()
        };
        pages.add(&format!("printer-{name}"), &page);
    }
    for (name, problem) in [
        ("missing", NameProblem::Missing),
        ("long", NameProblem::TooLong),
        ("misleading", NameProblem::Misleading),
    ] {
        let mut page = owned.clone();
        if let Some(ownership) = &mut page.ownership {
            ownership.rename.problem = Some(problem);
            ownership.copied = None;
            ownership.members.clear();
            ownership.invitations.clear();
        }
        pages.add(&format!("printer-name-{name}"), &page);
    }
}

fn invite(words: &Words, pages: &mut Pages) {
    let asked = Invite {
        shell: words.viewer().bar(&words.site(), Tab::Printers),
        site: words.site(),
        id: ID.into(),
        name: words.printer.into(),
        by_mail: true,
        watch_only: true,
        email: words.email.into(),
        problem: None,
        made: None,
    };
    pages.add("invite", &asked);
    for (name, problem) in [
        ("unfit", InviteProblem::EmailUnfit),
        ("full", InviteProblem::Full { most: 50 }),
        ("too-many", InviteProblem::TooMany { minutes: 20 }),
    ] {
        let page = Invite {
            problem: Some(problem),
            ..asked.clone()
        };
        pages.add(&format!("invite-{name}"), &page);
    }
    let made = Made {
        url: "https://relay.example.net/join?code=lk_link_example".into(),
        sent_to: Some(words.email.into()),
    };
    let made = Invite {
        by_mail: false,
        watch_only: false,
        made: Some(made),
        ..asked
    };
    pages.add("invite-made", &made);
}

fn offered(words: &Words, watch_only: bool) -> Joining {
    Joining::Offered {
        id: ID.into(),
        printer: words.printer.into(),
        owner: words.email.into(),
        watch_only,
        code: "lk_link_example".into(),
    }
}

fn join(words: &Words, pages: &mut Pages) {
    for (name, joining) in [
        ("offered", offered(words, false)),
        ("offered-watch-only", offered(words, true)),
        (
            "own",
            Joining::Own {
                printer: words.printer.into(),
                id: ID.into(),
            },
        ),
        ("gone", Joining::Gone),
    ] {
        let page = Join {
            shell: words.site().door(),
            site: words.site(),
            email: words.email.into(),
            joining,
        };
        pages.add(&format!("join-{name}"), &page);
    }
}

fn ends(words: &Words, pages: &mut Pages) {
    let app = ListedApp {
        allowed_by: Some(words.email.into()),
        ..app(words)
    };
    for (name, ending) in [
        ("app", Ending::AppConnection { app }),
        (
            "apps",
            Ending::AppConnections {
                count: 3,
                everybodys: true,
            },
        ),
        (
            "printer",
            Ending::Printer {
                apps: 3,
                members: 2,
            },
        ),
        (
            "member",
            Ending::Member {
                id: "abcdefghijklmnopqrst".into(),
                email: words.email.into(),
                apps: 1,
            },
        ),
        (
            "membership",
            Ending::Membership {
                owner: words.email.into(),
                apps: 0,
            },
        ),
    ] {
        let page = EndAtPrinter {
            shell: words.viewer().bar(&words.site(), Tab::Printers),
            site: words.site(),
            printer_id: ID.into(),
            printer: words.printer.into(),
            ending,
        };
        pages.add(&format!("end-{name}"), &page);
    }
    let own = EndAccount {
        shell: words.viewer().bar(&words.site(), Tab::Account),
        site: words.site(),
        id: "abcdefghijklmnopqrst".into(),
        other: None,
        printers: 2,
        apps: 5,
        last_administrator: false,
    };
    pages.add("end-account", &own);
    let last = EndAccount {
        last_administrator: true,
        ..own.clone()
    };
    pages.add("end-account-last", &last);
    let other = EndAccount {
        other: Some(words.email.into()),
        ..own
    };
    pages.add("end-account-other", &other);
}
