//! The relay's own web address: pages, and the place where hosts dial.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::response::{Html, IntoResponse};
use axum::routing::get;
use http::header::{CONNECTION, UPGRADE};
use http::{HeaderValue, Request, Response, StatusCode};
use latchkey_net::body::{self, Body};
use latchkey_net::listen::Call;
use latchkey_net::tunnel::{TUNNEL_PATH, TUNNEL_UPGRADE};
use latchkey_web::landing::RelayLanding;
use latchkey_web::metrics::{Class, Metrics};
use latchkey_web::problem::Problem;
use latchkey_web::request_id::RequestIds;
use latchkey_web::request_log::RequestLine;
use latchkey_web::{assets, security_headers};
use tower::ServiceExt;

use crate::app_api::{self, AppApi};
use crate::config::Config;
use crate::paths;
use crate::tunnels::Reception;

/// Answers requests for the public URL.
#[derive(Clone)]
pub(crate) struct WebOrigin {
    router: Router,
    reception: Reception,
    metrics: Arc<Metrics>,
    ids: Arc<RequestIds>,
}

impl WebOrigin {
    pub(crate) fn new(
        config: &Config,
        reception: Reception,
        app_api: AppApi,
        metrics: Arc<Metrics>,
    ) -> Self {
        let landing = RelayLanding::new(
            &config.public_url.authority().to_string(),
            env!("CARGO_PKG_VERSION"),
        );
        let html = landing.render().expect("templates write to memory");
        let router = Router::new()
            .route("/", get(move || async move { Html(html) }))
            .merge(assets::router())
            .merge(app_api::http::routes(app_api))
            .fallback(|| async { Problem::from_status(StatusCode::NOT_FOUND).into_response() })
            .layer(axum::middleware::from_fn(security_headers::layer));
        Self {
            router,
            reception,
            metrics,
            ids: Arc::default(),
        }
    }

    pub(crate) async fn answer(&self, mut request: Request<Body>, call: Call) -> Response<Body> {
        paths::normalize(request.uri_mut());
        let path = request.uri().path();
        let is_tunnel = path == TUNNEL_PATH;
        let class = if is_tunnel {
            Class::Tunnel
        } else if app_api::http::owns(path) {
            Class::AppApi
        } else {
            Class::Page
        };
        let line = RequestLine::new(&self.ids.next(), request.method(), class)
            .metrics(Arc::clone(&self.metrics))
            .caller(call.caller.address);
        let response = if is_tunnel {
            self.upgrade(&mut request, call)
        } else {
            request.extensions_mut().insert(call.caller);
            let routed = self
                .router
                .clone()
                .oneshot(request.map(axum::body::Body::new));
            let Ok(response) = routed.await;
            response.map(body::boxed)
        };
        line.follow(response).map(body::boxed)
    }

    /// Turns a host's connection around.
    fn upgrade(&self, request: &mut Request<Body>, call: Call) -> Response<Body> {
        if !call.tunnel {
            let problem = Problem::new(
                StatusCode::UPGRADE_REQUIRED,
                "upgrade_required",
                "This is where hosts dial in; it speaks the tunnel protocol only.",
            );
            return problem.json().map(body::full);
        }
        call.watch.tune_for_tunnel();
        self.reception
            .receive(hyper::upgrade::on(request), call.exporter);
        let mut response = Response::new(body::empty());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static(TUNNEL_UPGRADE));
        response
    }
}
