//! How long a webcam's picture runs.

use std::sync::Arc;
use std::time::Duration;

use latchkey_model::clock::Timestamp;
use latchkey_model::limit::Reached;
use tokio::time::Instant;

use super::pass::Passing;

/// How much time of the window is promised to a stream at once. What it does not use comes back.
const SLICE: Duration = Duration::from_secs(1);

/// Completes when the picture has to end: its own time is over, or the window's. Refused if
/// nothing of the window is left.
pub(super) fn until_limit(
    passing: &Arc<Passing>,
) -> Result<impl Future<Output = ()> + Send + 'static, Reached> {
    let first = Slice::take(passing)?;
    let passing = Arc::clone(passing);
    Ok(async move {
        let begun = Instant::now();
        let mut slice = first;
        loop {
            let own = passing.book.counts().plan().max_webcam_stream_seconds;
            let own = own.map(|most| Duration::from_secs(most).saturating_sub(begun.elapsed()));
            if own == Some(Duration::ZERO) {
                return;
            }
            let rest = own.unwrap_or(SLICE).min(slice.rest());
            tokio::time::sleep(rest).await;
            if slice.rest().is_zero() {
                drop(slice);
                let Ok(next) = Slice::take(&passing) else {
                    return;
                };
                slice = next;
            }
        }
    })
}

/// Time that is promised to one stream.
struct Slice {
    passing: Arc<Passing>,
    /// The beginning of the window that it is of; none where nothing is limited.
    began: Option<Timestamp>,
    promised: Duration,
    taken: Instant,
}

impl Slice {
    fn take(passing: &Arc<Passing>) -> Result<Self, Reached> {
        let now = passing.clock.now();
        let mut counts = passing.book.counts();
        let (promised, began) = counts.promise(&passing.printer, SLICE, now)?;
        drop(counts);
        Ok(Self {
            passing: Arc::clone(passing),
            began,
            promised,
            taken: Instant::now(),
        })
    }

    fn rest(&self) -> Duration {
        self.promised.saturating_sub(self.taken.elapsed())
    }
}

impl Drop for Slice {
    fn drop(&mut self) {
        let unused = self.rest();
        if let Some(began) = self.began
            && !unused.is_zero()
        {
            let mut counts = self.passing.book.counts();
            counts.give_back(&self.passing.printer, began, unused);
        }
    }
}
