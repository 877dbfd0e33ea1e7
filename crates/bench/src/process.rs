//! Programs that are measured: started, ended, and what they used, as the kernel says in `/proc`.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

use crate::stats;

/// Linux counts in hundredths of a second for programs that look, on every machine of today.
const TICKS_A_SECOND: f64 = 100.0;
const READY_WITHIN: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// A running program. Asked to end when it is dropped, so that one that has programs of its own ends them; whoever
/// started only one that does not listen to that says so with [`Running::killed`].
#[derive(Debug)]
pub struct Running {
    name: String,
    child: Child,
    log: std::path::PathBuf,
}

/// What programs used.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Used {
    /// Seconds of a processor.
    pub cpu: f64,
    /// Resident bytes now.
    pub resident: u64,
    /// The most since the start, or since [`forget_peaks`].
    pub peak: u64,
}

impl Running {
    /// Starts a program; what it says goes into `NAME.log` in `folder`.
    pub fn start(name: &str, mut command: Command, folder: &Path) -> anyhow::Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let file = fs::File::options().create(true).append(true).open(&log)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            // Should this end without dropping anything, nothing else ends it: see `./bench`.
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        let name = name.to_owned();
        Ok(Self { name, child, log })
    }

    /// What it was started as.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.id().unwrap_or(0)
    }

    /// What it said so far.
    pub fn said(&self) -> String {
        let said = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&said).into_owned()
    }

    /// Waits until it says something `times` times.
    pub async fn says(&mut self, what: &str, times: usize) -> anyhow::Result<()> {
        let deadline = Instant::now() + READY_WITHIN;
        while self.said().matches(what).count() < times {
            self.check(deadline, what)?;
            sleep(LOOK_AGAIN).await;
        }
        Ok(())
    }

    /// Waits until something listens at this address.
    pub async fn listens(&mut self, address: std::net::SocketAddr) -> anyhow::Result<()> {
        let deadline = Instant::now() + READY_WITHIN;
        while TcpStream::connect(address).await.is_err() {
            self.check(deadline, "to listen")?;
            sleep(LOOK_AGAIN).await;
        }
        Ok(())
    }

    fn check(&mut self, deadline: Instant, what: &str) -> anyhow::Result<()> {
        let ended = self.child.try_wait()?;
        if ended.is_none() && Instant::now() < deadline {
            return Ok(());
        }
        let state = ended.map_or("is late".to_owned(), |status| {
            format!("ended with {status}")
        });
        let said = self.said();
        let last: Vec<_> = said.lines().rev().take(5).collect();
        bail!("{} {state}; waited for {what:?}; last: {last:?}", self.name)
    }

    /// Ends it without asking, and waits for it.
    pub async fn killed(mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let Some(id) = self.child.id() else { return };
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        let ask = |signal: &str| {
            let mut kill = std::process::Command::new("kill");
            let _ = kill
                .args([signal, &id.to_string()])
                .stderr(Stdio::null())
                .status();
        };
        ask("-TERM");
        for _ in 0..100 {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            // A pause without a runtime: this may run while one ends.
            let _ = std::process::Command::new("sleep").arg("0.02").status();
        }
        let _ = self.child.start_kill();
    }
}

/// What these programs and all they started used so far.
pub fn used(programs: &[u32]) -> Used {
    let mut sum = Used::default();
    for id in with_descendants(programs) {
        let Some(fields) = stat(id) else { continue };
        // Fields 14 and 15 of proc(5), user and system time: 11 and 12 after the name.
        let ticks = |place: usize| {
            fields
                .get(place)
                .and_then(|text| text.parse().ok())
                .unwrap_or(0)
        };
        sum.cpu += stats::count(ticks(11) + ticks(12)) / TICKS_A_SECOND;
        sum.resident += memory(id, "VmRSS:");
        sum.peak += memory(id, "VmHWM:");
    }
    sum
}

/// Lets the peaks of these programs begin anew. Where that is not allowed they stay since the start.
pub fn forget_peaks(programs: &[u32]) {
    for id in with_descendants(programs) {
        let _ = fs::write(format!("/proc/{id}/clear_refs"), "5");
    }
}

fn with_descendants(programs: &[u32]) -> Vec<u32> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(id) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        let parent = stat(id).and_then(|fields| fields.get(1)?.parse().ok());
        if let Some(parent) = parent {
            children.entry(parent).or_default().push(id);
        }
    }
    let mut all = programs.to_vec();
    let mut next = 0;
    while next < all.len() {
        all.extend(children.remove(&all[next]).unwrap_or_default());
        next += 1;
    }
    all
}

/// The fields of `/proc/ID/stat` after the name, which may hold anything.
fn stat(id: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let (_, fields) = text.rsplit_once(')')?;
    Some(fields.split_whitespace().map(str::to_owned).collect())
}

fn memory(id: u32, field: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(field));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
    kib.unwrap_or(0_u64) * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_a_program_and_its_own_use_is_counted_and_ends_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut shell = Command::new("sh");
        shell.args([
            "-c",
            "sleep 1000 & trap \"kill $!; exit\" TERM; i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; echo done; wait",
        ]);
        let mut running = Running::start("shell", shell, folder.path()).unwrap();
        running.says("done", 1).await.unwrap();
        let ids = with_descendants(&[running.id()]);
        assert_eq!(ids.len(), 2, "the shell and its sleep");
        let used = used(&[running.id()]);
        assert!(used.cpu > 0.0 && used.resident > 0, "{used:?}");
        assert!(used.peak >= used.resident / 2, "{used:?}");
        drop(running);
        for id in ids {
            let state = stat(id).and_then(|fields| fields.first().cloned());
            assert!(
                matches!(state.as_deref(), None | Some("Z")),
                "{id}: {state:?}"
            );
        }
    }
}
