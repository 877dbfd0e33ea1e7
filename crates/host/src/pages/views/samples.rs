//! Every page of the host with sample facts, by name.
//!
//! Tests render them all; the example `pages` writes them to files.

use askama::Template;
use latchkey_model::clock::Timestamp;
use latchkey_web::landing::{RelayLink, Upstream};

use super::*;

const NOW: i64 = 1_760_000_000_000;

/// Name and HTML of each.
pub fn all() -> Vec<(String, String)> {
    everything(&Words::PLAIN)
}

/// The same with hostile text wherever text comes from outside.
#[cfg(test)]
pub(super) fn hostile(payload: &'static str) -> Vec<(String, String)> {
    everything(&Words::all(payload))
}

/// The texts from outside in the samples.
#[derive(Debug, Clone, Copy)]
pub(super) struct Words {
    app: &'static str,
    other_app: &'static str,
    user: &'static str,
    printer: &'static str,
    host: &'static str,
    address: &'static str,
    file: &'static str,
    relay: &'static str,
    device: &'static str,
    redirect: &'static str,
}

impl Words {
    const PLAIN: Self = Self {
        app: "Spool Butler",
        other_app: "com.longname.cura-networkprinting-plugin-enterprise 4.13",
        user: "tamsin",
        printer: "Garage Voron",
        host: "octopi.local",
        address: "192.168.1.37",
        file: "spiral-vase-180mm.gcode",
        relay: "relay.example.net",
        device: "Firefox on Linux",
        redirect: "https://cloud.example/done",
    };

    #[cfg(test)]
    const fn all(payload: &'static str) -> Self {
        Self {
            app: payload,
            other_app: payload,
            user: payload,
            printer: payload,
            host: payload,
            address: payload,
            file: payload,
            relay: payload,
            device: payload,
            redirect: payload,
        }
    }
}

fn everything(words: &Words) -> Vec<(String, String)> {
    let mut pages = Vec::new();
    sign_ins(words, &mut pages);
    decisions(words, &mut pages);
    homes(words, &mut pages);
    keys(words, &mut pages);
    users(words, &mut pages);
    accounts(words, &mut pages);
    setups(words, &mut pages);
    pages
}

type Pages = Vec<(String, String)>;

fn add(pages: &mut Pages, name: &str, page: &impl Template) {
    let html = page.render().expect("templates write to memory");
    pages.push((name.to_owned(), html));
}

#[cfg(test)]
pub(super) fn site() -> Site {
    site_of(&Words::PLAIN)
}

#[cfg(test)]
pub(super) fn viewer() -> Viewer {
    viewer_of(&Words::PLAIN)
}

fn site_of(words: &Words) -> Site {
    Site {
        host: words.host.into(),
        printer: words.printer.into(),
        prefix: String::new(),
        csrf: "token-of-forms".into(),
    }
}

fn viewer_of(words: &Words) -> Viewer {
    Viewer {
        user: words.user.into(),
        group: Group::Admins,
        may_decide: true,
        waiting: 0,
    }
}

fn seconds_ago(seconds: i64) -> Moment {
    Moment {
        at: Timestamp::from_millis(NOW - seconds * 1000),
        now: Timestamp::from_millis(NOW),
    }
}

fn pending(words: &Words) -> Pending {
    Pending {
        app: words.app.into(),
        user_token: "r3Qvexample-request-token".into(),
        asked_from: words.address.into(),
        whence: Whence::Home,
        asked: seconds_ago(14),
    }
}

fn sign_ins(words: &Words, pages: &mut Pages) {
    let site = site_of(words);
    let plain = SignIn {
        shell: site.door(),
        site,
        purpose: Purpose::Printer,
        user: UserField::Free {
            typed: String::new(),
        },
        remember: false,
        redirect: String::new(),
        problem: None,
    };
    let app = || Some(words.app.to_owned());
    let typed = || UserField::Free {
        typed: words.user.into(),
    };
    let fixed = || UserField::Fixed {
        name: words.user.into(),
    };
    let deciding = SignIn {
        purpose: Purpose::Decide { app: app() },
        redirect: words.redirect.into(),
        ..plain.clone()
    };
    add(pages, "sign-in", &plain);
    add(
        pages,
        "sign-in-wrong",
        &SignIn {
            user: typed(),
            remember: true,
            problem: Some(SignInProblem::WrongPair),
            ..plain.clone()
        },
    );
    for (name, problem) in [
        ("too-many", SignInProblem::TooMany { minutes: 7 }),
        ("stale", SignInProblem::Stale),
    ] {
        let page = SignIn {
            user: typed(),
            problem: Some(problem),
            ..plain.clone()
        };
        add(pages, &format!("sign-in-{name}"), &page);
    }
    add(pages, "sign-in-decide", &deciding);
    add(
        pages,
        "sign-in-may-not",
        &SignIn {
            problem: Some(SignInProblem::MayNot {
                user: words.user.into(),
            }),
            ..deciding.clone()
        },
    );
    add(
        pages,
        "sign-in-fixed",
        &SignIn {
            purpose: Purpose::Decide { app: None },
            user: fixed(),
            ..deciding.clone()
        },
    );
    add(
        pages,
        "sign-in-again-decide",
        &SignIn {
            purpose: Purpose::DecideFresh { app: app() },
            user: fixed(),
            ..deciding
        },
    );
    add(
        pages,
        "sign-in-again",
        &SignIn {
            purpose: Purpose::Fresh {
                back: "/latchkey/keys".into(),
            },
            user: fixed(),
            ..plain
        },
    );
}

fn decisions(words: &Words, pages: &mut Pages) {
    let site = site_of(words);
    let decide = Decide {
        shell: site.door(),
        site: site.clone(),
        pending: pending(words),
        user: words.user.into(),
        group: Group::Admins,
        by_name: false,
        target: None,
        target_refused: false,
    };
    add(pages, "decide", &decide);
    let target = Target::read(words.redirect);
    let long = Pending {
        app: words.other_app.into(),
        asked_from: "2001:db8:85a3:8d3:1319:8a2e:370:7348".into(),
        whence: Whence::Outside,
        ..pending(words)
    };
    add(
        pages,
        "decide-target",
        &Decide {
            pending: long,
            group: Group::Users,
            by_name: true,
            target: target.clone(),
            ..decide.clone()
        },
    );
    add(
        pages,
        "decide-refused-target",
        &Decide {
            target_refused: true,
            ..decide
        },
    );
    let app = || words.app.to_owned();
    let decided = |outcome, target| Decided {
        shell: site.door(),
        site: site.clone(),
        outcome,
        user: Some(words.user.into()),
        target,
    };
    add(
        pages,
        "allowed",
        &decided(
            Outcome::Allowed {
                app: app(),
                access: Access::Full,
            },
            None,
        ),
    );
    add(
        pages,
        "allowed-target",
        &decided(
            Outcome::Allowed {
                app: app(),
                access: Access::View,
            },
            target,
        ),
    );
    add(
        pages,
        "denied",
        &decided(Outcome::Denied { app: app() }, None),
    );
    let blocked = Outcome::Blocked {
        app: app(),
        address: words.address.into(),
    };
    add(pages, "blocked", &decided(blocked, None));
    add(
        pages,
        "gone",
        &Decided {
            user: None,
            ..decided(Outcome::Gone, None)
        },
    );
}

fn homes(words: &Words, pages: &mut Pages) {
    let (site, viewer) = (site_of(words), viewer_of(words));
    let upstream = |answers| Upstream {
        kind: "OctoPrint".into(),
        answers,
    };
    let relay = || words.relay.to_owned();
    let printing = Printer {
        state: PrinterState::Printing,
        job: Some(Job {
            file: words.file.into(),
            percent: Some(62.4),
            left: Some(std::time::Duration::from_secs(4300)),
            layer: Some((348, 561)),
        }),
        nozzle: Some(Temperature {
            actual: 214.8,
            target: 215.0,
        }),
        bed: Some(Temperature {
            actual: 60.1,
            target: 60.0,
        }),
    };
    let home = Home {
        shell: viewer.bar(&site, Tab::Printer),
        site: site.clone(),
        viewer: viewer.clone(),
        upstream: upstream(true),
        relay: RelayLink::Connected { relay: relay() },
        printer: Some(printing),
        camera: Some(Camera {
            url: "/webcam/?action=stream".into(),
        }),
        pending: Vec::new(),
        version: "0.1.0",
    };
    add(pages, "home", &home);
    let waiting = Viewer {
        waiting: 2,
        ..viewer.clone()
    };
    let second = Pending {
        app: words.other_app.into(),
        user_token: "second-token".into(),
        ..pending(words)
    };
    add(
        pages,
        "home-pending",
        &Home {
            shell: waiting.bar(&site, Tab::Printer),
            pending: vec![pending(words), second],
            relay: RelayLink::Away { relay: relay() },
            ..home.clone()
        },
    );
    let idle = Printer {
        state: PrinterState::Ready,
        job: None,
        nozzle: Some(Temperature {
            actual: 22.4,
            target: 0.0,
        }),
        bed: None,
    };
    add(
        pages,
        "home-idle",
        &Home {
            printer: Some(idle),
            relay: RelayLink::NotPaired,
            ..home.clone()
        },
    );
    let reader = Viewer {
        group: Group::ReadOnly,
        may_decide: false,
        ..viewer
    };
    add(
        pages,
        "home-unheard",
        &Home {
            shell: reader.bar(&site, Tab::Printer),
            viewer: reader,
            upstream: upstream(false),
            printer: None,
            camera: None,
            ..home
        },
    );
}

fn key(words: &Words, id: &str, app: &str, access: Access) -> Key {
    Key {
        id: id.into(),
        app: app.into(),
        user: words.user.into(),
        access,
        created: seconds_ago(60 * 86_400),
        used: Some(Used {
            at: seconds_ago(190),
            from: words.address.into(),
        }),
        requests: 12_345,
    }
}

fn keys(words: &Words, pages: &mut Pages) {
    let (site, viewer) = (site_of(words), viewer_of(words));
    let list = vec![
        key(words, "k1", words.app, Access::Full),
        key(words, "k2", "Print Tally", Access::View),
        Key {
            created: seconds_ago(3),
            used: None,
            requests: 0,
            ..key(words, "k3", "Workshop dashboard", Access::View)
        },
        Key {
            created: seconds_ago(400 * 86_400),
            used: Some(Used {
                at: seconds_ago(210 * 86_400),
                from: words.address.into(),
            }),
            requests: 1,
            ..key(words, "k4", words.other_app, Access::Full)
        },
    ];
    let mine = Keys {
        shell: viewer.bar(&site, Tab::Keys),
        site: site.clone(),
        viewer: viewer.clone(),
        whose: Whose::Mine,
        everyone: Some(9),
        keys: list.clone(),
        pending: Vec::new(),
        shown: None,
        revoked: None,
        form: KeyForm::default(),
    };
    add(pages, "keys", &mine);
    for (name, how) in [
        ("new", ShownHow::New),
        ("was-there", ShownHow::WasThere),
        ("asked-for", ShownHow::AskedFor),
    ] {
        let shown = ShownKey {
            app: "Workshop dashboard".into(),
            key: "7Qm2vXc9TgRz4LwY8HdKpN3sB6fJ1aUe-EXAMPLE-000".into(),
            how,
        };
        add(
            pages,
            &format!("keys-{name}"),
            &Keys {
                shown: Some(shown),
                ..mine.clone()
            },
        );
    }
    add(
        pages,
        "keys-empty",
        &Keys {
            keys: Vec::new(),
            everyone: None,
            pending: vec![pending(words)],
            ..mine.clone()
        },
    );
    for (name, problem) in [
        ("nameless", KeyProblem::NameMissing),
        ("long-name", KeyProblem::NameTooLong),
    ] {
        let form = KeyForm {
            app: words.app.into(),
            access: Access::Full,
            problem: Some(problem),
        };
        add(
            pages,
            &format!("keys-{name}"),
            &Keys {
                form,
                ..mine.clone()
            },
        );
    }
    add(
        pages,
        "keys-all",
        &Keys {
            whose: Whose::Everyone,
            revoked: Some(words.app.into()),
            ..mine
        },
    );
    for (name, key, whose) in [
        ("revoke", list[0].clone(), Whose::Mine),
        ("revoke-other", list[2].clone(), Whose::Everyone),
    ] {
        let page = RevokeKey {
            shell: viewer.bar(&site, Tab::Keys),
            site: site.clone(),
            viewer: viewer.clone(),
            key,
            whose,
        };
        add(pages, name, &page);
    }
}

fn user(name: &str, group: Group) -> UserRow {
    UserRow {
        name: name.into(),
        group,
        active: true,
        keys: 2,
        seen: Some(seconds_ago(7200)),
    }
}

fn users(words: &Words, pages: &mut Pages) {
    let (site, viewer) = (site_of(words), viewer_of(words));
    let other = UserRow {
        keys: 1,
        ..user("ruaridh/../?#", Group::Users)
    };
    let rows = vec![
        user(words.user, Group::Admins),
        other.clone(),
        UserRow {
            active: false,
            seen: None,
            keys: 0,
            ..user("workshop tablet", Group::ReadOnly)
        },
    ];
    let list = Users {
        shell: viewer.bar(&site, Tab::Users),
        site: site.clone(),
        viewer: viewer.clone(),
        users: rows.clone(),
        form: NewUser::default(),
        done: None,
    };
    add(pages, "users", &list);
    let name = || words.user.to_owned();
    for (page, done) in [
        ("added", UserDone::Added { name: name() }),
        ("removed", UserDone::Removed { name: name() }),
    ] {
        add(
            pages,
            &format!("users-{page}"),
            &Users {
                done: Some(done),
                ..list.clone()
            },
        );
    }
    for (page, problem) in [
        ("nameless", UserProblem::NameMissing),
        ("taken", UserProblem::NameTaken),
        ("unfit", UserProblem::NameUnfit),
        ("short", UserProblem::PasswordTooShort { least: 8 }),
        ("long", UserProblem::PasswordTooLong { most: 1024 }),
    ] {
        let form = NewUser {
            name: name(),
            group: Group::ReadOnly,
            problem: Some(problem),
        };
        add(
            pages,
            &format!("users-{page}"),
            &Users {
                form,
                ..list.clone()
            },
        );
    }
    let one = UserPage {
        shell: viewer.bar(&site, Tab::Users),
        site: site.clone(),
        viewer: viewer.clone(),
        user: other.clone(),
        problem: None,
        changed: None,
    };
    add(pages, "user", &one);
    add(
        pages,
        "user-self",
        &UserPage {
            user: rows[0].clone(),
            problem: Some(UserProblem::LastAdmin),
            ..one.clone()
        },
    );
    add(
        pages,
        "user-inactive",
        &UserPage {
            user: rows[2].clone(),
            changed: Some(UserChange::Deactivated),
            ..one.clone()
        },
    );
    add(
        pages,
        "user-short",
        &UserPage {
            problem: Some(UserProblem::PasswordTooShort { least: 8 }),
            ..one.clone()
        },
    );
    for (page, changed) in [
        ("group", UserChange::Group),
        ("password", UserChange::Password),
        ("activated", UserChange::Activated),
    ] {
        add(
            pages,
            &format!("user-{page}"),
            &UserPage {
                changed: Some(changed),
                ..one.clone()
            },
        );
    }
    for (page, end, user, problem) in [
        ("user-remove", End::Remove, other.clone(), None),
        ("user-deactivate", End::Deactivate, other, None),
        (
            "user-remove-last",
            End::Remove,
            rows[0].clone(),
            Some(UserProblem::LastAdmin),
        ),
    ] {
        let shell = viewer.bar(&site, Tab::Users);
        let page_of = EndUser {
            shell,
            site: site.clone(),
            viewer: viewer.clone(),
            user,
            end,
            problem,
        };
        add(pages, page, &page_of);
    }
}

fn accounts(words: &Words, pages: &mut Pages) {
    let (site, viewer) = (site_of(words), viewer_of(words));
    let session = |id: &str, device: &str, seconds| SignedIn {
        id: id.into(),
        device: device.into(),
        from: words.address.into(),
        seen: seconds_ago(seconds),
        this_one: false,
        remembered: false,
    };
    let account = AccountPage {
        shell: viewer.bar(&site, Tab::Account),
        site,
        viewer,
        sessions: vec![
            SignedIn {
                this_one: true,
                ..session("s1", words.device, 2)
            },
            SignedIn {
                remembered: true,
                ..session("s2", "Safari on iPhone", 7200)
            },
            session("s3", "Another browser", 3 * 86_400),
        ],
        problem: None,
        done: None,
    };
    add(pages, "account", &account);
    for (page, problem) in [
        ("old-wrong", PasswordProblem::OldWrong),
        ("short", PasswordProblem::TooShort { least: 8 }),
        ("long", PasswordProblem::TooLong { most: 1024 }),
        ("differ", PasswordProblem::Differ),
        ("too-many", PasswordProblem::TooMany { minutes: 9 }),
    ] {
        add(
            pages,
            &format!("account-{page}"),
            &AccountPage {
                problem: Some(problem),
                ..account.clone()
            },
        );
    }
    for (page, done) in [
        ("changed", AccountDone::PasswordChanged),
        ("session-ended", AccountDone::SessionEnded),
    ] {
        add(
            pages,
            &format!("account-{page}"),
            &AccountPage {
                done: Some(done),
                ..account.clone()
            },
        );
    }
}

fn setups(words: &Words, pages: &mut Pages) {
    let site = site_of(words);
    let setup = |state| Setup {
        shell: site.door(),
        site: site.clone(),
        state,
    };
    add(
        pages,
        "setup",
        &setup(SetupState::Asking(SetupForm::default())),
    );
    for (page, problem) in [
        ("code", SetupProblem::CodeWrong),
        ("too-many", SetupProblem::TooMany { minutes: 10 }),
        ("nameless", SetupProblem::NameMissing),
        ("unfit", SetupProblem::NameUnfit),
        ("short", SetupProblem::PasswordTooShort { least: 8 }),
        ("long", SetupProblem::PasswordTooLong { most: 1024 }),
        ("differ", SetupProblem::Differ),
    ] {
        let form = SetupForm {
            code: "KQ7F-M2XN".into(),
            name: words.user.into(),
            problem: Some(problem),
        };
        add(
            pages,
            &format!("setup-{page}"),
            &setup(SetupState::Asking(form)),
        );
    }
    add(pages, "setup-outside", &setup(SetupState::NotFromHere));
    add(pages, "setup-done", &setup(SetupState::Done));
}

#[cfg(test)]
mod tests;
