//! The HTTP interface: one file per noun, thin handlers. Which routes need the key is decided here and
//! nowhere else.

mod bench;
mod connection;
mod downloads;
mod error;
mod fault_gate;
mod fault_routes;
mod fields;
mod files;
mod job;
mod key;
mod login;
mod origin;
mod printer;
mod settings;
mod upload;
mod version;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{any, get, post};

pub(crate) use error::{ApiError, Body, no_content};
pub(crate) use key::query_value;
pub(crate) use login::Sessions;
pub(crate) use origin::{base_url, same_origin};
pub(crate) use version::{SERVER, TEXT};

use crate::App;

/// JSON bodies are small; uploads have a limit of their own.
const LARGEST_JSON: usize = 1 << 20;

/// Everything the simulated printer answers.
pub(crate) fn router(app: &App) -> Router {
    Router::new()
        .merge(protected(app))
        .merge(open())
        .layer(from_fn(error::json_errors))
        .layer(from_fn(fields::of_api))
        .layer(from_fn_with_state(app.clone(), fault_gate::misbehave))
        .with_state(app.clone())
}

fn protected(app: &App) -> Router<App> {
    let api = Router::new()
        .route("/api/version", get(version::version))
        .route("/api/server", get(version::server))
        .route(
            "/api/connection",
            get(connection::show).post(connection::command),
        )
        .route("/api/printer", get(printer::show))
        .route("/api/printer/error", get(printer::error))
        .route(
            "/api/printer/tool",
            get(printer::show_tool).post(printer::tool),
        )
        .route(
            "/api/printer/bed",
            get(printer::show_bed).post(printer::bed),
        )
        .route(
            "/api/printer/chamber",
            get(printer::chamber).post(printer::chamber),
        )
        .route("/api/printer/printhead", post(printer::printhead))
        .route("/api/printer/command", post(printer::command))
        .route("/api/printer/command/custom", get(printer::custom_controls))
        .route("/api/printer/sd", get(printer::sd).post(printer::sd))
        .route("/api/job", get(job::show).post(job::command))
        .route("/api/files", get(files::list_all))
        .route("/api/files/local", get(files::list_root))
        .route("/api/files/sdcard", get(files::list_card))
        .route(
            "/api/files/local/{*path}",
            get(files::show).post(files::command).delete(files::delete),
        )
        .route("/api/settings", get(settings::settings))
        .route("/api/printerprofiles", get(settings::profiles))
        .route("/api/printerprofiles/{id}", get(settings::profile))
        .route("/api/system/commands", get(settings::system_commands))
        .route(
            "/api/system/commands/{source}",
            get(settings::system_commands_of),
        )
        .route(
            "/api/plugin/{name}",
            get(settings::plugin).post(settings::plugin_command),
        )
        .route("/api/languages", get(settings::languages))
        .route("/api/timelapse", get(settings::timelapse))
        .route("/api/slicing", get(settings::slicing))
        .route("/downloads/files/local/{*path}", get(downloads::download))
        .route(
            "/sim/faults",
            get(fault_routes::show).post(fault_routes::change),
        )
        .route("/sim/echo", any(bench::echo))
        .route("/sim/count", get(bench::count))
        .layer(DefaultBodyLimit::max(LARGEST_JSON));
    let large = Router::new()
        .route("/api/files/local", post(upload::upload))
        .route("/sim/sink", any(bench::sink))
        .layer(DefaultBodyLimit::disable());
    api.merge(large)
        .route_layer(from_fn_with_state(app.clone(), key::require))
}

fn open() -> Router<App> {
    Router::new()
        .route("/api/login", post(login::login))
        .route("/api/logout", post(login::logout))
        .route("/api/currentuser", get(login::current_user))
        .merge(crate::push::routes())
        .merge(crate::webcam::routes())
        .merge(crate::page::routes())
        .fallback(|| async { ApiError::NotFound })
}
