//! Pairing, and a second host with the same key.

use super::{Pages, Words, seconds_ago};
use crate::pages::views::{Pair, PairConfirm, PairEnd, PairEnding, PairProblem, SwapHost};

pub(super) fn add(words: &Words, pages: &mut Pages) {
    let pair = Pair {
        shell: words.site().door(),
        site: words.site(),
        address: words.relay.into(),
        email: words.email.into(),
        code: String::new(),
        then: String::new(),
        problem: None,
    };
    pages.add("pair", &pair);
    for (name, problem) in [
        ("no-code", PairProblem::NoCode),
        ("wrong", PairProblem::Wrong),
        ("too-many", PairProblem::TooMany { minutes: 12 }),
    ] {
        let page = Pair {
            code: words.app.into(),
            then: "/appportal/v1?appid=fieldglass".into(),
            problem: Some(problem),
            ..pair.clone()
        };
        pages.add(&format!("pair-{name}"), &page);
    }
    let confirm = PairConfirm {
        shell: words.site().door(),
        site: words.site(),
        email: words.email.into(),
        code: "KQTF-MXXN".into(),
        host_name: words.printer.into(),
        network: "203.0.113.0/24".into(),
        same_network: true,
        asked: seconds_ago(14),
        again: None,
        name: words.printer.into(),
        name_wrong: false,
        then: "/appportal/v1?appid=fieldglass".into(),
    };
    pages.add("pair-confirm", &confirm);
    let again = PairConfirm {
        same_network: false,
        again: Some(words.printer.into()),
        name_wrong: true,
        then: String::new(),
        ..confirm
    };
    pages.add("pair-confirm-again", &again);
    for (name, ending) in [
        ("refused", PairEnding::Refused),
        ("taken", PairEnding::Taken),
        ("full", PairEnding::Full { most: 1 }),
        ("full-of-several", PairEnding::Full { most: 3 }),
    ] {
        let page = PairEnd {
            shell: words.site().door(),
            site: words.site(),
            email: words.email.into(),
            then: "/printers".into(),
            ending,
        };
        pages.add(&format!("pair-{name}"), &page);
    }
    let viewer = words.viewer();
    let swap = SwapHost {
        shell: viewer.bar(&words.site(), crate::pages::views::Tab::Printers),
        site: words.site(),
        printer_id: "A".repeat(52),
        printer: words.printer.into(),
        network: Some("203.0.113.0/24".into()),
        copy: Some((seconds_ago(30), "198.51.100.0/24".into())),
    };
    pages.add("swap-host", &swap);
    let over = SwapHost {
        network: None,
        copy: None,
        ..swap
    };
    pages.add("swap-host-over", &over);
}
