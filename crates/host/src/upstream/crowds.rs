//! How much the servers behind this host are given to do at once, and who is next.
//!
//! A printer's server often runs on a small computer that also drives the motors: what an eager app
//! or a broken page asks for must wait here, not there. What goes on for long is counted apart, so
//! that no number of open pages keeps a short question from being asked.

use std::net::IpAddr;
use std::time::Duration;

use http::{HeaderMap, header};
use latchkey_net::proxy::endless;
use latchkey_net::proxy::failure::HostFailure;
use latchkey_net::proxy::metered::{Verdict, metered};
use latchkey_net::turns::{self, Bounds, Turns};
use latchkey_web::limits::household;

use super::Answer;
use super::routes::Target;
use crate::config::Load;
use crate::service::{Door, Inbound};

/// How long a request waits for its turn. Together with the time that the server has for its
/// answer it is less than what a relay waits.
const PATIENCE: Duration = Duration::from_secs(4);
/// What takes longer counts as long.
const LONG_AFTER: Duration = Duration::from_secs(3);
/// Requests that wait. A page over HTTP/2 asks for as many things at once as one stream limit allows.
const WAITING: usize = 512;
const WAITING_OF_ONE: usize = 128;

/// One request's right to be with a server.
pub(crate) type Turn = turns::Turn<Whose>;

/// Who asks, as far as turns go.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Whose {
    AppConnection(String),
    Address(IpAddr),
}

impl Whose {
    fn of(inbound: &Inbound) -> Self {
        match &inbound.door {
            Door::Tunnel {
                app_connection: Some(id),
                ..
            } => Self::AppConnection(id.clone()),
            // People themselves, at home or through the relay.
            _ => Self::Address(household(inbound.address)),
        }
    }
}

/// Those who are with the printer's server, and those who are with cameras.
pub(super) struct Crowds {
    printer: Turns<Whose>,
    cameras: Turns<Whose>,
}

impl Crowds {
    pub(super) fn new(load: Load) -> Self {
        Self {
            printer: Turns::new(bounds(load)),
            cameras: Turns::new(bounds(load)),
        }
    }

    /// Waits for a turn. Sockets are long from the beginning, and do not wait.
    pub(super) async fn enter(
        &self,
        target: Target,
        inbound: &Inbound,
    ) -> Result<Turn, HostFailure> {
        let turns = match target {
            Target::Printer => &self.printer,
            Target::Webcam => &self.cameras,
        };
        let whose = Whose::of(inbound);
        let turn = if inbound.websocket {
            turns.take_long(whose)
        } else {
            turns.take(whose).await
        };
        turn.map_err(|_| HostFailure::Busy)
    }
}

fn bounds(load: Load) -> Bounds {
    Bounds {
        most: load.max_concurrent,
        most_of_one: Bounds::share(load.max_concurrent),
        waiting: WAITING,
        waiting_of_one: WAITING_OF_ONE,
        patience: PATIENCE,
        long_after: LONG_AFTER,
        most_long: load.max_long,
        most_long_of_one: Bounds::share(load.max_long),
    }
}

/// Keeps the turn until the answer is over. What has no end counts as long at once, or has no place.
pub(super) fn keep(answer: Answer, turn: Turn) -> Result<Answer, HostFailure> {
    Ok(match answer {
        Answer::Plain(response) => {
            if endless::is_endless(response.headers()) && !turn.lengthen() {
                return Err(HostFailure::Busy);
            }
            let length = length(response.headers());
            Answer::Plain(response.map(|body| {
                metered(body, length, move |_| {
                    let _ = &turn;
                    Verdict::Pass
                })
            }))
        }
        Answer::WebSocket(fields, socket, hold, _) => {
            Answer::WebSocket(fields, socket, hold, Some(turn))
        }
        own @ Answer::OwnSocket(..) => own,
    })
}

fn length(headers: &HeaderMap) -> Option<u64> {
    let length = headers.get(header::CONTENT_LENGTH)?;
    length.to_str().ok()?.parse().ok()
}
