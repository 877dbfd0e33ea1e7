//! Lines that are worse than the one they run on: slow, far, narrow, lossy, broken.
//!
//! Two of them, because one cannot do everything:
//!
//! * [`Shaper`] is a TCP proxy. It needs no rights, runs anywhere, and can do what a line or a box in its middle does to
//!   connections: hold bytes back, forget a connection, reset it, close one direction. Its ends acknowledge bytes to the
//!   proxy, so that **loss is only modeled**: a lost segment comes a round trip late and what is behind it waits. How a
//!   sender slows down after a loss is not in it.
//! * [`packets`] (Linux, with the right to make networks) shapes IP packets between two network namespaces. Packets that
//!   are lost, or do not fit into the queue, are lost: the ends' own congestion control answers, which is what
//!   measurements of loss are about.
//!
//! Both draw from a seed, so that two runs with one seed lose the same packets of the same traffic.

mod dice;
mod lane;
#[cfg(target_os = "linux")]
pub mod packets;
mod stream;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use dice::Dice;
pub use stream::{Direction, Shaper};

/// What a line does to bytes of one direction. The default does nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shape {
    /// From one end to the other: half of a round trip on an even line.
    pub delay: Duration,
    /// Up to so much more, evenly distributed. Bytes stay in order.
    pub jitter: Duration,
    /// Bytes a second that all connections share; none is no limit.
    pub rate: Option<u64>,
    /// Bytes that wait in front of the narrow place. A packet that does not fit is dropped; the TCP proxy, which cannot
    /// drop, takes no more from the sender until there is room.
    pub queue: usize,
    /// The part of packets (of 1,448 bytes in the TCP proxy) that is lost, from 0 to 1.
    pub loss: f64,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            delay: Duration::ZERO,
            jitter: Duration::ZERO,
            rate: None,
            queue: 250_000,
            loss: 0.0,
        }
    }
}

impl Shape {
    /// This delay and nothing else.
    pub fn far(delay: Duration) -> Self {
        Self {
            delay,
            ..Self::default()
        }
    }

    /// The same with so many bits a second.
    #[must_use]
    pub fn bits(self, bits_a_second: u64) -> Self {
        Self {
            rate: Some(bits_a_second / 8),
            ..self
        }
    }

    /// The same with this part of the packets lost.
    #[must_use]
    pub fn losing(self, loss: f64) -> Self {
        Self { loss, ..self }
    }
}

/// Both directions of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Line {
    /// From who connects to who is connected to.
    pub there: Shape,
    /// Back.
    pub back: Shape,
    /// Where chance begins.
    pub seed: u64,
}
