//! A line of IP packets between two network namespaces, in user space: a TUN device at each end.
//!
//! The kernels that tests run on have no `netem`. What is sent into one device waits, is lost or arrives at the other
//! one, as [`Shape`] says; everything else is the kernel's own TCP.
//!
//! Where this process runs is one end; it should be a namespace of its own (`unshare --net`), for a network that has
//! nothing but this line. The other end is made, and programs are started in it with [`PacketLine::command`].

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tun_rs::{AsyncDevice, DeviceBuilder};

use super::lane::Lane;
use super::{Dice, Line, Shape};

/// A packet with Ethernet's usual size.
const LARGEST: usize = 1_500;
/// What is on its way at once, in one direction; what is more is dropped like what does not fit into the queue.
const ON_THE_WAY: usize = 16_384;
const PATIENCE: Duration = Duration::from_secs(10);
const NEAR: &str = "lkline0";
const FAR: &str = "lkline1";

/// A line to another namespace, which goes away with it. [`Line::there`] is what this end sends.
#[derive(Debug)]
pub struct PacketLine {
    holder: Child,
    end: CancellationToken,
    counts: [Arc<Counts>; 2],
}

/// What became of the packets of one direction.
#[derive(Debug, Default)]
struct Counts(Mutex<Passed>);

/// Packets of one direction so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Passed {
    /// Sent on.
    pub packets: u64,
    /// Lost on the line.
    pub lost: u64,
    /// Dropped in front of the narrow place.
    pub dropped: u64,
}

impl PacketLine {
    /// The address of this end.
    pub const NEAR: &str = "10.79.0.1";
    /// The address of the other end.
    pub const FAR: &str = "10.79.0.2";

    /// Makes the other namespace and the line to it. Needs the right to make both: root, or a namespace of users with
    /// access to `/dev/net/tun`.
    pub async fn lay(line: Line) -> io::Result<Self> {
        let mut holder = Command::new("unshare")
            .args(["--net", "cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        // It is in its namespace once it echoes.
        let (Some(input), Some(output)) = (holder.stdin.as_mut(), holder.stdout.take()) else {
            return Err(io::Error::other("no pipes to the other namespace"));
        };
        input.write_all(b"there\n").await?;
        let mut lines = BufReader::new(output).lines();
        let echo = timeout(PATIENCE, lines.next_line()).await;
        let there = echo.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        there.ok_or_else(|| io::Error::other("no namespace for the other end"))?;
        let id = holder.id().unwrap_or_default().to_string();

        let near = Arc::new(device(NEAR)?);
        let far = Arc::new(device(FAR)?);
        ip(&["link", "set", FAR, "netns", &id]).await?;
        let enter = |command: &[&str]| {
            let mut whole = vec!["nsenter".to_owned(), format!("--target={id}")];
            whole.push("--net".to_owned());
            whole.extend(command.iter().map(|&word| word.to_owned()));
            whole
        };
        for (name, from, to) in [(NEAR, Self::NEAR, Self::FAR), (FAR, Self::FAR, Self::NEAR)] {
            for command in [
                vec!["ip", "link", "set", "lo", "up"],
                vec!["ip", "link", "set", name, "up"],
                vec!["ip", "address", "add", from, "peer", to, "dev", name],
            ] {
                if name == NEAR {
                    run(&command).await?;
                } else {
                    run(&enter(&command)).await?;
                }
            }
        }

        let end = CancellationToken::new();
        let tracker = TaskTracker::new();
        let mut dice = Dice::new(line.seed);
        let mut carry = |shape: Shape, from: &Arc<AsyncDevice>, to: &Arc<AsyncDevice>| {
            let counts = Arc::new(Counts::default());
            let carrying = carry(
                Lane::new(shape, Dice::new(dice.roll())),
                Arc::clone(from),
                Arc::clone(to),
                Arc::clone(&counts),
            );
            let end = end.clone();
            tracker.spawn(async move { end.run_until_cancelled(carrying).await });
            counts
        };
        let counts = [
            carry(line.there, &near, &far),
            carry(line.back, &far, &near),
        ];
        Ok(Self {
            holder,
            end,
            counts,
        })
    }

    /// A program at the other end; killed when dropped.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let id = self.holder.id().unwrap_or_default();
        let mut command = Command::new("nsenter");
        command
            .args([&format!("--target={id}"), "--net", "--"])
            .arg(program)
            .kill_on_drop(true);
        command
    }

    /// What this end's packets came to, and those of the other end.
    pub fn passed(&self) -> [Passed; 2] {
        [self.counts[0].now(), self.counts[1].now()]
    }
}

impl Drop for PacketLine {
    fn drop(&mut self) {
        self.end.cancel();
    }
}

impl Counts {
    fn now(&self) -> Passed {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, add: impl FnOnce(&mut Passed)) {
        add(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

fn device(name: &str) -> io::Result<AsyncDevice> {
    DeviceBuilder::new()
        .name(name)
        .inherit_enable_state()
        .build_async()
}

async fn ip(arguments: &[&str]) -> io::Result<()> {
    let mut command = vec!["ip"];
    command.extend(arguments);
    run(&command).await
}

async fn run(command: &[impl AsRef<str>]) -> io::Result<()> {
    let words: Vec<&str> = command.iter().map(AsRef::as_ref).collect();
    let output = Command::new(words[0])
        .args(&words[1..])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = timeout(PATIENCE, output)
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("{}: {said}", words.join(" "))))
}

/// Carries packets until a device fails, or it is dropped.
async fn carry(mut lane: Lane, from: Arc<AsyncDevice>, to: Arc<AsyncDevice>, counts: Arc<Counts>) {
    let waiting: Mutex<VecDeque<(Instant, Vec<u8>)>> = Mutex::default();
    let more = Notify::new();
    let locked = || waiting.lock().unwrap_or_else(PoisonError::into_inner);
    let taking = async {
        let mut buffer = [0; LARGEST];
        while let Ok(size) = from.recv(&mut buffer).await {
            if !lane.room_for(size).is_zero() || locked().len() >= ON_THE_WAY {
                counts.count(|passed| passed.dropped += 1);
                continue;
            }
            let passage = lane.take(size);
            if passage.lost {
                counts.count(|passed| passed.lost += 1);
                continue;
            }
            counts.count(|passed| passed.packets += 1);
            locked().push_back((passage.arrives, buffer[..size].to_vec()));
            more.notify_one();
        }
    };
    let delivering = async {
        loop {
            let next = locked().pop_front();
            let Some((arrives, packet)) = next else {
                more.notified().await;
                continue;
            };
            sleep_until(arrives).await;
            // A full or closed device drops it, as a cable does.
            let _ = to.send(&packet).await;
        }
    };
    tokio::select! {
        () = taking => {}
        () = delivering => {}
    }
}
