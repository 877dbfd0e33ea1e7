//! What goes wrong between a host and its relay: the relay is killed, a line forgets a connection, a line is bad. Whoever
//! calls meanwhile is told in time, and everything comes back by itself.

use std::time::Duration;

use futures_util::future::join_all;
use http::{Request as HttpRequest, Response};
use hyper::body::Incoming;
use latchkey_bench::shaper::{Line, Shape};
use latchkey_model::app_connection::AccessMode;
use latchkey_model::chance::SystemChance;
use latchkey_model::clock::{Clock as _, SystemClock};
use latchkey_model::id::PrinterId;
use latchkey_model::printer::{HostKey, Printer, PrinterName, Seen};
use latchkey_net::body::{self, Body};
use latchkey_net::tunnel::{DialState, Dialler, DiallerConfig, HostIdentity, StreamHead};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::harness::stack::{Connection, Simulator, Stack, assert_relay_status};
use crate::harness::within;

const ASKED: &str = "/api/version";
/// A dead line is noticed within 15 s, and what waits on it is told then.
const NOTICED: Duration = Duration::from_secs(15);
/// What a busy machine may add.
const SLACK: Duration = Duration::from_secs(15);

async fn status(stack: &Stack, connection: &Connection) -> u16 {
    let request = connection.get(ASKED).header("X-Api-Key", Simulator::KEY);
    let answered = request.via(stack.relay_address()).send().await;
    answered.read().await.status.as_u16()
}

async fn eventually_ok(stack: &Stack, connection: &Connection) {
    let deadline = Instant::now() + Duration::from_mins(1);
    while status(stack, connection).await != 200 {
        assert!(Instant::now() < deadline, "it never came back");
        sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn what_waits_on_a_line_that_forgot_is_told_and_the_host_comes_back() {
    let simulator = Simulator::start().await;
    let stack = Stack::before(simulator.url(""))
        .over(Line::default())
        .start()
        .await;
    let connection = stack.connection(AccessMode::Bearer);
    assert_eq!(status(&stack, connection).await, 200);

    // From now on both ends send into nothing, and nobody says so.
    stack.line().blackhole();
    let asked = connection.get(ASKED).via(stack.relay_address());
    let waiting = timeout(NOTICED + SLACK, async {
        asked.try_send().await.unwrap().read().await
    });
    let told = waiting.await.expect("an answer in time");
    assert_relay_status(&told, 601);
    // It is the relay's own answer, and at once.
    assert_eq!(status(&stack, connection).await, 601);
    for (role, said) in [
        (&stack.relay, "a host's tunnel ended"),
        (&stack.host, "tunnel ended"),
    ] {
        let heard = async {
            while role.count_lines(said) == 0 {
                sleep(Duration::from_millis(50)).await;
            }
        };
        timeout(NOTICED + SLACK, heard).await.expect(said);
    }

    stack.line().heal();
    eventually_ok(&stack, connection).await;
}

#[tokio::test]
async fn a_line_that_resets_everything_costs_no_more_than_what_was_open() {
    let simulator = Simulator::start().await;
    let stack = Stack::before(simulator.url(""))
        .over(Line::default())
        .start()
        .await;
    let connection = stack.connection(AccessMode::Bearer);
    for _ in 0..5 {
        eventually_ok(&stack, connection).await;
        stack.line().reset();
    }
    eventually_ok(&stack, connection).await;
}

#[tokio::test]
async fn a_bad_line_is_not_a_dead_one() {
    const POLLS: usize = 20;
    // A mobile connection in a cellar: 200 ms with 100 ms more or less, 1 Mbit/s, 2 % loss.
    let shape = Shape {
        delay: Duration::from_millis(50),
        jitter: Duration::from_millis(100),
        ..Shape::default()
    };
    let shape = shape.bits(1_000_000).losing(0.02);
    let line = Line {
        there: shape,
        back: shape,
        seed: 8,
    };
    let simulator = Simulator::start().await;
    let stack = Stack::before(simulator.url("")).over(line).start().await;
    let connection = stack.connection(AccessMode::Bearer);

    let mut camera = connection
        .get("/webcam/?action=stream")
        .via(stack.relay_address())
        .send()
        .await;
    assert_eq!(camera.status(), 200);
    let watched = async {
        let mut seen = 0;
        loop {
            let chunk = camera.chunk().await.expect("the picture goes on");
            seen += chunk.expect("the picture goes on").len();
            if seen > 200_000 {
                break seen;
            }
        }
    };
    let polled = async {
        let mut times = Vec::new();
        for _ in 0..POLLS {
            let asked = Instant::now();
            assert_eq!(status(&stack, connection).await, 200);
            times.push(asked.elapsed());
            sleep(Duration::from_millis(200)).await;
        }
        times.sort();
        times
    };
    let (seen, times) = tokio::join!(timeout(Duration::from_mins(2), watched), polled);
    println!(
        "beside a picture: half of {POLLS} answers within {:?}, all within {:?}; {} bytes of picture",
        times[POLLS / 2],
        times[POLLS - 1],
        seen.expect("the picture comes through")
    );
    for role in [&stack.relay, &stack.host] {
        assert_eq!(role.count_lines("tunnel ended"), 0, "{}", role.log());
    }
}

/// Hosts of this process that only answer; each dials as every host does.
struct Hosts {
    states: Vec<watch::Receiver<DialState>>,
    hard: CancellationToken,
}

impl Hosts {
    async fn pair_and_start(stack: &Stack, count: usize) -> Self {
        let store = stack.open_store().await;
        let hard = CancellationToken::new();
        let mut states = Vec::new();
        for number in 0..count {
            let identity = HostIdentity::generate().unwrap();
            let printer = Printer {
                id: PrinterId::generate(&SystemChance),
                account: stack.account.clone(),
                name: PrinterName::parse(&format!("Printer {number}")).unwrap(),
                host: Some(HostKey::from_bytes(identity.public_key())),
                created: SystemClock.now(),
                seen: Seen::default(),
                local_address: None,
            };
            store.printers().create(&printer).await.unwrap();
            let service = |_: HttpRequest<Incoming>, _: StreamHead| async {
                Response::<Body>::new(body::empty())
            };
            let url = stack.relay_url("").parse().unwrap();
            let config = DiallerConfig::new(url, format!("Printer {number}"), "0".to_owned());
            let dialler = Dialler::new(config, identity, service, TaskTracker::new()).unwrap();
            states.push(dialler.state());
            tokio::spawn(dialler.run(hard.clone(), hard.clone()));
        }
        store.close().await;
        Self { states, hard }
    }

    /// Waits until all are connected; tells how long each took.
    async fn connected(&mut self) -> Vec<Duration> {
        let start = Instant::now();
        let all = self.states.iter_mut().map(|state| async move {
            let up = state.wait_for(|state| matches!(state, DialState::Connected { .. }));
            timeout(Duration::from_mins(1), up).await.unwrap().unwrap();
            start.elapsed()
        });
        let mut times = join_all(all).await;
        times.sort();
        times
    }

    async fn lost(&mut self) {
        let all = self.states.iter_mut().map(|state| async move {
            let lost = state.wait_for(|state| !matches!(state, DialState::Connected { .. }));
            within("a host to notice", lost).await.unwrap();
        });
        join_all(all).await;
    }
}

#[tokio::test]
async fn all_hosts_come_back_after_the_relay_was_killed() {
    const HOSTS: usize = 100;
    let simulator = Simulator::start().await;
    let mut stack = Stack::before(simulator.url("")).start().await;
    let mut hosts = Hosts::pair_and_start(&stack, HOSTS).await;
    hosts.connected().await;

    stack.relay.kill().await;
    hosts.lost().await;
    stack.start_relay().await;
    let times = hosts.connected().await;
    println!(
        "{HOSTS} hosts were back after a kill: half within {:?}, all within {:?}",
        times[HOSTS / 2],
        times[HOSTS - 1]
    );
    eventually_ok(&stack, stack.connection(AccessMode::Bearer)).await;
    hosts.hard.cancel();
}
