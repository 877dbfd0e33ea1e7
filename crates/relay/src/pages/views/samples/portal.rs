//! The portal.

use latchkey_model::access::KeyScope;

use super::{Pages, Words, seconds_ago};
use crate::pages::views::{
    AllowProblem, AppStanding, ChooseProblem, EndedWhy, PortalAdd, PortalAllow, PortalApp,
    PortalChoose, PortalComplete, PortalDone, PortalEnded, PortalFault, PortalKey, PortalNoPlan,
    PortalPrinter, PortalRefused, PortalTarget, PortalWelcome, TargetPlace,
};

const ADDRESS: &str = "fieldglass://connected?success=true&id=x";
const REQUEST: &str = "appId=fieldglass&returnUrl=fieldglass://connected";

pub(super) fn add(words: &Words, pages: &mut Pages) {
    welcome(words, pages);
    choose(words, pages);
    allow(words, pages);
    last(words, pages);
    refused(words, pages);
}

fn verified(words: &Words) -> PortalApp {
    PortalApp {
        name: words.app.into(),
        standing: AppStanding::Verified,
        logo: Some("/latchkey/assets/favicon.svg".into()),
        developer: Some(words.app.into()),
        website: Some("northlight.example".into()),
        imitates: None,
        key_name: None,
    }
}

fn unverified(words: &Words) -> PortalApp {
    PortalApp {
        standing: AppStanding::Unverified,
        logo: None,
        developer: None,
        website: None,
        key_name: Some(words.app.into()),
        ..verified(words)
    }
}

fn imitating(words: &Words) -> PortalApp {
    PortalApp {
        imitates: Some(words.app.into()),
        ..unverified(words)
    }
}

fn trial(words: &Words) -> PortalApp {
    PortalApp {
        standing: AppStanding::Trial,
        ..unverified(words)
    }
}

fn target(words: &Words, place: TargetPlace) -> PortalTarget {
    PortalTarget {
        shown: (place != TargetPlace::Here).then(|| words.relay.into()),
        place,
    }
}

fn welcome(words: &Words, pages: &mut Pages) {
    for (name, app, place, signed_in) in [
        ("welcome", verified(words), TargetPlace::App, false),
        (
            "welcome-signed-in",
            verified(words),
            TargetPlace::Here,
            true,
        ),
        (
            "welcome-unverified",
            unverified(words),
            TargetPlace::Neighbour,
            true,
        ),
        (
            "welcome-imitating",
            imitating(words),
            TargetPlace::Web,
            false,
        ),
        ("welcome-trial", trial(words), TargetPlace::Device, false),
    ] {
        let page = PortalWelcome {
            shell: words.site().door(),
            site: words.site(),
            app,
            target: target(words, place),
            request: REQUEST.into(),
            signed_in,
        };
        pages.add(&format!("portal-{name}"), &page);
    }
}

fn choose(words: &Words, pages: &mut Pages) {
    let printer = PortalPrinter {
        id: "A".repeat(48),
        name: words.printer.into(),
        online: true,
        last_seen: Some(seconds_ago(3)),
        shared: false,
        wanted: true,
        chosen: true,
    };
    let others = [
        PortalPrinter {
            shared: true,
            wanted: false,
            chosen: false,
            ..printer.clone()
        },
        PortalPrinter {
            online: false,
            wanted: false,
            chosen: false,
            last_seen: Some(seconds_ago(300_000)),
            ..printer.clone()
        },
    ];
    let page = PortalChoose {
        shell: words.site().door(),
        site: words.site(),
        app: verified(words),
        request: REQUEST.into(),
        printers: std::iter::once(printer).chain(others).collect(),
        add: "/pair?then=/appportal/v1/printer".into(),
        problem: None,
    };
    pages.add("portal-choose", &page);
    for (name, problem) in [
        ("nothing", ChooseProblem::Nothing),
        ("gone", ChooseProblem::Gone),
    ] {
        let page = PortalChoose {
            app: unverified(words),
            problem: Some(problem),
            ..page.clone()
        };
        pages.add(&format!("portal-choose-{name}"), &page);
    }
    for (name, choose, moonraker) in [
        ("add", None, false),
        ("add-wanted", Some("/appportal/v1/printer".into()), true),
    ] {
        let page = PortalAdd {
            shell: words.site().door(),
            site: words.site(),
            address: words.relay.into(),
            app: unverified(words),
            request: REQUEST.into(),
            add: "/pair?then=/appportal/v1/printer".into(),
            choose,
            moonraker,
        };
        pages.add(&format!("portal-{name}"), &page);
    }
}

fn allow(words: &Words, pages: &mut Pages) {
    let page = PortalAllow {
        shell: words.site().door(),
        site: words.site(),
        app: verified(words),
        target: target(words, TargetPlace::App),
        request: REQUEST.into(),
        once: "abcdefghijklmnopqrstuv".into(),
        printer_id: "A".repeat(48),
        printer: words.printer.into(),
        only_watching: false,
        scope: KeyScope::Full,
        with_key: false,
        hostname_only: false,
        problem: None,
        choose: "/appportal/v1/printer".into(),
    };
    pages.add("portal-allow", &page);
    let unverified = PortalAllow {
        app: unverified(words),
        target: target(words, TargetPlace::Neighbour),
        scope: KeyScope::View,
        with_key: true,
        hostname_only: true,
        problem: Some(AllowProblem::NotSure),
        ..page.clone()
    };
    pages.add("portal-allow-unverified", &unverified);
    let imitating = PortalAllow {
        app: imitating(words),
        target: target(words, TargetPlace::Web),
        ..page.clone()
    };
    pages.add("portal-allow-imitating", &imitating);
    let lowered = PortalAllow {
        only_watching: true,
        scope: KeyScope::View,
        problem: Some(AllowProblem::Lowered),
        ..page.clone()
    };
    pages.add("portal-allow-lowered", &lowered);
    let changed = PortalAllow {
        problem: Some(AllowProblem::Changed),
        ..page
    };
    pages.add("portal-allow-changed", &changed);
}

fn last(words: &Words, pages: &mut Pages) {
    for (name, app, key) in [
        ("done", verified(words), PortalKey::None),
        ("done-key", unverified(words), PortalKey::Made),
        ("done-without-key", unverified(words), PortalKey::Failed),
    ] {
        let page = PortalDone {
            shell: words.site().door(),
            site: words.site(),
            app,
            printer: words.printer.into(),
            manage: "/printers/A".into(),
            address: ADDRESS.into(),
            key,
        };
        pages.add(&format!("portal-{name}"), &page);
    }
    for (name, app, why) in [
        ("cancelled", verified(words), EndedWhy::Cancelled),
        ("denied", unverified(words), EndedWhy::Denied),
        ("not-entitled", verified(words), EndedWhy::NoPlan),
        ("full", verified(words), EndedWhy::Full),
        ("trouble", verified(words), EndedWhy::Trouble),
    ] {
        let page = PortalEnded {
            shell: words.site().door(),
            site: words.site(),
            app,
            address: "fieldglass://connected?success=false".into(),
            why,
            signed_in: why != EndedWhy::Cancelled,
        };
        pages.add(&format!("portal-{name}"), &page);
    }
    for (name, app, entitled) in [
        ("no-plan", Some(words.app.into()), Some(false)),
        ("no-plan-nobody", None, None),
        ("no-plan-after-all", Some(words.app.into()), Some(true)),
    ] {
        let page = PortalNoPlan {
            shell: words.site().door(),
            site: words.site(),
            app,
            entitled,
        };
        pages.add(&format!("portal-{name}"), &page);
    }
    for (name, success) in [("complete", true), ("complete-not", false)] {
        let page = PortalComplete {
            shell: words.site().door(),
            site: words.site(),
            success,
        };
        pages.add(&format!("portal-{name}"), &page);
    }
}

fn refused(words: &Words, pages: &mut Pages) {
    for (name, why) in [
        ("no-app", PortalFault::NoApp),
        ("app", PortalFault::App),
        (
            "target",
            PortalFault::Target("it has a user name in it".into()),
        ),
        ("other-target", PortalFault::OtherTarget),
        ("unregistered", PortalFault::Unregistered),
        ("code", PortalFault::Code),
        ("too-long", PortalFault::TooLong),
        ("gone", PortalFault::Gone),
    ] {
        let page = PortalRefused {
            shell: words.site().door(),
            site: words.site(),
            why,
        };
        pages.add(&format!("portal-refused-{name}"), &page);
    }
}
