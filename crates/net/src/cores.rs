//! A runtime with one thread for each core, for connections.
//!
//! Tasks of one connection wake each other all the time. Where they share a thread, waking is a
//! push to a queue; a runtime that moves tasks between threads wakes the other thread instead,
//! which costs a fifth more for each small request (`docs/decisions/2026-11-26-request-path.md`).
//! Connections are dealt out in turn, and stay where they are.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

use tokio::runtime::{Builder, Handle};
use tokio_util::sync::CancellationToken;

/// The runtimes. They end, with whatever still runs on them, when this is dropped.
#[derive(Debug)]
pub struct Cores {
    deal: Deal,
    end: CancellationToken,
    threads: Vec<JoinHandle<()>>,
}

/// Deals out connections. Clones share it.
#[derive(Debug, Clone)]
pub struct Deal {
    handles: Arc<[Handle]>,
    next: Arc<AtomicUsize>,
}

impl Cores {
    /// Starts `count` threads, at least one.
    pub fn start(count: usize) -> io::Result<Self> {
        let end = CancellationToken::new();
        let (mut handles, mut threads) = (Vec::new(), Vec::new());
        for number in 0..count.max(1) {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            handles.push(runtime.handle().clone());
            let ended = end.clone();
            let thread = std::thread::Builder::new().name(format!("connections-{number}"));
            threads.push(thread.spawn(move || runtime.block_on(ended.cancelled()))?);
        }
        Ok(Self {
            deal: Deal {
                handles: handles.into(),
                next: Arc::default(),
            },
            end,
            threads,
        })
    }

    /// What deals out connections to them.
    pub fn deal(&self) -> Deal {
        self.deal.clone()
    }
}

impl Drop for Cores {
    fn drop(&mut self) {
        self.end.cancel();
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so.
            let _ = thread.join();
        }
    }
}

impl Deal {
    /// The runtime whose turn it is.
    pub fn next(&self) -> &Handle {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        &self.handles[turn % self.handles.len()]
    }

    /// Deals out to the same threads in a turn of its own, so that connections of one kind that come
    /// together are not on one thread because of others in between.
    #[must_use]
    pub fn apart(&self) -> Self {
        Self {
            handles: Arc::clone(&self.handles),
            next: Arc::default(),
        }
    }

    /// How many tasks run on all of them.
    pub fn tasks(&self) -> usize {
        let tasks = self.handles.iter();
        tasks.map(|handle| handle.metrics().num_alive_tasks()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn turns_are_taken_and_everything_ends_with_them() {
        let cores = Cores::start(2).unwrap();
        let deal = cores.deal();
        let name = || std::thread::current().name().map(str::to_owned);
        let mut names = Vec::new();
        for _ in 0..4 {
            names.push(deal.next().spawn(async move { name() }).await.unwrap());
        }
        assert_eq!(names[0].as_deref(), Some("connections-0"));
        assert_eq!(names[1].as_deref(), Some("connections-1"));
        assert_eq!(names[..2], names[2..]);
        deal.next();
        let apart = deal.apart();
        let first = apart.next().spawn(async move { name() }).await.unwrap();
        assert_eq!(first, names[0], "the others' turn is theirs");
        let stays = deal.next().spawn(std::future::pending::<()>());
        assert_eq!(deal.tasks(), 1);
        tokio::task::spawn_blocking(move || drop(cores))
            .await
            .unwrap();
        assert!(stays.await.is_err());
    }
}
