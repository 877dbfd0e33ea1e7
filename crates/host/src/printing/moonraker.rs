//! Moonraker: its socket says what changes in Klipper's objects, once they are subscribed to.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use latchkey_model::printing::{Condition, Heats, Progress, shown_file, shown_text};
use serde_json::{Map, Value, json};
use tokio::net::TcpStream;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_tungstenite::client_async_with_config;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use super::asking::Asking;
use super::seen::{Outcome, Seen, Told, heat, layer, micrometers, percent, thousandths, whole};
use super::watch::{Round, Teller};
use crate::push::{Socket, Unavailable};
use crate::upstream::credentials::X_API_KEY;

const LARGEST_MESSAGE: usize = 1024 * 1024;
const ENTERING: Duration = Duration::from_secs(10);
const SENDING: Duration = Duration::from_secs(10);
const PING: Duration = Duration::from_secs(20);
const SILENCE: Duration = Duration::from_secs(50);
/// How often it is asked whether Klipper is there while it is not.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// The questions of this conversation.
const SERVER: u64 = 1;
const OBJECTS: u64 = 2;
const SUBSCRIBE: u64 = 3;
const TROUBLE: u64 = 4;

/// What it has of these is subscribed to.
const WANTED: [&str; 7] = [
    "print_stats",
    "virtual_sdcard",
    "display_status",
    "gcode_move",
    "extruder",
    "heater_bed",
    "webhooks",
];
/// A chamber has one of these names.
const CHAMBERS: [&str; 3] = [
    "heater_generic chamber",
    "temperature_fan chamber",
    "temperature_sensor chamber",
];

pub(super) async fn follow(asking: &Asking, teller: &mut Teller<'_>) -> Round {
    let Ok(Ok(socket)) = timeout(ENTERING, open(asking)).await else {
        // It may be there all the same, and let no stranger in.
        return match asking.json("/server/info").await {
            Ok(_) => {
                teller.see(Seen::new(Condition::Ready));
                Round::Heard
            }
            Err(_) => Round::NotReached,
        };
    };
    let mut conversation = Conversation {
        socket,
        klipper: Klipper::default(),
    };
    let _ = conversation.hold(teller).await;
    Round::Heard
}

async fn open(asking: &Asking) -> Result<Socket, Unavailable> {
    let address = asking.address();
    let stream = TcpStream::connect(address.authority().to_string()).await;
    let stream = stream.map_err(|_| Unavailable)?;
    stream.set_nodelay(true).map_err(|_| Unavailable)?;
    let url = format!(
        "ws://{}{}/websocket",
        address.authority(),
        address.base_path()
    );
    let mut request = url.into_client_request().map_err(|_| Unavailable)?;
    if let Some(key) = asking.credential() {
        request.headers_mut().insert(X_API_KEY, key);
    }
    let config = WebSocketConfig::default()
        .max_message_size(Some(LARGEST_MESSAGE))
        .max_frame_size(Some(LARGEST_MESSAGE));
    let opened = client_async_with_config(request, stream, Some(config)).await;
    Ok(opened.map_err(|_| Unavailable)?.0)
}

struct Conversation {
    socket: Socket,
    klipper: Klipper,
}

impl Conversation {
    /// Talks until the socket is lost.
    async fn hold(&mut self, teller: &mut Teller<'_>) -> Result<(), Unavailable> {
        self.ask(SERVER, "server.info", &Value::Null).await?;
        let mut pings = interval(PING);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut again = interval(LOOK_AGAIN);
        again.set_missed_tick_behavior(MissedTickBehavior::Delay);
        again.reset();
        let mut heard = Instant::now();
        loop {
            tokio::select! {
                message = self.socket.next() => {
                    let message = message.ok_or(Unavailable)?.map_err(|_| Unavailable)?;
                    heard = Instant::now();
                    if let Message::Text(text) = message
                        && let Ok(message) = serde_json::from_str(&text)
                    {
                        self.take(&message, teller).await?;
                    }
                }
                _ = pings.tick() => {
                    if heard.elapsed() >= SILENCE {
                        return Err(Unavailable);
                    }
                    self.send(Message::Ping(Bytes::new())).await?;
                }
                _ = again.tick() => {
                    if !self.klipper.ready {
                        self.ask(SERVER, "server.info", &Value::Null).await?;
                    }
                }
            }
        }
    }

    async fn take(&mut self, message: &Value, teller: &mut Teller<'_>) -> Result<(), Unavailable> {
        let result = &message["result"];
        match (message["id"].as_u64(), message["method"].as_str()) {
            (Some(SERVER), _) => {
                let state = result["klippy_state"].as_str().unwrap_or_default();
                self.klipper.ready = state == "ready";
                match state {
                    "ready" => {
                        self.ask(OBJECTS, "printer.objects.list", &Value::Null)
                            .await?;
                    }
                    "error" | "shutdown" => {
                        self.ask(TROUBLE, "printer.info", &Value::Null).await?;
                    }
                    // It was refused: the server is there, and does not tell strangers more.
                    "" => teller.see(Seen::new(Condition::Ready)),
                    // A server that starts has not found Klipper yet, which may print all the while.
                    _ => teller.unreachable(),
                }
            }
            (Some(TROUBLE), _) => teller.see(Seen {
                message: result["state_message"].as_str().and_then(shown_text),
                outcome: Some(Outcome::Failed),
                ..Seen::new(Condition::Error)
            }),
            (Some(OBJECTS), _) => {
                let objects = self.klipper.wanted(&result["objects"]);
                let subscription = json!({ "objects": objects });
                self.ask(SUBSCRIBE, "printer.objects.subscribe", &subscription)
                    .await?;
            }
            (Some(SUBSCRIBE), _) => {
                self.klipper.objects = Map::new();
                self.show(&result["status"], teller);
            }
            (_, Some("notify_status_update")) => self.show(&message["params"][0], teller),
            (_, Some("notify_gcode_response")) => {
                let line = message["params"][0].as_str().unwrap_or_default();
                if let Some(told) = prompt(line) {
                    teller.hear(told);
                }
            }
            (
                _,
                Some(
                    "notify_klippy_ready" | "notify_klippy_shutdown" | "notify_klippy_disconnected",
                ),
            ) => {
                self.klipper.ready = false;
                self.ask(SERVER, "server.info", &Value::Null).await?;
            }
            _ => {}
        }
        Ok(())
    }

    fn show(&mut self, changes: &Value, teller: &mut Teller<'_>) {
        if !self.klipper.ready {
            return;
        }
        self.klipper.merge(changes);
        let seen = self.klipper.see();
        let wants_filament = seen.condition == Condition::Paused
            && seen.message.as_deref().is_some_and(means_filament);
        let message = seen.message.clone();
        teller.see(seen);
        if wants_filament {
            teller.hear(Told::FilamentChange(message));
        }
    }

    async fn ask(&mut self, id: u64, method: &str, params: &Value) -> Result<(), Unavailable> {
        let mut call = json!({ "jsonrpc": "2.0", "method": method, "id": id });
        if !params.is_null() {
            call["params"] = params.clone();
        }
        self.send(Message::text(call.to_string())).await
    }

    async fn send(&mut self, message: Message) -> Result<(), Unavailable> {
        match timeout(SENDING, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(Unavailable),
        }
    }
}

/// Klipper's objects, as far as they were told.
#[derive(Default)]
pub(super) struct Klipper {
    ready: bool,
    chamber: Option<&'static str>,
    objects: Map<String, Value>,
}

impl Klipper {
    /// What is to be subscribed to of what there is.
    pub(super) fn wanted(&mut self, objects: &Value) -> Map<String, Value> {
        let names: Vec<&str> = objects
            .as_array()
            .map(|all| all.iter().filter_map(Value::as_str).collect())
            .unwrap_or_default();
        self.chamber = CHAMBERS.into_iter().find(|name| names.contains(name));
        let sensors = names
            .iter()
            .copied()
            .filter(|name| name.starts_with("filament_") && name.contains("_sensor "));
        let wanted = WANTED.into_iter().filter(|name| names.contains(name));
        wanted
            .chain(self.chamber)
            .chain(sensors.take(4))
            .map(|name| (name.to_owned(), Value::Null))
            .collect()
    }

    pub(super) fn merge(&mut self, changes: &Value) {
        let Some(changes) = changes.as_object() else {
            return;
        };
        for (name, change) in changes {
            let known = self.objects.entry(name.as_str());
            let known = known.or_insert_with(|| json!({}));
            if let (Some(known), Some(change)) = (known.as_object_mut(), change.as_object()) {
                known.extend(change.clone());
            }
        }
    }

    fn of(&self, object: &str) -> &Value {
        self.objects.get(object).unwrap_or(&Value::Null)
    }

    pub(super) fn see(&self) -> Seen {
        let stats = self.of("print_stats");
        let (condition, outcome) = match self.of("webhooks")["state"].as_str() {
            Some("error" | "shutdown") => (Condition::Error, Some(Outcome::Failed)),
            _ => match stats["state"].as_str().unwrap_or_default() {
                "printing" => (Condition::Printing, None),
                "paused" => (Condition::Paused, None),
                "complete" => (Condition::Ready, Some(Outcome::Complete)),
                "cancelled" => (Condition::Ready, Some(Outcome::Failed)),
                "error" => (Condition::Error, Some(Outcome::Failed)),
                _ => (Condition::Ready, None),
            },
        };
        Seen {
            condition,
            file: stats["filename"].as_str().and_then(shown_file),
            job: None,
            progress: self.progress(stats),
            heat: Heats {
                nozzle: self.heat("extruder"),
                bed: self.heat("heater_bed"),
                chamber: self.chamber.and_then(|name| self.heat(name)),
            },
            message: self.message(stats, condition),
            outcome,
        }
    }

    fn progress(&self, stats: &Value) -> Progress {
        // What the slicer says is better than how much of the file is read.
        let shown = thousandths(&self.of("display_status")["progress"]);
        let read = thousandths(&self.of("virtual_sdcard")["progress"]);
        let thousandths = shown.filter(|shown| *shown > 0).or(read);
        let printed = whole(&stats["print_duration"]);
        let done = thousandths.and_then(|done| u64::try_from(done).ok());
        let left = match (printed, done) {
            (Some(printed), Some(done @ 10..=1_000)) => Some(printed * (1_000 - done) / done),
            _ => None,
        };
        Progress {
            percent: percent(&json!(done.map(|done| done / 10))),
            printed_seconds: printed,
            left_seconds: left,
            z_micrometers: micrometers(&self.of("gcode_move")["gcode_position"][2]),
            layer: layer(&stats["info"]["current_layer"]),
            layers: layer(&stats["info"]["total_layer"]),
        }
    }

    fn heat(&self, object: &str) -> Option<latchkey_model::printing::Heat> {
        let object = self.of(object);
        heat(&object["temperature"], &object["target"])
    }

    /// What it says of its trouble, or what a pause is for.
    fn message(&self, stats: &Value, condition: Condition) -> Option<String> {
        let said = match condition {
            Condition::Error => {
                let shutdown = self.of("webhooks")["state_message"].as_str();
                let shutdown = shutdown.filter(|_| self.of("webhooks")["state"] != "ready");
                shutdown.or_else(|| stats["message"].as_str())
            }
            Condition::Paused => {
                let sensors = self.objects.iter();
                let mut sensors = sensors.filter(|(name, _)| name.starts_with("filament_"));
                if sensors.any(|(_, sensor)| {
                    sensor["enabled"] == true && sensor["filament_detected"] == false
                }) {
                    return Some("no filament".to_owned());
                }
                self.of("display_status")["message"].as_str()
            }
            _ => None,
        };
        said.and_then(shown_text)
    }
}

pub(super) fn means_filament(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    text.contains("filament") || text.contains("m600")
}

/// A question to whoever stands before the printer.
pub(super) fn prompt(line: &str) -> Option<Told> {
    let text = line.trim_start_matches(['/', ' ']);
    let text = text.strip_prefix("action:prompt_begin")?;
    let message = shown_text(text);
    Some(if means_filament(text) {
        Told::FilamentChange(message)
    } else {
        Told::UserInteraction(message)
    })
}
