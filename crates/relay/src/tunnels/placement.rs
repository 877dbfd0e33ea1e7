//! Through which of a host's connections a request goes. The rule is here and nowhere else.
//!
//! One connection delivers in order: what is small waits behind what is large on it. So small
//! requests go where fewest streams are heavy, and of those where fewest are open, a few more where
//! no other thread has to be woken. What is known to be large (an upload of more than 64 KiB, a
//! picture that runs) keeps off one connection: the one with fewest heavy streams; on the others it
//! spreads. What turns out to be large stays where it is, and small requests avoid it from then on.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};

use http::header::CONTENT_LENGTH;
use http::{Method, Request};
use latchkey_net::tunnel::{HEAVY, Tunnel};

/// Paths of running pictures that are remembered of a host: it has a few cameras.
const MOST_PICTURES: usize = 8;

/// So many streams more may be open on a connection of this thread than on one of another: to wake
/// the other thread, and to be woken by it, costs more than they do.
const NEARER: usize = 8;

/// What is known of a request before it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Small, as far as anybody knows.
    Small,
    /// More than 64 KiB, or a picture that runs.
    Bulk,
}

/// What a connection has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Busy {
    heavy: usize,
    active: usize,
    near: bool,
}

impl Busy {
    fn of(tunnel: &Tunnel) -> Self {
        Self {
            heavy: tunnel.heavy_streams(),
            active: tunnel.active_streams(),
            near: tunnel.is_near(),
        }
    }

    /// How far a small request has to go.
    fn distance(&self) -> (usize, usize) {
        let further = if self.near { 0 } else { NEARER };
        (self.heavy, self.active + further)
    }
}

/// Which of these a request of this kind goes through. Those that are full are left out, unless all
/// are.
pub(super) fn choose(kind: Kind, tunnels: &[&Tunnel]) -> Option<Tunnel> {
    let free: Vec<&Tunnel> = tunnels
        .iter()
        .copied()
        .filter(|tunnel| !tunnel.is_full())
        .collect();
    let tunnels = if free.is_empty() { tunnels } else { &free };
    if let [only] = tunnels {
        return Some(Tunnel::clone(only));
    }
    let busy: Vec<Busy> = tunnels.iter().map(|tunnel| Busy::of(tunnel)).collect();
    let index = least_busy(kind, &busy)?;
    Some(Tunnel::clone(tunnels[index]))
}

fn least_busy(kind: Kind, all: &[Busy]) -> Option<usize> {
    let numbered = || all.iter().enumerate();
    let small = || numbered().min_by_key(|(at, busy)| (busy.distance(), !busy.near, *at));
    let chosen = match kind {
        Kind::Small => small(),
        Kind::Bulk => {
            // Where most small ones are, if no connection is lighter than the others.
            let kept_free = numbered()
                .min_by_key(|(at, busy)| (busy.heavy, Reverse(busy.active), busy.near, *at));
            let kept_free = kept_free.map(|(at, _)| at);
            let others = numbered().filter(|(at, _)| Some(*at) != kept_free);
            others
                .min_by_key(|(at, busy)| (busy.heavy, busy.active, !busy.near, Reverse(*at)))
                .or_else(small)
        }
    };
    chosen.map(|(at, _)| at)
}

/// Whether a request brings more than is small, or nobody knows how much.
pub(super) fn is_large_upload<B: hyper::body::Body>(request: &Request<B>) -> bool {
    let body = request.body();
    if body.is_end_stream() || request.method() == Method::CONNECT {
        return false;
    }
    let said = request.headers().get(CONTENT_LENGTH);
    let length = match said {
        Some(length) => length.to_str().ok().and_then(|text| text.parse().ok()),
        None => body.size_hint().exact(),
    };
    length.is_none_or(|length| length > HEAVY)
}

/// Where a host's running pictures were, so that the next one is known to be one before its answer
/// begins. Paths are kept as numbers that mean nothing to anybody else, and not on disk.
#[derive(Debug, Default)]
pub(super) struct Pictures {
    keys: RandomState,
    paths: VecDeque<u64>,
}

impl Pictures {
    pub(super) fn note(&mut self, path: &str) {
        let path = self.keys.hash_one(path);
        if self.paths.contains(&path) {
            return;
        }
        if self.paths.len() >= MOST_PICTURES {
            self.paths.pop_front();
        }
        self.paths.push_back(path);
    }

    pub(super) fn has(&self, path: &str) -> bool {
        !self.paths.is_empty() && self.paths.contains(&self.keys.hash_one(path))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt as _;
    use hyper::body::Frame;
    use latchkey_net::body::{self, Body};

    use super::*;

    fn chosen(kind: Kind, busy: &[(usize, usize)]) -> usize {
        let busy: Vec<Busy> = busy
            .iter()
            .map(|&(heavy, active)| Busy {
                heavy,
                active,
                near: false,
            })
            .collect();
        least_busy(kind, &busy).unwrap()
    }

    #[test]
    fn small_requests_stay_on_their_thread_if_that_is_not_much_busier() {
        for (here, there, stays) in [
            ((0, 0), (0, 0), true),
            ((0, NEARER), (0, 0), true),
            ((0, NEARER + 1), (0, 0), false),
            ((1, 1), (0, 30), false),
        ] {
            let busy = |(heavy, active), near| Busy {
                heavy,
                active,
                near,
            };
            let all = [busy(there, false), busy(here, true)];
            let chosen = least_busy(Kind::Small, &all).unwrap();
            assert_eq!(chosen == 1, stays, "{here:?} {there:?}");
        }
    }

    #[test]
    fn small_requests_go_where_little_is_heavy_and_few_are_open() {
        for (busy, wanted) in [
            (&[(0, 0)][..], 0),
            (&[(0, 0), (0, 0)], 0),
            (&[(0, 1), (0, 0)], 1),
            (&[(1, 1), (0, 9)], 1),
            (&[(2, 2), (1, 30)], 1),
            (&[(1, 4), (1, 3), (1, 9)], 1),
            (&[(3, 3), (0, 5), (0, 4), (0, 4)], 2),
        ] {
            assert_eq!(chosen(Kind::Small, busy), wanted, "{busy:?}");
        }
    }

    #[test]
    fn bulk_keeps_off_one_connection() {
        for (busy, wanted) in [
            (&[(0, 0)][..], 0),
            (&[(0, 0), (0, 0)], 1),
            // Where heavy ones are already.
            (&[(1, 1), (0, 0)], 0),
            (&[(0, 0), (5, 5)], 1),
            (&[(0, 9), (5, 5)], 1),
            // Small requests that run are left alone.
            (&[(0, 3), (0, 0)], 1),
            (&[(0, 0), (0, 3)], 0),
            // The others share.
            (&[(0, 2), (1, 1), (0, 0), (0, 0)], 3),
            (&[(0, 0), (1, 1), (1, 1), (1, 1)], 3),
            (&[(0, 0), (2, 2), (1, 1), (2, 2)], 2),
        ] {
            assert_eq!(chosen(Kind::Bulk, busy), wanted, "{busy:?}");
        }
        assert_eq!(least_busy(Kind::Bulk, &[]), None);
    }

    #[test]
    fn what_bulk_begins_the_next_small_request_avoids() {
        for connections in 2..=4 {
            let mut busy = vec![(0, 0); connections];
            for _ in 0..10 {
                let bulk = chosen(Kind::Bulk, &busy);
                busy[bulk].0 += 1;
                busy[bulk].1 += 1;
                let small = chosen(Kind::Small, &busy);
                assert_eq!(busy[small].0, 0, "{busy:?}");
            }
        }
    }

    #[test]
    fn large_uploads_are_known_by_their_heads() {
        let of = |method: Method, length: Option<&str>, body: Body| {
            let mut request = Request::new(body);
            *request.method_mut() = method;
            if let Some(length) = length {
                let length = length.parse().unwrap();
                request.headers_mut().insert(CONTENT_LENGTH, length);
            }
            is_large_upload(&request)
        };
        let unknown = || {
            let frames = futures_util::stream::pending();
            body::boxed(http_body_util::StreamBody::new(frames.map(
                |bytes: Result<bytes::Bytes, body::BodyError>| bytes.map(Frame::data),
            )))
        };
        assert!(!of(Method::GET, None, body::empty()));
        assert!(!of(Method::POST, None, body::full(vec![0; 65_536])));
        assert!(of(Method::POST, None, body::full(vec![0; 65_537])));
        assert!(!of(Method::POST, Some("65536"), unknown()));
        assert!(of(Method::POST, Some("65537"), unknown()));
        assert!(of(Method::POST, Some("much"), unknown()));
        assert!(of(Method::POST, None, unknown()), "nobody knows");
        assert!(!of(Method::CONNECT, None, unknown()), "a socket");
    }

    #[test]
    fn running_pictures_are_known_by_where_they_were() {
        let mut pictures = Pictures::default();
        assert!(!pictures.has("/webcam/"));
        for at in 0..100 {
            pictures.note("/webcam/");
            pictures.note(&format!("/{at}"));
        }
        assert!(pictures.paths.len() <= MOST_PICTURES);
        assert!(pictures.has("/webcam/") && pictures.has("/99") && !pictures.has("/9"));
    }
}
