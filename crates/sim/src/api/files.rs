//! `/api/files`: what is there, and what can be done with it. Uploads are in `upload`.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, Uri, header};
use serde_json::{Value, json};

use super::error::yes;
use super::key::query_value;
use super::{ApiError, Body, base_url, no_content};
use crate::App;
use crate::files::listing::Describer;
use crate::files::path::LibraryPath;
use crate::files::virtual_file::size_in_name;
use crate::printer::event::Event;
use crate::printer::machine::Machine;

/// What is said to be free on the disk: the simulator does not look.
const FREE: u64 = 64 << 30;
const TOTAL: u64 = 128 << 30;

pub(crate) async fn list_all(State(app): State<App>, headers: HeaderMap, uri: Uri) -> Json<Value> {
    list(app, headers, uri).await
}

pub(crate) async fn list_root(State(app): State<App>, headers: HeaderMap, uri: Uri) -> Json<Value> {
    list(app, headers, uri).await
}

pub(crate) async fn list_card() -> Json<Value> {
    Json(json!({ "files": [] }))
}

async fn list(app: App, headers: HeaderMap, uri: Uri) -> Json<Value> {
    let recursive = recursive(&uri);
    let root = LibraryPath::root();
    let big = app.faults.current().big_file;
    let files = blocking(move || {
        let describer = describer(&app, &headers);
        let mut files = describer.list(&root, recursive);
        files.extend(big.map(|size| describer.virtual_file(size)));
        files
    })
    .await;
    Json(json!({ "files": files, "free": FREE, "total": TOTAL }))
}

pub(crate) async fn show(
    State(app): State<App>,
    Path(path): Path<String>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Json<Value>, ApiError> {
    let path = LibraryPath::parse_entry(&path).map_err(|_| ApiError::NotFound)?;
    let recursive = recursive(&uri);
    let entry = blocking(move || {
        let describer = describer(&app, &headers);
        match (app.library.find(&path), size_in_name(path.as_str())) {
            (Some(stored), _) => Some(describer.entry(&path, &stored, recursive)),
            (None, Some(size)) => Some(describer.virtual_file(size)),
            (None, None) => None,
        }
    })
    .await;
    entry.map(Json).ok_or(ApiError::NotFound)
}

pub(crate) async fn delete(
    State(app): State<App>,
    Path(path): Path<String>,
) -> Result<Response, ApiError> {
    let path = existing(&app, &path)?;
    refuse_if_printing(&app, &path)?;
    unselect_below(&app, &path)?;
    let on_disk = app.library.on_disk(&path);
    if app.library.find(&path).is_some_and(|stored| stored.folder) {
        tokio::fs::remove_dir_all(on_disk).await?;
        announce(&app, "FolderRemoved", &path);
    } else {
        tokio::fs::remove_file(on_disk).await?;
        announce(&app, "FileRemoved", &path);
    }
    app.library.forget(&path);
    app.printer
        .with(|machine| machine.forget_outcomes(path.as_str()));
    Ok(no_content())
}

pub(crate) async fn command(
    State(app): State<App>,
    Path(path): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    match body.command()? {
        "select" => select(&app, &existing(&app, &path)?, body.flag("print")),
        "unselect" => {
            app.printer.with(Machine::unselect)?;
            Ok(no_content())
        }
        "copy" => transfer(&app, &headers, &existing(&app, &path)?, &body, false).await,
        "move" => transfer(&app, &headers, &existing(&app, &path)?, &body, true).await,
        "analyse" => {
            let path = existing(&app, &path)?;
            app.summarize_later(path);
            Ok(StatusCode::ACCEPTED.into_response())
        }
        "slice" => Err(ApiError::conflict("There is no slicer here")),
        other => Err(ApiError::bad(format!("Unknown command: {other}"))),
    }
}

fn select(app: &App, path: &LibraryPath, print: bool) -> Result<Response, ApiError> {
    if !path.is_gcode() {
        return Err(ApiError::NotPrintable);
    }
    app.select(path, print)?;
    Ok(no_content())
}

async fn transfer(
    app: &App,
    headers: &HeaderMap,
    from: &LibraryPath,
    body: &Body,
    moves: bool,
) -> Result<Response, ApiError> {
    let destination = body
        .text("destination")
        .ok_or_else(|| ApiError::bad("destination is missing"))?;
    let to = destination_path(app, from, destination)?;
    if app.library.find(&to).is_some() {
        return Err(ApiError::conflict(
            "There is already something of that name",
        ));
    }
    let (source, target) = (app.library.on_disk(from), app.library.on_disk(&to));
    if moves {
        refuse_if_printing(app, from)?;
        unselect_below(app, from)?;
        tokio::fs::rename(source, target).await?;
        app.library.forget(from);
        announce(app, "FileMoved", &to);
    } else {
        if app.library.find(from).is_some_and(|stored| stored.folder) {
            return Err(ApiError::bad("Only files can be copied here"));
        }
        tokio::fs::copy(source, target).await?;
        announce(app, "FileAdded", &to);
    }
    app.summarize_later(to.clone());
    let describer = describer(app, headers);
    let entry = json!({ "name": to.name(), "display": to.name(), "path": to.as_str(), "origin": "local", "refs": describer.refs(&to) });
    Ok((
        StatusCode::CREATED,
        [(header::LOCATION, describer.resource(&to))],
        Json(entry),
    )
        .into_response())
}

/// An existing folder takes the file under its old name; anything else is the new path.
fn destination_path(
    app: &App,
    from: &LibraryPath,
    destination: &str,
) -> Result<LibraryPath, ApiError> {
    let to = LibraryPath::parse(destination)?;
    let into_folder = to.is_root() || app.library.find(&to).is_some_and(|stored| stored.folder);
    let to = if into_folder {
        to.join(from.name())?
    } else {
        to
    };
    let parent = to.parent();
    if !parent.is_root()
        && !app
            .library
            .find(&parent)
            .is_some_and(|stored| stored.folder)
    {
        return Err(ApiError::NotFound);
    }
    if to.as_str().starts_with(&format!("{from}/")) {
        return Err(ApiError::conflict("A folder cannot be moved into itself"));
    }
    Ok(to)
}

fn existing(app: &App, path: &str) -> Result<LibraryPath, ApiError> {
    let path = LibraryPath::parse_entry(path).map_err(|_| ApiError::NotFound)?;
    app.library
        .find(&path)
        .map(|_| path)
        .ok_or(ApiError::NotFound)
}

/// A file that is being printed stays as and where it is.
pub(crate) fn refuse_if_printing(app: &App, path: &LibraryPath) -> Result<(), ApiError> {
    let busy = app.printer.with(|machine| {
        machine.state().is_busy()
            && machine
                .selected()
                .is_some_and(|selected| is_at_or_below(&selected.path, path))
    });
    if busy {
        Err(ApiError::conflict("This file is being printed"))
    } else {
        Ok(())
    }
}

fn unselect_below(app: &App, path: &LibraryPath) -> Result<(), ApiError> {
    app.printer.with(|machine| match machine.selected() {
        Some(selected) if is_at_or_below(&selected.path, path) => machine.unselect(),
        _ => Ok(()),
    })?;
    Ok(())
}

fn is_at_or_below(path: &str, top: &LibraryPath) -> bool {
    path == top.as_str() || path.starts_with(&format!("{top}/"))
}

pub(crate) fn announce(app: &App, name: &'static str, path: &LibraryPath) {
    app.printer.announce(Event::about_file(name, path.as_str()));
    app.printer
        .announce(Event::new("UpdatedFiles", json!({ "type": "printables" })));
}

pub(crate) fn describer<'a>(app: &'a App, headers: &HeaderMap) -> Describer<'a> {
    Describer {
        library: &app.library,
        printer: &app.printer,
        base: base_url(headers),
    }
}

fn recursive(uri: &Uri) -> bool {
    query_value(uri, "recursive").is_some_and(|value| yes(&value))
}

/// Runs what touches the disk where it may block.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work)
        .await
        .expect("listing files does not panic")
}
