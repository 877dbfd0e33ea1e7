//! Uploads: a multipart form streamed to disk chunk by chunk, so that size costs no memory.

use axum::Json;
use axum::extract::multipart::{Field, Multipart, MultipartError};
use axum::extract::{FromRequest, Request, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};
use serde_json::{Value, json};
use tempfile::TempPath;
use tokio::io::AsyncWriteExt;

use super::ApiError;
use super::error::yes;
use super::files::{announce, describer, refuse_if_printing};
use crate::App;
use crate::files::path::LibraryPath;
use crate::printer::event::Event;

/// The longest text field of the form.
const LONGEST_FIELD: usize = 4_096;
/// Files up to this size are read through before the answer, so that it carries their estimate.
const QUICK_SUMMARY: u64 = 2 << 20;

/// What the form said, in whatever order.
#[derive(Debug, Default)]
struct Form {
    file: Option<(String, TempPath, u64)>,
    path: String,
    folder: Option<String>,
    select: bool,
    print: bool,
}

pub(crate) async fn upload(State(app): State<App>, request: Request) -> Result<Response, ApiError> {
    let headers = request.headers().clone();
    let multipart = Multipart::from_request(request, &())
        .await
        .map_err(|_| ApiError::bad("Expected a multipart form"))?;
    let form = read_form(&app, multipart).await?;
    let folder = LibraryPath::parse(form.path.trim_start_matches('/'))?;
    match (form.file, form.folder) {
        (Some((name, part, bytes)), _) => {
            let path = folder.join(&name)?;
            store(&app, &path, part, bytes).await?;
            let wanted = (form.select || form.print, form.print);
            Ok(created(&app, &headers, &path, wanted))
        }
        (None, Some(name)) => create_folder(&app, &headers, &folder.join(&name)?).await,
        (None, None) => Err(ApiError::bad("No file to upload and no folder to create")),
    }
}

async fn read_form(app: &App, mut multipart: Multipart) -> Result<Form, ApiError> {
    let mut form = Form::default();
    while let Some(field) = multipart.next_field().await.map_err(broken)? {
        match field.name().unwrap_or("") {
            "file" => {
                let name = field.file_name().unwrap_or("").trim().to_owned();
                let path = LibraryPath::parse_entry(&name)?;
                if !path.is_gcode() {
                    return Err(ApiError::NotPrintable);
                }
                let (part, bytes) = receive(app, field).await?;
                form.file = Some((name, part, bytes));
            }
            "path" => form.path = text(field).await?,
            "foldername" => form.folder = Some(text(field).await?),
            "select" => form.select = yes(&text(field).await?),
            "print" => form.print = yes(&text(field).await?),
            // `userdata`, `apikey` and whatever an app adds.
            _ => {
                text(field).await?;
            }
        }
    }
    Ok(form)
}

/// Writes the field to a file of its own, which goes away if the caller does.
async fn receive(app: &App, mut field: Field<'_>) -> Result<(TempPath, u64), ApiError> {
    let (file, part) = app.library.incoming()?.into_parts();
    let mut file = tokio::fs::File::from_std(file);
    let mut bytes = 0;
    while let Some(chunk) = field.chunk().await.map_err(broken)? {
        bytes += u64::try_from(chunk.len()).unwrap_or(u64::MAX);
        if bytes > app.config.max_upload_bytes {
            return Err(ApiError::TooLarge);
        }
        file.write_all(&chunk).await?;
    }
    file.flush().await?;
    Ok((part, bytes))
}

async fn text(mut field: Field<'_>) -> Result<String, ApiError> {
    let mut all = Vec::new();
    while let Some(chunk) = field.chunk().await.map_err(broken)? {
        if all.len() + chunk.len() > LONGEST_FIELD {
            return Err(ApiError::bad("A field of the form is too long"));
        }
        all.extend_from_slice(&chunk);
    }
    Ok(String::from_utf8_lossy(&all).trim().to_owned())
}

#[expect(clippy::needless_pass_by_value, reason = "the shape `map_err` wants")]
fn broken(error: MultipartError) -> ApiError {
    tracing::debug!(error = %error, "an upload ended early");
    ApiError::bad("The form could not be read to its end")
}

async fn store(app: &App, path: &LibraryPath, part: TempPath, bytes: u64) -> Result<(), ApiError> {
    refuse_if_printing(app, path)?;
    let parent = path.parent();
    if !parent.is_root() {
        tokio::fs::create_dir_all(app.library.on_disk(&parent)).await?;
    }
    if app.library.find(path).is_some_and(|stored| stored.folder) {
        return Err(ApiError::conflict("There is a folder of that name"));
    }
    part.persist(app.library.on_disk(path))
        .map_err(|error| ApiError::Storage(error.error))?;
    app.library.forget(path);
    app.printer
        .announce(Event::about_file("Upload", path.as_str()));
    announce(app, "FileAdded", path);
    if bytes <= QUICK_SUMMARY {
        app.summarize(path.clone()).await;
    } else {
        app.summarize_later(path.clone());
    }
    Ok(())
}

/// The answer to a stored file. Selecting and printing may not fit the printer's state; the file is
/// stored all the same, and the answer says what came of the wish.
fn created(
    app: &App,
    headers: &HeaderMap,
    path: &LibraryPath,
    (select, print): (bool, bool),
) -> Response {
    let selected = select && app.select(path, false).is_ok();
    let printing = selected && print && app.select(path, true).is_ok();
    let describer = describer(app, headers);
    let file = app
        .library
        .find(path)
        .map_or(Value::Null, |stored| describer.entry(path, &stored, false));
    let answer = json!({
        "files": { "local": file },
        "done": true,
        "effectiveSelect": selected,
        "effectivePrint": printing,
    });
    (
        StatusCode::CREATED,
        [(header::LOCATION, describer.resource(path))],
        Json(answer),
    )
        .into_response()
}

async fn create_folder(
    app: &App,
    headers: &HeaderMap,
    path: &LibraryPath,
) -> Result<Response, ApiError> {
    if app.library.find(path).is_some_and(|stored| !stored.folder) {
        return Err(ApiError::conflict("There is a file of that name"));
    }
    tokio::fs::create_dir_all(app.library.on_disk(path)).await?;
    announce(app, "FolderAdded", path);
    let describer = describer(app, headers);
    let answer = json!({
        "folder": { "name": path.name(), "path": path.as_str(), "origin": "local", "refs": { "resource": describer.resource(path) } },
        "done": true,
    });
    Ok((
        StatusCode::CREATED,
        [(header::LOCATION, describer.resource(path))],
        Json(answer),
    )
        .into_response())
}
