//! On the way to a printer's own web interface.

use super::{Pages, Words, seconds_ago};
use crate::pages::views::{OpenPrinter, Opening};

pub(super) fn add(words: &Words, pages: &mut Pages) {
    let page = |opening, watch_only| OpenPrinter {
        shell: words.site().door(),
        site: words.site(),
        email: words.email.into(),
        id: "A".repeat(48),
        printer: words.printer.into(),
        watch_only,
        opening,
    };
    let ready = |by_itself| Opening::Ready {
        enter: "https://own-abcdefghijklmnopqrstuvwxyz.printers.example.net/latchkey/enter".into(),
        code: "lk_open_code".into(),
        by_itself,
    };
    pages.add("open", &page(ready(true), false));
    pages.add("open-watch-only", &page(ready(false), true));
    let seen = Some(seconds_ago(400));
    pages.add("open-offline", &page(Opening::Offline(seen), false));
    pages.add("open-never", &page(Opening::Offline(None), false));
    pages.add("open-rests", &page(Opening::Rests, false));
}
