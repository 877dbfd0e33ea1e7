//! What can be made to go wrong at run time, so that apps and proxies can be tested against it.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::{broadcast, watch};

/// The switches. All off is a healthy printer.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// The printer is off: state Offline, 409 on what needs it.
    pub offline: bool,
    /// Wait before every answer.
    pub slow_ms: u64,
    /// Requests whose path starts so are taken and never answered; `["/"]` is all of them.
    pub hang: Vec<String>,
    /// Close push sockets and camera streams every so many seconds; 0 is never.
    pub drop_sockets_every_s: u64,
    /// List a made-up file of so many bytes. It can be downloaded in any case, as `big-<bytes>.gcode`.
    pub big_file: Option<u64>,
}

/// A change to some of the switches, as the API and the page send it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct FaultChange {
    offline: Option<bool>,
    slow_ms: Option<u64>,
    hang: Option<Hang>,
    drop_sockets_every_s: Option<u64>,
    big_file: Option<u64>,
    /// Close them now, once.
    pub(crate) drop_sockets: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
enum Hang {
    Everything(bool),
    Paths(Vec<String>),
}

/// The longest wait that can be asked for.
const LONGEST_SLOW_MS: u64 = 120_000;
/// Prefixes that can hang at the same time.
const MOST_PATHS: usize = 64;

impl Faults {
    pub(crate) fn changed(&self, change: FaultChange) -> Self {
        Self {
            offline: change.offline.unwrap_or(self.offline),
            slow_ms: change.slow_ms.unwrap_or(self.slow_ms).min(LONGEST_SLOW_MS),
            hang: match change.hang {
                None => self.hang.clone(),
                Some(Hang::Everything(true)) => vec!["/".to_owned()],
                Some(Hang::Everything(false)) => Vec::new(),
                Some(Hang::Paths(mut paths)) => {
                    paths.retain(|path| path.starts_with('/'));
                    paths.truncate(MOST_PATHS);
                    paths
                }
            },
            drop_sockets_every_s: change
                .drop_sockets_every_s
                .unwrap_or(self.drop_sockets_every_s),
            // 0 takes it away again: JSON's null cannot be told from a member left out.
            big_file: change.big_file.or(self.big_file).filter(|size| *size > 0),
        }
    }

    pub(crate) fn hangs(&self, path: &str) -> bool {
        self.hang
            .iter()
            .any(|prefix| path.starts_with(prefix.as_str()))
    }
}

/// The switches as everybody shares them.
#[derive(Debug)]
pub(crate) struct FaultSwitches {
    current: watch::Sender<Faults>,
    drops: broadcast::Sender<()>,
}

impl FaultSwitches {
    pub(crate) fn new(faults: Faults) -> Self {
        Self {
            current: watch::Sender::new(faults),
            drops: broadcast::Sender::new(4),
        }
    }

    pub(crate) fn current(&self) -> Faults {
        self.current.borrow().clone()
    }

    pub(crate) fn set(&self, faults: Faults) {
        self.current.send_replace(faults);
    }

    pub(crate) fn drop_sockets(&self) {
        // Nobody connected is fine.
        let _ = self.drops.send(());
    }

    /// To be told when open sockets and streams must go.
    pub(crate) fn drops(&self) -> broadcast::Receiver<()> {
        self.drops.subscribe()
    }

    /// Drops sockets at the chosen interval for as long as it is awaited.
    pub(crate) async fn run(&self) {
        let mut current = self.current.subscribe();
        loop {
            let seconds = current.borrow_and_update().drop_sockets_every_s;
            let pause = async {
                match seconds {
                    0 => std::future::pending().await,
                    seconds => tokio::time::sleep(Duration::from_secs(seconds)).await,
                }
            };
            tokio::select! {
                changed = current.changed() => if changed.is_err() { return },
                () = pause => self.drop_sockets(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{FaultChange, Faults};

    fn change(json: &str) -> Faults {
        let base = Faults {
            slow_ms: 5,
            hang: vec!["/api/job".to_owned()],
            ..Faults::default()
        };
        base.changed(serde_json::from_str::<FaultChange>(json).unwrap())
    }

    #[test]
    fn a_change_leaves_the_other_switches_alone() {
        let faults = change(r#"{"offline": true}"#);
        assert!(faults.offline && faults.slow_ms == 5 && faults.hangs("/api/job?x"));
    }

    #[test]
    fn hanging_is_a_switch_or_a_list_of_paths() {
        assert!(change(r#"{"hang": true}"#).hangs("/anything"));
        assert!(!change(r#"{"hang": false}"#).hangs("/api/job"));
        let some = change(r#"{"hang": ["/api/printer", "no-slash"]}"#);
        assert!(some.hangs("/api/printer/tool") && !some.hangs("/api/job"));
    }

    #[test]
    fn unknown_switches_are_refused() {
        assert!(serde_json::from_str::<FaultChange>(r#"{"ofline": true}"#).is_err());
    }
}
