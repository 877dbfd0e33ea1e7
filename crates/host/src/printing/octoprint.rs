//! OctoPrint: its push socket says everything to whoever has a key; without one, what it answers.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use http::StatusCode;
use latchkey_model::clock::Timestamp;
use latchkey_model::printing::{Condition, Heats, Progress, shown_file, shown_text};
use serde_json::{Value, json};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tokio_tungstenite::tungstenite::Message;

use super::asking::{Asking, Unreachable};
use super::layers::Layers;
use super::seen::{Outcome, Seen, Told, heat, layer, micrometers, percent, whole};
use super::watch::{Round, Teller};
use crate::config::Config;
use crate::push::{self, PushUpstream, Socket, Unavailable};

/// Between two questions whether the server is still there, and how long it may say nothing.
const PING: Duration = Duration::from_secs(20);
const SILENCE: Duration = Duration::from_secs(50);
const SENDING: Duration = Duration::from_secs(10);

/// Between two questions where there is no socket.
const WHILE_PRINTING: Duration = Duration::from_secs(5);
const OTHERWISE: Duration = Duration::from_secs(15);
/// How long it is asked before the socket is tried again.
const ASKED_FOR: Duration = Duration::from_mins(1);

/// The events that mean something here, and those of plugins that know about layers and prompts.
const EVENTS: [&str; 8] = [
    "PrintStarted",
    "PrintDone",
    "PrintFailed",
    "FilamentChange",
    "Waiting",
    SUPPRESSED,
    "Error",
    LAYER_CHANGED,
];
/// OctoPrint keeps M0 and M1 to itself, and pauses.
const SUPPRESSED: &str = "CommandSuppressed";
const LAYER_CHANGED: &str = "DisplayLayerProgress_layerChanged";
const PROMPT: &str = "action_command_prompt";
/// The simulated printer knows its layers by itself.
const SIMULATOR: &str = "latchkey_sim";

/// One OctoPrint.
pub(super) struct Source {
    push: Option<push::Source>,
    picture: Picture,
}

impl Source {
    pub(super) fn new(config: &Config) -> Self {
        let credential = config.upstream.credential.clone();
        let push = credential.map(|credential| {
            push::Source::new(PushUpstream {
                address: config.upstream.address.clone(),
                credential: Some(credential),
            })
        });
        Self {
            push,
            picture: Picture::default(),
        }
    }

    pub(super) async fn follow(&mut self, asking: &Asking, teller: &mut Teller<'_>) -> Round {
        if let Some(push) = &self.push
            && let Ok(socket) = push.enter().await
        {
            let _ = self.listen(socket, teller).await;
            return Round::Heard;
        }
        self.ask(asking, teller).await
    }

    /// Listens until the socket is lost.
    async fn listen(
        &mut self,
        mut socket: Socket,
        teller: &mut Teller<'_>,
    ) -> Result<(), Unavailable> {
        let wishes = [
            json!({ "throttle": 2 }),
            json!({ "subscribe": {
                "state": { "logs": false, "messages": false },
                "events": EVENTS,
                "plugins": [PROMPT],
            }}),
        ];
        for wish in wishes {
            send(&mut socket, Message::text(wish.to_string())).await?;
        }
        let mut pings = interval(PING);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard = Instant::now();
        loop {
            tokio::select! {
                message = socket.next() => {
                    let message = message.ok_or(Unavailable)?.map_err(|_| Unavailable)?;
                    heard = Instant::now();
                    if let Message::Text(text) = message
                        && let Ok(message) = serde_json::from_str(&text)
                    {
                        self.take(&message, teller)?;
                    }
                }
                _ = pings.tick() => {
                    if heard.elapsed() >= SILENCE {
                        return Err(Unavailable);
                    }
                    send(&mut socket, Message::Ping(bytes::Bytes::new())).await?;
                }
            }
        }
    }

    fn take(&mut self, message: &Value, teller: &mut Teller<'_>) -> Result<(), Unavailable> {
        if !message["reauthRequired"].is_null() {
            return Err(Unavailable);
        }
        for data in [&message["history"], &message["current"]] {
            if data.is_object() {
                let seen = self.picture.see(teller.now(), data);
                teller.see(seen);
            }
        }
        if let Some(told) = self.picture.hear(message) {
            teller.hear(told);
        }
        Ok(())
    }

    /// Asks for a while.
    async fn ask(&mut self, asking: &Asking, teller: &mut Teller<'_>) -> Round {
        let began = Instant::now();
        let mut round = Round::NotReached;
        while round == Round::NotReached || began.elapsed() < ASKED_FOR {
            let Ok(seen) = self.look(asking, teller.now()).await else {
                return round;
            };
            round = Round::Heard;
            let prints = seen.condition.has_print();
            teller.see(seen);
            sleep(if prints { WHILE_PRINTING } else { OTHERWISE }).await;
        }
        round
    }

    async fn look(&mut self, asking: &Asking, at: Timestamp) -> Result<Seen, Unreachable> {
        let (status, mut data) = asking.json("/api/job").await?;
        if status != StatusCode::OK || !data.is_object() {
            // It is there, and does not tell strangers more.
            return Ok(Seen::new(Condition::Ready));
        }
        let (_, printer) = asking.json("/api/printer?exclude=sd").await?;
        // Old versions say the state in words only while no printer is connected.
        data["state"] = match &printer["state"] {
            state @ Value::Object(_) => state.clone(),
            _ => json!({ "text": data["state"], "flags": {} }),
        };
        data["temps"] = json!([printer["temperature"]]);
        Ok(self.picture.see(at, &data))
    }
}

async fn send(socket: &mut Socket, message: Message) -> Result<(), Unavailable> {
    match timeout(SENDING, socket.send(message)).await {
        Ok(Ok(())) => Ok(()),
        _ => Err(Unavailable),
    }
}

/// What was seen so far, as far as later messages leave it out.
#[derive(Default)]
pub(super) struct Picture {
    heat: Heats,
    /// Whether a print went on when it was looked last; unknown at first.
    printed: Option<bool>,
    /// The print was watched from its beginning, so that heights mean layers.
    from_start: bool,
    heights: Layers,
    /// What a plugin says of layers: the present one, and how many there are.
    told: (Option<u32>, Option<u32>),
}

impl Picture {
    pub(super) fn see(&mut self, at: Timestamp, data: &Value) -> Seen {
        self.note_heat(&data["temps"]);
        let condition = condition(&data["state"]["flags"]);
        let prints = condition.has_print();
        if prints && self.printed == Some(false) {
            self.begin();
        }
        if !prints {
            self.from_start = false;
        }
        self.printed = Some(prints);
        let z = micrometers(&data["currentZ"]);
        let (layer, layers) = self.layers(at, z, &data["plugins"][SIMULATOR]);
        let (progress, file) = (&data["progress"], &data["job"]["file"]);
        let file = file["display"].as_str().or_else(|| file["name"].as_str());
        let error = data["state"]["error"]
            .as_str()
            .filter(|text| !text.is_empty());
        let error = error.or_else(|| data["state"]["text"].as_str());
        Seen {
            condition,
            file: file.and_then(shown_file),
            job: None,
            progress: Progress {
                percent: percent(&progress["completion"]),
                printed_seconds: whole(&progress["printTime"]),
                left_seconds: whole(&progress["printTimeLeft"]),
                z_micrometers: z,
                layer,
                layers,
            },
            heat: self.heat,
            message: error
                .filter(|_| condition == Condition::Error)
                .and_then(shown_text),
            outcome: None,
        }
    }

    /// What happened, by the server's word.
    pub(super) fn hear(&mut self, message: &Value) -> Option<Told> {
        let prompt = &message["plugin"];
        if prompt["plugin"] == PROMPT && prompt["data"]["action"] == "show" {
            let text = prompt["data"]["text"].as_str().unwrap_or_default();
            let message = shown_text(text);
            return Some(if text.to_ascii_lowercase().contains("filament") {
                Told::FilamentChange(message)
            } else {
                Told::UserInteraction(message)
            });
        }
        let event = &message["event"];
        let payload = &event["payload"];
        let said = |what: &str| payload[what].as_str().and_then(shown_text);
        match event["type"].as_str()? {
            "PrintStarted" => {
                self.begin();
                let name = payload["display"]
                    .as_str()
                    .or_else(|| payload["name"].as_str());
                Some(Told::Started(name.and_then(shown_file)))
            }
            "PrintDone" => Some(Told::Ended(Outcome::Complete, None)),
            "PrintFailed" => {
                let reason = said("reason").filter(|reason| reason != "error");
                let message = said("error").or(reason);
                Some(Told::Ended(Outcome::Failed, message))
            }
            "FilamentChange" => Some(Told::FilamentChange(None)),
            "Waiting" => Some(Told::UserInteraction(None)),
            SUPPRESSED => asked(payload["command"].as_str()?),
            "Error" => Some(Told::Error(said("error"))),
            LAYER_CHANGED => {
                self.told = (
                    layer(&payload["currentLayer"]),
                    layer(&payload["totalLayer"]),
                );
                None
            }
            _ => None,
        }
    }

    fn begin(&mut self) {
        self.heights = Layers::default();
        self.told = (None, None);
        self.from_start = true;
    }

    fn layers(
        &mut self,
        at: Timestamp,
        z: Option<u64>,
        simulated: &Value,
    ) -> (Option<u32>, Option<u32>) {
        if !simulated.is_null() {
            return (layer(&simulated["layer"]), layer(&simulated["layers"]));
        }
        if self.told.0.is_some() {
            return self.told;
        }
        if !self.from_start {
            return (None, None);
        }
        (self.heights.note(at, z), None)
    }

    fn note_heat(&mut self, temps: &Value) {
        let Some(newest) = temps.as_array().and_then(|temps| temps.last()) else {
            return;
        };
        let of = |part: &str| heat(&newest[part]["actual"], &newest[part]["target"]);
        self.heat = Heats {
            nozzle: of("tool0"),
            bed: of("bed"),
            chamber: of("chamber"),
        };
    }
}

/// A command that stops for somebody, with what it says to them; nothing if it is none.
fn asked(command: &str) -> Option<Told> {
    let (gcode, text) = command.split_once(' ').unwrap_or((command, ""));
    let waits = ["M0", "M1"].contains(&gcode);
    waits.then(|| Told::UserInteraction(shown_text(text)))
}

fn condition(flags: &Value) -> Condition {
    let is = |flag: &str| flags[flag].as_bool() == Some(true);
    if is("error") {
        Condition::Error
    } else if is("paused") {
        Condition::Paused
    } else if ["printing", "pausing", "resuming", "finishing", "cancelling"]
        .into_iter()
        .any(is)
    {
        Condition::Printing
    } else if is("operational") {
        Condition::Ready
    } else {
        Condition::Unavailable
    }
}
