//! Whose tunnel it is: hosts the relay does not know, copies of a host's disk, and hosts that come back.

use std::path::Path;
use std::sync::Arc;

use hyper::body::Incoming;
use latchkey_model::app_connection::AccessMode;
use latchkey_net::body::{self, Body};
use latchkey_net::listen::Stop;
use latchkey_net::tunnel::{DialState, Dialler, DiallerConfig, HostIdentity, StreamHead};
use tokio::sync::{Notify, watch};
use tokio_util::task::TaskTracker;

use crate::harness::http;
use crate::harness::inproc::{Door, RunningRelay};
use crate::harness::within;

/// A running host that answers every request with its own name.
struct Copy {
    state: watch::Receiver<DialState>,
    nudge: Arc<Notify>,
    stop: Stop,
}

impl Copy {
    /// Each call is a process of its own: the key is read from the same file, the instance is new.
    fn start(relay: &RunningRelay, key: &Path, name: &'static str) -> Self {
        let identity = HostIdentity::load_or_create(key).unwrap();
        Self::with(relay, identity, name)
    }

    fn with(relay: &RunningRelay, identity: HostIdentity, name: &'static str) -> Self {
        let url = relay.config().public_url.to_string().parse().unwrap();
        let config = DiallerConfig::new(url, name.to_owned(), "0".to_owned());
        let service = move |_: ::http::Request<Incoming>, _: StreamHead| async move {
            ::http::Response::<Body>::new(body::full(name))
        };
        let dialler = Dialler::new(config, identity, service, TaskTracker::new()).unwrap();
        let (state, nudge, stop) = (dialler.state(), dialler.nudge(), Stop::default());
        tokio::spawn(dialler.run(stop.soft.clone(), stop.hard.clone()));
        Self { state, nudge, stop }
    }

    async fn connected(&mut self) {
        let state = self
            .state
            .wait_for(|state| matches!(state, DialState::Connected { .. }));
        within("the tunnel", state).await.unwrap();
    }

    /// What the host was told when it was sent away.
    async fn sent_away(&mut self) -> String {
        let state = self
            .state
            .wait_for(|state| matches!(state, DialState::Waiting { .. }));
        match &*within("a refusal", state).await.unwrap() {
            DialState::Waiting { why, .. } => why.clone(),
            state => panic!("{state:?}"),
        }
    }
}

async fn who_answers(door: &Door) -> String {
    let request = http::Request::get(door.url("/")).via(door.address);
    let response = within("an answer", async { request.send().await.read().await }).await;
    match response.status.as_u16() {
        200 => response.text().to_owned(),
        status => status.to_string(),
    }
}

#[tokio::test]
async fn a_host_without_a_printer_is_sent_away_with_words() {
    let relay = RunningRelay::start(|_| {}).await;
    let disk = tempfile::tempdir().unwrap();
    let mut stranger = Copy::start(&relay, &disk.path().join("key"), "stranger");
    assert!(stranger.sent_away().await.contains("Pair"));
}

#[tokio::test]
async fn a_copied_disk_is_held_off_while_the_original_lives() {
    let relay = RunningRelay::start(|_| {}).await;
    let disk = tempfile::tempdir().unwrap();
    let key = disk.path().join("key");
    let identity = HostIdentity::load_or_create(&key).unwrap();
    let door = relay.record(identity.public_key(), AccessMode::None).await;
    let mut original = Copy::with(&relay, identity, "original");
    original.connected().await;

    let mut copy = Copy::start(&relay, &key, "copy");
    assert!(copy.sent_away().await.contains("same identity"));
    assert_eq!(who_answers(&door).await, "original");
    assert!(matches!(
        *original.state.borrow(),
        DialState::Connected { .. }
    ));

    // Only when the original is gone does the other one count as the host come back.
    original.stop.hard.cancel();
    let gone = original
        .state
        .wait_for(|state| *state == DialState::Stopped);
    within("the original's end", gone).await.unwrap();
    copy.nudge.notify_one();
    copy.connected().await;
    assert_eq!(who_answers(&door).await, "copy");
}

#[tokio::test]
async fn the_newest_tunnel_of_the_same_host_wins() {
    let relay = RunningRelay::start(|_| {}).await;
    let identity = HostIdentity::generate().unwrap();
    let door = relay.record(identity.public_key(), AccessMode::None).await;
    let mut older = Copy::with(&relay, identity.clone(), "older");
    older.connected().await;
    assert_eq!(who_answers(&door).await, "older");
    let mut newer = Copy::with(&relay, identity, "newer");
    newer.connected().await;
    // Without this the older one would dial again and be the newest in its turn.
    older.stop.hard.cancel();
    assert_eq!(who_answers(&door).await, "newer");
}

#[tokio::test]
async fn another_key_for_the_same_name_leads_nowhere() {
    let relay = RunningRelay::start(|_| {}).await;
    let identity = HostIdentity::generate().unwrap();
    let door = relay.record(identity.public_key(), AccessMode::None).await;
    let mut impostor = Copy::with(&relay, HostIdentity::generate().unwrap(), "impostor");
    impostor.sent_away().await;
    assert_eq!(who_answers(&door).await, "601");
}
