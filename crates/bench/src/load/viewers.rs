//! Viewers of a webcam.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use http::StatusCode;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::{PATIENCE, Target};
use crate::frames::Finder;
use crate::stats;

/// What viewers saw.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    /// Viewers that had the stream.
    pub viewers: u64,
    /// Whole pictures, of all of them.
    pub whole: u64,
    /// Broken ones.
    pub broken: u64,
    /// How long they looked.
    pub took: Duration,
}

impl Seen {
    /// Whole pictures a second, of one viewer.
    pub fn a_second(&self) -> f64 {
        let each = stats::count(self.whole) / stats::count(self.viewers.max(1));
        each / self.took.as_secs_f64().max(f64::EPSILON)
    }
}

/// So many viewers look at `path` for so long, from when all have it.
pub async fn watch(
    target: &Target,
    path: &str,
    viewers: usize,
    time: Duration,
) -> anyhow::Result<Seen> {
    let all = std::sync::Arc::new(Barrier::new(viewers));
    let mut looking = JoinSet::new();
    for _ in 0..viewers {
        let (target, path, all) = (target.clone(), path.to_owned(), std::sync::Arc::clone(&all));
        looking.spawn(async move { look(&target, &path, &all, time).await });
    }
    let mut seen = Seen {
        took: time,
        ..Seen::default()
    };
    while let Some(one) = looking.join_next().await {
        let finder = one.context("a viewer")??;
        seen.viewers += 1;
        seen.whole += finder.whole;
        seen.broken += finder.broken;
    }
    Ok(seen)
}

async fn look(
    target: &Target,
    path: &str,
    all: &Barrier,
    time: Duration,
) -> anyhow::Result<Finder> {
    let opened = Viewer::open(target, path).await;
    let mut viewer = match opened {
        Ok(viewer) => viewer,
        Err(error) => {
            // The others must not wait for it.
            all.wait().await;
            return Err(error);
        }
    };
    // Those that have it look on meanwhile: what comes before all have it is not counted, now or later.
    tokio::select! {
        _ = all.wait() => {}
        ended = viewer.look(PATIENCE) => ended?,
    }
    let (whole, broken) = (viewer.finder.whole, viewer.finder.broken);
    viewer.look(time).await?;
    viewer.finder.whole -= whole;
    viewer.finder.broken -= broken;
    Ok(viewer.finder)
}

/// One viewer.
pub struct Viewer {
    body: Incoming,
    finder: Finder,
}

impl Viewer {
    /// Begins to look.
    pub async fn open(target: &Target, path: &str) -> anyhow::Result<Self> {
        let mut connection = target.connect().await?;
        let answer = connection.send(target.get(path)).await?;
        ensure!(answer.status() == StatusCode::OK, "{}", answer.status());
        Ok(Self {
            body: answer.into_body(),
            finder: Finder::default(),
        })
    }

    /// Looks for so long. A stream that ends before is an error.
    pub async fn look(&mut self, time: Duration) -> anyhow::Result<()> {
        let end = Instant::now() + time;
        while let Ok(frame) = timeout_at(end, self.body.frame()).await {
            let frame = frame.context("the stream ended")??;
            if let Ok(bytes) = frame.into_data() {
                self.finder.take(&bytes);
            }
        }
        Ok(())
    }

    /// Whole pictures so far.
    pub fn whole(&self) -> u64 {
        self.finder.whole
    }
}
