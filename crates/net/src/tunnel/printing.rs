//! What a host tells its relay of its printer: one long answer, a line of JSON for each piece of
//! news. What the lines mean is for whoever speaks and hears them.

use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use http::{Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde::{Deserialize, Serialize};

use super::control::{self, ControlError, ReadError};
use super::open::Tunnel;
use super::serve::StreamService;
use crate::body::Body;

/// A host with this feature tells what its printer does.
pub const FEATURE_PRINTING: &str = "printing";

/// The longest line that is read.
pub const LONGEST_LINE: usize = 8 * 1024;

/// What the relay has heard of this run of the host.
#[derive(Debug, Serialize, Deserialize)]
struct Heard {
    #[serde(default)]
    after: u64,
}

/// Why there are no more lines.
#[derive(Debug, thiserror::Error)]
pub enum LinesError {
    /// A line is longer than lines may be.
    #[error("a line has more than {LONGEST_LINE} bytes")]
    TooLong,
    /// The stream broke off.
    #[error("the stream broke off: {0}")]
    Lost(#[from] hyper::Error),
}

/// The lines of a host.
#[derive(Debug)]
pub struct Lines {
    body: Incoming,
    read: BytesMut,
    /// So much of what is read has no line break.
    searched: usize,
}

impl Lines {
    /// The next line, without its end; nothing when the host ends. Nothing is lost if this is
    /// dropped while it waits.
    pub async fn next(&mut self) -> Result<Option<Bytes>, LinesError> {
        loop {
            if let Some(line) = self.take_line()? {
                return Ok(Some(line));
            }
            match self.body.frame().await {
                Some(frame) => {
                    if let Ok(data) = frame?.into_data() {
                        self.read.extend_from_slice(&data);
                    }
                }
                None => return Ok(None),
            }
        }
    }

    fn take_line(&mut self) -> Result<Option<Bytes>, LinesError> {
        let unsearched = &self.read[self.searched..];
        let Some(end) = unsearched.iter().position(|byte| *byte == b'\n') else {
            self.searched = self.read.len();
            return if self.searched > LONGEST_LINE {
                Err(LinesError::TooLong)
            } else {
                Ok(None)
            };
        };
        let line = self.read.split_to(self.searched + end).freeze();
        self.read.advance(1);
        self.searched = 0;
        if line.len() > LONGEST_LINE {
            return Err(LinesError::TooLong);
        }
        Ok(Some(line))
    }
}

impl Tunnel {
    /// Has the host tell what its printer does, from its event after number `after` on. Nothing if
    /// it does not know how.
    pub async fn printing(&self, after: u64) -> Result<Option<Lines>, ControlError> {
        if !self.can(FEATURE_PRINTING) {
            return Ok(None);
        }
        let mut sender = self.sender().ok_or(ControlError::Finished)?;
        let within = self.control_deadline();
        let asked = control::ask(&mut sender, "/printing", &Heard { after }, within).await?;
        match asked.status() {
            StatusCode::OK => Ok(Some(Lines {
                body: asked.into_body(),
                read: BytesMut::new(),
                searched: 0,
            })),
            status => Err(ControlError::Declined(status)),
        }
    }
}

/// The host's side of it.
pub(super) async fn tell(
    service: &impl StreamService,
    body: Incoming,
    within: Duration,
) -> Result<Response<Body>, ReadError> {
    let Heard { after } = control::read_json(body, within).await?;
    Ok(match service.printing(after) {
        Some(lines) => Response::new(lines),
        None => control::problem(
            StatusCode::TOO_MANY_REQUESTS,
            "too_many",
            "this host tells nothing of its printer, or tells it often enough already",
        ),
    })
}
