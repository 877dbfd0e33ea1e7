//! The relay.

use super::{Pages, Words, seconds_ago};
use crate::pages::views::{
    CodeEnd, RelayCode, RelayPage, RelayProblem, RelayStanding, Tab, Unpair,
};

pub(super) fn add(words: &Words, pages: &mut Pages) {
    let (site, viewer) = (words.site(), words.viewer());
    let relay = || words.relay.to_owned();
    let none = RelayPage {
        shell: viewer.bar(&site, Tab::Relay),
        site: site.clone(),
        viewer: viewer.clone(),
        standing: RelayStanding::None,
        account: None,
        confirmed: None,
        printer: None,
        by: None,
        code: None,
        ended: None,
        url: String::new(),
        configured: false,
        problem: None,
    };
    pages.add("relay", &none);
    let paired = RelayPage {
        standing: RelayStanding::Connected {
            relay: relay(),
            connections: 2,
            minutes: 12,
        },
        account: Some(words.user.into()),
        confirmed: Some(seconds_ago(4000)),
        printer: Some(words.printer.into()),
        by: Some(words.user.into()),
        ended: Some(CodeEnd::Confirmed),
        url: words.redirect.into(),
        configured: true,
        ..none.clone()
    };
    pages.add("relay-connected", &paired);
    for (name, standing, ended, problem) in [
        (
            "unpaired",
            RelayStanding::Unpaired { relay: relay() },
            CodeEnd::Expired,
            RelayProblem::Address,
        ),
        (
            "away",
            RelayStanding::Away {
                relay: relay(),
                why: Some(words.file.into()),
            },
            CodeEnd::Refused,
            RelayProblem::Declined(words.file.into()),
        ),
        (
            "not-kept",
            RelayStanding::None,
            CodeEnd::NotKept,
            RelayProblem::Address,
        ),
    ] {
        let page = RelayPage {
            standing,
            ended: Some(ended),
            problem: Some(problem),
            ..paired.clone()
        };
        pages.add(&format!("relay-{name}"), &page);
    }
    code(words, none, pages);
    let unpair = Unpair {
        shell: viewer.bar(&site, Tab::Relay),
        site,
        viewer,
        relay: relay(),
    };
    pages.add("relay-unpair", &unpair);
}

fn code(words: &Words, none: RelayPage, pages: &mut Pages) {
    let link = "https://relay.example.net/pair?code=KQTF-MXXN";
    let code = RelayPage {
        code: Some(RelayCode {
            relay: words.relay.into(),
            code: "KQTF-MXXN".into(),
            link: link.into(),
            page: "https://relay.example.net/pair".into(),
            picture: latchkey_web::qr::Qr::of(link).map(|qr| qr.svg("The link as a picture")),
            minutes: 14,
            seconds: 2,
        }),
        ..none
    };
    pages.add("relay-code", &code);
}
