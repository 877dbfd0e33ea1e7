//! Runs hyper's own tasks where shutdown can wait for them.

use hyper::rt::Executor;
use tokio_util::task::TaskTracker;

/// Spawns on a role's tracker.
#[derive(Clone)]
pub struct OnTracker(pub TaskTracker);

impl<F> Executor<F> for OnTracker
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, future: F) {
        self.0.spawn(future);
    }
}
