//! What every page of ours needs to know of the visit it answers.

use std::sync::Arc;

use ::http::header::{ACCEPT, CONTENT_TYPE, SET_COOKIE};
use ::http::request::Parts;
use ::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use askama::Template;
use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Redirect, Response};
use latchkey_model::clock::Timestamp;
use latchkey_model::user::{User, UserName};
use latchkey_store::StoreError;
use latchkey_web::moment::Moment;
use latchkey_web::problem::Problem;
use latchkey_web::security_headers;
use latchkey_web::shell::Place;

use super::views::{self, Pending, Site, Viewer, Whence};
use crate::authority::Authority;
use crate::authority::caller::Caller;
use crate::contract;
use crate::key_requests::Shown;
use crate::public::Public;
use crate::service::Inbound;
use crate::sessions::csrf::Csrf;
use crate::users::UserError;

/// A page, or what is answered in its place: the way to the sign-in, a refusal.
pub(crate) type Answered = Result<Response, Response>;

/// One request for a page, with all that pages depend on.
pub(crate) struct Visit {
    pub(crate) authority: Authority,
    pub(crate) caller: Caller,
    pub(crate) inbound: Arc<Inbound>,
    pub(crate) public: Public,
    pub(crate) headers: HeaderMap,
    csrf: Csrf,
    uri: Uri,
}

impl FromRequestParts<Authority> for Visit {
    type Rejection = StatusCode;

    async fn from_request_parts(
        parts: &mut Parts,
        authority: &Authority,
    ) -> Result<Self, Self::Rejection> {
        // Put there by the one place that looks at every request.
        let missing = StatusCode::INTERNAL_SERVER_ERROR;
        let public: &Public = parts.extensions.get().ok_or(missing)?;
        Ok(Self {
            csrf: authority.sessions.csrf(&parts.headers, public),
            caller: parts.extensions.get().cloned().ok_or(missing)?,
            inbound: parts.extensions.get().cloned().ok_or(missing)?,
            public: public.clone(),
            authority: authority.clone(),
            headers: parts.headers.clone(),
            uri: parts.uri.clone(),
        })
    }
}

impl Visit {
    /// The signed-in person, or the way to the sign-in and back.
    pub(crate) fn user(&self) -> Result<&User, Response> {
        match &self.caller {
            Caller::Person(person) if person.0.active => Ok(&person.0),
            _ => Err(self.to_sign_in(&self.here(), None)),
        }
    }

    /// The same for administrators; others are told that there is nothing for them.
    pub(crate) fn administrator(&self) -> Result<&User, Response> {
        let user = self.user()?;
        if user.group.is_admin() {
            Ok(user)
        } else {
            Err(self.problem(StatusCode::FORBIDDEN))
        }
    }

    /// Whether the person typed their password lately, or else the way to do it once more; they
    /// come back to `back`.
    pub(crate) fn fresh(&self, back: &str) -> Result<(), Response> {
        if self.authority.is_fresh(&self.caller) {
            return Ok(());
        }
        let name = self.caller.user_name().map(UserName::as_str);
        Err(self.to_sign_in(back, name))
    }

    /// Whether a form was sent from a page of ours.
    pub(crate) fn own_form(&self, token: &str) -> Result<(), Response> {
        let sessions = &self.authority.sessions;
        if sessions.is_own_form(&self.headers, token, &self.public) {
            Ok(())
        } else {
            Err(self.problem(StatusCode::BAD_REQUEST))
        }
    }

    /// An administrator who typed their password lately, in a form of ours; else the answer that
    /// says so, after which they come back to `back`.
    pub(crate) fn administrators_form(&self, token: &str, back: &str) -> Result<&User, Response> {
        let admin = self.administrator()?;
        self.own_form(token)?;
        self.fresh(back)?;
        Ok(admin)
    }

    pub(crate) fn site(&self) -> Site {
        Site {
            host: self.inbound.public_authority().to_string(),
            printer: self.authority.pages.name.to_string(),
            prefix: self.public.prefix().to_owned(),
            csrf: self.csrf.token.clone(),
        }
    }

    pub(crate) fn viewer(&self, user: &User) -> Viewer {
        Viewer {
            user: user.name.to_string(),
            group: user.group.into(),
            may_decide: self.caller.may_grant(),
            waiting: u32::try_from(self.waiting(user).len()).unwrap_or(u32::MAX),
        }
    }

    /// What waits for the person's decision.
    pub(crate) fn waiting(&self, user: &User) -> Vec<Shown> {
        if self.caller.may_grant() {
            self.authority.key_requests.list_for(&user.name)
        } else {
            Vec::new()
        }
    }

    pub(crate) fn pending(&self, shown: &Shown) -> Pending {
        let request = &shown.request;
        Pending {
            app: request.app.to_string(),
            user_token: shown.user_token.expose().to_owned(),
            asked_from: request.remote.to_canonical().to_string(),
            whence: Whence::of(request.remote, self.inbound.address),
            asked: self.moment(request.created),
        }
    }

    pub(crate) fn moment(&self, at: Timestamp) -> Moment {
        Moment {
            at,
            now: self.authority.clock.now(),
        }
    }

    /// A page, with the fields that all of ours have and the cookie that its forms need.
    pub(crate) fn page(&self, page: &impl Template) -> Response {
        self.page_with(StatusCode::OK, page)
    }

    pub(crate) fn page_with(&self, status: StatusCode, page: &impl Template) -> Response {
        let html = page.render().expect("templates write to memory");
        let kind = HeaderValue::from_static("text/html; charset=utf-8");
        let mut answer = (status, [(CONTENT_TYPE, kind)], html).into_response();
        let fields = answer.headers_mut();
        fields.append(SET_COOKIE, self.csrf.set_cookie.clone());
        fields.insert(
            "x-robots-tag",
            HeaderValue::from_static("noindex, nofollow, noimageindex"),
        );
        security_headers::apply(fields);
        answer
    }

    /// After a form: the browser goes on with a GET (RFC 9110 section 15.4.4).
    pub(crate) fn go_on(&self, path: &str) -> Response {
        Redirect::to(&format!("{}{path}", self.public.prefix())).into_response()
    }

    pub(crate) fn problem(&self, status: StatusCode) -> Response {
        let place = Place::host(&*self.authority.pages.name);
        let home = format!("{}/latchkey/", self.public.prefix());
        let problem = Problem::from_status(status).request_id(&self.inbound.request_id);
        problem.page(&place, &home).map(axum::body::Body::from)
    }

    pub(crate) fn failed(&self, failure: &StoreError) -> Response {
        tracing::error!(error = %failure, "the host's database failed");
        self.problem(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// What is at fault is neither the person nor their form.
    pub(crate) fn unavailable(&self, error: &UserError) -> Response {
        match error {
            UserError::Passwords(_) => self.problem(StatusCode::SERVICE_UNAVAILABLE),
            UserError::Store(failure) => self.failed(failure),
            error => {
                tracing::error!(%error, "a form was answered in a way nobody foresaw");
                self.problem(StatusCode::INTERNAL_SERVER_ERROR)
            }
        }
    }

    /// Whether a script of ours asks, which wants no page.
    pub(crate) fn is_script(&self) -> bool {
        let accepts = self
            .headers
            .get(ACCEPT)
            .and_then(|value| value.to_str().ok());
        accepts.is_some_and(|accepts| accepts.starts_with("application/json"))
    }

    /// Path and query of this request, as a path that leads back here.
    pub(crate) fn here(&self) -> String {
        let path = self.uri.path_and_query();
        path.map_or("/latchkey/", |path| path.as_str()).to_owned()
    }

    fn to_sign_in(&self, back: &str, again: Option<&str>) -> Response {
        let back = format!("{}{back}", self.public.prefix());
        let mut pairs = vec![("redirect", back.as_str())];
        if let Some(name) = again {
            pairs.extend([("reauthenticate", "true"), ("user_id", name)]);
        }
        self.go_on(&contract::with_query("/login/", &pairs))
    }
}

impl From<latchkey_model::user::Group> for views::Group {
    fn from(group: latchkey_model::user::Group) -> Self {
        use latchkey_model::user::Group;
        match group {
            Group::Admins => Self::Admins,
            Group::Users => Self::Users,
            Group::Readonly => Self::ReadOnly,
        }
    }
}

impl From<latchkey_model::access::KeyScope> for views::Access {
    fn from(scope: latchkey_model::access::KeyScope) -> Self {
        match scope {
            latchkey_model::access::KeyScope::Full => Self::Full,
            latchkey_model::access::KeyScope::View => Self::View,
        }
    }
}
