//! `authority: upstream`: the printer's server judges callers, and the host passes on what they
//! bring. What it answers itself all the same: what it says of itself at home, and session keys,
//! which such a server does not know.

use std::sync::Arc;

use http::{Request, StatusCode};
use latchkey_model::chance::Chance;
use latchkey_model::clock::Clock;
use latchkey_net::body::{self, Body};
use latchkey_net::proxy::failure::HostFailure;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::authority::Admission;
use crate::authority::endings::Endings;
use crate::authority::identify::key_of;
use crate::authority::owner::{Owner, owner_of};
use crate::config::Config;
use crate::contract::{self, Caching};
use crate::local_api::{self, LocalApi};
use crate::service::Inbound;
use crate::session_keys::{self, SessionKeys, SessionKeysParts};
use crate::upstream::{Answer, Upstream};

/// The way in where callers are judged further on. Clones share everything.
#[derive(Clone)]
pub(crate) struct UpstreamAuthority {
    pub(crate) local_api: LocalApi,
    /// Where the host has a credential of its own and the server one sign-in for everything
    /// ([`Config::offers_session_keys`]).
    pub(crate) session_keys: Option<SessionKeys>,
}

impl UpstreamAuthority {
    pub(crate) fn new(
        config: &Config,
        local_api: LocalApi,
        clock: Arc<dyn Clock>,
        chance: Arc<dyn Chance>,
        tracker: TaskTracker,
    ) -> Self {
        let offers = config.offers_session_keys();
        let session_keys = offers.then(|| {
            SessionKeys::new(SessionKeysParts {
                store: None,
                files: config.session_apps.clone(),
                endings: Endings::default(),
                clock,
                chance,
                tracker,
            })
        });
        Self {
            local_api,
            session_keys,
        }
    }

    /// Starts what works beside the requests, until stopped.
    pub(crate) fn start(&self, tracker: &TaskTracker, stop: &CancellationToken) {
        if let Some(session_keys) = &self.session_keys {
            tracker.spawn(session_keys.clone().watch(stop.clone()));
        }
    }

    /// Answers what is the host's own, and passes on the rest.
    pub(crate) async fn answer(
        &self,
        request: Request<Body>,
        inbound: &Inbound,
        upstream: &Upstream,
    ) -> Result<Answer, HostFailure> {
        let offered = self.offered();
        let path = request.uri().path();
        if local_api::http::is_ours(path) {
            let request = request.map(axum::body::Body::new);
            let offers = offered.is_some();
            let answer = local_api::http::answer(&self.local_api, offers, request, inbound).await;
            return Ok(Answer::Plain(answer.map(body::boxed)));
        }
        let Some(session_keys) = offered else {
            return upstream.pass(request, inbound, &Admission::Untouched).await;
        };
        if path == session_keys::http::PATH {
            let request = request.map(axum::body::Body::new);
            let answer = session_keys::http::answer(session_keys, inbound.address, request).await;
            return Ok(Answer::Plain(answer.map(body::boxed)));
        }
        let key = key_of(request.headers(), request.uri());
        let Some(key) = key.and_then(|key| session_keys.find(&key)) else {
            return upstream.pass(request, inbound, &Admission::Untouched).await;
        };
        // What the server would answer the host's own key with there lasts longer than this one.
        if owner_of(request.uri().path()) != Owner::Upstream {
            let sentence = "A session key is good for the printer, and not for keys and sign-ins.";
            let mut refusal = contract::error(StatusCode::FORBIDDEN, sentence);
            contract::finish(refusal.headers_mut(), request.method(), Caching::Api);
            return Ok(Answer::Plain(refusal.map(body::boxed)));
        }
        let Some(hold) = session_keys.hold(&key) else {
            return upstream.pass(request, inbound, &Admission::Untouched).await;
        };
        session_keys.note_use(&key, inbound.address);
        let admission = Admission::Upto(key.scope.access(), Some(hold));
        upstream.pass(request, inbound, &admission).await
    }

    /// The session keys, while any app is registered. Otherwise their path is the server's: an old
    /// OctoPrint has them itself.
    fn offered(&self) -> Option<&SessionKeys> {
        let session_keys = self.session_keys.as_ref();
        session_keys.filter(|session_keys| session_keys.is_offered())
    }

    /// Whether a path is answered here.
    pub(crate) fn owns(&self, path: &str) -> bool {
        local_api::http::is_ours(path)
            || (path == session_keys::http::PATH && self.offered().is_some())
    }
}
