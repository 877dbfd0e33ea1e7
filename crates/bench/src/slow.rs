//! The slow link: a page, a webcam, and what waits behind bulk, through a line of packets.
//!
//! Runs in a network namespace of its own. This end is the relay's and the callers'; the printer's server and the host
//! are at the other end. "Direct" is the same callers at the same server over the same line, without a tunnel.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use tokio::process::Command;
use tokio::time::{Instant, sleep};

use crate::contenders::{Latchkey, Place, Setting};
use crate::load::{self, Browser, Target, Visit, parts_of};
use crate::process::Running;
use crate::say;
use crate::shaper::packets::{PacketLine, Passed};
use crate::shaper::{Dice, Line, Shape};

/// Half of the round trip.
const DELAY: Duration = Duration::from_millis(30);
/// What a usual uplink gives, and the way to the printer.
const UP: u64 = 8_000_000;
const DOWN: u64 = 40_000_000;
const SEED: u64 = 20;
/// Parts of the page, and their bytes together.
const PARTS: u64 = 60;
const PAGE: u64 = 3_650_000;
const CAMERA: &str = "/webcam/?action=stream&rate=10&size=30000";
const SERVER_PORT: u16 = 8080;
const OCTOPRINT_PORT: u16 = 5000;
const SMALL_ONES: usize = 15;
const OCTOPRINT_KEY: &str = "LATCHKEYBENCHONLYADMINAPIKEY0000";

/// How much is measured.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How often.
    pub rounds: usize,
    /// The parts of packets that are lost.
    pub losses: Vec<f64>,
    /// The command of a real OctoPrint, if its page is to be loaded too.
    pub octoprint: Option<PathBuf>,
}

/// One way over one line in one round.
#[derive(Clone, Copy, Debug)]
pub struct Lap {
    /// The loss.
    pub loss: f64,
    /// Whether through Latchkey.
    pub tunnel: bool,
    /// Seconds of the page while the webcam ran.
    pub page: f64,
    /// Whole pictures of the webcam a second meanwhile.
    pub pictures: f64,
    /// Median wait of a small request behind a download, in milliseconds.
    pub behind: f64,
    /// What the line lost and dropped, from the printer.
    pub passed: Passed,
}

/// A visit of OctoPrint's page, the first and the second.
#[derive(Clone, Copy, Debug)]
pub struct Visits {
    /// The loss.
    pub loss: f64,
    /// Whether through Latchkey.
    pub tunnel: bool,
    /// With nothing kept.
    pub first: Visit,
    /// With what the browser kept.
    pub second: Visit,
}

/// Does everything; what came so far is given even if something fails.
pub async fn run(setting: &Setting, plan: &Plan) -> anyhow::Result<(Vec<Lap>, Vec<Visits>)> {
    let (mut laps, mut visits) = (Vec::new(), Vec::new());
    for round in 0..plan.rounds {
        for &loss in &plan.losses {
            say(&format!(
                "slow link, round {} of {}, {loss} lost",
                round + 1,
                plan.rounds
            ));
            let seed = SEED + round as u64;
            let line = lay(loss, seed).await?;
            let name = format!("slow-{round}-{loss}");
            let room = setting.room(&name)?;
            let server = server(setting, &line, &room).await?;
            let far = format!("http://{}:{SERVER_PORT}", PacketLine::FAR);
            let latchkey = tunnel(setting, &line, &name, &far, "generic", None).await?;
            let direct = Target::plain(format!("{}:{SERVER_PORT}", PacketLine::FAR).parse()?);
            let mut ways = [(false, direct), (true, latchkey.contender.target.clone())];
            if round % 2 == 1 {
                ways.reverse();
            }
            for (tunnel, target) in ways {
                laps.push(lap(&line, loss, tunnel, &target).await?);
            }
            drop((latchkey, server));
            if let Some(octoprint) = &plan.octoprint
                && round == 0
            {
                visits.extend(octoprints(setting, &line, loss, octoprint, &name).await?);
            }
        }
    }
    Ok((laps, visits))
}

async fn lay(loss: f64, seed: u64) -> anyhow::Result<PacketLine> {
    let far = Shape::far(DELAY).losing(loss);
    let line = PacketLine::lay(Line {
        there: far.bits(DOWN),
        back: far.bits(UP),
        seed,
    });
    line.await.context(
        "the slow line needs namespaces of networks and /dev/net/tun: run it as root, or where users may make both",
    )
}

async fn server(setting: &Setting, line: &PacketLine, room: &Path) -> anyhow::Result<Running> {
    let address = format!("{}:{SERVER_PORT}", PacketLine::FAR);
    let mut command = line.command(&setting.own);
    command.args(["serve", "--listen", &address]);
    let mut server = Running::start("server", command, room)?;
    server.listens(address.parse()?).await?;
    Ok(server)
}

async fn tunnel(
    setting: &Setting,
    line: &PacketLine,
    name: &str,
    server: &str,
    kind: &str,
    key: Option<&str>,
) -> anyhow::Result<Latchkey> {
    let place = Place {
        relay: PacketLine::NEAR,
        command: &|program| line.command(program),
        server: server.to_owned(),
        kind,
        key,
    };
    let latchkey = Latchkey::start(setting, &format!("{name}-{kind}"), &place).await?;
    // The first request opens what stays open.
    let target = &latchkey.contender.target;
    let path = if key.is_some() {
        "/api/version"
    } else {
        "/small"
    };
    target.connect().await?.whole(target.get(path)).await?;
    Ok(latchkey)
}

/// Parts of a page as they are: a few large, many small, 3.65 MB together. The seed is fixed: every way loads the same.
fn parts() -> Vec<String> {
    let mut dice = Dice::new(SEED);
    let weights: Vec<u64> = (0..PARTS).map(|_| 1 + dice.roll() % 9).collect();
    let weights: Vec<u64> = weights.iter().map(|weight| weight.pow(3)).collect();
    let sum: u64 = weights.iter().sum();
    let sizes = weights.iter().map(|weight| PAGE * weight / sum);
    sizes.map(|size| format!("/bytes/{size}")).collect()
}

async fn lap(line: &PacketLine, loss: f64, tunnel: bool, target: &Target) -> anyhow::Result<Lap> {
    let before = line.passed()[1];
    let (page, pictures) = page_and_camera(target).await?;
    // What is still in the line's queue is not the next one's.
    sleep(Duration::from_secs(2)).await;
    let behind = small_behind_bulk(target).await?;
    sleep(Duration::from_secs(2)).await;
    let after = line.passed()[1];
    Ok(Lap {
        loss,
        tunnel,
        page,
        pictures,
        behind,
        passed: Passed {
            packets: after.packets - before.packets,
            lost: after.lost - before.lost,
            dropped: after.dropped - before.dropped,
        },
    })
}

async fn page_and_camera(target: &Target) -> anyhow::Result<(f64, f64)> {
    let mut camera = load::Viewer::open(target, CAMERA).await?;
    // It runs when the page begins.
    camera.look(Duration::from_secs(1)).await?;
    let (browser, parts) = (Browser::default(), parts());
    let seen_before = camera.whole();
    let begun = Instant::now();
    let visit = {
        let loading = browser.load(target, &parts);
        let looking = camera.look(Duration::from_mins(5));
        tokio::select! {
            visit = loading => visit?,
            ended = looking => {
                ended?;
                anyhow::bail!("the page did not load in 5 minutes");
            }
        }
    };
    let took = begun.elapsed().as_secs_f64();
    let seen = camera.whole() - seen_before;
    anyhow::ensure!(
        visit.asked == PARTS,
        "{} of {PARTS} parts came",
        visit.asked
    );
    Ok((took, crate::stats::count(seen) / took))
}

async fn small_behind_bulk(target: &Target) -> anyhow::Result<f64> {
    let asking = async {
        // Until the bulk fills the line.
        sleep(Duration::from_secs(2)).await;
        let mut connection = target.connect().await?;
        let mut waits = Vec::new();
        for _ in 0..SMALL_ONES {
            let asked = Instant::now();
            connection.whole(target.get("/small")).await?;
            waits.push(asked.elapsed().as_secs_f64() * 1_000.0);
            sleep(Duration::from_millis(200)).await;
        }
        waits.sort_by(f64::total_cmp);
        Ok(crate::stats::quantile(&waits, 0.5))
    };
    tokio::select! {
        wait = asking => wait,
        ended = load::endless_download(target) => {
            ended?;
            anyhow::bail!("the download ended");
        }
    }
}

/// The page of a real OctoPrint, with what it is made of, as somebody who is signed in loads it.
async fn octoprints(
    setting: &Setting,
    line: &PacketLine,
    loss: f64,
    program: &Path,
    name: &str,
) -> anyhow::Result<Vec<Visits>> {
    let room = setting.room(&format!("{name}-octoprint-itself"))?;
    let address = format!("{}:{OCTOPRINT_PORT}", PacketLine::FAR);
    std::fs::write(
        room.join("config.yaml"),
        include_str!("slow/octoprint.yaml"),
    )?;
    std::fs::write(room.join("users.yaml"), include_str!("slow/users.yaml"))?;
    let mut command: Command = line.command(program);
    command
        .args(["serve", "--iknowwhatimdoing", "--host", PacketLine::FAR])
        .args(["--port", &OCTOPRINT_PORT.to_string(), "--basedir"])
        .arg(&room);
    let mut octoprint = Running::start("octoprint", command, &room)?;
    octoprint.says("Listening on http", 1).await?;
    let url = format!("http://{address}");
    let latchkey = tunnel(setting, line, name, &url, "octoprint", Some(OCTOPRINT_KEY)).await?;
    let mut direct = Target::plain(address.parse()?);
    direct.headers.insert("x-api-key", OCTOPRINT_KEY.parse()?);
    let mut visits = Vec::new();
    for (tunnel, target) in [(false, &direct), (true, &latchkey.contender.target)] {
        let mut connection = target.connect().await?;
        let html = connection.whole(target.get("/")).await?;
        let mut parts = vec!["/".to_owned()];
        parts.extend(parts_of(std::str::from_utf8(&html)?));
        let browser = Browser::default();
        let first = browser.load(target, &parts).await?;
        let second = browser.load(target, &parts).await?;
        visits.push(Visits {
            loss,
            tunnel,
            first,
            second,
        });
    }
    Ok(visits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_its_parts_and_weight() {
        let sizes: Vec<u64> = parts()
            .iter()
            .map(|path| path["/bytes/".len()..].parse().unwrap())
            .collect();
        assert_eq!(sizes.len(), 60);
        let sum: u64 = sizes.iter().sum();
        assert!((3_649_900..=3_650_000).contains(&sum), "{sum}");
    }
}
