//! Where every request goes first when the host is the authority: who is calling, whose the path
//! is, and whether the one may have the other.

use std::sync::Arc;

use axum::Router;
use http::header::{Entry, ORIGIN, SET_COOKIE};
use http::request::Parts;
use http::{HeaderValue, Method, Request, StatusCode};
use latchkey_net::body::{self, Body};
use latchkey_net::proxy::failure::HostFailure;
use latchkey_web::browser::wants_page;
use tower::ServiceExt;

use super::access::is_command_by_get;
use super::access::is_reading;
use super::caller::Caller;
use super::identify::Identified;
use super::owner::{Owner, owner_of};
use super::{Admission, Authority, router};
use crate::config::UpstreamKind;
use crate::contract::{self, Caching};
use crate::pages::Pages;
use crate::public::Public;
use crate::push::Push;
use crate::service::{Door, Inbound};
use crate::sessions::csrf::Forged;
use crate::upstream::{Answer, Upstream};

/// Where a browser that was remembered must not come back first, by POST: what comes next would be
/// undone.
const ENDS_A_SIGN_IN: [&str; 4] = ["/login", "/login/", "/latchkey/sign-out", "/api/logout"];

/// What may be sent by an app connection that only shows the printer: who one is, and an app's wish
/// for a key, which is worth no more there. A key made on such a way would be good elsewhere.
const OPEN_TO_WATCHERS: [&str; 7] = [
    "/login",
    "/login/",
    "/api/login",
    "/api/logout",
    "/latchkey/sign-out",
    "/apps/auth",
    "/plugin/appkeys/request",
];

/// The way in. Clones share everything.
#[derive(Clone)]
pub(crate) struct Reception {
    authority: Authority,
    router: Router,
    push: Push,
}

impl Reception {
    pub(crate) fn new(authority: Authority, push: Push) -> Self {
        Self {
            router: router::router(authority.clone()),
            authority,
            push,
        }
    }

    /// Answers a request, or passes it to the printer's server for a caller who may go there.
    pub(crate) async fn answer(
        &self,
        request: Request<Body>,
        inbound: &Inbound,
        upstream: &Upstream,
    ) -> Result<Answer, HostFailure> {
        if let Some(file) = Pages::asset(&request) {
            return Ok(Answer::Plain(file));
        }
        let owner = owner_of(request.uri().path());
        if owner == Owner::Nobody {
            return Ok(plain(contract::nothing_here()));
        }
        if owner == Owner::Host && !is_open_to(&request, &inbound.door) {
            let sentence = "This app may only look. Open the printer at home, or by an app that may do everything.";
            return Ok(plain(contract::error(StatusCode::FORBIDDEN, sentence)));
        }
        let (parts, body) = request.into_parts();
        let ends_it = parts.method == Method::POST && ENDS_A_SIGN_IN.contains(&parts.uri.path());
        let comes_back = !inbound.websocket && !ends_it;
        let identified = match self.authority.identify(&parts, inbound, comes_back).await {
            Ok(identified) => identified,
            Err(failure) => return Ok(plain(contract::failed(&failure))),
        };
        if let Caller::SessionKey(key) = &identified.caller {
            self.authority.session_keys.note_use(key, inbound.address);
        }
        let request = Request::from_parts(parts, body);
        let cookies = identified.set_cookies.clone();
        let answer = match owner {
            Owner::Host if Push::is_ours(request.uri().path()) => {
                Ok(self.push.answer(request, inbound).await)
            }
            Owner::Host => Ok(self.route(request, identified.caller, inbound).await),
            _ => self.pass(request, identified, inbound, upstream).await,
        };
        match answer {
            // The browser's old cookie is used up; the new one must not be lost with the answer.
            Err(_) if !cookies.is_empty() && inbound.door == Door::Lan => {
                let sentence = "The printer's server does not answer.";
                let failed = contract::error(StatusCode::BAD_GATEWAY, sentence);
                Ok(with_cookies(plain(failed), cookies))
            }
            answer => answer.map(|answer| with_cookies(answer, cookies)),
        }
    }

    async fn route(&self, mut request: Request<Body>, caller: Caller, inbound: &Inbound) -> Answer {
        let extensions = request.extensions_mut();
        extensions.insert(caller);
        extensions.insert(Public::of(inbound));
        extensions.insert(Arc::new(inbound.clone()));
        let request = request.map(axum::body::Body::new);
        let answer = match self.router.clone().oneshot(request).await {
            Ok(answer) => answer,
            Err(never) => match never {},
        };
        plain(answer)
    }

    async fn pass(
        &self,
        request: Request<Body>,
        identified: Identified,
        inbound: &Inbound,
        upstream: &Upstream,
    ) -> Result<Answer, HostFailure> {
        let caller = &identified.caller;
        let Some(access) = caller.access() else {
            let (parts, _) = request.into_parts();
            return Ok(self.turn_away(&parts, inbound).await);
        };
        let public = Public::of(inbound);
        let is_page = wants_page(request.headers(), request.method());
        if let Caller::Person(_) = caller
            && let Some(refusal) =
                self.refuse_foreign_page(&request, inbound, &public, upstream.kind())
        {
            return Ok(plain(refusal));
        }
        if let Caller::App(app) = caller {
            self.authority.usage.note(&app.1.id, inbound.address);
        }
        // The printer's own page reads the token for what it sends.
        let sessions = &self.authority.sessions;
        let csrf = is_page.then(|| sessions.csrf(request.headers(), &public));
        let admission = Admission::Upto(access, identified.hold.clone());
        let answer = upstream.pass(request, inbound, &admission).await?;
        let cookie = csrf.map(|csrf| csrf.set_cookie);
        Ok(with_cookies(answer, cookie.into_iter().collect()))
    }

    /// What a browser sends by itself proves nothing about the page that made it: whatever changes
    /// something, and every socket, has to come from a page of this host.
    fn refuse_foreign_page(
        &self,
        request: &Request<Body>,
        inbound: &Inbound,
        public: &Public,
        kind: UpstreamKind,
    ) -> Option<axum::response::Response> {
        if inbound.websocket {
            return (!public.may_have_sent(request.headers())).then(|| {
                let sentence = "A page of another address may not open this socket.";
                contract::error(StatusCode::FORBIDDEN, sentence)
            });
        }
        let safe = is_reading(request.method());
        let uri = request.uri();
        if safe && !is_command_by_get(kind, uri.path(), uri.query()) {
            return None;
        }
        // Web interfaces of other servers know no token of ours. What their pages send says where
        // it comes from, and then it need not be proved twice.
        let says_where = request.headers().contains_key(ORIGIN);
        if !safe && kind != UpstreamKind::OctoPrint && says_where {
            let is_own = public.may_have_sent(request.headers());
            return (!is_own).then(|| crate::sessions::http::refuse(Forged::Origin));
        }
        let sessions = &self.authority.sessions;
        let checked = sessions.check_origin(request.headers(), None, public);
        checked.err().map(crate::sessions::http::refuse)
    }

    /// Nobody whom the host knows: a browser is led to the sign-in and back, others are refused.
    async fn turn_away(&self, request: &Parts, inbound: &Inbound) -> Answer {
        if inbound.websocket || !wants_page(&request.headers, &request.method) {
            let mut refusal = contract::sign_in_first();
            contract::finish(refusal.headers_mut(), &request.method, Caching::Api);
            return plain(refusal);
        }
        let prefix = Public::of(inbound).prefix().to_owned();
        if !self.authority.users.is_set_up().await {
            return plain(contract::found(&format!("{prefix}/latchkey/setup")));
        }
        let here = request.uri.path_and_query();
        let here = format!("{prefix}{}", here.map_or("/", |here| here.as_str()));
        let sign_in = contract::with_query("/login/", &[("redirect", &here)]);
        plain(contract::found(&format!("{prefix}{sign_in}")))
    }
}

/// Whether one of the host's own paths may be asked for by this door at all.
fn is_open_to(request: &Request<Body>, door: &Door) -> bool {
    let path = request.uri().path();
    !door.only_shows()
        || is_reading(request.method())
        || Push::is_ours(path)
        || OPEN_TO_WATCHERS.contains(&path)
}

fn plain(answer: axum::response::Response) -> Answer {
    Answer::Plain(answer.map(body::boxed))
}

/// Sets cookies before those that the answer itself sets: of two of one name the last counts.
fn with_cookies(answer: Answer, cookies: Vec<HeaderValue>) -> Answer {
    match answer {
        Answer::Plain(mut response) if !cookies.is_empty() => {
            let own: Vec<_> = match response.headers_mut().entry(SET_COOKIE) {
                Entry::Occupied(own) => own.remove_entry_mult().1.collect(),
                Entry::Vacant(_) => Vec::new(),
            };
            let all = cookies.into_iter().chain(own).collect();
            Answer::Plain(contract::with_cookies(response, all))
        }
        other => other,
    }
}
