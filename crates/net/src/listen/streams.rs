//! Watches the streams of one HTTP/2 connection for what hyper does not bound:
//! a connection that idles, a caller that takes requests back all the time, and a
//! caller that leaves the window of an answer shut.
//!
//! hyper runs each stream as a task of its own. Those tasks are run here, beside the
//! little that the request and its answer note about themselves.

use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::rt::Executor;
use tokio::sync::watch;
use tokio::time::{Instant, Sleep};
use tokio_util::task::TaskTracker;

/// Requests taken back before their answer in one minute. A page that is left while it
/// loads takes back dozens at most; the attack called rapid reset, thousands a second.
const MAX_TAKEN_BACK: u32 = 200;

tokio::task_local! {
    /// The stream whose task is running.
    static STREAM: Arc<Mutex<Stream>>;
}

#[derive(Default)]
struct Stream {
    asked: bool,
    answered: bool,
    /// When the last piece of the answer was taken from its source. `None` while the
    /// source is waited for.
    handed_out: Option<Instant>,
}

/// The streams of one connection, and the executor for their tasks.
#[derive(Clone)]
pub(super) struct Streams {
    tally: Arc<watch::Sender<Tally>>,
    tracker: TaskTracker,
    write_stall: Duration,
}

#[derive(Default)]
struct Tally {
    open: usize,
    taken_back: u32,
    since: Option<Instant>,
}

impl Streams {
    pub(super) fn new(tracker: TaskTracker, write_stall: Duration) -> Self {
        Self {
            tally: Arc::default(),
            tracker,
            write_stall,
        }
    }

    /// Completes once no stream has been open for so long.
    pub(super) async fn idle(&self, limit: Duration) {
        let mut tally = self.tally.subscribe();
        // The sender lives in `self`, so waiting cannot fail.
        while tally.wait_for(|tally| tally.open == 0).await.is_ok() {
            let opened = tally.wait_for(|tally| tally.open > 0);
            if tokio::time::timeout(limit, opened).await.is_err() {
                return;
            }
        }
    }

    /// Completes once too many requests were taken back.
    pub(super) async fn abused(&self) {
        let mut tally = self.tally.subscribe();
        let abused = tally.wait_for(|tally| tally.taken_back > MAX_TAKEN_BACK);
        let _ = abused.await;
    }

    fn open(&self) -> OpenStream {
        self.tally.send_modify(|tally| tally.open += 1);
        OpenStream {
            tally: Arc::clone(&self.tally),
            stream: Arc::default(),
        }
    }
}

impl<F> Executor<F> for Streams
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, task: F) {
        let (open, write_stall) = (self.open(), self.write_stall);
        // Only the task of a stream starts another: the sending half of a socket that
        // came of the request.
        if STREAM.try_with(|_| ()).is_ok() {
            self.tracker.spawn(run_socket(task, open, write_stall));
        } else {
            self.tracker.spawn(run(task, open, write_stall));
        }
    }
}

/// Runs a stream to its end, or until its caller has taken nothing for too long.
/// Dropping the task resets the stream and releases the source of the answer.
async fn run(task: impl Future<Output = ()>, open: OpenStream, write_stall: Duration) {
    let mut task = pin!(STREAM.scope(Arc::clone(&open.stream), task));
    let mut timer: Option<Pin<Box<Sleep>>> = None;
    std::future::poll_fn(|cx| {
        if task.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let Some(since) = lock(&open.stream).handed_out else {
            timer = None;
            return Poll::Pending;
        };
        let deadline = since + write_stall;
        let timer = timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        if timer.deadline() != deadline {
            timer.as_mut().reset(deadline);
        }
        timer.as_mut().poll(cx)
    })
    .await;
}

/// Runs the sending half of a socket to its end, or until its caller has left the window
/// shut for too long. Dropping the task breaks the socket.
///
/// hyper does not tell a socket that has nothing to send from one that may not send, and
/// keeps the latter even when our end of it is gone. But the former can be woken by two:
/// by its stream, and by our end.
async fn run_socket(task: impl Future<Output = ()>, _open: OpenStream, write_stall: Duration) {
    let mut task = pin!(task);
    let mut timer: Option<Pin<Box<Sleep>>> = None;
    std::future::poll_fn(|cx| {
        if timer
            .as_mut()
            .is_some_and(|timer| timer.as_mut().poll(cx).is_ready())
        {
            return Poll::Ready(());
        }
        let waker = Arc::new(Counted(cx.waker().clone()));
        let polled = {
            let waker = Waker::from(Arc::clone(&waker));
            task.as_mut().poll(&mut Context::from_waker(&waker))
        };
        let wakers = Arc::strong_count(&waker) - 1;
        if polled.is_ready() || wakers > 1 {
            timer = None;
            return polled;
        }
        // Whatever woke it let something through, so the time begins anew.
        timer
            .insert(Box::pin(tokio::time::sleep(write_stall)))
            .as_mut()
            .poll(cx)
    })
    .await;
}

/// A waker whose holders can be counted.
struct Counted(Waker);

impl Wake for Counted {
    fn wake(self: Arc<Self>) {
        self.0.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.wake_by_ref();
    }
}

struct OpenStream {
    tally: Arc<watch::Sender<Tally>>,
    stream: Arc<Mutex<Stream>>,
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        // Raw sockets that came of a request run here too; they never asked anything.
        let taken_back = {
            let stream = lock(&self.stream);
            stream.asked && !stream.answered
        };
        self.tally.send_modify(|tally| {
            tally.open -= 1;
            if !taken_back {
                return;
            }
            let now = Instant::now();
            if tally
                .since
                .is_none_or(|since| now - since > Duration::from_mins(1))
            {
                (tally.since, tally.taken_back) = (Some(now), 0);
            }
            tally.taken_back += 1;
        });
    }
}

/// Notes that the running stream has brought a request.
pub(super) fn asked() {
    note(|stream| stream.asked = true);
}

/// Notes that the running stream has its answer.
pub(super) fn answered() {
    note(|stream| stream.answered = true);
}

fn note(change: impl FnOnce(&mut Stream)) {
    // Outside of a stream's task there is nothing to note.
    let _ = STREAM.try_with(|stream| change(&mut lock(stream)));
}

fn lock(stream: &Mutex<Stream>) -> std::sync::MutexGuard<'_, Stream> {
    stream.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Largest piece handed out, so that also a slow caller asks for the next in time.
const PIECE: usize = 16 * 1024;

/// An answer's body that notes when it was last asked for.
pub(super) struct HandedOut<B> {
    inner: B,
    rest: Bytes,
}

impl<B> HandedOut<B> {
    pub(super) fn new(inner: B) -> Self {
        Self {
            inner,
            rest: Bytes::new(),
        }
    }
}

impl<B: Body<Data = Bytes> + Unpin> HandedOut<B> {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        if self.rest.is_empty() {
            let frame = match std::task::ready!(Pin::new(&mut self.inner).poll_frame(cx)) {
                Some(Ok(frame)) => frame,
                other => return Poll::Ready(other),
            };
            match frame.into_data() {
                Ok(data) => self.rest = data,
                Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
            }
        }
        let piece = self.rest.split_to(self.rest.len().min(PIECE));
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for HandedOut<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let frame = self.get_mut().poll_piece(cx);
        let handed_out = matches!(frame, Poll::Ready(Some(Ok(_)))).then(Instant::now);
        note(|stream| stream.handed_out = handed_out);
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (inner, rest) = (self.inner.size_hint(), self.rest.len() as u64);
        let mut hint = SizeHint::new();
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper + rest);
        }
        hint.set_lower(inner.lower() + rest);
        hint
    }
}
