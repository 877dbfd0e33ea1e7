//! Closed loop: each caller asks again when it has its answer.

use std::time::Duration;

use http::header::{CONNECTION, HeaderValue};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::{Outcome, Target};

/// So many connections that are kept, for so long.
pub async fn kept(
    target: &Target,
    path: &str,
    connections: usize,
    time: Duration,
) -> anyhow::Result<Outcome> {
    let mut open = Vec::new();
    for _ in 0..connections {
        // The first request of each opens what is behind it, and is not measured.
        let mut connection = target.connect().await?;
        connection.whole(target.get(path)).await?;
        open.push(connection);
    }
    let begun = Instant::now();
    let end = begun + time;
    let mut callers = JoinSet::new();
    for mut connection in open {
        let (target, path) = (target.clone(), path.to_owned());
        callers.spawn(async move {
            let mut outcome = Outcome::default();
            while Instant::now() < end {
                let asked = Instant::now();
                let answer = connection.whole(target.get(&path)).await;
                outcome.note(asked.elapsed(), answer.is_ok());
                if answer.is_err() {
                    match target.connect().await {
                        Ok(again) => connection = again,
                        Err(_) => break,
                    }
                }
            }
            outcome
        });
    }
    Ok(sum(callers, begun).await)
}

/// So many callers that connect anew for each request, for so long.
pub async fn fresh(
    target: &Target,
    path: &str,
    callers: usize,
    time: Duration,
) -> anyhow::Result<Outcome> {
    target.connect().await?.whole(target.get(path)).await?;
    let begun = Instant::now();
    let end = begun + time;
    let mut running = JoinSet::new();
    for _ in 0..callers {
        let (target, path) = (target.clone(), path.to_owned());
        running.spawn(async move {
            let mut outcome = Outcome::default();
            while Instant::now() < end {
                let begun = Instant::now();
                let once = async {
                    let mut request = target.get(&path);
                    let close = HeaderValue::from_static("close");
                    request.headers_mut().insert(CONNECTION, close);
                    target.connect().await?.whole(request).await
                };
                let worked = once.await.is_ok();
                outcome.note(begun.elapsed(), worked);
            }
            outcome
        });
    }
    Ok(sum(running, begun).await)
}

pub(super) async fn sum(mut callers: JoinSet<Outcome>, begun: Instant) -> Outcome {
    let mut all = Outcome::default();
    while let Some(one) = callers.join_next().await {
        match one {
            Ok(outcome) => all.add(outcome),
            Err(_) => all.failed += 1,
        }
    }
    all.took = begun.elapsed();
    all
}
