//! Liveness, readiness and metrics, on a listener of their own.
//!
//! That listener is loopback unless the operator says otherwise; nothing here
//! asks who is calling.

use std::{borrow::Cow, fmt, future::Future, pin::Pin, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::get,
};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use tokio::{net::TcpListener, time::Instant};
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

use crate::metrics::Metrics;

/// A check that takes longer counts as failed; probes give up after a few seconds.
const CHECK_TIMEOUT: Duration = Duration::from_secs(2);

const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Why a check failed, in fixed words.
pub type CheckFailure = Cow<'static, str>;

type CheckFuture = Pin<Box<dyn Future<Output = Result<(), CheckFailure>> + Send>>;

/// What the listener tells.
#[derive(Clone)]
pub struct Health {
    metrics: Arc<Metrics>,
    checks: Vec<Check>,
}

#[derive(Clone)]
struct Check {
    name: &'static str,
    run: Arc<dyn Fn() -> CheckFuture + Send + Sync>,
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.checks.iter().map(|check| check.name).collect();
        f.debug_struct("Health")
            .field("checks", &names)
            .finish_non_exhaustive()
    }
}

/// The body of `/readyz`.
#[derive(Debug, Serialize, ToSchema)]
pub struct Readiness {
    ready: bool,
    checks: Vec<CheckResult>,
}

/// How one check went.
#[derive(Debug, Serialize, ToSchema)]
pub struct CheckResult {
    name: &'static str,
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    reason: Option<CheckFailure>,
    #[schema(value_type = u64)]
    duration_ms: u128,
}

impl Health {
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self {
            metrics,
            checks: Vec::new(),
        }
    }

    /// Adds something that must hold before this process is sent traffic.
    #[must_use]
    pub fn check<F, Fut>(mut self, name: &'static str, run: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), CheckFailure>> + Send + 'static,
    {
        self.checks.push(Check {
            name,
            run: Arc::new(move || Box::pin(run())),
        });
        self
    }

    pub fn router(self) -> Router {
        Router::new()
            .route("/healthz", get(healthz))
            .route("/readyz", get(readyz))
            .route("/metrics", get(metrics))
            .with_state(Arc::new(self))
    }

    /// Serves until `stop` is cancelled; answers under way are finished.
    pub async fn serve(
        self,
        listener: TcpListener,
        stop: CancellationToken,
    ) -> std::io::Result<()> {
        axum::serve(listener, self.router())
            .with_graceful_shutdown(stop.cancelled_owned())
            .await
    }
}

/// Tell that the process answers
///
/// On `status_listen`, as the two others: readiness and metrics.
#[utoipa::path(
    get,
    path = "/healthz",
    tag = "Status",
    responses((status = 200, description = "It does.", body = String, content_type = "text/plain", example = "ok\n"))
)]
pub async fn healthz() -> &'static str {
    "ok\n"
}

/// Tell whether this process should be sent traffic
///
/// Each check with its outcome; one that takes 2 seconds has failed.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "Status",
    responses(
        (status = 200, description = "All checks are good.", body = Readiness, example = json!({
            "ready": true, "checks": [{"name": "store", "ok": true, "duration_ms": 1}]
        })),
        (status = 503, description = "One is not.", body = Readiness, example = json!({
            "ready": false,
            "checks": [{"name": "store", "ok": false, "reason": "the database does not answer", "duration_ms": 2000}]
        })),
    )
)]
pub async fn readyz(State(health): State<Arc<Health>>) -> Response {
    let mut checks = Vec::with_capacity(health.checks.len());
    for check in &health.checks {
        checks.push(check.result().await);
    }
    let ready = checks.iter().all(|check| check.ok);
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(Readiness { ready, checks })).into_response()
}

/// Count what happens, for Prometheus
///
/// In the text format that scrapers read. No label is an id, a name or an address.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "Status",
    responses((status = 200, description = "All numbers.", body = String, content_type = "application/openmetrics-text"))
)]
pub async fn metrics(State(health): State<Arc<Health>>) -> Response {
    let mut response = health.metrics.encode().into_response();
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(METRICS_TYPE));
    response
}

impl Check {
    async fn result(&self) -> CheckResult {
        let started = Instant::now();
        let outcome = match tokio::time::timeout(CHECK_TIMEOUT, (self.run)()).await {
            Ok(outcome) => outcome,
            Err(_) => Err("no answer in time".into()),
        };
        CheckResult {
            name: self.name,
            ok: outcome.is_ok(),
            reason: outcome.err(),
            duration_ms: started.elapsed().as_millis(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    async fn ask(health: Health, path: &str) -> (StatusCode, String) {
        let request = Request::get(path).body(axum::body::Body::empty()).unwrap();
        let response = health.router().oneshot(request).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn readiness_lists_each_check() {
        let health = Health::new(Arc::default())
            .check("store", || async { Ok(()) })
            .check("tunnel", || async {
                Err("no host has dialed in yet".into())
            });
        let (status, body) = ask(health.clone(), "/readyz").await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["ready"], false);
        assert_eq!(body["checks"][0]["ok"], true);
        assert_eq!(body["checks"][1]["reason"], "no host has dialed in yet");
        assert_eq!(ask(health, "/healthz").await.0, StatusCode::OK);
    }

    #[tokio::test(start_paused = true)]
    async fn a_check_that_hangs_fails() {
        let health = Health::new(Arc::default()).check("store", std::future::pending);
        let (status, body) = ask(health, "/readyz").await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(body.contains("no answer in time"));
    }

    #[tokio::test]
    async fn metrics_are_in_the_text_format() {
        let (status, body) = ask(Health::new(Arc::default()), "/metrics").await;
        assert_eq!(status, StatusCode::OK);
        assert!(body.ends_with("# EOF\n"), "{body}");
    }

    #[tokio::test]
    async fn serving_ends_with_the_token() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stop = CancellationToken::new();
        stop.cancel();
        Health::new(Arc::default())
            .serve(listener, stop)
            .await
            .unwrap();
    }
}
