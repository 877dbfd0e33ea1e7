//! What every page of ours needs to know of the visit it answers.

use std::net::IpAddr;

use ::http::header::{CONTENT_TYPE, RETRY_AFTER, SET_COOKIE};
use ::http::request::Parts;
use ::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use askama::Template;
use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Redirect, Response};
use latchkey_model::account::Account;
use latchkey_model::account_session::{AccountSession, Factors};
use latchkey_model::clock::Timestamp;
use latchkey_model::id::{AccountId, PrinterId};
use latchkey_store::StoreError;
use latchkey_store::relay::FoundSession;
use latchkey_web::limits::TooMany;
use latchkey_web::moment::Moment;
use latchkey_web::problem::Problem;
use latchkey_web::shell::Place;

use super::paths;
use super::views::{Site, Viewer};
use crate::audit::{Act, Actor, Entry};
use crate::config::AdministratorsFactor;
use crate::sessions::{Csrf, Sender, Visitor};
use crate::state::State;

/// A page, or what is answered in its place: the way to the sign-in, a refusal.
pub(crate) type Answered = Result<Response, Response>;

/// What the listener knows of a request, for the routes.
#[derive(Debug, Clone)]
pub(crate) struct Arrival {
    pub(crate) address: IpAddr,
    pub(crate) request_id: String,
}

/// Whom and what an entry of the audit log is about.
#[derive(Debug, Default)]
pub(crate) struct About<'a> {
    pub(crate) account: Option<&'a AccountId>,
    pub(crate) printer: Option<&'a PrinterId>,
    /// See [`Entry::detail`].
    pub(crate) detail: String,
}

impl<'a> About<'a> {
    pub(crate) fn account(id: &'a AccountId) -> Self {
        Self {
            account: Some(id),
            ..Self::default()
        }
    }

    pub(crate) fn printer(id: &'a PrinterId) -> Self {
        Self {
            printer: Some(id),
            ..Self::default()
        }
    }

    pub(crate) fn detail(self, detail: impl Into<String>) -> Self {
        Self {
            detail: detail.into(),
            ..self
        }
    }
}

/// One request for a page, with all that pages depend on.
pub(crate) struct Visit {
    pub(crate) state: State,
    pub(crate) headers: HeaderMap,
    pub(crate) arrival: Arrival,
    signed_in: Option<FoundSession>,
    csrf: Csrf,
    uri: Uri,
    method: Method,
}

impl FromRequestParts<State> for Visit {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Self, Response> {
        // Put there by the one place that looks at every request.
        let arrival = parts.extensions.get::<Arrival>().cloned();
        let arrival = arrival.ok_or_else(|| StatusCode::INTERNAL_SERVER_ERROR.into_response())?;
        let found = state.sessions.find(&parts.headers).await;
        let failed = found.as_ref().err().map(ToString::to_string);
        let signed_in = found.ok().flatten();
        let session = signed_in.as_ref().map(|found| &found.session.id);
        let visit = Self {
            csrf: state.sessions.csrf(&parts.headers, session),
            state: state.clone(),
            headers: parts.headers.clone(),
            arrival,
            signed_in,
            uri: parts.uri.clone(),
            method: parts.method.clone(),
        };
        match failed {
            // Nobody is told to sign in anew because the database is away.
            Some(error) => {
                tracing::error!(%error, "cannot look up a session");
                Err(visit.problem(StatusCode::SERVICE_UNAVAILABLE))
            }
            None => Ok(visit),
        }
    }
}

impl Visit {
    /// The signed-in person's account, if somebody is signed in.
    pub(crate) fn maybe_account(&self) -> Option<&Account> {
        self.signed_in.as_ref().map(|found| &found.account)
    }

    /// The session this request was made in.
    pub(crate) fn session(&self) -> Option<&AccountSession> {
        self.signed_in.as_ref().map(|found| &found.session)
    }

    /// The signed-in person's account, or the way to the sign-in and back here.
    pub(crate) fn account(&self) -> Result<&Account, Response> {
        self.maybe_account()
            .ok_or_else(|| self.to_sign_in(&self.here()))
    }

    /// The same for administrators; others are told that there is nothing for them. Who has a
    /// second factor must have come with it.
    pub(crate) fn administrator(&self) -> Result<&Account, Response> {
        let account = self.account()?;
        if !account.administrator {
            return Err(self.problem(StatusCode::NOT_FOUND));
        }
        let came_with_it = self
            .session()
            .is_some_and(|session| session.second_factor.is_some());
        if self.needs_second_factor() && !came_with_it {
            // Only pages that are there for GET can be come back to.
            let back = if self.method == Method::GET {
                self.here()
            } else {
                "/admin".to_owned()
            };
            return Err(self.to_second_factor(&back));
        }
        Ok(account)
    }

    /// By what the signed-in person's account is guarded beside its password.
    pub(crate) fn factors(&self) -> Factors {
        let found = self.signed_in.as_ref();
        found.map_or_else(Factors::default, |found| found.factors)
    }

    /// Whether this person does what is guarded only with a second factor: where codes are asked
    /// for; where they run this relay and have passkeys, or have to have something.
    fn needs_second_factor(&self) -> bool {
        let factors = self.factors();
        let required = self.state.config.administrators_factor == AdministratorsFactor::Required;
        let runs_this_relay = self
            .maybe_account()
            .is_some_and(|account| account.administrator);
        factors.codes || (runs_this_relay && (factors.any() || required))
    }

    /// Whether the person proved lately who they are with a second factor, if they need to, or else
    /// the way to do it; they come back to `back`, a page of ours that is there for GET.
    pub(crate) fn second_factor(&self, back: &str) -> Result<(), Response> {
        let now = self.state.clock.now();
        let fresh = self
            .session()
            .is_some_and(|session| session.is_fresh_with_second_factor(now));
        if fresh || !self.needs_second_factor() {
            return Ok(());
        }
        Err(self.to_second_factor(back))
    }

    fn to_second_factor(&self, back: &str) -> Response {
        if !self.factors().any() {
            return self.go_on("/account/security?done=needed");
        }
        let again = paths::with("/sign-in/again", "then", back);
        self.go_on(&paths::with(&again, "with", "second-factor"))
    }

    /// Whether the person proved lately who they are, by all that the account asks for, or else the
    /// way to do it once more; they come back to `back`, a page of ours that is there for GET.
    pub(crate) fn fresh(&self, back: &str) -> Result<(), Response> {
        let now = self.state.clock.now();
        let codes = self.factors().codes;
        let is_fresh = |session: &AccountSession| {
            session.is_fresh(now) && (!codes || session.is_fresh_with_second_factor(now))
        };
        if self.session().is_some_and(is_fresh) {
            return Ok(());
        }
        Err(self.go_on(&paths::with("/sign-in/again", "then", back)))
    }

    /// Whether a form was sent from a page of ours, in this browser and session.
    pub(crate) fn own_form(&self, token: &str) -> Result<(), Response> {
        if self.sender(token) == Sender::Own {
            Ok(())
        } else {
            Err(self.problem(StatusCode::FORBIDDEN))
        }
    }

    fn sender(&self, token: &str) -> Sender {
        let session = self.session().map(|session| &session.id);
        let sessions = &self.state.sessions;
        sessions.sender(&self.headers, token, session)
    }

    /// Refuses what a page of another address sent. That is all there is to know of a form
    /// that comes after its session.
    pub(crate) fn not_from_elsewhere(&self) -> Result<(), Response> {
        if self.state.sessions.is_from_elsewhere(&self.headers) {
            Err(self.problem(StatusCode::FORBIDDEN))
        } else {
            Ok(())
        }
    }

    /// A signed-in person, in a form of ours. A form that comes after its session does nothing:
    /// they come to `back`, a page that is there for GET and shows the form anew, after signing
    /// in if they must.
    pub(crate) fn form(&self, token: &str, back: &str) -> Result<&Account, Response> {
        let Some(account) = self.maybe_account() else {
            self.not_from_elsewhere()?;
            return Err(self.to_sign_in(back));
        };
        self.anybodys_form(token, back)?;
        Ok(account)
    }

    /// The same where nobody need be signed in.
    pub(crate) fn anybodys_form(&self, token: &str, back: &str) -> Result<(), Response> {
        match self.sender(token) {
            Sender::Own => Ok(()),
            Sender::OtherSession => Err(self.go_on(back)),
            Sender::Unknown => Err(self.problem(StatusCode::FORBIDDEN)),
        }
    }

    /// The same as [`Self::form`] for what needs a password typed lately.
    pub(crate) fn fresh_form(&self, token: &str, back: &str) -> Result<&Account, Response> {
        let account = self.form(token, back)?;
        self.fresh(back)?;
        Ok(account)
    }

    /// The same for what guards the account: who needs a second factor proved it lately. Nobody is
    /// asked for what they are only about to set up.
    pub(crate) fn guarded_form(&self, token: &str, back: &str) -> Result<&Account, Response> {
        let account = self.fresh_form(token, back)?;
        self.guarded(back)?;
        Ok(account)
    }

    /// The same for a page.
    pub(crate) fn guarded(&self, back: &str) -> Result<(), Response> {
        if self.factors().any() {
            self.second_factor(back)?;
        }
        Ok(())
    }

    /// The same for administrators.
    pub(crate) fn administrators_form(
        &self,
        token: &str,
        back: &str,
    ) -> Result<&Account, Response> {
        let account = self.form(token, back)?;
        if !account.administrator {
            return Err(self.problem(StatusCode::NOT_FOUND));
        }
        self.fresh(back)?;
        self.second_factor(back)?;
        Ok(account)
    }

    /// Writes what the person of this visit did into the audit log.
    pub(crate) async fn note(&self, act: Act, about: About<'_>) {
        let actor = self.maybe_account().map(|account| account.id.clone());
        let entry = Entry {
            account: about.account.cloned(),
            printer: about.printer.cloned(),
            detail: about.detail,
            address: Some(self.arrival.address),
            ..Entry::new(actor.map_or(Actor::Relay, Actor::Account), act)
        };
        self.state.audit.note(entry).await;
    }

    pub(crate) fn visitor(&self) -> Visitor<'_> {
        Visitor {
            headers: &self.headers,
            address: self.arrival.address,
        }
    }

    pub(crate) fn site(&self) -> Site {
        Site {
            relay: self.state.config.public_url.authority().to_string(),
            csrf: self.csrf.token.clone(),
        }
    }

    #[expect(clippy::unused_self, reason = "reads like its neighbours")]
    pub(crate) fn viewer(&self, account: &Account) -> Viewer {
        Viewer {
            email: account.email.as_str().to_owned(),
            administrator: account.administrator,
        }
    }

    pub(crate) fn moment(&self, at: Timestamp) -> Moment {
        Moment {
            at,
            now: self.state.clock.now(),
        }
    }

    /// A page, with the cookie that its forms need. The fields that all pages have are added by
    /// a layer around all routes.
    pub(crate) fn page(&self, page: &impl Template) -> Response {
        self.page_with(StatusCode::OK, page)
    }

    pub(crate) fn page_with(&self, status: StatusCode, page: &impl Template) -> Response {
        let html = page.render().expect("templates write to memory");
        let kind = HeaderValue::from_static("text/html; charset=utf-8");
        let mut answer = (status, [(CONTENT_TYPE, kind)], html).into_response();
        let fields = answer.headers_mut();
        if let Some(cookie) = &self.csrf.set_cookie {
            fields.append(SET_COOKIE, cookie.clone());
        }
        fields.insert(
            "x-robots-tag",
            HeaderValue::from_static("noindex, nofollow, noimageindex"),
        );
        answer
    }

    /// After a form: the browser goes on with a GET (RFC 9110 section 15.4.4).
    #[expect(clippy::unused_self, reason = "reads like its neighbours")]
    pub(crate) fn go_on(&self, path: &str) -> Response {
        Redirect::to(path).into_response()
    }

    pub(crate) fn problem(&self, status: StatusCode) -> Response {
        self.answer_problem(Problem::from_status(status))
    }

    fn answer_problem(&self, problem: Problem) -> Response {
        let place = Place::relay(self.state.config.public_url.authority().to_string());
        let problem = problem.request_id(&self.arrival.request_id);
        problem.page(&place, "/").map(axum::body::Body::from)
    }

    pub(crate) fn failed(&self, failure: &StoreError) -> Response {
        tracing::error!(error = %failure, "the relay's database failed");
        self.problem(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// Path and query of this request, as a path that leads back here.
    pub(crate) fn here(&self) -> String {
        let path = self.uri.path_and_query();
        path.map_or("/", |path| path.as_str()).to_owned()
    }

    fn to_sign_in(&self, back: &str) -> Response {
        self.go_on(&paths::with("/sign-in", "then", back))
    }
}

/// An answer that sets a cookie.
pub(crate) fn with_cookie(mut answer: Response, cookie: HeaderValue) -> Response {
    answer.headers_mut().append(SET_COOKIE, cookie);
    answer
}

/// An answer that says when the next try counts.
pub(crate) fn retry_after(mut answer: Response, too_many: TooMany) -> Response {
    let seconds = too_many.wait.as_secs().max(1);
    answer.headers_mut().insert(RETRY_AFTER, seconds.into());
    answer
}
