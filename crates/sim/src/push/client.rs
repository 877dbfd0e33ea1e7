//! One client of the push socket, from the upgrade to the end.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{Message, WebSocket};
use serde_json::Value;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::framing::Framing;
use super::messages::{self, Told};
use crate::App;
use crate::printer::event::Event;

/// One `current` per so long, times the client's throttle.
const PERIOD: Duration = Duration::from_millis(500);
const HEARTBEAT: Duration = Duration::from_secs(25);
/// A client that does not read for so long is let go.
const PATIENCE: Duration = Duration::from_secs(10);
/// A client may ask for one message every 30 s, not for fewer.
const MOST_THROTTLE: u64 = 60;

pub(super) struct Client {
    app: App,
    framing: Framing,
    authenticated: bool,
    throttle: u64,
    skipped: u64,
    wants: Wants,
    told: Told,
}

/// What was subscribed to; everything until the first subscription.
struct Wants {
    state: bool,
    events: Option<Vec<String>>,
}

/// Why a client is let go.
struct Gone;

impl Client {
    pub(super) fn new(app: App, framing: Framing) -> Self {
        let wants = Wants {
            state: true,
            events: None,
        };
        Self {
            app,
            framing,
            authenticated: false,
            throttle: 1,
            skipped: 0,
            wants,
            told: Told::default(),
        }
    }

    pub(super) async fn run(mut self, mut socket: WebSocket) {
        let shutdown = self.app.shutdown.clone();
        let mut drops = self.app.faults.drops();
        tokio::select! {
            _ = self.talk(&mut socket) => {}
            // A fault: gone without a word.
            _ = drops.recv() => return,
            () = shutdown.cancelled() => {}
        }
        if let Some(closing) = self.framing.closing() {
            let _ = timeout(Duration::from_secs(1), socket.send(closing)).await;
        }
        let _ = timeout(Duration::from_secs(1), socket.send(Message::Close(None))).await;
    }

    async fn talk(&mut self, socket: &mut WebSocket) -> Result<(), Gone> {
        let mut events = self.app.printer.events();
        let mut ticks = interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heartbeats = interval(HEARTBEAT);
        heartbeats.reset();
        if let Some(opening) = self.framing.opening() {
            send(socket, opening).await?;
        }
        self.say(socket, &messages::connected(&self.app)).await?;
        loop {
            tokio::select! {
                received = socket.recv() => self.hear(socket, received.ok_or(Gone)?).await?,
                event = events.recv() => self.pass_on(socket, event).await?,
                _ = ticks.tick() => self.tick(socket).await?,
                _ = heartbeats.tick() => send(socket, self.framing.heartbeat()).await?,
            }
        }
    }

    async fn hear(
        &mut self,
        socket: &mut WebSocket,
        received: Result<Message, axum::Error>,
    ) -> Result<(), Gone> {
        match received.map_err(|_| Gone)? {
            Message::Text(frame) => {
                for message in self.framing.unwrap(&frame) {
                    self.obey(socket, &message).await?;
                }
                Ok(())
            }
            Message::Close(_) => Err(Gone),
            Message::Binary(_) | Message::Ping(_) | Message::Pong(_) => Ok(()),
        }
    }

    async fn obey(&mut self, socket: &mut WebSocket, message: &Value) -> Result<(), Gone> {
        if let Some(auth) = message["auth"].as_str().filter(|auth| auth.contains(':')) {
            return self.authenticate(socket, auth).await;
        }
        if let Some(throttle) = message["throttle"].as_u64() {
            self.throttle = throttle.clamp(1, MOST_THROTTLE);
        }
        if let Some(wanted) = message["subscribe"].as_object() {
            // A filter object counts as a yes.
            let state = wanted.get("state");
            self.wants.state =
                state.is_some_and(|state| state.as_bool().unwrap_or(state.is_object()));
            self.wants.events = match wanted.get("events") {
                Some(Value::Bool(true)) => None,
                Some(Value::Array(names)) => Some(
                    names
                        .iter()
                        .filter_map(|name| name.as_str().map(str::to_owned))
                        .collect(),
                ),
                _ => Some(Vec::new()),
            };
        }
        Ok(())
    }

    async fn authenticate(&mut self, socket: &mut WebSocket, auth: &str) -> Result<(), Gone> {
        if !self.app.sessions.knows(auth) {
            return self.say(socket, &messages::reauthenticate()).await;
        }
        self.authenticated = true;
        let history = messages::history(&self.app, &mut self.told);
        self.say(socket, &history).await?;
        self.say(socket, &serde_json::json!({ "timelapse": null }))
            .await
    }

    async fn pass_on(
        &mut self,
        socket: &mut WebSocket,
        event: Result<Arc<Event>, RecvError>,
    ) -> Result<(), Gone> {
        match event {
            Ok(event) if self.authenticated && self.wants_event(event.name) => {
                self.say(socket, &messages::event(&event)).await
            }
            // Too slow for some events: `current` tells the state all the same.
            Ok(_) | Err(RecvError::Lagged(_)) => Ok(()),
            Err(RecvError::Closed) => Err(Gone),
        }
    }

    fn wants_event(&self, name: &str) -> bool {
        self.wants
            .events
            .as_ref()
            .is_none_or(|names| names.iter().any(|one| one == name))
    }

    async fn tick(&mut self, socket: &mut WebSocket) -> Result<(), Gone> {
        self.skipped += 1;
        if !self.authenticated || !self.wants.state || self.skipped < self.throttle {
            return Ok(());
        }
        self.skipped = 0;
        let current = messages::current(&self.app, &mut self.told);
        self.say(socket, &current).await
    }

    async fn say(&self, socket: &mut WebSocket, message: &Value) -> Result<(), Gone> {
        send(socket, self.framing.wrap(message)).await
    }
}

async fn send(socket: &mut WebSocket, message: Message) -> Result<(), Gone> {
    timeout(PATIENCE, socket.send(message))
        .await
        .map_err(|_| Gone)?
        .map_err(|_| Gone)
}
