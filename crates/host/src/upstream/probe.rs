//! Asks the upstream, from loopback and without credentials, whether it trusts us.
//!
//! A printer server that lets local callers in without a key would take every request
//! from the internet for a local one. While it does, or while nobody knows, it is told
//! the caller's real address, which it then judges itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use http::{Request, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use latchkey_net::body::{self, Body};
use tokio_util::sync::CancellationToken;

use crate::config::{Config, UpstreamKind};

/// Between two questions while the upstream does not answer, and while it does.
const RETRY: Duration = Duration::from_secs(5);
const RECHECK: Duration = Duration::from_mins(1);

const UNREACHABLE: u8 = 0;
const ANSWERS: u8 = 1;
const TRUSTS: u8 = 2;
const CHECKS: u8 = 3;

/// Whether the upstream lets loopback callers in without a credential; shared state.
#[derive(Clone, Default)]
pub struct Trust(Arc<AtomicU8>);

impl Trust {
    /// Whether the caller's address must be told: unless it is certain that the
    /// upstream asks local callers for a credential too.
    pub(crate) fn must_forward(&self) -> bool {
        self.0.load(Ordering::Relaxed) != CHECKS
    }

    /// Whether the upstream answered when it was last asked.
    pub(crate) fn answers(&self) -> bool {
        self.0.load(Ordering::Relaxed) != UNREACHABLE
    }

    fn set(&self, seen: UpstreamCheck) {
        let state = match seen {
            UpstreamCheck::Unreachable => UNREACHABLE,
            UpstreamCheck::Unknown => ANSWERS,
            UpstreamCheck::TrustsLoopback => TRUSTS,
            UpstreamCheck::AsksForCredential => CHECKS,
        };
        if self.0.swap(state, Ordering::Relaxed) != state && state == TRUSTS {
            tracing::warn!(
                "the printer's server lets local callers in without a key; \
                 callers' addresses are forwarded to it so that it can tell them apart"
            );
        }
    }
}

/// What the upstream answered to a caller without credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpstreamCheck {
    /// No answer at all.
    Unreachable,
    /// It answers, but nothing follows from it.
    Unknown,
    /// It told a stranger what only friends should hear.
    TrustsLoopback,
    /// It asked for a credential.
    AsksForCredential,
}

/// A path that only callers with a credential should be told about.
fn guarded_path(kind: UpstreamKind) -> Option<&'static str> {
    match kind {
        UpstreamKind::OctoPrint | UpstreamKind::PrusaLink => Some("/api/version"),
        UpstreamKind::Moonraker => Some("/server/info"),
        UpstreamKind::Generic => None,
    }
}

/// Asks once.
pub async fn check(config: &Config) -> UpstreamCheck {
    let client: Client<_, Body> = Client::builder(TokioExecutor::new()).build_http();
    let guarded = guarded_path(config.upstream.kind);
    let address = &config.upstream.address;
    let url = format!(
        "http://{}{}{}",
        address.authority(),
        address.base_path(),
        guarded.unwrap_or("/")
    );
    let Ok(request) = Request::get(url).body(body::empty()) else {
        return UpstreamCheck::Unknown;
    };
    let limit = config.timeouts.connect + Duration::from_secs(5);
    let Ok(Ok(response)) = tokio::time::timeout(limit, client.request(request)).await else {
        return UpstreamCheck::Unreachable;
    };
    let status = response.status();
    let _ = tokio::time::timeout(limit, super::drain(response)).await;
    match (guarded, status) {
        (Some(_), StatusCode::OK) => UpstreamCheck::TrustsLoopback,
        (Some(_), StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
            UpstreamCheck::AsksForCredential
        }
        _ => UpstreamCheck::Unknown,
    }
}

/// Keeps asking until stopped.
pub(crate) async fn watch(config: Config, trust: Trust, stop: CancellationToken) {
    loop {
        let seen = tokio::select! {
            seen = check(&config) => seen,
            () = stop.cancelled() => return,
        };
        trust.set(seen);
        let pause = match seen {
            UpstreamCheck::Unreachable => RETRY,
            _ => RECHECK,
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = stop.cancelled() => return,
        }
    }
}
