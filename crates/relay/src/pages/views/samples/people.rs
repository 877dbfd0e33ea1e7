//! The account, pages that letters lead to, and administration.

use latchkey_model::account_session::Factors;

use super::{Pages, Words, seconds_ago};
use crate::pages::views::{
    AccountDone, AccountPage, AccountProblem, Admin, AdminDone, Forgetting, Forgotten,
    ForgottenProblem, InviteAccount, ListedAccount, ListedInvitation, ListedSession, Made, Manage,
    ManageDone, ManageProblem, Reminder, Reset, ResetProblem, Resetting, Tab, UsageCard, Verify,
    Verifying, WatchedWebcam,
};

const ID: &str = "abcdefghijklmnopqrst";

pub(super) fn add(words: &Words, pages: &mut Pages) {
    account(words, pages);
    letters(words, pages);
    admin(words, pages);
    manage(words, pages);
}

fn unlimited() -> UsageCard {
    UsageCard {
        own: true,
        plan_known: true,
        bytes: 9_420_000_000,
        most_bytes: None,
        printers: 2,
        most_printers: None,
        apps: 5,
        most_apps: None,
        upload: None,
        download: None,
        streams: None,
        stream_seconds: None,
        webcam: None,
        watched: Vec::new(),
    }
}

fn limited(words: &Words) -> UsageCard {
    UsageCard {
        most_bytes: Some(50_000_000_000),
        most_printers: Some(3),
        most_apps: Some(10),
        upload: Some(524_288_000),
        download: Some(524_288_000),
        streams: Some(32),
        stream_seconds: Some(600),
        webcam: Some((3_600, 86_400)),
        watched: vec![WatchedWebcam {
            printer: words.printer.into(),
            seconds: 725,
        }],
        ..unlimited()
    }
}

fn account(words: &Words, pages: &mut Pages) {
    let session = ListedSession {
        id: ID.into(),
        device: words.device.into(),
        network: words.network.into(),
        seen: seconds_ago(3),
        since: seconds_ago(300),
        this_one: true,
    };
    let here = AccountPage {
        shell: words.viewer().bar(&words.site(), Tab::Account),
        site: words.site(),
        reminder: None,
        done: None,
        problem: None,
        email: words.email.into(),
        plan: "supporter".into(),
        since: seconds_ago(90 * 86_400),
        by_mail: true,
        confirmed: true,
        new_email: String::new(),
        sessions: vec![
            session.clone(),
            ListedSession {
                seen: seconds_ago(7200),
                this_one: false,
                ..session.clone()
            },
        ],
        usage: unlimited(),
        factors: Factors::default(),
    };
    pages.add("account", &here);
    let counted = AccountPage {
        usage: limited(words),
        ..here.clone()
    };
    pages.add("account-limited", &counted);
    for (name, done) in [
        ("password", AccountDone::PasswordChanged),
        ("ended", AccountDone::SessionEnded),
        ("others", AccountDone::OthersEnded),
        ("address", AccountDone::AddressChanged),
        ("asked", AccountDone::AddressAsked),
        ("letter", AccountDone::LetterSent),
    ] {
        let page = AccountPage {
            done: Some(done),
            by_mail: false,
            confirmed: false,
            sessions: vec![session.clone()],
            ..here.clone()
        };
        pages.add(&format!("account-{name}"), &page);
    }
    for (name, problem) in [
        ("old-wrong", AccountProblem::OldWrong),
        ("too-many", AccountProblem::TooMany { minutes: 9 }),
        ("short", AccountProblem::PasswordTooShort { least: 12 }),
        ("long", AccountProblem::PasswordTooLong { most: 1024 }),
        ("differ", AccountProblem::Differ),
        ("busy", AccountProblem::Busy),
        ("unfit", AccountProblem::EmailUnfit),
        ("taken", AccountProblem::EmailTaken),
        ("letters", AccountProblem::Letters { minutes: 1 }),
    ] {
        let page = AccountPage {
            problem: Some(problem),
            reminder: Some(Reminder {
                email: words.email.into(),
            }),
            confirmed: false,
            new_email: words.email.into(),
            ..here.clone()
        };
        pages.add(&format!("account-problem-{name}"), &page);
    }
}

fn letters(words: &Words, pages: &mut Pages) {
    let email = || words.email.to_owned();
    let asked = |problem| Forgetting::Asked {
        email: email(),
        problem,
    };
    let many = ForgottenProblem::TooMany { minutes: 30 };
    for (name, state) in [
        ("no-mail", Forgetting::NoMail),
        ("asked", asked(None)),
        ("unfit", asked(Some(ForgottenProblem::EmailUnfit))),
        ("too-many", asked(Some(many))),
        ("stale", asked(Some(ForgottenProblem::Stale))),
        ("sent", Forgetting::Sent { email: email() }),
    ] {
        let page = Forgotten {
            shell: words.site().door(),
            site: words.site(),
            state,
        };
        pages.add(&format!("forgotten-{name}"), &page);
    }
    let code = || "lk_link_example".to_owned();
    let asked = |problem| Resetting::Asked {
        code: code(),
        problem,
    };
    for (name, state) in [
        ("asked", asked(None)),
        ("short", asked(Some(ResetProblem::TooShort { least: 12 }))),
        ("long", asked(Some(ResetProblem::TooLong { most: 1024 }))),
        ("differ", asked(Some(ResetProblem::Differ))),
        ("stale", asked(Some(ResetProblem::Stale))),
        ("busy", asked(Some(ResetProblem::Busy))),
        ("gone", Resetting::Gone),
        ("done", Resetting::Done),
    ] {
        let page = Reset {
            shell: words.site().door(),
            site: words.site(),
            state,
        };
        pages.add(&format!("reset-{name}"), &page);
    }
    for (name, state) in [
        (
            "asked",
            Verifying::Asked {
                code: code(),
                email: email(),
            },
        ),
        ("gone", Verifying::Gone),
        ("taken", Verifying::Taken),
        ("done", Verifying::Done { email: email() }),
    ] {
        let page = Verify {
            shell: words.site().door(),
            site: words.site(),
            state,
        };
        pages.add(&format!("verify-{name}"), &page);
    }
}

fn listed(words: &Words) -> ListedAccount {
    ListedAccount {
        id: ID.into(),
        email: words.email.into(),
        since: seconds_ago(90 * 86_400),
        administrator: false,
        plan: "supporter".into(),
        plan_known: true,
        suspended: false,
        printers: 4,
        apps: 12,
        seen: Some(seconds_ago(180)),
    }
}

fn admin(words: &Words, pages: &mut Pages) {
    let invitation = ListedInvitation {
        hash: "00".repeat(32),
        email: Some(words.email.into()),
        made: seconds_ago(3600),
        days: 7,
        watch_only: false,
    };
    let all = Admin {
        shell: words.viewer().bar(&words.site(), Tab::Administration),
        site: words.site(),
        version: "0.1.0",
        done: None,
        accounts: 128,
        printers: 91,
        online: 74,
        apps: 203,
        traffic: 5_800_000,
        find: String::new(),
        list: vec![
            listed(words),
            ListedAccount {
                administrator: true,
                plan_known: false,
                seen: None,
                ..listed(words)
            },
            ListedAccount {
                suspended: true,
                ..listed(words)
            },
        ],
        next: Some("/admin?after=tamsin@oyelaran.example".into()),
        open: false,
        by_mail: true,
        invitations: vec![
            invitation.clone(),
            ListedInvitation {
                email: None,
                days: 1,
                ..invitation
            },
        ],
        invite: InviteAccount::default(),
    };
    pages.add("admin", &all);
    admin_invites(words, &all, pages);
    for (name, find) in [("nobody", ""), ("not-found", words.email)] {
        let page = Admin {
            find: find.into(),
            list: Vec::new(),
            next: None,
            open: true,
            invitations: Vec::new(),
            ..all.clone()
        };
        pages.add(&format!("admin-{name}"), &page);
    }
}

fn admin_invites(words: &Words, all: &Admin, pages: &mut Pages) {
    for (name, done, invite) in [
        (
            "made",
            None,
            InviteAccount {
                made: Some(Made {
                    url: "https://relay.example.net/sign-up?invitation=lk_link_example".into(),
                    sent_to: Some(words.email.into()),
                }),
                ..InviteAccount::default()
            },
        ),
        (
            "unfit",
            Some(AdminDone::Removed),
            InviteAccount {
                email: words.email.into(),
                unfit: true,
                ..InviteAccount::default()
            },
        ),
        (
            "full",
            Some(AdminDone::InvitationTaken),
            InviteAccount {
                full: Some(100),
                ..InviteAccount::default()
            },
        ),
    ] {
        let page = Admin {
            done,
            invite,
            ..all.clone()
        };
        pages.add(&format!("admin-{name}"), &page);
    }
}

fn manage(words: &Words, pages: &mut Pages) {
    let ordinary = Manage {
        shell: words.viewer().bar(&words.site(), Tab::Administration),
        site: words.site(),
        done: None,
        problem: None,
        account: listed(words),
        own: false,
        confirmed: true,
        suspended: None,
        plans: vec![("free".into(), false), ("supporter".into(), true)],
        reason: String::new(),
        usage: UsageCard {
            own: false,
            ..limited(words)
        },
    };
    pages.add("admin-account", &ordinary);
    for (name, done) in [
        ("plan", ManageDone::PlanChanged),
        ("suspended", ManageDone::Suspended),
        ("unsuspended", ManageDone::Unsuspended),
        ("administrator", ManageDone::MadeAdministrator),
        ("ordinary", ManageDone::NoLongerAdministrator),
        ("second-factor", ManageDone::SecondFactorRemoved),
    ] {
        let page = Manage {
            done: Some(done),
            suspended: Some((seconds_ago(60), words.email.into())),
            confirmed: false,
            ..ordinary.clone()
        };
        pages.add(&format!("admin-account-{name}"), &page);
    }
    for (name, problem) in [
        ("unknown-plan", ManageProblem::UnknownPlan),
        ("reason-missing", ManageProblem::ReasonMissing),
        ("reason-long", ManageProblem::ReasonTooLong { most: 200 }),
        ("last", ManageProblem::LastAdministrator),
    ] {
        let page = Manage {
            problem: Some(problem),
            reason: words.email.into(),
            usage: UsageCard {
                own: false,
                plan_known: false,
                ..unlimited()
            },
            account: ListedAccount {
                plan_known: false,
                ..listed(words)
            },
            ..ordinary.clone()
        };
        pages.add(&format!("admin-account-{name}"), &page);
    }
    let own = Manage {
        own: true,
        account: ListedAccount {
            administrator: true,
            ..listed(words)
        },
        ..ordinary
    };
    pages.add("admin-account-own", &own);
}
