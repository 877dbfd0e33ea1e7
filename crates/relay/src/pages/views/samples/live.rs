//! Live links, and what happened at printers.

use latchkey_model::activity::Did;
use latchkey_model::printing::EventKind;

use super::{Pages, Words, seconds_ago};
use crate::pages::views::{
    ActivityDay, ActivityLine, ActivityPage, ActivityWhat, DataUsed, DayUsed, LiveEnds, LiveGone,
    LiveLinkCard, LiveOver, LivePage, Now, NowHeat, NowJob, ShareLive, ShareTold, Tab, Word,
};

const ID: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567ABCDEFGHIJKLMNOPQRST";
const LINK: &str = "abcdefghijklmnopqrst";

pub(super) fn printing(words: &Words) -> Now {
    Now {
        word: Word::Printing,
        message: None,
        job: Some(NowJob {
            file: words.printer.into(),
            percent: Some(62),
            left: Some("1 h 12 min left".into()),
            layer: Some("348 of 561".into()),
            started: Some(seconds_ago(7_000)),
            done: Some(seconds_ago(-4_320)),
        }),
        heats: vec![
            NowHeat {
                part: "Nozzle",
                value: "215 of 215 \u{b0}C".into(),
            },
            NowHeat {
                part: "Bed",
                value: "60 of 60 \u{b0}C".into(),
            },
        ],
        has_picture: true,
    }
}

pub(super) fn paused(words: &Words) -> Now {
    Now {
        word: Word::Paused,
        message: Some(words.app.into()),
        ..printing(words)
    }
}

pub(super) fn data() -> DataUsed {
    let day = |number: u64| DayUsed {
        sent: number * 97_000_000,
        camera: number * 60_000_000,
        received: number * 9_000_000,
    };
    let days: Vec<_> = (1..=14).map(|number| day(number * 5 % 13)).collect();
    DataUsed::of(&days, |ago| format!("{ago} days ago"))
}

pub(super) fn lines(words: &Words, with_printer: bool) -> Vec<ActivityLine> {
    let line = |what| ActivityLine {
        at: seconds_ago(180),
        printer: with_printer.then(|| (ID.to_owned(), words.printer.to_owned())),
        what,
    };
    let did = |did, name: &str, times, bytes, by: bool| {
        line(ActivityWhat::Did {
            did,
            app: words.app.into(),
            name: name.to_owned(),
            by: by.then(|| words.email.to_owned()),
            times,
            bytes,
        })
    };
    let mut lines = Vec::new();
    for &kind in Did::ALL {
        lines.push(did(kind, words.network, 1, 18_000_000, false));
        lines.push(did(kind, "", 412, 0, true));
    }
    for &kind in EventKind::ALL {
        lines.push(line(ActivityWhat::Event {
            kind,
            file: Some(words.printer.into()),
            message: Some(words.app.into()),
            away: Some("4 minutes".into()),
        }));
        lines.push(line(ActivityWhat::Event {
            kind,
            file: None,
            message: None,
            away: None,
        }));
    }
    lines
}

pub(super) fn add(words: &Words, pages: &mut Pages) {
    watch(words, pages);
    share(words, pages);
    let shell = words.viewer().bar(&words.site(), Tab::Activity);
    let activity = ActivityPage {
        shell,
        site: words.site(),
        days: vec![
            ActivityDay {
                title: "Today".into(),
                lines: lines(words, true),
            },
            ActivityDay {
                title: "2 October 2025".into(),
                lines: lines(words, true),
            },
        ],
        older: Some(1),
        is_later: true,
    };
    pages.add("activity", &activity);
    for (name, is_later) in [("new", false), ("old", true)] {
        let empty = ActivityPage {
            days: Vec::new(),
            older: None,
            is_later,
            ..activity.clone()
        };
        pages.add(&format!("activity-empty-{name}"), &empty);
    }
}

fn watch(words: &Words, pages: &mut Pages) {
    let live = LivePage {
        shell: LivePage::bar(words.relay),
        path: "/live/abcdefghijklmnopqrstuvwxyz".into(),
        printer: words.printer.into(),
        now: printing(words),
        has_place: true,
        ends: LiveEnds::WithPrint(seconds_ago(-80_000)),
    };
    pages.add("live", &live);
    let full = LivePage {
        has_place: false,
        now: paused(words),
        ends: LiveEnds::At(seconds_ago(-7_200)),
        ..live.clone()
    };
    pages.add("live-full", &full);
    for (name, is_here) in [("offline", false), ("online", true)] {
        let page = LivePage {
            now: Now::unknown(is_here),
            ..live.clone()
        };
        pages.add(&format!("live-{name}"), &page);
    }
    let over = LiveOver {
        shell: LivePage::bar(words.relay),
        printer: words.printer.into(),
        file: Some(words.app.into()),
        complete: Some(true),
        at: seconds_ago(1_200),
        seconds: Some(9_000),
    };
    pages.add("live-over", &over);
    for (name, complete) in [("failed", Some(false)), ("unseen", None)] {
        let page = LiveOver {
            complete,
            file: None,
            seconds: None,
            ..over.clone()
        };
        pages.add(&format!("live-over-{name}"), &page);
    }
    let gone = LiveGone {
        shell: LivePage::bar(words.relay),
    };
    pages.add("live-gone", &gone);
}

fn share(words: &Words, pages: &mut Pages) {
    let card = LiveLinkCard {
        id: LINK.into(),
        url: "https://relay.example.net/live/abcdefghijklmnopqrstuvwxyz".into(),
        app: None,
        made: seconds_ago(600),
        with_print: true,
        hours: 300,
        viewers: 2,
    };
    let page = ShareLive {
        shell: words.viewer().bar(&words.site(), Tab::Printers),
        site: words.site(),
        id: ID.into(),
        name: words.printer.into(),
        has_print: true,
        links: vec![
            card.clone(),
            LiveLinkCard {
                app: Some(words.app.into()),
                with_print: false,
                viewers: 0,
                ..card.clone()
            },
            LiveLinkCard {
                with_print: false,
                hours: 1,
                viewers: 1,
                ..card
            },
        ],
        told: None,
    };
    pages.add("share-live", &page);
    for (name, told) in [
        ("made", ShareTold::Made),
        ("ended", ShareTold::Revoked),
        ("no-print", ShareTold::NoPrint),
        ("full", ShareTold::TooMany),
    ] {
        let told = ShareLive {
            told: Some(told),
            has_print: false,
            links: Vec::new(),
            ..page.clone()
        };
        pages.add(&format!("share-live-{name}"), &told);
    }
}
