//! What a real OctoPrint's virtual printer does, as the relay hears it.

use std::collections::HashSet;
use std::time::Duration;

use http::StatusCode;
use latchkey_model::printing::{Condition, EventKind};
use serde_json::json;

use crate::harness::eventually;
use crate::harness::http::Request;
use crate::harness::octoprint::{ADMIN_API_KEY, OctoPrint};
use crate::harness::watching::{Alone, event, events_until, state};

const VIRTUAL: &str = "
plugins:
  virtual_printer:
    enabled: true
";
const BOUNDARY: &str = "latchkey-events";

async fn post(octoprint: &OctoPrint, path: &str, body: serde_json::Value) -> StatusCode {
    let request = Request::post(octoprint.url(path)).header("X-Api-Key", ADMIN_API_KEY);
    request.json(&body).send().await.status()
}

async fn connected() -> OctoPrint {
    let octoprint = OctoPrint::start_with(VIRTUAL).await;
    let connect = json!({"command": "connect", "port": "VIRTUAL"});
    eventually("the virtual printer", async || {
        post(&octoprint, "api/connection", connect.clone()).await;
        let printer = Request::get(octoprint.url("api/printer"));
        let printer = printer.header("X-Api-Key", ADMIN_API_KEY).send().await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        printer.status() == StatusCode::OK
    })
    .await;
    octoprint
}

async fn print(octoprint: &OctoPrint, name: &str, gcode: &str) {
    let body = format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\
         Content-Type: application/octet-stream\r\n\r\n{gcode}\r\n--{BOUNDARY}\r\n\
         Content-Disposition: form-data; name=\"print\"\r\n\r\ntrue\r\n--{BOUNDARY}--\r\n"
    );
    let kind = format!("multipart/form-data; boundary={BOUNDARY}");
    let upload = Request::post(octoprint.url("api/files/local"));
    let upload = upload.header("X-Api-Key", ADMIN_API_KEY).body(&kind, body);
    assert_eq!(upload.send().await.status(), StatusCode::CREATED);
}

fn part(change: &str) -> String {
    let lines = (0..150).map(|step| {
        let change = if step == 75 { change } else { "" };
        format!("G1 X{} Y10 E{step} F9000\n{change}G4 P20\n", step % 100)
    });
    std::iter::once("G90\nG1 Z0.2 F6000\n".to_owned())
        .chain(lines)
        .collect()
}

#[tokio::test]
async fn a_print_at_a_real_octoprint_is_told_from_its_beginning_to_its_end() {
    let octoprint = connected().await;
    let base = octoprint.base_url();
    let url = base.as_str().trim_end_matches('/');
    let upstream = json!({"kind": "octoprint", "url": url, "api_key_file": "upstream.key"});
    let alone = Alone::start(&upstream, ADMIN_API_KEY, "allow").await;
    let tunnel = alone.relay.tunnel().await;
    let mut lines = tunnel.printing(0).await.unwrap().unwrap();
    state(&mut lines, |state| state.condition == Condition::Ready).await;

    print(&octoprint, "tiny.gcode", &part("M0\n")).await;
    let first = event(&mut lines).await;
    assert_eq!(first.kind, EventKind::Started);
    assert_eq!(first.file.as_deref(), Some("tiny.gcode"));
    let mut events = vec![first];
    events.extend(events_until(&mut lines, EventKind::Paused).await);
    let resume = json!({"command": "pause", "action": "resume"});
    assert_eq!(
        post(&octoprint, "api/job", resume).await,
        StatusCode::NO_CONTENT
    );
    events.extend(events_until(&mut lines, EventKind::Complete).await);
    let count = |kind| events.iter().filter(|event| event.kind == kind).count();
    for kind in [
        EventKind::Started,
        EventKind::UserInteraction,
        EventKind::Paused,
        EventKind::Resumed,
        EventKind::Complete,
    ] {
        assert_eq!(count(kind), 1, "{kind:?} of {events:?}");
    }
    let prints: HashSet<_> = events.iter().map(|event| event.print.clone()).collect();
    assert_eq!(prints.len(), 1, "{events:?}");

    // It tells the end before it is done with it, and prints nothing that is uploaded until then.
    eventually("OctoPrint to have finished", async || {
        let job = Request::get(octoprint.url("api/job"));
        let job = job.header("X-Api-Key", ADMIN_API_KEY).send().await;
        job.read().await.json()["state"] == "Operational"
    })
    .await;
    print(&octoprint, "other.gcode", &part("M600\n")).await;
    let events = events_until(&mut lines, EventKind::FilamentChange).await;
    assert_eq!(events[0].kind, EventKind::Started);
    let cancel = json!({"command": "cancel"});
    assert_eq!(
        post(&octoprint, "api/job", cancel).await,
        StatusCode::NO_CONTENT
    );
    let end = events_until(&mut lines, EventKind::Failed).await;
    let end = end.last().unwrap();
    assert_eq!(end.message.as_deref(), Some("cancelled"));
    assert_eq!(end.print, events[0].print);
    state(&mut lines, |state| state.condition == Condition::Ready).await;
}
