//! Joining the two halves of an upgraded WebSocket.
//!
//! Bytes are copied, not decoded. The one thing understood is where a frame towards
//! the caller ends, so that a caller whose printer vanishes gets a proper close frame
//! instead of a dead socket, and never in the middle of somebody else's frame or after
//! somebody else's farewell.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_util::sync::CancellationToken;

use super::endings::Hold;

/// What the caller is told when its socket ends and nobody else said farewell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Farewell {
    /// 1001 (RFC 6455 section 7.4.1). Not 1000 or 1002: apps take those for an end on purpose
    /// and do not come back.
    GoingAway,
    /// 1008, "policy violation": what let the caller in has ended, and coming back is no use.
    NoLongerAllowed,
}

impl Farewell {
    /// Going away as soon as `token` is cancelled.
    pub async fn going_away_with(token: CancellationToken) -> Self {
        token.cancelled().await;
        Self::GoingAway
    }

    /// As soon as the hold ends, or going away as soon as `stopping` is cancelled.
    pub async fn when(stopping: CancellationToken, hold: Option<Hold>) -> Self {
        let ended = async {
            match hold {
                Some(hold) => hold.until_ended().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = ended => Self::NoLongerAllowed,
            () = stopping.cancelled() => Self::GoingAway,
        }
    }

    /// The close frame.
    fn frame(self) -> [u8; 4] {
        let code: u16 = match self {
            Self::GoingAway => 1001,
            Self::NoLongerAllowed => 1008,
        };
        let [high, low] = code.to_be_bytes();
        [0x88, 2, high, low]
    }
}

/// The opcode of close frames.
const CLOSE: u8 = 0x8;

const BUFFER: usize = 16 * 1024;

/// How long one direction may go on after the other has ended.
const LINGER: Duration = Duration::from_mins(1);

/// How long the caller may take nothing of what is there for it. A socket of its own is
/// bounded by the listener too; a stream whose window stays shut is bounded only here.
const WRITE_STALL: Duration = Duration::from_mins(1);

/// How much was copied.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Copied {
    /// Bytes from the caller towards the printer.
    pub from_caller: u64,
    /// Bytes towards the caller.
    pub to_caller: u64,
}

/// What has been copied so far, for others to read while it goes on.
#[derive(Debug, Default)]
pub struct Counts {
    from_caller: AtomicU64,
    to_caller: AtomicU64,
}

impl Counts {
    /// The numbers at this moment.
    pub fn now(&self) -> Copied {
        Copied {
            from_caller: self.from_caller.load(Ordering::Relaxed),
            to_caller: self.to_caller.load(Ordering::Relaxed),
        }
    }
}

/// Copies both ways until both ends have finished, one fails, or `end` says farewell.
pub async fn splice<C, P>(
    caller: C,
    printer: P,
    end: impl Future<Output = Farewell>,
    counts: &Counts,
) -> Copied
where
    C: AsyncRead + AsyncWrite,
    P: AsyncRead + AsyncWrite,
{
    let (mut caller_reads, mut caller_writes) = tokio::io::split(caller);
    let (mut printer_reads, mut printer_writes) = tokio::io::split(printer);
    let mut frames = FrameTracker::default();
    let outcome = {
        let up = upwards(&mut caller_reads, &mut printer_writes, &counts.from_caller);
        let down = downwards(
            &mut printer_reads,
            &mut caller_writes,
            &mut frames,
            &counts.to_caller,
        );
        tokio::select! {
            biased;
            farewell = end => Err(Ended::Elsewhere(farewell)),
            outcome = both(up, down) => outcome,
        }
    };
    // A caller that takes nothing must not hold the printer's side open.
    drop((printer_reads, printer_writes));
    if let Err(Ended::Elsewhere(farewell)) = outcome
        && frames.may_close()
    {
        // The caller may be gone too; then there is nobody left to tell.
        let frame = farewell.frame();
        let told = caller_writes.write_all(&frame);
        let _ = tokio::time::timeout(Duration::from_secs(1), told).await;
    }
    let _ = tokio::time::timeout(Duration::from_secs(1), caller_writes.shutdown()).await;
    counts.now()
}

/// Which side a socket ended on, if not by both closing it.
enum Ended {
    /// The caller's own connection failed.
    Caller,
    /// The printer's side, or we, ended it.
    Elsewhere(Farewell),
}

async fn both(
    up: impl Future<Output = Result<(), Ended>>,
    down: impl Future<Output = Result<(), Ended>>,
) -> Result<(), Ended> {
    tokio::pin!(up, down);
    tokio::select! {
        outcome = &mut up => {
            outcome?;
            tokio::time::timeout(LINGER, down).await.unwrap_or(Ok(()))
        }
        outcome = &mut down => {
            outcome?;
            tokio::time::timeout(LINGER, up).await.unwrap_or(Ok(()))
        }
    }
}

async fn upwards(
    caller: &mut (impl AsyncRead + Unpin),
    printer: &mut (impl AsyncWrite + Unpin),
    count: &AtomicU64,
) -> Result<(), Ended> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let read = caller.read(&mut buffer).await.map_err(|_| Ended::Caller)?;
        if read == 0 {
            return ended_elsewhere(printer.shutdown().await);
        }
        count.fetch_add(read as u64, Ordering::Relaxed);
        ended_elsewhere(printer.write_all(&buffer[..read]).await)?;
        ended_elsewhere(printer.flush().await)?;
    }
}

async fn downwards(
    printer: &mut (impl AsyncRead + Unpin),
    caller: &mut (impl AsyncWrite + Unpin),
    frames: &mut FrameTracker,
    count: &AtomicU64,
) -> Result<(), Ended> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let read = ended_elsewhere(printer.read(&mut buffer).await)?;
        if read == 0 {
            if frames.may_close() {
                // No farewell came, so it was the printer's server that died.
                let frame = Farewell::GoingAway.frame();
                send(caller, frames, count, &frame).await?;
            }
            return taken(caller.shutdown()).await;
        }
        send(caller, frames, count, &buffer[..read]).await?;
        taken(caller.flush()).await?;
    }
}

/// Sends `bytes`, and notes what the caller's side has really taken: this may be dropped
/// at any time, and a close frame must not be put into the middle of another.
async fn send(
    caller: &mut (impl AsyncWrite + Unpin),
    frames: &mut FrameTracker,
    count: &AtomicU64,
    mut bytes: &[u8],
) -> Result<(), Ended> {
    while !bytes.is_empty() {
        let written = taken(caller.write(bytes)).await?;
        if written == 0 {
            return Err(Ended::Caller);
        }
        frames.saw(&bytes[..written]);
        count.fetch_add(written as u64, Ordering::Relaxed);
        bytes = &bytes[written..];
    }
    Ok(())
}

/// One step towards the caller, which is not waited for longer than [`WRITE_STALL`].
async fn taken<T>(step: impl Future<Output = io::Result<T>>) -> Result<T, Ended> {
    match tokio::time::timeout(WRITE_STALL, step).await {
        Ok(outcome) => outcome.map_err(|_| Ended::Caller),
        Err(_) => Err(Ended::Caller),
    }
}

fn ended_elsewhere<T>(outcome: io::Result<T>) -> Result<T, Ended> {
    outcome.map_err(|_| Ended::Elsewhere(Farewell::GoingAway))
}

/// Follows the borders of WebSocket frames (RFC 6455 section 5.2).
#[derive(Default)]
struct FrameTracker {
    header: Vec<u8>,
    payload_left: u64,
    /// A close frame has begun: nothing may follow it (RFC 6455 section 5.5.1).
    closing: bool,
}

impl FrameTracker {
    fn saw(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.payload_left > 0 {
                let skip = usize::try_from(self.payload_left)
                    .unwrap_or(usize::MAX)
                    .min(bytes.len());
                self.payload_left -= skip as u64;
                bytes = &bytes[skip..];
                continue;
            }
            self.header.push(bytes[0]);
            bytes = &bytes[1..];
            if let Some(length) = payload_length(&self.header) {
                self.payload_left = length;
                self.closing |= self.header[0] & 0x0F == CLOSE;
                self.header.clear();
            }
        }
    }

    /// Whether a close frame of ours is in order now.
    fn may_close(&self) -> bool {
        !self.closing && self.header.is_empty() && self.payload_left == 0
    }
}

/// The payload length, once the whole header (mask included) is there.
fn payload_length(header: &[u8]) -> Option<u64> {
    let second = *header.get(1)?;
    let mask = if second & 0x80 == 0 { 0 } else { 4 };
    let extended = match second & 0x7F {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    if header.len() < 2 + extended + mask {
        return None;
    }
    let length = header[2..2 + extended]
        .iter()
        .fold(0, |sum, byte| (sum << 8) | u64::from(*byte));
    Some(if extended == 0 {
        u64::from(second & 0x7F)
    } else {
        length
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{DuplexStream, duplex};
    use tokio_util::task::TaskTracker;

    async fn joined_with(
        caller: DuplexStream,
        printer: DuplexStream,
        end: impl Future<Output = Farewell>,
    ) -> Copied {
        splice(caller, printer, end, &Counts::default()).await
    }

    #[test]
    fn frame_borders_are_found_however_the_bytes_arrive() {
        let mut stream = vec![0x81, 0x02, b'h', b'i'];
        stream.extend([0x82, 126, 0x01, 0x00]);
        stream.extend([7; 256]);
        stream.extend([0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]);
        stream.extend(vec![7; 65_536]);
        stream.extend([0x81, 0x81, 1, 2, 3, 4, 9]);
        for size in [1, 3, 1000, stream.len()] {
            let mut frames = FrameTracker::default();
            for chunk in stream.chunks(size) {
                frames.saw(chunk);
            }
            assert!(frames.may_close(), "in pieces of {size}");
            frames.saw(&[0x81]);
            assert!(!frames.may_close());
        }
    }

    #[tokio::test]
    async fn bytes_pass_both_ways_and_half_close_passes() {
        let (caller, mut app) = duplex(64);
        let (printer, mut server) = duplex(64);
        let joined = TaskTracker::new().spawn(joined_with(caller, printer, std::future::pending()));
        app.write_all(b"ping").await.unwrap();
        app.shutdown().await.unwrap();
        let mut request = Vec::new();
        server.read_to_end(&mut request).await.unwrap();
        assert_eq!(request, b"ping");
        server.write_all(b"late answer").await.unwrap();
        server.shutdown().await.unwrap();
        let mut answer = Vec::new();
        app.read_to_end(&mut answer).await.unwrap();
        assert_eq!(answer, b"late answer");
        let copied = joined.await.unwrap();
        assert_eq!((copied.from_caller, copied.to_caller), (4, 11));
    }

    #[tokio::test]
    async fn an_ended_socket_says_why_between_frames_only() {
        use Farewell::{GoingAway, NoLongerAllowed};
        for (sent, reason, farewell) in [
            (&[0x81, 1, b'x'][..], GoingAway, &[0x88, 2, 0x03, 0xE9][..]),
            (&[0x81, 1, b'x'], NoLongerAllowed, &[0x88, 2, 0x03, 0xF0]),
            (&[0x81, 5, b'x'], GoingAway, &[]),
            (&[0x81, 5, b'x'], NoLongerAllowed, &[]),
        ] {
            let (caller, mut app) = duplex(64);
            let (printer, mut server) = duplex(64);
            let end = CancellationToken::new();
            let ended = end.clone();
            let told = async move {
                ended.cancelled().await;
                reason
            };
            let joined = TaskTracker::new().spawn(joined_with(caller, printer, told));
            server.write_all(sent).await.unwrap();
            let mut received = vec![0; sent.len()];
            app.read_exact(&mut received).await.unwrap();
            end.cancel();
            let mut rest = Vec::new();
            app.read_to_end(&mut rest).await.unwrap();
            assert_eq!(rest, farewell);
            joined.await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_frame_that_the_caller_has_not_taken_whole_is_not_broken_into() {
        let mut frame = vec![0x82, 125];
        frame.extend([7; 125]);
        let (caller, mut app) = duplex(64);
        let (printer, mut server) = duplex(1024);
        let end = CancellationToken::new();
        let joined = TaskTracker::new().spawn(joined_with(
            caller,
            printer,
            Farewell::going_away_with(end.clone()),
        ));
        server.write_all(&frame).await.unwrap();
        let mut received = vec![0; 10];
        app.read_exact(&mut received).await.unwrap();
        end.cancel();
        app.read_to_end(&mut received).await.unwrap();
        assert_eq!(received, frame[..received.len()]);
        let copied = joined.await.unwrap();
        assert_eq!(copied.to_caller, received.len() as u64);
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_that_takes_nothing_ends_the_socket() {
        let (caller, app) = duplex(64);
        let (printer, mut server) = duplex(64);
        let joined = TaskTracker::new().spawn(joined_with(caller, printer, std::future::pending()));
        let frame = [&[0x82, 125][..], &[7; 125]].concat();
        let sent = async { while server.write_all(&frame).await.is_ok() {} };
        let patience = 2 * WRITE_STALL;
        tokio::time::timeout(patience, sent).await.unwrap();
        joined.await.unwrap();
        drop(app);
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_that_takes_nothing_does_not_keep_the_printers_side() {
        let (caller, app) = duplex(64);
        let (printer, mut server) = duplex(64);
        let end = CancellationToken::new();
        let hold = Farewell::going_away_with(end.clone());
        let joined = TaskTracker::new().spawn(joined_with(caller, printer, hold));
        let frame = [&[0x82, 125][..], &[7; 125]].concat();
        server.write_all(&frame).await.unwrap();
        end.cancel();
        let before = tokio::time::Instant::now();
        while server.write_all(&frame).await.is_ok() {}
        assert_eq!(before.elapsed(), Duration::ZERO);
        joined.await.unwrap();
        drop(app);
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_that_takes_little_and_a_quiet_printer_keep_the_socket() {
        let (caller, mut app) = duplex(1);
        let (printer, mut server) = duplex(64);
        let joined = TaskTracker::new().spawn(joined_with(caller, printer, std::future::pending()));
        server.write_all(&[0x82, 3, 1, 2, 3]).await.unwrap();
        for byte in [0x82, 3, 1, 2, 3] {
            tokio::time::sleep(WRITE_STALL * 9 / 10).await;
            assert_eq!(app.read_u8().await.unwrap(), byte);
        }
        tokio::time::sleep(10 * WRITE_STALL).await;
        server.write_all(&[0x82, 0]).await.unwrap();
        assert_eq!(app.read_u16().await.unwrap(), 0x8200);
        drop((app, server));
        joined.await.unwrap();
    }
}
