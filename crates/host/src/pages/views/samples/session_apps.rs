use latchkey_model::session_key::{PublicKeyError, Refusal, SessionScope, Unusable};

use super::{Pages, Words, seconds_ago};
use crate::pages::views::{
    AppFileProblem, AppPlace, EntryOutcome, NewSessionApp, RemoveSessionApp, SessionAppChange,
    SessionAppDone, SessionAppPage, SessionAppProblem, SessionAppRow, SessionApps, SessionKeyEntry,
    Switched, Tab,
};

const DAY: i64 = 86_400;

pub(super) fn add(words: &Words, pages: &mut Pages) {
    let list = list(words);
    pages.add("apps", &list);
    let empty = SessionApps {
        apps: Vec::new(),
        log: Vec::new(),
        problems: Vec::new(),
        ..list.clone()
    };
    pages.add("apps-empty", &empty);
    let name = || words.app.to_owned();
    for (page, done) in [
        ("registered", SessionAppDone::Registered { name: name() }),
        ("removed", SessionAppDone::Removed { name: name() }),
    ] {
        let done = SessionApps {
            done: Some(done),
            ..list.clone()
        };
        pages.add(&format!("apps-{page}"), &done);
    }
    let der = Unusable::Unreadable(PublicKeyError::Der);
    for (page, problem) in [
        ("name", SessionAppProblem::Name),
        ("taken", SessionAppProblem::NameTaken),
        ("too-many", SessionAppProblem::TooMany),
        ("keyless", SessionAppProblem::PubkeyMissing),
        ("unreadable", SessionAppProblem::Pubkey(der)),
        ("weak", SessionAppProblem::Pubkey(Unusable::Weak(512))),
        (
            "weak-admin",
            SessionAppProblem::Pubkey(Unusable::WeakAdmin(1024)),
        ),
    ] {
        let form = NewSessionApp {
            name: words.app.into(),
            pubkey: words.other_app.into(),
            scope: SessionScope::View,
            allow_weak_keys: true,
            problem: Some(problem),
        };
        let refused = SessionApps {
            form,
            ..list.clone()
        };
        pages.add(&format!("apps-{page}"), &refused);
    }
    one(words, pages);
}

fn list(words: &Words) -> SessionApps {
    let (site, viewer) = (words.site(), words.viewer());
    SessionApps {
        shell: viewer.bar(&site, Tab::Keys),
        site,
        viewer,
        keys: 9,
        apps: rows(words).to_vec(),
        problems: vec![AppFileProblem {
            file: words.file.into(),
            message: words.relay.into(),
        }],
        form: NewSessionApp::default(),
        done: None,
        log: log(words),
    }
}

/// A good one, a weak one, one that is off, one that is broken.
fn rows(words: &Words) -> [SessionAppRow; 4] {
    let good = SessionAppRow {
        name: format!("{}:2.1", words.app),
        id: words.app.into(),
        version: "2.1".into(),
        place: AppPlace::Page {
            by: words.user.into(),
            at: seconds_ago(40 * DAY),
        },
        enabled: true,
        switched: None,
        scope: SessionScope::Full,
        bits: Some(3072),
        weak: false,
        fingerprint: Some("SHA256:o2mR7xSVhkQ0c0vHj0zq3mT1e3o8Yw5bq0iVx3pJ9aM".into()),
        fault: None,
        live: 1,
        wording: "0".repeat(64),
    };
    [
        good.clone(),
        SessionAppRow {
            name: "com.example.my_octoprint_app:1.0".into(),
            id: "com.example.my_octoprint_app".into(),
            version: "1.0".into(),
            place: AppPlace::File("host.yaml".into()),
            bits: Some(512),
            weak: true,
            live: 0,
            ..good.clone()
        },
        SessionAppRow {
            version: "any".into(),
            place: AppPlace::File(words.file.into()),
            enabled: false,
            switched: Some(Switched {
                by: words.user.into(),
                at: seconds_ago(3 * DAY),
            }),
            scope: SessionScope::View,
            live: 0,
            ..good.clone()
        },
        SessionAppRow {
            id: words.other_app.into(),
            version: words.app.into(),
            scope: SessionScope::Admin,
            bits: Some(1024),
            weak: true,
            fault: Some(Unusable::WeakAdmin(1024)),
            live: 0,
            ..good
        },
    ]
}

fn log(words: &Words) -> Vec<SessionKeyEntry> {
    let entry = |seconds, outcome, requests| SessionKeyEntry {
        id: words.app.into(),
        version: "2.1".into(),
        at: seconds_ago(seconds),
        network: words.address.into(),
        outcome,
        requests,
        last: None,
    };
    vec![
        SessionKeyEntry {
            last: Some((seconds_ago(20), words.address.into())),
            ..entry(1500, EntryOutcome::Good { minutes: 95 }, 1204)
        },
        entry(1600, EntryOutcome::Refused(Refusal::Signature), 1),
        entry(4000, EntryOutcome::Refused(Refusal::Unusable), 17),
        entry(4100, EntryOutcome::Refused(Refusal::Key), 2),
        entry(2 * DAY, EntryOutcome::Ended(seconds_ago(2 * DAY - 600)), 0),
        entry(3 * DAY, EntryOutcome::Over, 0),
    ]
}

fn one(words: &Words, pages: &mut Pages) {
    let (site, viewer) = (words.site(), words.viewer());
    let [good, weak, off, broken] = rows(words);
    let page = SessionAppPage {
        shell: viewer.bar(&site, Tab::Keys),
        site: site.clone(),
        viewer: viewer.clone(),
        app: good.clone(),
        changed: None,
        log: log(words),
    };
    pages.add("app", &page);
    for (name, app, changed) in [
        ("weak", weak, Some(SessionAppChange::On)),
        ("off", off, Some(SessionAppChange::Off)),
        ("broken", broken, None),
    ] {
        let page = SessionAppPage {
            app,
            changed,
            log: Vec::new(),
            ..page.clone()
        };
        pages.add(&format!("app-{name}"), &page);
    }
    let remove = RemoveSessionApp {
        shell: viewer.bar(&site, Tab::Keys),
        site,
        viewer,
        app: good,
    };
    pages.add("app-remove", &remove);
}
