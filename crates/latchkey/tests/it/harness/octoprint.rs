//! A real OctoPrint, one per test, with its own folder and port.
//!
//! `LATCHKEY_OCTOPRINT` names its command; `scripts/octoprint-env` prints it and `./test` sets it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};
use url::Url;

use super::artifacts;
use super::http::Request;

/// It starts in 3 s alone on two cores; several at once, beside a compiler, take longer.
const START_WITHIN: Duration = Duration::from_mins(2);
const STOP_WITHIN: Duration = Duration::from_secs(15);
/// Another program may take the port between our choosing it and OctoPrint's binding it.
const START_TRIES: u32 = 3;

/// Somebody with a password at OctoPrint.
#[derive(Clone, Copy)]
pub(crate) struct Person {
    pub(crate) name: &'static str,
    pub(crate) password: &'static str,
}

pub(crate) const ADMIN: Person = Person {
    name: "admin",
    password: "correct-horse",
};
pub(crate) const USER: Person = Person {
    name: "olivia",
    password: "battery-staple",
};
/// The administrator's own API key, with every right.
pub(crate) const ADMIN_API_KEY: &str = "LATCHKEYTESTSONLYADMINAPIKEY0000";

/// A running OctoPrint; killed when dropped.
pub(crate) struct OctoPrint {
    folder: TempDir,
    port: u16,
    child: Option<Child>,
}

impl OctoPrint {
    /// Starts it and waits until it answers.
    pub(crate) async fn start() -> Self {
        Self::start_with("").await
    }

    /// Like [`Self::start`], with settings laid over the usual ones: YAML as in OctoPrint's `config.yaml`.
    pub(crate) async fn start_with(overlay: &str) -> Self {
        let folder = TempDir::with_prefix("latchkey-octoprint-").unwrap();
        std::fs::write(
            folder.path().join("config.yaml"),
            include_str!("octoprint/config.yaml"),
        )
        .unwrap();
        std::fs::write(
            folder.path().join("users.yaml"),
            include_str!("octoprint/users.yaml"),
        )
        .unwrap();
        std::fs::write(folder.path().join("overlay.yaml"), overlay).unwrap();

        let mut octoprint = Self {
            folder,
            port: 0,
            child: None,
        };
        for attempt in 1..=START_TRIES {
            octoprint.port = unused_port().await;
            octoprint.spawn();
            match octoprint.ready().await {
                Ok(()) => return octoprint,
                Err(problem) if attempt == START_TRIES => octoprint.fail(&problem),
                Err(_) => octoprint.stop().await,
            }
        }
        unreachable!("the last attempt returns or fails")
    }

    pub(crate) fn base_url(&self) -> Url {
        Url::parse(&format!("http://127.0.0.1:{}/", self.port)).unwrap()
    }

    /// The address of `path`, which starts without a slash.
    pub(crate) fn url(&self, path: &str) -> Url {
        self.base_url().join(path).unwrap()
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// OctoPrint's folder: `config.yaml`, `data/appkeys/keys.yaml`, `uploads/`, `logs/`.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The id of its process, for signals.
    pub(crate) fn id(&self) -> u32 {
        let id = self.child.as_ref().and_then(Child::id);
        id.expect("it runs")
    }

    /// What it printed so far.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.log_file()).unwrap_or_default()).into_owned()
    }

    /// Asks it to end, and makes it after a while.
    pub(crate) async fn stop(&mut self) {
        let Some(mut child) = self.child.take() else {
            return;
        };
        if let Some(id) = child.id() {
            // The shell's own `kill`: a signal needs no unsafe code and no further crate.
            let asked = Command::new("sh")
                .args(["-c", "kill -TERM \"$0\"", &id.to_string()])
                .status();
            asked.await.unwrap();
        }
        if timeout(STOP_WITHIN, child.wait()).await.is_err() {
            child.kill().await.unwrap();
        }
    }

    /// Starts it again, at the same address and with what it had on disk.
    pub(crate) async fn restart(&mut self) {
        self.stop().await;
        self.spawn();
        if let Err(problem) = self.ready().await {
            self.fail(&problem);
        }
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("output.log")
    }

    fn spawn(&mut self) {
        let program = std::env::var("LATCHKEY_OCTOPRINT").unwrap_or_else(|_| {
            panic!(
                "This test needs a real OctoPrint, and LATCHKEY_OCTOPRINT does not name one. \
                 Run `./test it`, which sets it up, or `export LATCHKEY_OCTOPRINT=$(scripts/octoprint-env)`."
            )
        });
        // Truncated at each start, so that readiness is not read off an earlier run.
        let output = File::create(self.log_file()).unwrap();
        let folder = self.folder.path();
        let child = Command::new(&program)
            .args(["serve", "--iknowwhatimdoing", "--host", "127.0.0.1"])
            .args(["--port", &self.port.to_string()])
            .arg("--basedir")
            .arg(folder)
            .arg("--overlay")
            .arg(folder.join("overlay.yaml"))
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .kill_on_drop(true)
            .spawn();
        self.child = Some(child.unwrap_or_else(|error| panic!("cannot run {program}: {error}")));
    }

    /// Waits until this process, and not another on the same port, answers for its API. While it starts, a stand-in
    /// answers 503 and 404 on the port; the API itself says 403 to a caller without a key.
    async fn ready(&mut self) -> Result<(), String> {
        let deadline = Instant::now() + START_WITHIN;
        let listening = format!("Listening on http://127.0.0.1:{}", self.port);
        while Instant::now() < deadline {
            if let Some(status) = self.child.as_mut().unwrap().try_wait().unwrap() {
                return Err(format!("it ended with {status}"));
            }
            if self.log().contains(&listening) {
                let answer = Request::get(self.url("api/version")).try_send().await;
                if answer.is_ok_and(|answer| answer.status() == 403) {
                    return Ok(());
                }
            }
            sleep(Duration::from_millis(50)).await;
        }
        Err(format!(
            "it was not ready within {} s",
            START_WITHIN.as_secs()
        ))
    }

    fn keep_log(&self) -> PathBuf {
        let kept = artifacts().join("octoprint");
        let name = std::thread::current()
            .name()
            .unwrap_or("test")
            .replace("::", "-");
        let file = kept.join(format!("{name}-{}.log", self.port));
        let _ = std::fs::create_dir_all(&kept).and_then(|()| std::fs::copy(self.log_file(), &file));
        file
    }

    fn fail(&self, problem: &str) -> ! {
        let log = self.log();
        let tail: Vec<_> = log.lines().rev().take(15).collect();
        let tail = tail.into_iter().rev().collect::<Vec<_>>().join("\n");
        panic!(
            "OctoPrint: {problem}. Its output is in {}; the end of it:\n{tail}",
            self.keep_log().display()
        )
    }
}

impl Drop for OctoPrint {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.keep_log();
        }
        // `kill_on_drop` ends the process.
    }
}

/// A port nobody listens on just now.
async fn unused_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().port()
}
