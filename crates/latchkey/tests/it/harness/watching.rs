//! A host whose relay is the test: what it tells of its printer is read line by line.

use latchkey_model::printing::{EventKind, News, PrinterEvent, PrinterState, Report};
use latchkey_net::tunnel::Lines;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::asking_relay::AskingRelay;
use super::stack::{Process, free_address};
use super::within;

/// A host alone, whose relay is the test.
pub(crate) struct Alone {
    _folder: TempDir,
    pub(crate) relay: AskingRelay,
    pub(crate) host: Process,
}

impl Alone {
    pub(crate) async fn start(upstream: &Value, key: &str, printing: &str) -> Self {
        let folder = TempDir::with_prefix("latchkey-watching-").unwrap();
        let relay = AskingRelay::start().await;
        let config = json!({
            "listen": free_address(),
            "status_listen": null,
            "announce": false,
            "data": "host",
            "authority": "upstream",
            "upstream": upstream,
            "relay": {"url": relay.url(), "printing": printing},
        });
        std::fs::write(folder.path().join("upstream.key"), key).unwrap();
        std::fs::write(folder.path().join("host.yaml"), config.to_string()).unwrap();
        let mut host = Process::new("host", folder.path());
        host.start();
        Self {
            _folder: folder,
            relay,
            host,
        }
    }
}

pub(crate) async fn news(lines: &mut Lines) -> News {
    let line = within("a line", lines.next()).await.unwrap().unwrap();
    serde_json::from_slice::<Report>(&line).unwrap().news
}

pub(crate) async fn state(
    lines: &mut Lines,
    wanted: impl Fn(&PrinterState) -> bool,
) -> PrinterState {
    loop {
        match news(lines).await {
            News::State(state) if wanted(&state) => return state,
            _ => {}
        }
    }
}

/// The next event; states in between are passed over.
pub(crate) async fn event(lines: &mut Lines) -> PrinterEvent {
    loop {
        if let News::Event(event) = news(lines).await {
            return event.event;
        }
    }
}

/// The events up to the one of this kind.
pub(crate) async fn events_until(lines: &mut Lines, last: EventKind) -> Vec<PrinterEvent> {
    let mut events = vec![event(lines).await];
    while events.last().is_some_and(|event| event.kind != last) {
        events.push(event(lines).await);
    }
    events
}
