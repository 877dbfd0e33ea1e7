//! What one who watches is sent: whole frames, the newest, at their own pace.

use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame as BodyFrame;
use latchkey_net::body::{self, Body, BodyError};
use tokio::sync::watch;

use super::pace::{Pace, Paced};
use super::running::{End, Place, Shown, lock};

/// A frame is handed on in pieces of this size, so that what stands in somebody's queue keeps no
/// whole frame.
const PIECE: usize = 64 * 1024;

/// Why a viewer's picture breaks off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum BrokenOff {
    #[error("the camera's picture broke off")]
    Camera,
    #[error("too slow for the camera's picture")]
    TooSlow,
    #[error("what allowed the picture has ended")]
    NoLongerAllowed,
}

/// One who watches.
pub(super) struct Viewer {
    place: Place,
    shown: watch::Receiver<Shown>,
    paced: Paced,
    /// The number of the newest frame that they have seen.
    seen: u64,
    /// Goes on for as long as they may watch, if the host is the one to say.
    held: Option<Body>,
    is_over: bool,
}

impl Viewer {
    pub(super) fn new(place: Place, pace: Pace, held: Option<Body>) -> Self {
        Self {
            shown: place.running.shown.subscribe(),
            place,
            paced: Paced::new(pace),
            seen: 0,
            held,
            is_over: false,
        }
    }

    /// The picture, from the newest frame on.
    pub(super) fn into_body(self) -> Body {
        let pieces = stream::unfold(self, |mut viewer| async move {
            let piece = viewer.next().await?;
            Some((piece.map(BodyFrame::data), viewer))
        });
        body::boxed(StreamBody::new(pieces.fuse()))
    }

    async fn next(&mut self) -> Option<Result<Bytes, BodyError>> {
        if self.is_over {
            return None;
        }
        let next = self.piece().await;
        self.is_over |= !matches!(next, Some(Ok(_)));
        next.map(|piece| piece.map_err(Into::into))
    }

    async fn piece(&mut self) -> Option<Result<Bytes, BrokenOff>> {
        if let Some(piece) = self.rest() {
            return Some(piece);
        }
        let Self {
            place,
            shown,
            paced,
            seen,
            held,
            ..
        } = self;
        let fresh = async {
            // A camera is not kept waiting for somebody who leaves frames out.
            let _awaited = place.running.is_awaited();
            paced.ready().await;
            let newer = |shown: &Shown| shown.end.is_some() || shown.newer(*seen).is_some();
            let shown = shown.wait_for(newer).await?;
            let next = if *seen == 0 || paced.leaves_out() {
                shown.newer(*seen)
            } else {
                shown.after(*seen)
            };
            Ok::<_, watch::error::RecvError>((next.cloned(), shown.end))
        };
        let (next, end) = tokio::select! {
            biased;
            is_orderly = no_longer(held) => {
                return (!is_orderly).then_some(Err(BrokenOff::NoLongerAllowed));
            }
            fresh = fresh => fresh.ok()?,
        };
        let Some(frame) = next else {
            return self.last(end);
        };
        *seen = frame.number;
        paced.begin(frame.len());
        {
            let mut slot = lock(&place.slot);
            slot.frame = Some(frame);
            slot.sent = 0;
        }
        self.rest()
    }

    /// The next piece of the frame that is being sent.
    fn rest(&self) -> Option<Result<Bytes, BrokenOff>> {
        let mut slot = lock(&self.place.slot);
        if slot.is_cut {
            return Some(Err(BrokenOff::TooSlow));
        }
        let frame = slot.frame.clone()?;
        let most = PIECE.min(frame.len() - slot.sent);
        let mut piece = Vec::with_capacity(most);
        let mut skip = slot.sent;
        for part in frame.pieces() {
            let from = skip.min(part.len());
            skip -= from;
            let part = &part[from..];
            let room = most - piece.len();
            piece.extend_from_slice(&part[..room.min(part.len())]);
        }
        slot.sent += piece.len();
        if slot.sent == frame.len() {
            slot.frame = None;
        }
        Some(Ok(piece.into()))
    }

    fn last(&mut self, end: Option<End>) -> Option<Result<Bytes, BrokenOff>> {
        self.is_over = true;
        match end? {
            End::Over { said: true } => Some(Ok(self.place.running.boundary.last_line().into())),
            End::Over { said: false } => None,
            End::Broken | End::Unreadable(_) => Some(Err(BrokenOff::Camera)),
        }
    }
}

/// Waits until the host says that somebody may no longer watch. Whether it only stops.
async fn no_longer(held: &mut Option<Body>) -> bool {
    let Some(held) = held else {
        return std::future::pending().await;
    };
    loop {
        match held.frame().await {
            Some(Ok(_)) => {}
            Some(Err(_)) => return false,
            None => return true,
        }
    }
}
