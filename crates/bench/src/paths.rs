//! The main table: every contender does everything, in rounds.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;

use crate::board::Board;
use crate::contenders::{self, Contender, Latchkey, Setting};
use crate::payload::noise;
use crate::process::{self, Running};
use crate::stats::{self, count};
use crate::{load, say};

/// Callers that connect anew each time.
const FRESH_CALLERS: usize = 16;
const SOCKETS: usize = 32;
const MB: f64 = 1_000_000.0;
const MIB: f64 = 1_048_576.0;

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// How often everything is done.
    pub rounds: usize,
    /// How long each thing is.
    pub time: Duration,
    /// Requests a second where latency is measured.
    pub rate: u32,
    /// Bytes of a download, and of an upload.
    pub bulk: u64,
    /// Viewers of the webcam.
    pub viewers: usize,
}

/// What of it is measured: everything where nothing is named.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// Names of contenders.
    pub only: Vec<String>,
    /// Keys of measures.
    pub what: Vec<String>,
}

impl Choice {
    fn has(&self, contender: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| name == contender)
    }

    fn does(&self, kind: Kind) -> bool {
        let named = |key: &&str| self.what.iter().any(|name| name == key);
        self.what.is_empty() || kind.keys().iter().any(named)
    }
}

/// All contenders that can run here, and the server behind them.
pub struct Field {
    _server: Running,
    /// Those that run.
    pub contenders: Vec<Contender>,
}

impl Field {
    /// Starts everything. What cannot be started is named and left out; Latchkey must.
    pub async fn start(
        setting: &Setting,
        choice: &Choice,
        board: &mut Board,
    ) -> anyhow::Result<Self> {
        let (server, direct) = contenders::direct(setting).await?;
        let address = direct.target.address;
        let mut all = Vec::new();
        if choice.has(direct.name) {
            all.push(direct);
        }
        for name in ["nginx", "bore", "rathole"] {
            if !choice.has(name) {
                continue;
            }
            let started = match name {
                "nginx" => contenders::nginx(setting, address).await,
                "bore" => contenders::bore(setting, address).await,
                _ => contenders::rathole(setting, address).await,
            };
            match started {
                Ok(Some(contender)) => all.push(contender),
                Ok(None) => board
                    .troubles
                    .push(format!("{name} is not here and is left out.")),
                Err(error) => {
                    let trouble =
                        format!("{name} could not be started and is left out: {error:#}.");
                    board.troubles.push(trouble);
                }
            }
        }
        if choice.has("latchkey") {
            all.push(Latchkey::here(setting, address).await?);
        }
        Ok(Self {
            _server: server,
            contenders: all,
        })
    }
}

/// Does everything.
pub async fn measure(
    field: &Field,
    size: &Size,
    choice: &Choice,
    board: &mut Board,
) -> anyhow::Result<()> {
    let noise = noise();
    for contender in &field.contenders {
        // The first request of each opens what stays open.
        let mut connection = contender.target.connect().await?;
        connection.whole(contender.target.get("/small")).await?;
        let rest = process::used(&contender.ids()).resident;
        board.note("rest", contender.name, Some(count(rest) / MIB));
        process::forget_peaks(&contender.ids());
    }
    for round in 0..size.rounds {
        say(&format!("round {} of {}", round + 1, size.rounds));
        let number = field.contenders.len();
        for kind in Kind::ALL.into_iter().filter(|kind| choice.does(*kind)) {
            // Nobody is always the one after somebody else.
            for turn in 0..number {
                let contender = &field.contenders[(turn + round) % number];
                let before = (!choice.what.is_empty()).then(|| each(contender));
                run(kind, contender, size, &noise, board).await;
                if let Some(before) = before {
                    tell(kind, contender, &before, board);
                }
            }
        }
    }
    for contender in &field.contenders {
        let peak = process::used(&contender.ids()).peak;
        board.note("peak", contender.name, Some(count(peak) / MIB));
    }
    Ok(())
}

/// Seconds of a processor that each of its programs used so far.
fn each(contender: &Contender) -> Vec<f64> {
    let programs = contender.ids().into_iter();
    programs.map(|id| process::used(&[id]).cpu).collect()
}

/// Who of a contender's programs used the processor for this.
fn tell(kind: Kind, contender: &Contender, before: &[f64], board: &Board) {
    let used = contender.programs.iter().zip(each(contender)).zip(before);
    let used: Vec<_> = used
        .map(|((program, now), before)| format!("{} {:.2} s", program.name(), now - before))
        .collect();
    let values = kind.keys().iter().filter_map(|key| {
        let last = board.last(key, contender.name)?;
        Some(format!("{key} {}", stats::short(last)))
    });
    let values: Vec<_> = values.collect();
    let (name, values, used) = (contender.name, values.join(", "), used.join(", "));
    say(&format!("{name}: {values}; {used}"));
}

/// What is done in one go.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Kept(usize),
    Fresh,
    Rate,
    Down,
    Up,
    Echo,
    Viewers,
}

impl Kind {
    const ALL: [Self; 9] = [
        Self::Kept(1),
        Self::Kept(32),
        Self::Kept(256),
        Self::Fresh,
        Self::Rate,
        Self::Down,
        Self::Up,
        Self::Echo,
        Self::Viewers,
    ];

    const fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Kept(1) => &["rps-1"],
            Self::Kept(256) => &["rps-256"],
            Self::Kept(_) => &["rps-32", "cpu-10k"],
            Self::Fresh => &["fresh", "cpu-fresh"],
            Self::Rate => &["p50", "p99"],
            Self::Down => &["down", "cpu-down"],
            Self::Up => &["up", "cpu-up"],
            Self::Echo => &["echo"],
            Self::Viewers => &["viewers", "cpu-viewers"],
        }
    }
}

async fn run(kind: Kind, contender: &Contender, size: &Size, noise: &Bytes, board: &mut Board) {
    let name = contender.name;
    match values(kind, contender, size, noise).await {
        Ok(values) => {
            for (key, value) in kind.keys().iter().zip(values) {
                board.note(key, name, Some(value));
            }
        }
        Err(error) => {
            board.troubles.push(format!("{name}, {kind:?}: {error:#}."));
            for key in kind.keys() {
                board.note(key, name, None);
            }
        }
    }
}

/// The values of the keys of this kind, in their order.
async fn values(
    kind: Kind,
    contender: &Contender,
    size: &Size,
    noise: &Bytes,
) -> anyhow::Result<Vec<f64>> {
    let (target, ids, time) = (&contender.target, contender.ids(), size.time);
    let gigabytes = count(size.bulk) / 1e9;
    Ok(match kind {
        Kind::Kept(connections) => {
            let doing = load::kept(target, "/small", connections, time);
            let (outcome, cpu) = metered(&ids, doing).await?;
            few_failed(&outcome)?;
            vec![outcome.a_second(), cpu / count(outcome.done) * 1e4]
        }
        Kind::Fresh => {
            let doing = load::fresh(target, "/small", FRESH_CALLERS, time);
            let (outcome, cpu) = metered(&ids, doing).await?;
            few_failed(&outcome)?;
            vec![outcome.a_second(), cpu / count(outcome.done) * 1e4]
        }
        Kind::Rate => {
            let outcome = load::at_rate(target, "/small", size.rate, time).await?;
            few_failed(&outcome)?;
            vec![outcome.percentile(0.5), outcome.percentile(0.99)]
        }
        Kind::Down => {
            let (speed, cpu) = metered(&ids, load::download(target, size.bulk)).await?;
            vec![speed / MB, cpu / gigabytes]
        }
        Kind::Up => {
            let (speed, cpu) = metered(&ids, load::upload(target, noise, size.bulk)).await?;
            vec![speed / MB, cpu / gigabytes]
        }
        Kind::Echo => {
            let outcome = load::echo(target, SOCKETS, time).await?;
            few_failed(&outcome)?;
            vec![outcome.a_second()]
        }
        Kind::Viewers => {
            let path = "/webcam/?action=stream&rate=10&size=30000";
            let doing = load::watch(target, path, size.viewers, time);
            let (seen, cpu) = metered(&ids, doing).await?;
            anyhow::ensure!(seen.broken == 0, "{} broken pictures", seen.broken);
            vec![seen.a_second(), cpu / time.as_secs_f64() * 10.0]
        }
    })
}

/// With the seconds of a processor that these programs used meanwhile.
async fn metered<T>(
    ids: &[u32],
    doing: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<(T, f64)> {
    let before = process::used(ids).cpu;
    let done = doing.await?;
    Ok((done, process::used(ids).cpu - before))
}

/// A number that is made of errors is none.
fn few_failed(outcome: &load::Outcome) -> anyhow::Result<()> {
    let (done, failed) = (outcome.done, outcome.failed);
    anyhow::ensure!(
        failed * 1_000 <= done,
        "{failed} of {} failed",
        done + failed
    );
    anyhow::ensure!(done > 0, "nothing was answered");
    Ok(())
}
