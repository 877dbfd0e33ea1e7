//! Ends an HTTP/2 connection whose other end keeps us busy with frames that do no work.
//!
//! Floods of fields, empty data and streams are bounded by h2, and what callers take back by
//! `listen/streams.rs`. What neither counts are PING, SETTINGS, PRIORITY, GOAWAY and frames of
//! unknown kinds: each is answered or looked at, and a connection may send them for ever. Nor does
//! anybody count resets in a tunnel, of which there are many when many callers leave. Here only
//! heads of frames are looked at, on their way to h2, which alone decides what they mean.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// Keep-alive is one in seconds; a measured round-trip with each answer, as some clients do it, some
/// tens a second.
const IDLE: Allowance = Allowance {
    at_once: 1000,
    a_second: 50,
};

/// Pages that are left, by all callers of one printer.
const RESETS: Allowance = Allowance {
    at_once: 10_000,
    a_second: 500,
};

/// How many frames of a kind the other end may send.
#[derive(Clone, Copy)]
struct Allowance {
    at_once: u32,
    a_second: u32,
}

/// What every client says first (RFC 9113 section 3.4).
const PREFACE: usize = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".len();
const HEAD: usize = 9;

// Kinds of frames that move a request (RFC 9113 section 6): all others only keep us busy.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const PUSH_PROMISE: u8 = 5;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

/// A byte stream with HTTP/2 on it, which fails when too much of what comes does no work.
pub(crate) struct Calm<IO> {
    io: IO,
    frames: Frames,
}

struct Frames {
    /// Bytes that belong to no head.
    skip: usize,
    head: [u8; HEAD],
    have: usize,
    idle: Spent,
    resets: Spent,
}

#[derive(Default)]
struct Spent {
    frames: u32,
    since: Option<Instant>,
}

/// The other end sent too many.
#[derive(Debug, thiserror::Error)]
#[error("too many HTTP/2 frames that do no work")]
struct Flood;

impl Spent {
    fn one_more(&mut self, allowance: Allowance) -> Result<(), Flood> {
        let now = Instant::now();
        let seconds = self.since.map_or(0, |since| (now - since).as_secs());
        if seconds > 0 || self.since.is_none() {
            self.since = Some(now);
        }
        let earned = u32::try_from(seconds).unwrap_or(u32::MAX);
        let earned = earned.saturating_mul(allowance.a_second);
        self.frames = self.frames.saturating_sub(earned) + 1;
        if self.frames > allowance.at_once {
            return Err(Flood);
        }
        Ok(())
    }
}

impl<IO> Calm<IO> {
    /// The other end is a client, which begins with its preface.
    pub(crate) fn from_client(io: IO) -> Self {
        Self::new(io, PREFACE)
    }

    /// The other end is a server.
    pub(crate) fn from_server(io: IO) -> Self {
        Self::new(io, 0)
    }

    fn new(io: IO, skip: usize) -> Self {
        Self {
            io,
            frames: Frames {
                skip,
                head: [0; HEAD],
                have: 0,
                idle: Spent::default(),
                resets: Spent::default(),
            },
        }
    }
}

impl Frames {
    fn pass(&mut self, mut bytes: &[u8]) -> Result<(), Flood> {
        while !bytes.is_empty() {
            if self.skip > 0 {
                let skipped = self.skip.min(bytes.len());
                self.skip -= skipped;
                bytes = &bytes[skipped..];
                continue;
            }
            let taken = (HEAD - self.have).min(bytes.len());
            self.head[self.have..self.have + taken].copy_from_slice(&bytes[..taken]);
            self.have += taken;
            bytes = &bytes[taken..];
            if self.have == HEAD {
                self.have = 0;
                let [a, b, c, kind, ..] = self.head;
                self.skip = u32::from_be_bytes([0, a, b, c]) as usize;
                self.count(kind)?;
            }
        }
        Ok(())
    }

    fn count(&mut self, kind: u8) -> Result<(), Flood> {
        match kind {
            DATA | HEADERS | PUSH_PROMISE | WINDOW_UPDATE | CONTINUATION => Ok(()),
            RST_STREAM => self.resets.one_more(RESETS),
            _ => self.idle.one_more(IDLE),
        }
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Calm<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
        let passed = self.frames.pass(&buf.filled()[before..]);
        Poll::Ready(passed.map_err(io::Error::other))
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Calm<IO> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const PING: u8 = 6;

    fn frame(kind: u8, length: u8) -> Vec<u8> {
        let mut bytes = vec![0, 0, length, kind, 0, 0, 0, 0, 0];
        bytes.resize(HEAD + usize::from(length), 0xAA);
        bytes
    }

    fn frames() -> Frames {
        Calm::from_server(()).frames
    }

    #[tokio::test(start_paused = true)]
    async fn so_many_pass_at_once_and_some_every_second() {
        for (kind, allowance) in [(PING, IDLE), (RST_STREAM, RESETS)] {
            let mut frames = frames();
            for _ in 0..allowance.at_once {
                frames.pass(&frame(kind, 0)).unwrap();
            }
            assert!(frames.pass(&frame(kind, 0)).is_err());
            tokio::time::advance(Duration::from_secs(2)).await;
            for _ in 0..2 * allowance.a_second - 1 {
                frames.pass(&frame(kind, 0)).unwrap();
            }
            assert!(frames.pass(&frame(kind, 0)).is_err());
        }
    }

    #[tokio::test]
    async fn frames_that_do_work_are_never_too_many() {
        let mut frames = frames();
        for _ in 0..3 * IDLE.at_once {
            for kind in [DATA, HEADERS, WINDOW_UPDATE, RST_STREAM] {
                frames.pass(&frame(kind, 100)).unwrap();
            }
        }
    }

    #[tokio::test]
    async fn heads_are_found_however_the_bytes_are_cut() {
        let pings = frame(PING, 200).repeat(IDLE.at_once as usize);
        for size in [1, 7, 9, 64, 1000] {
            let mut calm = Calm::from_client(());
            let frames = &mut calm.frames;
            frames.pass(&[b'P'; PREFACE]).unwrap();
            for piece in pings.chunks(size) {
                frames.pass(piece).unwrap();
            }
            let counted = (frames.idle.frames, frames.have, frames.skip);
            assert_eq!(counted, (IDLE.at_once, 0, 0));
        }
    }
}
