//! The narrow place of one direction: when bytes that come now leave, and arrive.

use std::time::Duration;

use tokio::time::Instant;

use super::{Dice, Shape};

/// One direction of a line, which all its connections share.
#[derive(Debug)]
pub(super) struct Lane {
    shape: Shape,
    dice: Dice,
    /// When what was taken so far has left.
    free: Instant,
}

/// What becomes of something that was taken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Passage {
    pub(super) arrives: Instant,
    pub(super) lost: bool,
}

impl Lane {
    pub(super) fn new(shape: Shape, dice: Dice) -> Self {
        Self {
            shape,
            dice,
            free: Instant::now(),
        }
    }

    /// How long until so many bytes fit into the queue; nothing if they do now. What is larger than the whole queue
    /// fits into an empty one.
    pub(super) fn room_for(&self, bytes: usize) -> Duration {
        let backlog = self.free.saturating_duration_since(Instant::now());
        let allowed = self.takes(self.shape.queue.saturating_sub(bytes));
        backlog.saturating_sub(allowed)
    }

    /// Takes bytes that there is room for.
    pub(super) fn take(&mut self, bytes: usize) -> Passage {
        self.free = self.free.max(Instant::now()) + self.takes(bytes);
        let jitter = self.shape.jitter.mul_f64(self.dice.part());
        Passage {
            arrives: self.free + self.shape.delay + jitter,
            lost: self.dice.happens(self.shape.loss),
        }
    }

    /// How long so many bytes need through the narrow place.
    fn takes(&self, bytes: usize) -> Duration {
        match self.shape.rate {
            None => Duration::ZERO,
            Some(rate) => {
                let nanos = u128::try_from(bytes).unwrap_or(u128::MAX) * 1_000_000_000
                    / u128::from(rate.max(1));
                Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
            }
        }
    }
}
