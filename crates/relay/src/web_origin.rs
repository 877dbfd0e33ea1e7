//! The relay's own web address: pages, and the place where hosts dial.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::response::IntoResponse;
use axum::routing::get;
use http::header::{CONNECTION, UPGRADE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use latchkey_net::authority::Authority;
use latchkey_net::body::{self, Body};
use latchkey_net::listen::Call;
use latchkey_net::tunnel::{TUNNEL_PATH, TUNNEL_UPGRADE};
use latchkey_web::landing::RelayLanding;
use latchkey_web::metrics::{Class, Metrics};
use latchkey_web::problem::Problem;
use latchkey_web::request_id::RequestIds;
use latchkey_web::request_log::RequestLine;
use latchkey_web::{assets, security_headers};
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use crate::accounts;
use crate::activity;
use crate::admin;
use crate::app_api::{self, AppApi};
use crate::apps;
use crate::config::Registration;
use crate::dashboard;
use crate::live_links;
use crate::openapi;
use crate::own_access;
use crate::pages::links;
use crate::pages::visit::{Answered, Arrival, Visit};
use crate::pairing;
use crate::passkeys;
use crate::paths;
use crate::people;
use crate::portal;
use crate::second_factors;
use crate::snapshots;
use crate::state::State;
use crate::tunnels::{self, Dialled, Reception};

/// All routes of the web origin. Whatever changes something is a POST with the token of a form,
/// or names what it is good for by a secret that no browser sends by itself.
pub(crate) fn router(state: State) -> Router {
    let app_api = AppApi::new(&state);
    Router::new()
        .route("/", get(landing))
        .merge(accounts::http::routes())
        .merge(admin::routes())
        .merge(apps::http::routes())
        .merge(links::routes())
        .merge(openapi::http::routes())
        .merge(portal::http::routes())
        .merge(people::routes())
        .merge(own_access::http::routes())
        .merge(pairing::http::routes())
        .merge(snapshots::http::routes())
        .merge(second_factors::http::routes())
        .merge(passkeys::http::routes())
        .merge(tunnels::http::routes())
        .merge(activity::http::routes())
        .merge(dashboard::http::routes())
        .merge(live_links::http::routes())
        .merge(live_links::owner::routes())
        .with_state(state)
        .merge(app_api::http::routes(app_api))
        .merge(assets::router())
        .fallback(|| async { Problem::from_status(StatusCode::NOT_FOUND).into_response() })
        .layer(axum::middleware::from_fn(security_headers::layer))
}

/// Who is signed in came for their printers.
async fn landing(visit: Visit) -> Answered {
    if visit.maybe_account().is_some() {
        return Ok(visit.go_on("/printers"));
    }
    let relay = visit.state.config.public_url.authority().to_string();
    let open = visit.state.accounts.registration() == Registration::Open;
    let page = RelayLanding::new(&relay, open, env!("CARGO_PKG_VERSION"));
    Ok(visit.page(&page))
}

/// Answers requests for the public URL.
#[derive(Clone)]
pub(crate) struct WebOrigin {
    router: Router,
    reception: Reception,
    metrics: Arc<Metrics>,
    ids: Arc<RequestIds>,
    tracker: TaskTracker,
}

impl WebOrigin {
    pub(crate) fn new(
        state: State,
        reception: Reception,
        metrics: Arc<Metrics>,
        tracker: TaskTracker,
    ) -> Self {
        Self {
            router: router(state),
            reception,
            metrics,
            ids: Arc::default(),
            tracker,
        }
    }

    pub(crate) async fn answer(&self, request: Request<Body>, call: Call) -> Response<Body> {
        self.answer_as(None, request, call).await
    }

    /// Answers a host that asked for the relay by this name, if it is not that of the public URL.
    pub(crate) async fn answer_as(
        &self,
        named: Option<Authority>,
        mut request: Request<Body>,
        call: Call,
    ) -> Response<Body> {
        paths::normalize(request.uri_mut());
        let path = request.uri().path();
        let is_tunnel = path == TUNNEL_PATH;
        let class = if is_tunnel {
            Class::Tunnel
        } else if app_api::http::owns(path) {
            Class::AppApi
        } else if path.starts_with(portal::START) {
            Class::Portal
        } else {
            Class::Page
        };
        let line = RequestLine::new(&self.ids.next(), request.method(), class)
            .metrics(Arc::clone(&self.metrics))
            .caller(call.caller.address);
        let response = if is_tunnel {
            self.upgrade(&mut request, call, named)
        } else {
            request.extensions_mut().insert(Arrival {
                address: call.caller.address,
                request_id: line.request_id().to_owned(),
            });
            if let Some(named) = named {
                request.extensions_mut().insert(pairing::http::Named(named));
            }
            self.route(request).await.map(body::boxed)
        };
        line.follow(response).map(body::boxed)
    }

    /// What may change something goes on to its end when whoever asked goes away meanwhile: what
    /// was done is also written down, told and cut off.
    async fn route(&self, request: Request<Body>) -> Response<axum::body::Body> {
        let looks_only = matches!(*request.method(), Method::GET | Method::HEAD);
        let router = self.router.clone();
        let routed = router.oneshot(request.map(axum::body::Body::new));
        if looks_only {
            let Ok(response) = routed.await;
            return response;
        }
        to_its_end(&self.tracker, routed).await
    }

    /// Turns a host's connection around.
    fn upgrade(
        &self,
        request: &mut Request<Body>,
        call: Call,
        named: Option<Authority>,
    ) -> Response<Body> {
        if !call.tunnel {
            let problem = Problem::new(
                StatusCode::UPGRADE_REQUIRED,
                "upgrade_required",
                "This is where hosts dial in; it speaks the tunnel protocol only.",
            );
            return problem.json().map(body::full);
        }
        call.watch.tune_for_tunnel();
        self.reception.receive(
            hyper::upgrade::on(request),
            Dialled {
                exporter: call.exporter,
                address: call.caller.address,
                named,
            },
        );
        let mut response = Response::new(body::empty());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static(TUNNEL_UPGRADE));
        response
    }
}

/// Waits for an answer that is made whether somebody waits or not.
async fn to_its_end(
    tracker: &TaskTracker,
    routed: impl Future<Output = Result<Response<axum::body::Body>, Infallible>> + Send + 'static,
) -> Response<axum::body::Body> {
    match tracker.spawn(routed).await {
        Ok(Ok(response)) => response,
        Err(error) => {
            tracing::error!(%error, "a form was not answered");
            Problem::from_status(StatusCode::INTERNAL_SERVER_ERROR).into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn a_form_goes_on_to_its_end_when_its_sender_goes_away() {
        let tracker = TaskTracker::new();
        let (go_on, waits) = oneshot::channel();
        let (done, mut is_done) = oneshot::channel();
        let form = async move {
            waits.await.unwrap();
            done.send(()).unwrap();
            Ok(Response::default())
        };
        let mut sender = Box::pin(to_its_end(&tracker, form));
        assert!((&mut sender).now_or_never().is_none());
        drop(sender);
        go_on.send(()).unwrap();
        tracker.close();
        tracker.wait().await;
        is_done.try_recv().unwrap();
    }

    #[tokio::test]
    async fn a_form_that_breaks_is_answered() {
        let tracker = TaskTracker::new();
        let answer = to_its_end(&tracker, async { panic!("broken") }).await;
        assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
    }
}
