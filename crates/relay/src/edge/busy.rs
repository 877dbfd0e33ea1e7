//! What a call is told that finds no room: a plain 503, which is final for no app, and when it is
//! worth coming back.

use http::StatusCode;
use latchkey_net::listen::Call;
use latchkey_net::proxy::failure::HostFailure;
use latchkey_web::limits::household;
use latchkey_web::problem::Problem;
use latchkey_web::request_log::Side;

use super::{Admission, Edge, Trouble};
use crate::shares::{RETRY_AFTER, Share, Who};

/// Seconds after which a printer's server that is busy may have time: requests wait as long as that
/// at the host already.
const UPSTREAM_RETRY_AFTER: u32 = 2;

/// Who has too much to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Busy {
    /// This relay, or what the account, printer or caller may take of it.
    Relay,
    /// The printer's server, as its host says.
    Upstream,
}

impl Busy {
    pub(super) fn side(self) -> Side {
        match self {
            Self::Relay => Side::Us,
            Self::Upstream => Side::Upstream,
        }
    }

    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::Relay => "busy",
            Self::Upstream => HostFailure::Busy.as_str(),
        }
    }

    pub(super) fn problem(self) -> Problem {
        let (sentence, again) = match self {
            Self::Relay => (
                "Too much is asked at once. Try again in a moment.",
                RETRY_AFTER,
            ),
            Self::Upstream => (
                "The printer's own server has as much to do as it can. Try again in a moment.",
                UPSTREAM_RETRY_AFTER,
            ),
        };
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, self.reason(), sentence).retry_after(again)
    }
}

impl Edge {
    /// The call's part of the relay, if there is one for it.
    pub(super) async fn share(&self, call: &Call, admission: &Admission) -> Result<Share, Trouble> {
        let who = match &admission.app_connection {
            Some(id) => Who::App(id.clone()),
            None => Who::Person(household(call.caller.address)),
        };
        let (account, printer) = (&admission.account, &admission.printer);
        let shares = &self.shared.shares;
        let share = shares.take(account, printer, who, call.websocket).await;
        share.map_err(|_| Trouble::Busy(Busy::Relay))
    }
}
