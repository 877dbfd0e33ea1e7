//! Traffic at people's own hostnames: who is signed in, may they, and from which page. Then the
//! same way through the tunnel as for app connections.
//!
//! A browser adds the cookie by itself, so it proves nothing about the page behind a request: what
//! other origins make it send is refused, those of other printers included.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION, ORIGIN, REFERRER_POLICY, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use latchkey_model::own_access::OwnLabel;
use latchkey_model::relay_status::RelayStatus;
use latchkey_net::body::{self, Body};
use latchkey_net::listen::Call;
use latchkey_store::StoreError;
use latchkey_web::browser;
use latchkey_web::metrics::Class;
use latchkey_web::problem::Problem;
use latchkey_web::request_log::{RequestLine, Side};
use latchkey_web::shell::Place;

use super::activity::mark_camera;
use super::{Admission, Asker, Edge, Open, Trouble, origin};
use crate::own_access::{ENTER, LetIn, Outside, cookie};

/// Largest form with a code, and how long one may take.
const LARGEST: usize = 4096;
const PATIENCE: Duration = Duration::from_secs(10);

/// What a browser forgets of a hostname that leads nowhere any more (T-44). Cookies are told to go
/// for the whole domain by it, so only who had access there is ever told.
const FORGET: HeaderValue = HeaderValue::from_static("\"*\"");

impl Edge {
    /// Answers one request at somebody's own hostname, or one that could be.
    pub(super) async fn answer_own(
        &self,
        label: OwnLabel,
        mut request: Request<Body>,
        call: Call,
    ) -> Response<Body> {
        let mut line = self.line(&request, &call, Class::Edge);
        if request.method() == Method::POST && request.uri().path() == ENTER {
            return self.enter_own(&label, request, line).await;
        }
        let mut asker = Asker {
            method: request.method().clone(),
            version: request.version(),
            about: browser::about_the_asker(request.headers()),
        };
        let let_in = match self.admit_own(&label, request.headers()).await {
            Ok(Ok(let_in)) => let_in,
            Ok(Err(outside)) => {
                let by_itself = is_top_level(&request);
                return self.turn_away(&label, &outside, by_itself, line, &asker);
            }
            Err(trouble) => return self.tell(trouble, line, &asker),
        };
        line.set_printer(&let_in.printer);
        let own = &call.authority;
        if origin::is_foreign(request.method(), request.headers(), own, call.websocket) {
            return self.tell(Trouble::Forged, line, &asker);
        }
        // Whether it still holds is asked with the same cookie.
        let cookies = request.headers().clone();
        cookie::strip(request.headers_mut());
        // Of what ended since it was looked up, the next look cuts what is joined here.
        let hold = self.shared.own.endings().hold(let_in.way.clone());
        let (received, sent) = (line.received(), line.sent());
        let moving = self
            .shared
            .activity
            .follow(&let_in.printer, move || (sent.get(), received.get()));
        let open = Open {
            app_connection: None,
            hold: hold.clone(),
            running: None,
            moving,
            printer: let_in.printer.clone(),
        };
        let admission = match self.own_admission(let_in) {
            Ok(admission) => admission,
            Err(trouble) => return self.tell(trouble, line, &asker),
        };
        let outcome = tokio::select! {
            biased;
            () = hold.clone().until_ended() => Err(self.why_own_ended(&label, &cookies).await),
            outcome = self.pass(request, &call, &admission, &line, &hold) => outcome.map_err(Some),
        };
        drop(cookies);
        match outcome {
            Ok((forwarded, pass)) => {
                mark_camera(&forwarded, &open);
                self.hand_over(forwarded, line, &asker, open, pass)
            }
            Err(Some(trouble)) => self.tell(trouble, line, &asker),
            Err(None) => {
                asker.about = HeaderMap::new();
                self.turn_away(&label, &Outside::SignedOut, false, line, &asker)
            }
        }
    }

    /// What passes counts against the plan of the printer's owner: members need none to open it.
    fn own_admission(&self, let_in: LetIn) -> Result<Admission, Trouble> {
        Ok(Admission {
            app_connection: None,
            printer: let_in.printer,
            host: let_in.host,
            scope: let_in.way.level,
            plan: self.plan(&let_in.plan)?,
            account: let_in.owner,
        })
    }

    async fn admit_own(
        &self,
        label: &OwnLabel,
        headers: &HeaderMap,
    ) -> Result<Result<LetIn, Outside>, Trouble> {
        let admitted = self.shared.own.admit(label, headers).await;
        admitted.map_err(|error| doubt(&error))
    }

    /// What a call is told that was cut while it waited; nothing if its person is out.
    async fn why_own_ended(&self, label: &OwnLabel, headers: &HeaderMap) -> Option<Trouble> {
        match self.admit_own(label, headers).await {
            Ok(Err(_)) => None,
            // At another level, or back already.
            Ok(Ok(_)) => Some(Trouble::Status(
                RelayStatus::Unknown,
                Some((Side::Us, "ended")),
            )),
            Err(trouble) => Some(trouble),
        }
    }

    /// Takes a code for a cookie. It has to come in a form of the web origin's: who has a code of
    /// their own cannot sign somebody else's browser in to their printer.
    async fn enter_own(
        &self,
        label: &OwnLabel,
        request: Request<Body>,
        line: RequestLine,
    ) -> Response<Body> {
        let public = self.config().public_url.to_string();
        let mut origins = request.headers().get_all(ORIGIN).iter();
        let is_ours = matches!((origins.next(), origins.next()),
            (Some(origin), None) if origin.as_bytes() == public.as_bytes());
        if !is_ours {
            return self.problem(StatusCode::FORBIDDEN, line);
        }
        let body = read_form(request.into_body());
        let body = match tokio::time::timeout(PATIENCE, body).await {
            Ok(Some(body)) => body,
            Ok(None) => return self.problem(StatusCode::BAD_REQUEST, line),
            Err(_) => return self.problem(StatusCode::REQUEST_TIMEOUT, line),
        };
        let code = url::form_urlencoded::parse(&body).find(|(name, _)| name == "code");
        let code = code.map(|(_, code)| code).unwrap_or_default();
        let (target, cookie) = match self.shared.own.enter(label, &code).await {
            Ok(Some(cookie)) => ("/".to_owned(), Some(cookie)),
            // Too late, or a second click: the page makes another.
            Ok(None) => (self.shared.own.way_in(label), None),
            Err(error) => {
                tracing::error!(%error, "cannot let somebody in at their own hostname");
                return self.problem(StatusCode::SERVICE_UNAVAILABLE, line);
            }
        };
        let mut answer = see_other(&target);
        if let Some(cookie) = cookie {
            answer.headers_mut().append(SET_COOKIE, cookie);
        }
        follow(line, answer)
    }

    /// Nobody who is signed in here. A page that a person opens leads them to the web origin, which
    /// is the same for every name of this shape; the rest is refused.
    fn turn_away(
        &self,
        label: &OwnLabel,
        outside: &Outside,
        is_top_level: bool,
        line: RequestLine,
        asker: &Asker,
    ) -> Response<Body> {
        let mut answer = if *outside == Outside::Over {
            self.over(&line, asker)
        } else if is_top_level {
            see_other(&self.shared.own.way_in(label))
        } else {
            let problem = Problem::from_status(StatusCode::UNAUTHORIZED);
            problem.request_id(line.request_id()).json()
        };
        let fields = answer.headers_mut();
        if *outside != Outside::NotSignedIn {
            let cookie = self.shared.own.cookies().remove();
            fields.append(SET_COOKIE, cookie);
        }
        if *outside == Outside::Over {
            fields.insert(HeaderName::from_static("clear-site-data"), FORGET);
        }
        follow(line, answer)
    }

    fn over(&self, line: &RequestLine, asker: &Asker) -> Response<Bytes> {
        let home = self.config().public_url.to_string();
        Problem::from_status(StatusCode::NOT_FOUND)
            .request_id(line.request_id())
            .respond(&asker.about, &asker.method, &self.place(), &home)
    }

    fn problem(&self, status: StatusCode, line: RequestLine) -> Response<Body> {
        let home = self.config().public_url.to_string();
        let problem = Problem::from_status(status).request_id(line.request_id());
        let answer = problem.page(&self.place(), &home);
        follow(line, answer)
    }

    fn place(&self) -> Place {
        Place::relay(self.config().public_url.authority().to_string())
    }
}

/// Whether a person opens a page in a window of its own, so that the address they see may change.
fn is_top_level(request: &Request<Body>) -> bool {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    let is_framed = request
        .headers()
        .get("sec-fetch-dest")
        .is_some_and(|dest| dest != "document");
    is_read && !is_framed && browser::wants_page(request.headers(), request.method())
}

/// The whole body; nothing if it is too large, or breaks off.
async fn read_form(mut body: Body) -> Option<Vec<u8>> {
    let mut form = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.ok()?.into_data() else {
            continue;
        };
        if form.len() + data.len() > LARGEST {
            return None;
        }
        form.extend_from_slice(&data);
    }
    Some(form)
}

fn see_other(target: &str) -> Response<Bytes> {
    let mut answer = Response::new(Bytes::new());
    *answer.status_mut() = StatusCode::SEE_OTHER;
    let fields = answer.headers_mut();
    let target = HeaderValue::try_from(target).expect("an address of ours is plain ASCII");
    fields.insert(LOCATION, target);
    fields.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    fields.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    fields.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    answer
}

fn follow(line: RequestLine, answer: Response<Bytes>) -> Response<Body> {
    line.follow(answer.map(body::full)).map(body::boxed)
}

fn doubt(error: &StoreError) -> Trouble {
    tracing::error!(%error, "cannot look up somebody's own access");
    Trouble::Status(RelayStatus::Unknown, Some((Side::Us, "store")))
}
