//! The TCP proxy.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::lane::Lane;
use super::{Dice, Line};

/// What one packet carries on a usual line; a line with a rate or with loss takes bytes in such pieces.
const SEGMENT: usize = 1_448;
/// Pieces of one connection on their way.
const ON_THE_WAY: usize = 1_024;

/// One direction of a [`Shaper`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From who connects to who is connected to.
    There,
    /// The other one.
    Back,
}

/// A listener whose connections go on to a target, over a [`Line`]. Everything ends when it is dropped.
#[derive(Debug)]
pub struct Shaper {
    address: SocketAddr,
    faults: watch::Sender<Faults>,
    /// Cuts the connections of now; replaced when it did.
    cut: Arc<std::sync::Mutex<CancellationToken>>,
    end: CancellationToken,
    tracker: TaskTracker,
}

/// What is wrong with the line now.
#[derive(Clone, Debug, Default)]
struct Faults {
    held: [bool; 2],
    blackhole: bool,
    /// How often a direction was closed: those that began earlier are.
    closings: [u64; 2],
}

/// What all connections share.
struct Shared {
    target: SocketAddr,
    line: Line,
    lanes: [Mutex<Lane>; 2],
}

enum Piece {
    Bytes(Vec<u8>),
    End,
}

impl Shaper {
    /// Listens on a free port of this machine.
    pub async fn before(target: SocketAddr, line: Line) -> io::Result<Self> {
        Self::listening(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), target, line).await
    }

    /// Listens at this address.
    pub async fn listening(at: SocketAddr, target: SocketAddr, line: Line) -> io::Result<Self> {
        let listener = TcpListener::bind(at).await?;
        let shaper = Self {
            address: listener.local_addr()?,
            faults: watch::Sender::new(Faults::default()),
            cut: Arc::default(),
            end: CancellationToken::new(),
            tracker: TaskTracker::new(),
        };
        let mut dice = Dice::new(line.seed);
        let mut lane = |shape| Mutex::new(Lane::new(shape, Dice::new(dice.roll())));
        let shared = Arc::new(Shared {
            target,
            line,
            lanes: [lane(line.there), lane(line.back)],
        });
        let accepting = accept(
            listener,
            shared,
            shaper.faults.subscribe(),
            Arc::clone(&shaper.cut),
            shaper.tracker.clone(),
        );
        let end = shaper.end.clone();
        shaper.tracker.spawn(async move {
            tokio::select! {
                () = accepting => {}
                () = end.cancelled() => {}
            }
        });
        Ok(shaper)
    }

    /// Where to connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections there are.
    pub fn connections(&self) -> usize {
        // One task accepts.
        self.tracker.len().saturating_sub(1)
    }

    /// Delivers nothing in this direction, ends of streams included, until [`Self::heal`]; then everything.
    pub fn stall(&self, direction: Direction) {
        self.faults
            .send_modify(|faults| faults.held[direction as usize] = true);
    }

    /// Swallows what is sent, both ways, without a sign to anybody: a cable that was pulled. Connections that lost
    /// something stay silent for ever, as when a box in the middle has forgotten them; new ones get no answer. After
    /// [`Self::heal`] new ones do.
    ///
    /// The kernel still completes TCP's handshake with who connects.
    pub fn blackhole(&self) {
        self.faults.send_modify(|faults| faults.blackhole = true);
    }

    /// Ends stalls and the black hole.
    pub fn heal(&self) {
        self.faults.send_modify(|faults| {
            faults.held = [false; 2];
            faults.blackhole = false;
        });
    }

    /// Ends the connections of now with RST, at both ends.
    pub fn reset(&self) {
        let fresh = CancellationToken::new();
        let mut cut = self.cut.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *cut, fresh).cancel();
    }

    /// Ends this direction of the connections of now with FIN; the other one goes on. What is sent after it is
    /// swallowed.
    pub fn half_close(&self, direction: Direction) {
        self.faults
            .send_modify(|faults| faults.closings[direction as usize] += 1);
    }
}

impl Drop for Shaper {
    fn drop(&mut self) {
        self.end.cancel();
        self.reset();
    }
}

async fn accept(
    listener: TcpListener,
    shared: Arc<Shared>,
    faults: watch::Receiver<Faults>,
    cut: Arc<std::sync::Mutex<CancellationToken>>,
    tracker: TaskTracker,
) {
    loop {
        let Ok((caller, _)) = listener.accept().await else {
            // Out of descriptors, say: others end meanwhile.
            sleep(Duration::from_millis(50)).await;
            continue;
        };
        let (shared, faults) = (Arc::clone(&shared), faults.clone());
        let cut = cut.lock().unwrap_or_else(PoisonError::into_inner).clone();
        tracker.spawn(async move { connection(caller, &shared, faults, cut).await });
    }
}

async fn connection(
    mut caller: TcpStream,
    shared: &Shared,
    faults: watch::Receiver<Faults>,
    cut: CancellationToken,
) {
    if faults.borrow().blackhole {
        cut.cancelled().await;
        return reset(&caller);
    }
    // The handshake takes a round trip, as on the line.
    sleep(shared.line.there.delay + shared.line.back.delay).await;
    let Ok(mut target) = TcpStream::connect(shared.target).await else {
        return reset(&caller);
    };
    // Nothing waits here for more to come: what waits, waits in the lanes.
    let _ = (caller.set_nodelay(true), target.set_nodelay(true));
    let outcome = {
        let (from_caller, to_caller) = caller.split();
        let (from_target, to_target) = target.split();
        let there = pump(
            from_caller,
            to_target,
            Direction::There,
            shared,
            faults.clone(),
        );
        let back = pump(from_target, to_caller, Direction::Back, shared, faults);
        tokio::select! {
            outcome = async { tokio::try_join!(there, back) } => outcome.is_ok(),
            () = cut.cancelled() => false,
        }
    };
    if !outcome {
        reset(&caller);
        reset(&target);
    }
}

/// Lets a socket end with RST when it is dropped.
fn reset(socket: &TcpStream) {
    let _ = SockRef::from(socket).set_linger(Some(Duration::ZERO));
}

/// Carries one direction of one connection to its end. An error is the end of both.
async fn pump(
    from: ReadHalf<'_>,
    to: WriteHalf<'_>,
    direction: Direction,
    shared: &Shared,
    faults: watch::Receiver<Faults>,
) -> io::Result<()> {
    let (feed, pieces) = mpsc::channel(ON_THE_WAY);
    let taking = take(from, direction, shared, feed);
    let delivering = deliver(to, direction, pieces, faults);
    tokio::try_join!(taking, delivering).map(|_| ())
}

async fn take(
    mut from: ReadHalf<'_>,
    direction: Direction,
    shared: &Shared,
    feed: mpsc::Sender<(Instant, Piece)>,
) -> io::Result<()> {
    let shape = match direction {
        Direction::There => shared.line.there,
        Direction::Back => shared.line.back,
    };
    let single = shape.rate.is_some() || shape.loss > 0.0;
    let mut buffer = vec![0; if single { SEGMENT } else { 64 * 1024 }];
    let round_trip = shared.line.there.delay + shared.line.back.delay;
    let lane = &shared.lanes[direction as usize];
    // Bytes of a connection arrive in order: a late piece makes those behind it late.
    let mut latest = Instant::now();
    loop {
        let count = from.read(&mut buffer).await?;
        let mut late = Duration::ZERO;
        let passage = {
            // Held while waiting, and handed on in order: connections take turns at the narrow place.
            let mut lane = lane.lock().await;
            loop {
                let wait = lane.room_for(count);
                if wait.is_zero() {
                    break;
                }
                sleep(wait).await;
            }
            let mut passage = lane.take(count);
            while count > 0 && passage.lost {
                // It is sent again when its sender has noticed, and takes its room again.
                late += round_trip;
                passage = lane.take(count);
            }
            passage
        };
        latest = latest.max(passage.arrives + late);
        let piece = match count {
            0 => Piece::End,
            _ => Piece::Bytes(buffer[..count].to_vec()),
        };
        // Nobody delivers any more: the connection is ending.
        if feed.send((latest, piece)).await.is_err() || count == 0 {
            return Ok(());
        }
    }
}

async fn deliver(
    mut to: WriteHalf<'_>,
    direction: Direction,
    mut pieces: mpsc::Receiver<(Instant, Piece)>,
    mut faults: watch::Receiver<Faults>,
) -> io::Result<()> {
    let way = direction as usize;
    let closings = faults.borrow().closings[way];
    loop {
        let closing = async {
            let closed = faults.wait_for(|faults| faults.closings[way] > closings);
            closed.await.map(drop)
        };
        let next = tokio::select! {
            next = pieces.recv() => next,
            closed = closing => {
                if closed.is_ok() {
                    to.shutdown().await?;
                }
                return swallow(pieces).await;
            }
        };
        let Some((arrives, piece)) = next else {
            return Ok(());
        };
        sleep_until(arrives).await;
        // The shaper itself is gone: the end is near.
        let now = faults
            .wait_for(|now| !now.held[way] || now.blackhole)
            .await
            .map(|now| (now.blackhole, now.closings[way] > closings));
        let Ok((blackhole, closed)) = now else {
            return Ok(());
        };
        if blackhole {
            // Not even the end gets through, now or later.
            swallow(pieces).await?;
            return std::future::pending().await;
        }
        match piece {
            Piece::Bytes(_) | Piece::End if closed => {
                to.shutdown().await?;
                return swallow(pieces).await;
            }
            Piece::Bytes(bytes) => to.write_all(&bytes).await?,
            Piece::End => return to.shutdown().await,
        }
    }
}

async fn swallow(mut pieces: mpsc::Receiver<(Instant, Piece)>) -> io::Result<()> {
    while pieces.recv().await.is_some() {}
    Ok(())
}
