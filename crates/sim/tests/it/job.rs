//! A job from upload to done, and its interruptions.

use std::sync::Arc;

use http::StatusCode;
use latchkey_sim::{Event, PrinterState};
use serde_json::json;
use tokio::sync::broadcast;
use tokio::time::timeout;

use crate::harness::{Bench, PATIENCE};

/// Awaits an event; everything before it is passed over.
async fn event(events: &mut broadcast::Receiver<Arc<Event>>, name: &str) -> Arc<Event> {
    timeout(PATIENCE, async {
        loop {
            match events.recv().await {
                Ok(event) if event.name == name => return event,
                Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => {
                    panic!("no more events, {name} did not come")
                }
            }
        }
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn uploading_with_print_runs_the_job_to_its_end() {
    let bench = Bench::start().await;
    let mut events = bench.handle.events();
    let gcode = b"M109 S200\nG28\nG1 X50 E5 F600\n;LAYER:1\nG1 Z5\nG1 X10 E10\n";
    let stored = bench
        .upload("part.gcode", gcode, &[("print", "true")])
        .await
        .json();
    assert_eq!(
        (&stored["effectiveSelect"], &stored["effectivePrint"]),
        (&json!(true), &json!(true))
    );
    event(&mut events, "PrintStarted").await;
    let done = event(&mut events, "PrintDone").await;
    assert_eq!(done.payload["path"], "part.gcode");
    let job = bench.get("/api/job").await.json();
    assert_eq!(
        (&job["state"], &job["progress"]["completion"]),
        (&json!("Operational"), &json!(100.0))
    );
    assert_eq!(job["job"]["file"]["name"], "part.gcode");
    bench.stop().await;
}

#[tokio::test]
async fn a_job_is_paused_resumed_and_cancelled() {
    let bench = Bench::start().await;
    let mut events = bench.handle.events();
    bench
        .upload(
            "long.gcode",
            "G1 X100 F600\nG1 X0\n".repeat(20_000).as_bytes(),
            &[("print", "true")],
        )
        .await;
    let conflict = bench.post("/api/job", &json!({ "command": "start" })).await;
    assert_eq!(conflict.status, StatusCode::CONFLICT);
    for (command, happens) in [
        (
            json!({ "command": "pause", "action": "pause" }),
            "PrintPaused",
        ),
        (
            json!({ "command": "pause", "action": "toggle" }),
            "PrintResumed",
        ),
        (json!({ "command": "cancel" }), "PrintCancelled"),
    ] {
        assert_eq!(
            bench.post("/api/job", &command).await.status,
            StatusCode::NO_CONTENT
        );
        event(&mut events, happens).await;
    }
    let mut states = bench.handle.states();
    timeout(
        PATIENCE,
        states.wait_for(|state| *state == PrinterState::Operational),
    )
    .await
    .unwrap()
    .unwrap();
    bench.stop().await;
}

#[tokio::test]
async fn a_file_being_printed_stays() {
    let bench = Bench::start().await;
    bench
        .upload(
            "long.gcode",
            &b"G4 S3000\n".repeat(1_000),
            &[("print", "true")],
        )
        .await;
    let again = bench.upload("long.gcode", b"G28", &[]).await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    bench.handle.cancel_print().unwrap();
    bench.stop().await;
}

#[tokio::test]
async fn the_demo_prints_by_itself() {
    let bench = Bench::start_with(|config| {
        config.autoprint = Some(latchkey_sim::Autoprint {
            first_after: std::time::Duration::from_millis(1),
            again_after: std::time::Duration::from_millis(1),
        });
    })
    .await;
    let mut events = bench.handle.events();
    event(&mut events, "PrintDone").await;
    event(&mut events, "PrintStarted").await;
    bench.stop().await;
}
