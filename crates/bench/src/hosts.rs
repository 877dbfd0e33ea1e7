//! Many hosts: what a relay pays for one that is idle, and how long they need to come back.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use http::{Request, Response};
use hyper::body::Incoming;
use latchkey_net::body::{self, Body};
use latchkey_net::tunnel::{DialState, Dialler, DiallerConfig, HostIdentity, StreamHead};
use serde_json::json;
use tokio::process::Command;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::contenders::{Setting, free_address, prepare_hosts};
use crate::process::{self, Running};
use crate::stats::{count, quantile};
use crate::{certificates, say};

const UP_WITHIN: Duration = Duration::from_mins(5);
const BACK_WITHIN: Duration = Duration::from_mins(2);
/// Dialled together, so that no listener's queue overflows.
const AT_ONCE: usize = 100;
/// For what is freed only after a while.
const SETTLE: Duration = Duration::from_secs(5);

/// What many hosts cost.
#[derive(Clone, Copy, Debug)]
pub struct Idle {
    /// How many there were.
    pub hosts: usize,
    /// Resident bytes of the relay for each.
    pub bytes_each: f64,
    /// Seconds of a processor of the relay for each to come.
    pub cpu_each: f64,
}

/// How they came back after the relay was killed and started again at once.
#[derive(Clone, Copy, Debug)]
pub struct Back {
    /// How many there were.
    pub hosts: usize,
    /// From the kill until half of them were back, in seconds.
    pub half: f64,
    /// Until 99 of 100 were.
    pub most: f64,
    /// Until all were.
    pub all: f64,
    /// Seconds of a processor of the new relay until then, its start included.
    pub cpu: f64,
}

/// Connects so many hosts to a relay that ends TLS itself.
pub async fn idle(setting: &Setting, hosts: usize) -> anyhow::Result<Idle> {
    let scene = Scene::start(setting, "idle", hosts).await?;
    sleep(SETTLE).await;
    let before = process::used(&[scene.relay.id()]);
    let crowd = scene.connect().await?;
    crowd.all_up(UP_WITHIN).await?;
    sleep(SETTLE).await;
    let after = process::used(&[scene.relay.id()]);
    crowd.end();
    Ok(Idle {
        hosts,
        bytes_each: (count(after.resident) - count(before.resident)) / count(hosts as u64),
        cpu_each: (after.cpu - before.cpu) / count(hosts as u64),
    })
}

/// Kills a relay that has so many hosts, starts it again, and waits for them.
pub async fn back(setting: &Setting, hosts: usize) -> anyhow::Result<Back> {
    let scene = Scene::start(setting, "back", hosts).await?;
    let crowd = scene.connect().await?;
    crowd.all_up(UP_WITHIN).await?;
    sleep(SETTLE).await;

    let folder = setting.room("back")?;
    let killed = Instant::now();
    let fresh = {
        scene.relay.killed().await?;
        relay_process(setting, &folder, "relay-again")?
    };
    let back = timeout(BACK_WITHIN, crowd.back_since(killed)).await;
    let back = back.context("not all hosts came back in time")?;
    let cpu = process::used(&[fresh.id()]).cpu;
    crowd.end();
    Ok(Back {
        hosts,
        half: quantile(&back, 0.5),
        most: quantile(&back, 0.99),
        all: quantile(&back, 1.0),
        cpu,
    })
}

/// A relay and identities that it knows.
struct Scene {
    relay: Running,
    identities: Vec<HostIdentity>,
    url: url::Url,
    ca_file: std::path::PathBuf,
}

impl Scene {
    async fn start(setting: &Setting, name: &str, hosts: usize) -> anyhow::Result<Self> {
        let folder = setting.room(name)?;
        certificates::certify(&folder, &["localhost", "*.printers.localhost"])?;
        let address = free_address()?;
        let url = format!("https://localhost:{}", address.port());
        let config = json!({
            "listen": address,
            "status_listen": null,
            "public_url": url,
            "connection_domain": format!("printers.localhost:{}", address.port()),
            "data": "relay",
            "tls": {"cert": "tls.pem", "key": "tls.key"},
        });
        std::fs::write(folder.join("relay.yaml"), config.to_string())?;
        say(&format!("making {hosts} printers"));
        let identities = prepare_hosts(&folder, hosts).await?;
        let mut relay = relay_process(setting, &folder, "relay")?;
        relay.says("the relay is listening", 1).await?;
        Ok(Self {
            relay,
            identities,
            url: url.parse()?,
            ca_file: folder.join("ca.pem"),
        })
    }

    async fn connect(&self) -> anyhow::Result<Crowd> {
        let mut crowd = Crowd {
            states: Vec::new(),
            end: CancellationToken::new(),
        };
        let tracker = TaskTracker::new();
        say(&format!("connecting {} hosts", self.identities.len()));
        for (number, identity) in self.identities.iter().enumerate() {
            let mut config =
                DiallerConfig::new(self.url.clone(), "Bench".to_owned(), "0".to_owned());
            config.ca_file = Some(self.ca_file.clone());
            let dialler = Dialler::new(config, identity.clone(), nothing, tracker.clone())?;
            crowd.states.push(dialler.state());
            let end = crowd.end.clone();
            tracker.spawn(dialler.run(end.clone(), end));
            if (number + 1) % AT_ONCE == 0 {
                crowd.all_up(UP_WITHIN).await?;
            }
        }
        Ok(crowd)
    }
}

fn relay_process(setting: &Setting, folder: &Path, name: &str) -> anyhow::Result<Running> {
    let mut command = Command::new(&setting.latchkey);
    command
        .args(["relay", "--config"])
        .arg(folder.join("relay.yaml"));
    Running::start(name, command, folder)
}

/// What a host in the crowd answers, if it is ever asked.
async fn nothing(_: Request<Incoming>, _: StreamHead) -> Response<Body> {
    Response::new(body::empty())
}

/// Hosts that only hold their tunnels.
struct Crowd {
    states: Vec<watch::Receiver<DialState>>,
    end: CancellationToken,
}

impl Crowd {
    async fn all_up(&self, within: Duration) -> anyhow::Result<()> {
        let up = async {
            for state in &self.states {
                let mut state = state.clone();
                state.wait_for(is_up).await.map(drop)?;
            }
            Ok(())
        };
        timeout(within, up)
            .await
            .context("not all hosts connected")?
    }

    /// When each was back, in seconds since `killed`, sorted.
    async fn back_since(&self, killed: Instant) -> Vec<f64> {
        let each = self.states.iter().map(|state| {
            let mut state = state.clone();
            async move {
                let again = |state: &DialState| {
                    matches!(state, DialState::Connected { since, .. } if *since > killed)
                };
                let since = state.wait_for(again).await.map(|state| match *state {
                    DialState::Connected { since, .. } => since,
                    _ => killed,
                });
                (since.unwrap_or(killed) - killed).as_secs_f64()
            }
        });
        let mut back = futures_util::future::join_all(each).await;
        back.sort_by(f64::total_cmp);
        back
    }

    fn end(&self) {
        self.end.cancel();
    }
}

fn is_up(state: &DialState) -> bool {
    matches!(state, DialState::Connected { .. })
}
