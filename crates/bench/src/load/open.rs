//! Open loop: requests at their times, whether or not earlier ones have been answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::closed::sum;
use super::{Outcome, Target};

/// More than are ever busy at once, unless the target stands still.
const CALLERS: usize = 64;

/// So many requests a second for so long. A latency counts from when the request was to be sent: what waits because
/// everything before it was slow is as late as it looks to who waits.
pub async fn at_rate(
    target: &Target,
    path: &str,
    a_second: u32,
    time: Duration,
) -> anyhow::Result<Outcome> {
    let mut open = Vec::new();
    for _ in 0..CALLERS {
        let mut connection = target.connect().await?;
        connection.whole(target.get(path)).await?;
        open.push(connection);
    }
    let begun = Instant::now();
    let next = Arc::new(AtomicU32::new(0));
    let gap = Duration::from_secs(1) / a_second.max(1);
    let mut callers = JoinSet::new();
    for mut connection in open {
        let (target, path, next) = (target.clone(), path.to_owned(), Arc::clone(&next));
        callers.spawn(async move {
            let mut outcome = Outcome::default();
            loop {
                let due = begun + gap * next.fetch_add(1, Ordering::Relaxed);
                if due > begun + time {
                    return outcome;
                }
                sleep_until(due).await;
                let answer = connection.whole(target.get(&path)).await;
                outcome.note(due.elapsed(), answer.is_ok());
                if answer.is_err()
                    && let Ok(again) = target.connect().await
                {
                    connection = again;
                }
            }
        });
    }
    Ok(sum(callers, begun).await)
}
