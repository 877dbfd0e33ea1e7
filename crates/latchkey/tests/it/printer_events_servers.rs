//! What other servers than OctoPrint say, as the relay hears it.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use futures_util::{SinkExt as _, StreamExt as _};
use latchkey_model::printing::{Condition, EventKind};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::broadcast;
use tokio_tungstenite::tungstenite::Message;

use crate::harness::fake::{Fake, Reply};
use crate::harness::watching::{Alone, event, events_until, state};

/// A Moonraker that says what the test wants it to.
struct Moonraker {
    url: String,
    notices: broadcast::Sender<Value>,
    objects: Arc<Mutex<Value>>,
}

impl Moonraker {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (notices, _) = broadcast::channel(64);
        let objects = Arc::new(Mutex::new(json!({
            "webhooks": {"state": "ready"},
            "print_stats": {"state": "standby", "filename": ""},
            "virtual_sdcard": {"progress": 0.0},
            "extruder": {"temperature": 24.0, "target": 0.0},
        })));
        let (tell, shown) = (notices.clone(), Arc::clone(&objects));
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (mut notices, shown) = (tell.subscribe(), Arc::clone(&shown));
                tokio::spawn(async move {
                    // What asks for its cameras is no socket, and is let go.
                    let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await else {
                        return;
                    };
                    loop {
                        let said = tokio::select! {
                            asked = socket.next() => match asked {
                                Some(Ok(Message::Text(asked))) => {
                                    let asked: Value = serde_json::from_str(&asked).unwrap();
                                    answer(&asked, &shown.lock().unwrap())
                                }
                                Some(Ok(_)) => continue,
                                _ => return,
                            },
                            notice = notices.recv() => match notice.unwrap() {
                                Value::Null => return,
                                notice => notice,
                            },
                        };
                        if socket.send(Message::text(said.to_string())).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Self {
            url,
            notices,
            objects,
        }
    }

    /// Changes an object and says so.
    fn change(&self, object: &str, change: &Value) {
        let mut objects = self.objects.lock().unwrap();
        for (name, value) in change.as_object().unwrap() {
            objects[object][name] = value.clone();
        }
        let changes = json!({ object: change });
        let _ = self.notices.send(json!({
            "jsonrpc": "2.0", "method": "notify_status_update", "params": [changes, 5.5],
        }));
    }

    /// Drops all sockets.
    fn hang_up(&self) {
        let _ = self.notices.send(Value::Null);
    }
}

fn answer(asked: &Value, objects: &Value) -> Value {
    let result = match asked["method"].as_str().unwrap() {
        "server.info" => json!({"klippy_state": "ready", "klippy_connected": true}),
        "printer.objects.list" => {
            let names: Vec<&String> = objects.as_object().unwrap().keys().collect();
            json!({ "objects": names })
        }
        "printer.objects.subscribe" => json!({"eventtime": 1.0, "status": objects}),
        other => panic!("a Moonraker is asked for {other}"),
    };
    json!({"jsonrpc": "2.0", "id": asked["id"], "result": result})
}

#[tokio::test]
async fn a_print_at_a_moonraker_is_told_from_its_beginning_to_its_end() {
    let moonraker = Moonraker::start().await;
    let upstream = json!({"kind": "moonraker", "url": moonraker.url});
    let alone = Alone::start(&upstream, "unused", "allow").await;
    let tunnel = alone.relay.tunnel().await;
    let mut lines = tunnel.printing(0).await.unwrap().unwrap();
    state(&mut lines, |state| state.condition == Condition::Ready).await;

    let stats = |change: Value| moonraker.change("print_stats", &change);
    stats(json!({"state": "printing", "filename": "sub/vase.gcode", "print_duration": 0.0}));
    let mut events = vec![event(&mut lines).await];
    assert_eq!(events[0].kind, EventKind::Started);
    assert_eq!(events[0].file.as_deref(), Some("vase.gcode"));
    stats(json!({"info": {"current_layer": 2, "total_layer": 90}}));
    events.push(event(&mut lines).await);
    assert_eq!(events[1].kind, EventKind::FirstLayer);
    assert_eq!(events[1].progress.layers, Some(90));
    moonraker.change("virtual_sdcard", &json!({"progress": 0.31}));
    events.push(event(&mut lines).await);
    assert_eq!(events[2].progress.percent, Some(31));
    // It goes on while the socket is lost.
    moonraker.hang_up();
    stats(json!({"print_duration": 900.0}));
    moonraker.change("display_status", &json!({"message": "M600 load red"}));
    stats(json!({"state": "paused"}));
    let more = events_until(&mut lines, EventKind::FilamentChange).await;
    assert_eq!(more[0].kind, EventKind::Paused, "{more:?}");
    assert_eq!(more[1].message.as_deref(), Some("M600 load red"));
    events.extend(more);
    stats(json!({"state": "printing"}));
    events.push(event(&mut lines).await);
    assert_eq!(events.last().unwrap().kind, EventKind::Resumed);
    stats(json!({"state": "complete"}));
    events.push(event(&mut lines).await);
    assert_eq!(events.last().unwrap().kind, EventKind::Complete);
    let prints: HashSet<_> = events.iter().map(|event| event.print.clone()).collect();
    assert_eq!(prints.len(), 1, "{events:?}");

    moonraker.change(
        "webhooks",
        &json!({"state": "shutdown", "state_message": "MCU lost"}),
    );
    let error = event(&mut lines).await;
    assert_eq!(error.kind, EventKind::Error);
    assert_eq!(error.message.as_deref(), Some("MCU lost"));
}

/// A PrusaLink in this state of its print.
fn prusalink(state: &str, job: Option<u64>, progress: f64) -> (Value, Value) {
    let mut status = json!({"printer": {
        "state": state, "temp_nozzle": 214.9, "target_nozzle": 215.0, "axis_z": 0.4,
    }});
    let mut about = Value::Null;
    if let Some(id) = job {
        status["job"] = json!({"id": id, "progress": progress, "time_printing": 60});
        about = json!({"id": id, "file": {"name": "VASE~1.BGC", "display_name": "vase.bgcode"}});
    }
    (status, about)
}

#[tokio::test]
async fn a_print_at_a_prusalink_is_told_and_its_camera_asked_with_the_key() {
    let shown = Arc::new(Mutex::new(prusalink("IDLE", None, 0.0)));
    let show = Arc::clone(&shown);
    let server = Fake::start(|_| {
        move |asked: &crate::harness::fake::Asked| {
            if asked.field("x-api-key") != Some("prusa-key") {
                return Reply::status(401);
            }
            let (status, job) = show.lock().unwrap().clone();
            match asked.line.as_str() {
                "GET /api/v1/status" => Reply::json(200, &status),
                "GET /api/v1/job" if job.is_null() => Reply::status(204),
                "GET /api/v1/job" => Reply::json(200, &job),
                "GET /api/v1/cameras" => {
                    Reply::json(200, &json!({"camera_list": [{"camera_id": "a"}]}))
                }
                "GET /api/v1/cameras/snap" => {
                    Reply::text(200, "a picture").with("content-type", "image/png")
                }
                _ => Reply::status(404),
            }
        }
    })
    .await;
    let upstream = json!({
        "kind": "prusalink", "url": server.url(), "api_key_file": "upstream.key",
    });
    let alone = Alone::start(&upstream, "prusa-key", "allow").await;
    let tunnel = alone.relay.tunnel().await;
    let mut lines = tunnel.printing(0).await.unwrap().unwrap();
    let idle = state(&mut lines, |state| state.condition == Condition::Ready).await;
    assert_eq!(idle.heat.nozzle.unwrap().target, Some(2_150));
    let (kind, picture) = tunnel.snapshot().await.unwrap();
    assert_eq!(
        (kind.to_str().unwrap(), &picture[..]),
        ("image/png", &b"a picture"[..])
    );
    assert!(
        tunnel.camera_stream().await.is_err(),
        "it has no running one"
    );

    *shown.lock().unwrap() = prusalink("PRINTING", Some(7), 1.0);
    let begun = event(&mut lines).await;
    assert_eq!(begun.kind, EventKind::Started);
    assert_eq!(begun.file.as_deref(), Some("vase.bgcode"));
    *shown.lock().unwrap() = prusalink("ATTENTION", Some(7), 12.0);
    let waits = events_until(&mut lines, EventKind::UserInteraction).await;
    let kinds: Vec<_> = waits.iter().map(|event| event.kind).collect();
    assert_eq!(kinds, [EventKind::Paused, EventKind::UserInteraction]);
    *shown.lock().unwrap() = prusalink("FINISHED", Some(7), 100.0);
    let end = event(&mut lines).await;
    assert_eq!(end.kind, EventKind::Complete);
    assert_eq!(end.print, begun.print);
}

#[tokio::test]
async fn of_any_other_server_it_is_known_whether_it_answers() {
    let server = Fake::start(|_| |_: &crate::harness::fake::Asked| Reply::status(500)).await;
    let upstream = json!({"kind": "generic", "url": server.url(), "api_key_file": "upstream.key"});
    let alone = Alone::start(&upstream, "not-for-everybody", "allow").await;
    let tunnel = alone.relay.tunnel().await;
    let mut lines = tunnel.printing(0).await.unwrap().unwrap();
    let ready = state(&mut lines, |state| state.condition == Condition::Ready).await;
    assert!(ready.job.is_none() && !ready.has_camera);
    let keys = server.asked();
    assert!(keys.iter().all(|asked| asked.field("x-api-key").is_none()));

    let gone = Alone::start(
        &json!({"kind": "generic", "url": "http://127.0.0.1:1"}),
        "",
        "allow",
    )
    .await;
    let tunnel = gone.relay.tunnel().await;
    let mut lines = tunnel.printing(0).await.unwrap().unwrap();
    state(&mut lines, |state| {
        state.condition == Condition::Unavailable
    })
    .await;
}
