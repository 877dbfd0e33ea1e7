//! What a printer does, from its server through host and tunnel to what the relay keeps of it.

use std::collections::HashSet;
use std::net::SocketAddr;

use http::StatusCode;
use http_body_util::BodyExt as _;
use latchkey_model::printing::{Condition, EventKind, News, PrinterEvent};
use latchkey_net::tunnel::{CameraError, CameraRefusal};
use latchkey_sim::{SimConfig, SimHandle, WebcamConfig};
use serde_json::json;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tokio_util::sync::DropGuard;

use crate::harness::http::Request;
use crate::harness::stack::Stack;
use crate::harness::watching::{Alone, news, state};
use crate::harness::{eventually, within};

const KEY: &str = "sim-key-of-these-tests";

/// A simulated printer in this process, with a file of a few layers that wants other filament after
/// the second.
struct Sim {
    address: SocketAddr,
    handle: SimHandle,
    _files: TempDir,
    _end: DropGuard,
}

impl Sim {
    async fn start(speed: f64) -> Self {
        let files = TempDir::with_prefix("latchkey-events-").unwrap();
        std::fs::write(files.path().join("part.gcode"), part(true)).unwrap();
        std::fs::write(files.path().join("plain.gcode"), part(false)).unwrap();
        let sim = latchkey_sim::bind(SimConfig {
            listen: "127.0.0.1:0".parse().unwrap(),
            api_key: KEY.to_owned(),
            webcam: WebcamConfig {
                fps: 10.0,
                width: 160,
                height: 90,
                quality: 50,
            },
            speed,
            uploads_dir: Some(files.path().to_owned()),
            autoprint: None,
            ..SimConfig::default()
        });
        let sim = sim.await.unwrap();
        let (address, handle) = (sim.local_addr(), sim.handle());
        let end = CancellationToken::new();
        tokio::spawn(sim.run(end.clone()));
        Self {
            address,
            handle,
            _files: files,
            _end: end.drop_guard(),
        }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn print(&self, file: &str) {
        self.handle.start_print(Some(file)).unwrap();
    }

    async fn post(&self, path: &str, body: serde_json::Value) {
        let request = Request::post(format!("{}{path}", self.url()));
        let answer = request.header("X-Api-Key", KEY).json(&body).send().await;
        assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    }

    async fn resume(&self) {
        let body = json!({"command": "pause", "action": "resume"});
        self.post("/api/job", body).await;
    }
}

/// Ten layers of ten seconds.
fn part(changes: bool) -> String {
    let layer = |number: u32| {
        let z = 0.2 * f64::from(number + 1);
        let change = if changes && number == 1 { "M600\n" } else { "" };
        format!(
            ";LAYER:{number}\nG1 Z{z:.1} F600\nG1 X100 E5 F1200\nG1 X0 E10 F1200\nG92 E0\n{change}"
        )
    };
    let layers: String = (0..10).map(layer).collect();
    format!("G28\nG92 E0\n{layers}")
}

async fn alone(sim: &Sim, printing: &str) -> Alone {
    let upstream = json!({
        "kind": "octoprint", "url": sim.url(), "api_key_file": "upstream.key",
    });
    Alone::start(&upstream, KEY, printing).await
}

async fn stack(sim: &Sim) -> Stack {
    Stack::before(sim.url())
        .authority_host(KEY)
        .host("relay", json!({"printing": "allow"}))
        .start()
        .await
}

async fn events(stack: &Stack) -> Vec<PrinterEvent> {
    let store = stack.open_store().await;
    let kept = store.events().list_after(&stack.printer, 0, 1_000).await;
    store.close().await;
    kept.unwrap().into_iter().map(|kept| kept.event).collect()
}

fn count(events: &[PrinterEvent], kind: EventKind) -> usize {
    events.iter().filter(|event| event.kind == kind).count()
}

async fn await_event(stack: &Stack, kind: EventKind) {
    eventually("an event", async || count(&events(stack).await, kind) > 0).await;
}

#[tokio::test]
async fn a_print_is_told_from_its_beginning_to_its_end() {
    let sim = Sim::start(20.0).await;
    let mut stack = stack(&sim).await;
    stack.host.await_line("the printer is followed").await;
    sim.print("part.gcode");
    await_event(&stack, EventKind::Paused).await;
    sim.resume().await;
    await_event(&stack, EventKind::Complete).await;

    let events = events(&stack).await;
    let kinds: Vec<EventKind> = events.iter().map(|event| event.kind).collect();
    assert_eq!(kinds.first(), Some(&EventKind::Started), "{kinds:?}");
    assert_eq!(kinds.last(), Some(&EventKind::Complete), "{kinds:?}");
    for kind in [
        EventKind::Started,
        EventKind::FilamentChange,
        EventKind::Paused,
        EventKind::Resumed,
        EventKind::FirstLayer,
        EventKind::ThirdLayer,
        EventKind::Complete,
    ] {
        assert_eq!(count(&events, kind), 1, "{kind:?} of {kinds:?}");
    }
    assert!(count(&events, EventKind::Progress) >= 3, "{kinds:?}");
    let prints: HashSet<_> = events.iter().map(|event| event.print.clone()).collect();
    assert_eq!(prints.len(), 1);
    assert!(!prints.contains(&None));
    assert!(
        events
            .iter()
            .all(|event| event.file.as_deref() == Some("part.gcode"))
    );
    let end = events.last().unwrap();
    assert_eq!(end.progress.percent, Some(100));
}

#[tokio::test]
async fn a_print_is_one_though_sockets_are_lost_and_begins_once() {
    let sim = Sim::start(10.0).await;
    let mut stack = stack(&sim).await;
    stack.host.await_line("the printer is followed").await;
    sim.print("plain.gcode");
    await_event(&stack, EventKind::Started).await;
    sim.handle.drop_sockets();
    await_event(&stack, EventKind::Progress).await;
    sim.handle.drop_sockets();
    await_event(&stack, EventKind::Complete).await;
    let events = events(&stack).await;
    assert_eq!(count(&events, EventKind::Started), 1, "{events:?}");
    assert_eq!(count(&events, EventKind::Complete), 1, "{events:?}");
    let prints: HashSet<_> = events.iter().map(|event| event.print.clone()).collect();
    assert_eq!(prints.len(), 1);
}

#[tokio::test]
async fn what_happens_while_there_is_no_relay_is_told_when_it_is_back_and_once() {
    let sim = Sim::start(20.0).await;
    let mut stack = stack(&sim).await;
    stack.host.await_line("the printer is followed").await;
    sim.print("plain.gcode");
    await_event(&stack, EventKind::Started).await;
    stack.relay.kill().await;
    let mut done = sim.handle.states();
    within("the print to end", done.wait_for(|state| !state.is_busy()))
        .await
        .unwrap();
    stack.start_relay().await;
    await_event(&stack, EventKind::Complete).await;
    // Once more, after nothing has happened.
    stack.relay.kill().await;
    stack.start_relay().await;
    stack.await_tunnel(0).await;
    sim.print("plain.gcode");
    eventually("the second print", async || {
        count(&events(&stack).await, EventKind::Started) == 2
    })
    .await;
    let events = events(&stack).await;
    assert_eq!(count(&events, EventKind::Complete), 1, "{events:?}");
    assert_eq!(count(&events, EventKind::FirstLayer), 1, "{events:?}");
}

#[tokio::test]
async fn a_cancelled_print_and_a_broken_one_have_failed() {
    let sim = Sim::start(5.0).await;
    let mut stack = stack(&sim).await;
    stack.host.await_line("the printer is followed").await;
    sim.print("plain.gcode");
    await_event(&stack, EventKind::Started).await;
    sim.handle.cancel_print().unwrap();
    await_event(&stack, EventKind::Failed).await;
    assert_eq!(count(&events(&stack).await, EventKind::Error), 0);
    eventually("the second print", async || {
        sim.handle.start_print(Some("plain.gcode")).is_ok()
    })
    .await;
    eventually("its beginning", async || {
        count(&events(&stack).await, EventKind::Started) == 2
    })
    .await;
    let stop = json!({"command": "M112"});
    sim.post("/api/printer/command", stop).await;
    eventually("its end", async || {
        count(&events(&stack).await, EventKind::Failed) == 2
    })
    .await;
    await_event(&stack, EventKind::Error).await;
    let events = events(&stack).await;
    let failed = events
        .iter()
        .filter(|event| event.kind == EventKind::Failed);
    let prints: HashSet<_> = failed.map(|event| event.print.clone()).collect();
    assert_eq!(prints.len(), 2);
    let error = events.iter().find(|event| event.kind == EventKind::Error);
    assert!(error.unwrap().message.as_deref().unwrap().contains("M112"));
}

#[tokio::test]
async fn a_host_that_comes_in_the_middle_tells_the_state_and_no_beginning() {
    let sim = Sim::start(2.0).await;
    sim.print("plain.gcode");
    let alone = alone(&sim, "allow").await;
    let tunnel = alone.relay.tunnel().await;
    let mut lines = tunnel.printing(0).await.unwrap().unwrap();
    let state = state(&mut lines, |state| state.condition == Condition::Printing).await;
    let job = state.job.unwrap();
    assert_eq!(job.file, "plain.gcode");
    assert_eq!(job.started, None);
    assert!(state.heat.nozzle.is_some());
    sim.handle.cancel_print().unwrap();
    let first = loop {
        if let News::Event(event) = news(&mut lines).await {
            break event;
        }
    };
    assert_ne!(first.event.kind, EventKind::Started);
    assert_eq!(first.number, 1);
    // Whoever has heard it does not hear it again.
    let mut rest = tunnel.printing(first.number).await.unwrap().unwrap();
    assert!(!matches!(
        news(&mut rest).await,
        News::Event(event) if event.number <= first.number
    ));
    drop((lines, rest));
    drop(alone.host);
}

#[tokio::test]
async fn the_camera_is_shown_to_the_relay_and_let_go_of() {
    let sim = Sim::start(1.0).await;
    let alone = alone(&sim, "allow").await;
    let tunnel = alone.relay.tunnel().await;
    let (kind, picture) = tunnel.snapshot().await.unwrap();
    assert_eq!(kind, "image/jpeg");
    assert!(picture.starts_with(&[0xff, 0xd8]));
    let running = tunnel.camera_stream().await.unwrap();
    let kind = running.headers()["content-type"].to_str().unwrap();
    assert!(kind.starts_with("multipart/x-mixed-replace"), "{kind}");
    let mut body = running.into_body();
    let mut seen = 0;
    while seen < 3 * picture.len() / 2 {
        let frame = within("pictures", body.frame()).await.unwrap().unwrap();
        seen += frame.data_ref().unwrap().len();
    }
    assert!(sim.handle.viewers() > 0);
    drop(body);
    eventually("nobody to look", async || sim.handle.viewers() == 0).await;

    let mut lines = tunnel.printing(0).await.unwrap().unwrap();
    state(&mut lines, |state| state.has_camera).await;
    let mut open = Vec::new();
    let refused = loop {
        match tunnel.camera_stream().await {
            Ok(stream) => open.push(stream),
            Err(error) => break error,
        }
        assert!(open.len() <= 8, "a relay may not have any number of them");
    };
    assert!(matches!(
        refused,
        CameraError::Refused(CameraRefusal::TooMany)
    ));
}

#[tokio::test]
async fn a_relay_that_is_to_hear_nothing_hears_and_sees_nothing() {
    let sim = Sim::start(1.0).await;
    let alone = alone(&sim, "refuse").await;
    let tunnel = alone.relay.tunnel().await;
    assert!(tunnel.printing(0).await.unwrap().is_none());
    assert!(matches!(
        tunnel.snapshot().await,
        Err(CameraError::Refused(CameraRefusal::NoCamera))
    ));
    assert_eq!(alone.host.count_lines("the printer is followed"), 0);
}
