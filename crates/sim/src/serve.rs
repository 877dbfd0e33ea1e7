//! Running: accepting connections, the background tasks, and the end of both.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use http::Request;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::api;
use crate::config::Autoprint;
use crate::gcode::vase;
use crate::{App, SimHandle};

/// How long answers under way may take after the end was asked for.
const GRACE: Duration = Duration::from_millis(1_500);
/// After that, how long the rest is waited for.
const LAST_CALL: Duration = Duration::from_secs(2);
const MOST_CONNECTIONS: usize = 1_024;
/// A caller that opens a connection has so long for its first headers.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);

pub(crate) async fn run(listener: TcpListener, app: App, shutdown: CancellationToken) {
    start_tasks(&app);
    let router = api::router(&app);
    tracing::info!(address = %app.local_addr, "simulated printer answers");
    accept(&listener, &router, &app, &shutdown).await;
    app.shutdown.cancel();
    drop(listener);
    app.tracker.close();
    if timeout(GRACE + LAST_CALL, app.tracker.wait())
        .await
        .is_err()
    {
        tracing::warn!(tasks = app.tracker.len(), "some tasks did not end in time");
    }
    tracing::info!("simulated printer ended");
}

fn start_tasks(app: &App) {
    let (printer, camera, faults, handle) = (
        app.clone(),
        app.clone(),
        app.clone(),
        SimHandle { app: app.clone() },
    );
    app.tracker
        .spawn(async move { printer.printer.run(printer.shutdown.clone()).await });
    app.tracker
        .spawn(async move { camera.camera.run(&camera).await });
    app.tracker.spawn(async move {
        tokio::select! {
            () = faults.faults.run() => {}
            () = faults.shutdown.cancelled() => {}
        }
    });
    if let Some(plan) = app.config.autoprint {
        app.tracker.spawn(async move {
            let shutdown = handle.app.shutdown.clone();
            tokio::select! {
                () = print_by_itself(&handle, plan) => {}
                () = shutdown.cancelled() => {}
            }
        });
    }
}

/// Prints the bundled model whenever the printer has been ready for a while.
async fn print_by_itself(handle: &SimHandle, plan: Autoprint) {
    let mut states = handle.states();
    let mut pause = plan.first_after;
    loop {
        if states
            .wait_for(|state| state.is_operational() && !state.is_busy())
            .await
            .is_err()
        {
            return;
        }
        tokio::select! {
            // Somebody does something with the printer: begin to wait anew.
            changed = states.changed() => if changed.is_err() { return },
            () = sleep(pause) => {
                if let Err(error) = handle.start_print(None) {
                    tracing::debug!(error = %error, model = vase::NAME, "the printer does not print by itself");
                    // Do not try again before something has changed.
                    if states.changed().await.is_err() {
                        return;
                    }
                }
            }
        }
        pause = plan.again_after;
    }
}

async fn accept(listener: &TcpListener, router: &Router, app: &App, shutdown: &CancellationToken) {
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else {
            return;
        };
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(error = %error, "a connection could not be accepted");
                    sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
            () = shutdown.cancelled() => return,
        };
        let (router, token) = (router.clone(), app.shutdown.clone());
        app.tracker.spawn(async move {
            serve_connection(stream, router, token).await;
            drop(place);
        });
    }
}

async fn serve_connection(stream: TcpStream, router: Router, shutdown: CancellationToken) {
    // Camera frames and push messages must not wait for more.
    let _ = stream.set_nodelay(true);
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |request| router.call(one_leading_slash(request)));
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .half_close(false)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => {
            if let Err(error) = ended {
                tracing::debug!(error = %error, "a connection ended early");
            }
            return;
        }
        () = shutdown.cancelled() => {}
    }
    connection.as_mut().graceful_shutdown();
    // Whoever hangs or reads slowly is cut off.
    let _ = timeout(GRACE, connection).await;
}

/// Home Assistant's library asks for `//api/printer/bed`, and OctoPrint takes that for the path it means.
fn one_leading_slash<B>(mut request: Request<B>) -> Request<B> {
    let Some(target) = request.uri().path_and_query() else {
        return request;
    };
    let target = target.as_str();
    if target.starts_with("//") {
        let meant = format!("/{}", target.trim_start_matches('/'));
        if let Ok(meant) = meant.parse() {
            *request.uri_mut() = meant;
        }
    }
    request
}
