use std::time::Duration;

use latchkey_web::landing::{RelayLink, Upstream};

use super::{Pages, Words};
use crate::pages::views::{
    Camera, Group, Home, Job, Pending, Printer, PrinterState, Tab, Temperature, Viewer,
};

pub(super) fn add(words: &Words, pages: &mut Pages) {
    let home = home(words);
    pages.add("home", &home);
    pages.add("home-pending", &pending(words, &home));
    for (name, state) in [
        ("paused", PrinterState::Paused),
        ("error", PrinterState::Error),
        ("offline", PrinterState::Offline),
    ] {
        let printer = Printer {
            state,
            ..printing(words)
        };
        let page = Home {
            printer: Some(printer),
            ..home.clone()
        };
        pages.add(&format!("home-{name}"), &page);
    }
    let idle = Printer {
        state: PrinterState::Ready,
        job: None,
        nozzle: Some(Temperature {
            actual: 22.4,
            target: 0.0,
        }),
        bed: None,
    };
    let page = Home {
        printer: Some(idle),
        relay: RelayLink::NotPaired,
        ..home.clone()
    };
    pages.add("home-idle", &page);
    pages.add("home-unheard", &unheard(words, home));
}

fn home(words: &Words) -> Home {
    let (site, viewer) = (words.site(), words.viewer());
    Home {
        shell: viewer.bar(&site, Tab::Printer),
        site,
        viewer,
        upstream: upstream(true),
        relay: RelayLink::Connected {
            relay: words.relay.into(),
            connections: 2,
        },
        printer: Some(printing(words)),
        camera: Some(Camera {
            url: "/webcam/?action=stream".into(),
        }),
        pending: Vec::new(),
        version: "0.1.0",
    }
}

fn upstream(answers: bool) -> Upstream {
    Upstream {
        kind: "OctoPrint".into(),
        answers,
    }
}

fn printing(words: &Words) -> Printer {
    Printer {
        state: PrinterState::Printing,
        job: Some(Job {
            file: words.file.into(),
            percent: Some(62.4),
            left: Some(Duration::from_secs(4300)),
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
    }
}

fn pending(words: &Words, home: &Home) -> Home {
    let viewer = Viewer {
        waiting: 2,
        ..words.viewer()
    };
    let second = Pending {
        app: words.other_app.into(),
        user_token: "second-token".into(),
        ..words.pending()
    };
    Home {
        shell: viewer.bar(&home.site, Tab::Printer),
        viewer,
        pending: vec![words.pending(), second],
        relay: RelayLink::Away {
            relay: words.relay.into(),
        },
        ..home.clone()
    }
}

/// For somebody who only watches, while nothing is known.
fn unheard(words: &Words, home: Home) -> Home {
    let viewer = Viewer {
        group: Group::ReadOnly,
        may_decide: false,
        ..words.viewer()
    };
    Home {
        shell: viewer.bar(&home.site, Tab::Printer),
        viewer,
        upstream: upstream(false),
        printer: None,
        camera: None,
        ..home
    }
}
