//! What waits to be read by one client: bounded, with one who writes and one who reads.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

/// Bytes that may wait; a single message may be larger.
const MOST_WAITING: usize = 1024 * 1024;
/// A client that takes nothing for so long is let go.
pub(super) const PATIENCE: Duration = Duration::from_mins(1);

/// Why a socket ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Goodbye {
    /// The client went.
    Left,
    /// The host stops.
    Stopping,
    /// The key or session behind it was revoked.
    Revoked,
    /// The host no longer knows whether what is behind it holds; who comes back is told.
    Unsure,
    /// It gave way to others.
    Crowded,
    /// It did not read what was there for it.
    TooSlow,
    /// It sent something that is too large or no text.
    Unfit,
    /// A request that waited for messages broke off; some may be lost.
    Interrupted,
}

impl Goodbye {
    /// The close code; those of RFC 6455 section 7.4.1 where one fits.
    pub(super) fn code(self) -> u16 {
        match self {
            Self::Left => 1000,
            Self::Stopping | Self::Unsure => 1001,
            Self::Interrupted => 1002,
            Self::Revoked => 1008,
            Self::Unfit => 1009,
            Self::Crowded | Self::TooSlow => 1013,
        }
    }

    /// The words beside the code, fixed by SockJS where it knows any.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::Left | Self::Stopping | Self::Crowded => "Go away!",
            Self::Interrupted => "Connection interrupted!",
            Self::Revoked => "Revoked",
            Self::Unsure => "Sign in again",
            Self::Unfit => "Unfit message",
            Self::TooSlow => "Too slow",
        }
    }
}

/// What the reader finds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// At least one message.
    Messages(Vec<String>),
    /// There will be no more.
    Over(Goodbye),
}

/// The client did not read for too long.
#[derive(Debug)]
pub(super) struct TooSlow;

/// A cloned handle is the same outbox.
#[derive(Clone, Default)]
pub(super) struct Outbox(Arc<Shared>);

#[derive(Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    filled: Notify,
    emptied: Notify,
}

#[derive(Default)]
struct Waiting {
    messages: VecDeque<String>,
    bytes: usize,
    over: Option<Goodbye>,
}

impl Outbox {
    /// Puts a message in as soon as there is room.
    pub(super) async fn put(&self, message: String) -> Result<(), TooSlow> {
        let room = async {
            while self.waiting().bytes >= MOST_WAITING {
                self.0.emptied.notified().await;
            }
        };
        timeout(PATIENCE, room).await.map_err(|_| TooSlow)?;
        let mut waiting = self.waiting();
        waiting.bytes += message.len();
        waiting.messages.push_back(message);
        self.0.filled.notify_one();
        Ok(())
    }

    /// Nothing follows but what is in already.
    pub(super) fn end(&self, goodbye: Goodbye) {
        self.waiting().over.get_or_insert(goodbye);
        self.0.filled.notify_one();
    }

    /// Whether it has been ended.
    pub(super) fn is_over(&self) -> bool {
        self.waiting().over.is_some()
    }

    /// Takes what is there, one message at least and `most` bytes or little more, as soon as
    /// there is something. Nothing is lost when this is dropped before.
    pub(super) async fn take(&self, most: usize) -> Taken {
        loop {
            if let Some(taken) = self.take_now(most) {
                return taken;
            }
            self.0.filled.notified().await;
        }
    }

    fn take_now(&self, most: usize) -> Option<Taken> {
        let mut waiting = self.waiting();
        if waiting.messages.is_empty() {
            return waiting.over.map(Taken::Over);
        }
        let mut taken = Vec::new();
        let mut bytes = 0;
        while bytes < most
            && let Some(message) = waiting.messages.pop_front()
        {
            bytes += message.len();
            taken.push(message);
        }
        waiting.bytes -= bytes;
        drop(waiting);
        self.0.emptied.notify_one();
        Some(Taken::Messages(taken))
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn large() -> String {
        "x".repeat(MOST_WAITING)
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_gets_everything_in_order_and_then_the_end() {
        let outbox = Outbox::default();
        for message in ["a", "b", "c"] {
            outbox.put(message.to_owned()).await.unwrap();
        }
        outbox.end(Goodbye::Stopping);
        outbox.end(Goodbye::Left);
        assert_eq!(outbox.take(1).await, Taken::Messages(vec!["a".to_owned()]));
        let rest = vec!["b".to_owned(), "c".to_owned()];
        assert_eq!(outbox.take(100).await, Taken::Messages(rest));
        assert_eq!(outbox.take(1).await, Taken::Over(Goodbye::Stopping));
        assert_eq!(outbox.take(1).await, Taken::Over(Goodbye::Stopping));
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_read_for_a_minute_is_too_slow() {
        let outbox = Outbox::default();
        outbox.put(large()).await.unwrap();
        let began = tokio::time::Instant::now();
        assert!(outbox.put("more".to_owned()).await.is_err());
        assert_eq!(began.elapsed(), PATIENCE);
    }

    #[tokio::test(start_paused = true)]
    async fn who_reads_makes_room() {
        let outbox = Outbox::default();
        outbox.put(large()).await.unwrap();
        let (put, taken) = tokio::join!(outbox.put("more".to_owned()), outbox.take(1));
        put.unwrap();
        assert_eq!(taken, Taken::Messages(vec![large()]));
        assert_eq!(
            outbox.take(1).await,
            Taken::Messages(vec!["more".to_owned()])
        );
    }
}
