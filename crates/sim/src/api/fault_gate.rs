//! The faults that any answer can suffer: slowness and silence.

use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;

use crate::App;

/// Waits, or never answers, as the switches say. The switches themselves and the page stay reachable,
/// or nothing could be switched off again.
pub(crate) async fn misbehave(State(app): State<App>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if path == "/sim/faults" || path == "/" || path.starts_with("/static/") {
        return next.run(request).await;
    }
    let faults = app.faults.current();
    if faults.hangs(path) {
        // Ends with the connection: when the caller gives up, or at shutdown.
        std::future::pending::<()>().await;
    }
    if faults.slow_ms > 0 {
        tokio::time::sleep(Duration::from_millis(faults.slow_ms)).await;
    }
    next.run(request).await
}
