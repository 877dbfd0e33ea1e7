//! How a role ends: gently first, then for good.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// Cut tasks still have their last lines to write.
const LAST_CALL: Duration = Duration::from_secs(2);

/// The two strengths of stopping: `soft` drains, `hard` cuts.
#[derive(Clone, Default)]
pub struct Stop {
    /// No new connections; running requests finish.
    pub soft: CancellationToken,
    /// Everything ends now.
    pub hard: CancellationToken,
}

impl Stop {
    /// Waits for the soft signal, then for `gentle` to be done. After `patience`, or with
    /// the hard signal, everything is cut, and `cut` has a moment to see it end.
    pub async fn drain(
        &self,
        patience: Duration,
        gentle: impl Future<Output = ()>,
        cut: impl Future<Output = ()>,
    ) {
        self.soft.cancelled().await;
        tokio::select! {
            () = gentle => return,
            () = tokio::time::sleep(patience) => {}
            () = self.hard.cancelled() => {}
        }
        self.hard.cancel();
        let _ = tokio::time::timeout(LAST_CALL, cut).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::{pending, ready};

    #[tokio::test(start_paused = true)]
    async fn what_ends_by_itself_is_not_cut() {
        let stop = Stop::default();
        stop.soft.cancel();
        stop.drain(Duration::from_secs(30), ready(()), pending())
            .await;
        assert!(!stop.hard.is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn what_does_not_end_is_cut_after_a_while_or_at_once() {
        let stop = Stop::default();
        stop.soft.cancel();
        stop.drain(Duration::from_secs(30), pending(), pending())
            .await;
        assert!(stop.hard.is_cancelled());
        let stop = Stop::default();
        stop.soft.cancel();
        stop.hard.cancel();
        stop.drain(Duration::MAX, pending(), ready(())).await;
    }
}
