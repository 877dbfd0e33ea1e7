//! What the stories stand on: a real OctoPrint, an HTTP client that hides nothing, and peers that speak raw bytes.

pub(crate) mod acme;
pub(crate) mod asking;
pub(crate) mod asking_relay;
pub(crate) mod browser;
pub(crate) mod demo;
pub(crate) mod fake;
pub(crate) mod files;
pub(crate) mod front;
pub(crate) mod home;
pub(crate) mod http;
pub(crate) mod inproc;
pub(crate) mod lan;
pub(crate) mod octoprint;
pub(crate) mod open;
pub(crate) mod portal;
pub(crate) mod raw;
pub(crate) mod session_keys;
pub(crate) mod somebody;
pub(crate) mod stack;
pub(crate) mod tls;
pub(crate) mod watching;

use std::path::PathBuf;
use std::time::Duration;

/// How long any single step may take before the test fails. Generous: the machine may be busy with other tests.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Where logs of failed servers are kept, `artifacts/` of the checkout unless `LATCHKEY_ARTIFACTS` says otherwise.
pub(crate) fn artifacts() -> PathBuf {
    std::env::var_os("LATCHKEY_ARTIFACTS").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../artifacts")),
        PathBuf::from,
    )
}

/// Waits for `step` and fails the test, saying what was waited for, when [`PATIENCE`] runs out.
pub(crate) async fn within<F: Future>(what: &str, step: F) -> F::Output {
    let outcome = tokio::time::timeout(PATIENCE, step).await;
    outcome.unwrap_or_else(|_| panic!("waited {} s for {what}", PATIENCE.as_secs()))
}

/// Looks again and again until it is so.
pub(crate) async fn eventually(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    within(what, async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
}
