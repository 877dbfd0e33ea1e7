//! Ten minutes of everything at once: callers that come and go, viewers, sockets, app connections that are allowed and
//! revoked, tunnels that break. Memory, descriptors and tasks are the same at the end as at the beginning.
//!
//! `./test soak` runs it; `LATCHKEY_SOAK_SECONDS` makes it shorter or longer.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use latchkey_bench::shaper::Line;
use latchkey_model::app_connection::{AccessMode, EndReason};
use latchkey_model::chance::{Chance as _, SeededChance};
use latchkey_model::clock::{Clock as _, SystemClock};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::harness::http::{Request, websocket};
use crate::harness::stack::{Connection, Process, Simulator, Stack};

const USUALLY: Duration = Duration::from_mins(10);
/// All that is made once is there, and the allocator has what it needs.
const WARM_UP: f64 = 0.2;
/// After the last caller: idle connections end after a minute.
const QUIET: Duration = Duration::from_secs(80);
const CALLERS: usize = 8;
const VIEWERS: usize = 12;
const SOCKETS: usize = 6;
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Resident memory may grow by so much of itself between the two halves.
const GROWTH: f64 = 0.05;
/// Or by so much.
const ALLOWED: u64 = 4 << 20;

#[derive(Default)]
struct Done {
    requests: AtomicUsize,
    refused: AtomicUsize,
    views: AtomicUsize,
    sockets: AtomicUsize,
    revocations: AtomicUsize,
    breaks: AtomicUsize,
}

fn one_more(count: &AtomicUsize) {
    count.fetch_add(1, Ordering::Relaxed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes ten minutes: ./test soak"]
async fn nothing_stays_of_what_came_and_went() {
    let seconds = std::env::var("LATCHKEY_SOAK_SECONDS").ok();
    let length = seconds.map_or(USUALLY, |seconds| {
        Duration::from_secs(seconds.parse().unwrap())
    });
    let simulator = Simulator::start().await;
    let stack = Stack::before(simulator.url(""))
        .over(Line::default())
        .start()
        .await;
    let roles = [Watched::new(&stack.relay), Watched::new(&stack.host)];
    let quiet_before = join_all(roles.iter().map(Watched::look)).await;
    let done = Done::default();
    let end = CancellationToken::new();
    let work = async {
        let callers = join_all((0..CALLERS).map(|_| call(&stack, &done, &end)));
        let viewers = join_all((0..VIEWERS).map(|number| view(&stack, &done, &end, number)));
        let sockets = join_all((0..SOCKETS).map(|_| listen(&stack, &done, &end)));
        let churn = allow_and_revoke(&stack, &done, &end);
        let breaks = break_tunnels(&stack, &done, &end);
        tokio::join!(callers, viewers, sockets, churn, breaks);
    };
    let looking = async {
        sleep(length.mul_f64(WARM_UP)).await;
        let mut looks = [Vec::new(), Vec::new()];
        let until = Instant::now() + length.mul_f64(1.0 - WARM_UP);
        while Instant::now() < until {
            for (role, looks) in roles.iter().zip(&mut looks) {
                looks.push(role.look().await);
            }
            sleep(LOOK_EVERY).await;
        }
        end.cancel();
        looks
    };
    let ((), looks) = tokio::join!(work, looking);
    println!(
        "{} requests, {} refused, {} views, {} sockets, {} revocations, {} broken tunnels",
        done.requests.load(Ordering::Relaxed),
        done.refused.load(Ordering::Relaxed),
        done.views.load(Ordering::Relaxed),
        done.sockets.load(Ordering::Relaxed),
        done.revocations.load(Ordering::Relaxed),
        done.breaks.load(Ordering::Relaxed),
    );
    sleep(QUIET).await;
    let mut faults = Vec::new();
    for ((role, looks), before) in roles.iter().zip(&looks).zip(&quiet_before) {
        let after = role.look().await;
        faults.extend(role.judge(looks, before, &after));
    }
    for count in [&done.requests, &done.views, &done.sockets] {
        assert!(count.load(Ordering::Relaxed) > 50, "too little was done");
    }
    assert!(done.revocations.load(Ordering::Relaxed) > 5);
    assert!(done.breaks.load(Ordering::Relaxed) > 2);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// What a process needs at a moment.
#[derive(Debug, Clone, Copy)]
struct Look {
    resident: u64,
    descriptors: usize,
    threads: usize,
    tasks: usize,
}

/// A process and where it tells its numbers.
struct Watched<'a> {
    process: &'a Process,
    metrics: String,
}

impl<'a> Watched<'a> {
    fn new(process: &'a Process) -> Self {
        let status = process.field("status.address");
        Self {
            process,
            metrics: format!("http://{status}/metrics"),
        }
    }

    async fn look(&self) -> Look {
        let text = Request::get(&self.metrics).send().await.read().await;
        let tasks = text.text().lines().filter_map(|line| {
            let (name, number) = line.split_once(' ')?;
            let counts = ["latchkey_tasks", "latchkey_connection_tasks"].contains(&name);
            counts.then(|| number.parse::<usize>().unwrap())
        });
        let tasks: Vec<_> = tasks.collect();
        assert!(!tasks.is_empty(), "{}", text.text());
        Look {
            resident: self.process.resident(),
            descriptors: self.process.descriptors(),
            threads: self.process.threads(),
            tasks: tasks.iter().sum(),
        }
    }

    /// What is more at the end than it was.
    #[expect(clippy::print_stdout, reason = "what was measured is to be seen")]
    fn judge(&self, looks: &[Look], before: &Look, after: &Look) -> Vec<String> {
        let role = self.process.role();
        let (first, second) = looks.split_at(looks.len() / 2);
        let usual = |looks: &[Look]| {
            let mut resident: Vec<_> = looks.iter().map(|look| look.resident).collect();
            resident.sort_unstable();
            resident[resident.len() / 2]
        };
        let most = |of: fn(&Look) -> usize| looks.iter().map(of).max().unwrap_or_default();
        let (early, late) = (usual(first), usual(second));
        println!(
            "{role}: {} KiB, then {} KiB; quiet {} KiB, then {} KiB; tasks {} to {} ({} at most), descriptors {} to {} \
             ({} at most), threads {} to {}",
            early / 1024,
            late / 1024,
            before.resident / 1024,
            after.resident / 1024,
            before.tasks,
            after.tasks,
            most(|look| look.tasks),
            before.descriptors,
            after.descriptors,
            most(|look| look.descriptors),
            before.threads,
            after.threads,
        );
        let mut faults = Vec::new();
        #[expect(clippy::cast_precision_loss, reason = "bytes of memory")]
        let share = (late as f64 - early as f64) / early as f64;
        if late.saturating_sub(early) > ALLOWED && share > GROWTH {
            faults.push(format!("the {role}'s memory grew from {early} to {late}"));
        }
        // A pooled connection or two, a reader of the database: what is made when it is first needed.
        for (what, before, after, more) in [
            ("tasks", before.tasks, after.tasks, 6),
            ("descriptors", before.descriptors, after.descriptors, 12),
        ] {
            if after > before + more {
                faults.push(format!("{before} {what} of the {role} became {after}"));
            }
        }
        faults
    }
}

/// Requests, each on a connection of its own.
async fn call(stack: &Stack, done: &Done, end: &CancellationToken) {
    let connection = stack.connection(AccessMode::Bearer);
    while !end.is_cancelled() {
        let asked = connection
            .get("/api/version")
            .header("X-Api-Key", Simulator::KEY)
            .via(stack.relay_address());
        let answered = timeout(Duration::from_secs(40), asked.try_send()).await;
        match answered.expect("a request has no answer") {
            Ok(answer) => {
                let status = answer.status().as_u16();
                assert!([200, 600, 601].contains(&status), "{status}");
                one_more(if status == 200 {
                    &done.requests
                } else {
                    &done.refused
                });
            }
            Err(error) => panic!("{error}"),
        }
        sleep(Duration::from_millis(5)).await;
    }
}

/// Looks at the camera for a while, and goes; some in the middle of a picture, some without reading.
async fn view(stack: &Stack, done: &Done, end: &CancellationToken, number: usize) {
    let connection = stack.connection(AccessMode::Basic);
    let chance = SeededChance::new(number as u64);
    while !end.is_cancelled() {
        let asked = connection.get("/webcam/?action=stream");
        if let Ok(mut answer) = asked.via(stack.relay_address()).try_send().await {
            let stay = Duration::from_millis(u64::from(byte(&chance)) * 20);
            let looked = async {
                if number.is_multiple_of(4) {
                    std::future::pending::<()>().await;
                }
                while let Ok(Some(_)) = answer.chunk().await {}
            };
            let _ = timeout(stay, looked).await;
            one_more(&done.views);
        }
        sleep(Duration::from_millis(u64::from(byte(&chance)))).await;
    }
}

/// Listens at the push socket for a while.
async fn listen(stack: &Stack, done: &Done, end: &CancellationToken) {
    let connection = stack.connection(AccessMode::Bearer);
    let bearer = connection.authorization().unwrap();
    let url = format!(
        "http://{}:{}/sockjs/websocket",
        connection.authority.rsplit_once(':').unwrap().0,
        stack.relay_address().port()
    );
    let fields = [
        ("Authorization", bearer.as_str()),
        ("Host", connection.authority.as_str()),
    ];
    while !end.is_cancelled() {
        if let Ok((socket, _)) = websocket(&url, &fields).await {
            sleep(Duration::from_millis(400)).await;
            drop(socket);
            one_more(&done.sockets);
        }
        sleep(Duration::from_millis(20)).await;
    }
}

/// Apps that are let in, used, and revoked beside the running relay, as the commands do it.
async fn allow_and_revoke(stack: &Stack, done: &Done, end: &CancellationToken) {
    while !end.is_cancelled() {
        let app = stack.connect_app(AccessMode::Bearer).await;
        let open = app.get("/webcam/?action=stream").via(stack.relay_address());
        let open = open.try_send().await;
        revoke(stack, &app).await;
        // What is open ends, and the next request is told for good.
        if let Ok(mut open) = open
            && open.status() == 200
        {
            let ended = async { while let Ok(Some(_)) = open.chunk().await {} };
            timeout(Duration::from_secs(20), ended)
                .await
                .expect("a revoked viewer is cut");
        }
        let told = app.get("/api/version").via(stack.relay_address());
        let told = told.send().await.status().as_u16();
        assert_eq!(told, 604, "{}", app.id);
        one_more(&done.revocations);
    }
}

async fn revoke(stack: &Stack, app: &Connection) {
    let store = stack.open_store().await;
    let connections = store.app_connections();
    let now = SystemClock.now();
    let ended = connections.end(&app.id, EndReason::Revoked, now).await;
    assert!(ended.unwrap());
    store.close().await;
}

async fn break_tunnels(stack: &Stack, done: &Done, end: &CancellationToken) {
    while !end.is_cancelled() {
        tokio::select! {
            () = sleep(Duration::from_secs(7)) => {}
            () = end.cancelled() => return,
        }
        stack.line().reset();
        one_more(&done.breaks);
    }
}

fn byte(chance: &SeededChance) -> u8 {
    let mut byte = [0];
    chance.fill(&mut byte);
    byte[0]
}
