//! The push socket of the printer's server, as the host's own client sees it.

mod feed;
mod filter;
mod pause;
mod source;

pub(super) use self::feed::Feed;
pub(crate) use self::pause::Pauses;
pub(crate) use self::source::{Socket, Source, Unavailable};
