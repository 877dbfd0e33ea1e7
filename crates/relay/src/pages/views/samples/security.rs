//! What guards an account beside its password.

use latchkey_model::account_notice::NoticeKind;

use super::{Pages, Words, seconds_ago};
use crate::pages::views::{
    CodeProblem, CodesOff, CodesOn, CodesSetUp, ListedNotice, ListedPasskey, RecoveryCodes,
    SecurityDone, SecurityPage, Tab,
};

const ID: &str = "abcdefghijklmnopqrst";

pub(super) fn add(words: &Words, pages: &mut Pages) {
    let shell = || words.viewer().bar(&words.site(), Tab::Account);
    let bare = SecurityPage {
        shell: shell(),
        site: words.site(),
        done: None,
        administrator: true,
        codes: None,
        passkeys_possible: true,
        full: false,
        most: 20,
        passkeys: Vec::new(),
        notices: Vec::new(),
    };
    pages.add("security-bare", &bare);
    let passkey = |used| ListedPasskey {
        id: ID.into(),
        name: words.device.into(),
        added: seconds_ago(90_000),
        used,
    };
    let full = SecurityPage {
        administrator: false,
        codes: Some(CodesOn {
            since: seconds_ago(90_000),
            recovery_codes: 2,
            of: 10,
        }),
        full: true,
        passkeys: vec![passkey(None), passkey(Some(seconds_ago(60)))],
        notices: NoticeKind::ALL
            .iter()
            .map(|kind| ListedNotice {
                at: seconds_ago(60),
                kind: *kind,
                detail: words.printer.into(),
                device: words.device.into(),
                network: words.network.into(),
            })
            .collect(),
        ..bare.clone()
    };
    pages.add("security", &full);
    let impossible = SecurityPage {
        passkeys_possible: false,
        ..bare.clone()
    };
    pages.add("security-no-passkeys", &impossible);
    for (name, done) in [
        ("off", SecurityDone::CodesOff),
        ("passkey", SecurityDone::PasskeyAdded),
        ("passkey-removed", SecurityDone::PasskeyRemoved),
        ("needed", SecurityDone::Needed),
    ] {
        let page = SecurityPage {
            done: Some(done),
            ..bare.clone()
        };
        pages.add(&format!("security-{name}"), &page);
    }
    codes(words, pages);
}

fn codes(words: &Words, pages: &mut Pages) {
    let shell = || words.viewer().bar(&words.site(), Tab::Account);
    for (name, problem) in [
        ("", None),
        ("-wrong", Some(CodeProblem::Wrong)),
        ("-too-many", Some(CodeProblem::TooMany { minutes: 3 })),
    ] {
        let page = CodesSetUp {
            shell: shell(),
            site: words.site(),
            picture: latchkey_web::qr::Qr::of(words.email).map(|qr| qr.svg(words.email)),
            groups: vec!["JBSW".into(), "Y3DP".into()],
            problem,
        };
        pages.add(&format!("codes-set-up{name}"), &page);
    }
    for (name, just_on) in [("first", true), ("again", false)] {
        let page = RecoveryCodes {
            shell: shell(),
            site: words.site(),
            just_on,
            codes: vec!["BCDF-GHJK-LMNP-QRST".into(); 10],
        };
        pages.add(&format!("recovery-codes-{name}"), &page);
    }
    let off = CodesOff {
        shell: shell(),
        site: words.site(),
    };
    pages.add("codes-off", &off);
}
