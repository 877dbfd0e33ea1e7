//! `/downloads/files/local/...`: files as they are, streamed, whole or in parts; made-up ones too.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use futures_util::stream;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use jiff::Timestamp;
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt, SeekFrom};
use tokio_util::io::ReaderStream;

use super::ApiError;
use super::key::header_text;
use crate::App;
use crate::files::path::LibraryPath;
use crate::files::range::{Wanted, wanted};
use crate::files::virtual_file::{fill_virtual_file, size_in_name};

const BLOCK: usize = 64 << 10;

/// What identifies the state of a file to caches and resumed downloads.
struct Validators {
    size: u64,
    etag: String,
    changed: Option<String>,
}

pub(crate) async fn download(
    State(app): State<App>,
    Path(path): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let path = LibraryPath::parse_entry(&path).map_err(|_| ApiError::NotFound)?;
    let stored = app.library.find(&path).filter(|stored| !stored.folder);
    let validators = match (&stored, size_in_name(path.as_str())) {
        (Some(stored), _) => Validators {
            size: stored.size,
            etag: format!("\"{}\"", stored.version),
            changed: http_date(stored.date),
        },
        (None, Some(size)) => Validators {
            size,
            etag: format!("\"virtual-{size:x}\""),
            changed: http_date(0),
        },
        (None, None) => return Err(ApiError::NotFound),
    };
    if validators.unchanged(&headers) {
        return Ok(with_headers(
            StatusCode::NOT_MODIFIED,
            &validators,
            path.name(),
            Body::empty(),
            None,
        ));
    }
    let range = header_text(&headers, "range").filter(|_| validators.range_applies(&headers));
    let (status, first, length, content_range) = match wanted(range, validators.size) {
        Wanted::Whole => (StatusCode::OK, 0, validators.size, None),
        Wanted::Part { first, length } => {
            let shown = format!("bytes {first}-{}/{}", first + length - 1, validators.size);
            (StatusCode::PARTIAL_CONTENT, first, length, Some(shown))
        }
        Wanted::Beyond => return Ok(beyond(&validators)),
    };
    let body = match stored {
        Some(stored) => {
            let mut file = File::open(&stored.on_disk).await?;
            file.seek(SeekFrom::Start(first)).await?;
            Body::from_stream(ReaderStream::with_capacity(file.take(length), BLOCK))
        }
        None => virtual_body(first, length),
    };
    let mut response = with_headers(status, &validators, path.name(), body, content_range);
    response
        .headers_mut()
        .insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    Ok(response)
}

impl Validators {
    fn unchanged(&self, headers: &HeaderMap) -> bool {
        match header_text(headers, "if-none-match") {
            Some(tags) => tags.split(',').any(|tag| {
                matches!(tag.trim(), "*") || tag.trim().trim_start_matches("W/") == self.etag
            }),
            None => header_text(headers, "if-modified-since")
                .is_some_and(|date| Some(date) == self.changed.as_deref()),
        }
    }

    /// `If-Range`: a part only if the file is still the one whose beginning the caller has.
    fn range_applies(&self, headers: &HeaderMap) -> bool {
        header_text(headers, "if-range")
            .is_none_or(|known| known == self.etag || Some(known) == self.changed.as_deref())
    }
}

fn with_headers(
    status: StatusCode,
    validators: &Validators,
    name: &str,
    body: Body,
    range: Option<String>,
) -> Response {
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    let mut put = |name, value: String| {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name, value);
        }
    };
    put(header::CONTENT_TYPE, "application/octet-stream".to_owned());
    put(header::ACCEPT_RANGES, "bytes".to_owned());
    put(header::ETAG, validators.etag.clone());
    put(header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned());
    let ascii: String = name
        .chars()
        .map(|c| {
            if c.is_ascii() && !matches!(c, '"' | '\\') {
                c
            } else {
                '_'
            }
        })
        .collect();
    put(
        header::CONTENT_DISPOSITION,
        format!("attachment; filename=\"{ascii}\""),
    );
    if let Some(changed) = &validators.changed {
        put(header::LAST_MODIFIED, changed.clone());
    }
    if let Some(range) = range {
        put(header::CONTENT_RANGE, range);
    }
    response
}

fn beyond(validators: &Validators) -> Response {
    let range = format!("bytes */{}", validators.size);
    (
        StatusCode::RANGE_NOT_SATISFIABLE,
        [(header::CONTENT_RANGE, range)],
    )
        .into_response()
}

fn virtual_body(first: u64, length: u64) -> Body {
    let block = u64::try_from(BLOCK).unwrap_or(1);
    Body::from_stream(stream::unfold(
        (first, length),
        move |(place, left)| async move {
            if left == 0 {
                return None;
            }
            let size = usize::try_from(left.min(block)).unwrap_or(BLOCK);
            let mut bytes = BytesMut::zeroed(size);
            fill_virtual_file(place, &mut bytes);
            // Made-up bytes are always ready: without a pause one fast reader would hold its worker.
            tokio::task::yield_now().await;
            let sent = left.min(block);
            Some((
                Ok::<Bytes, std::convert::Infallible>(bytes.freeze()),
                (place + sent, left - sent),
            ))
        },
    ))
}

fn http_date(seconds: i64) -> Option<String> {
    let stamp = Timestamp::from_second(seconds).ok()?;
    Some(stamp.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string())
}

#[cfg(test)]
mod tests {
    #[test]
    fn dates_are_written_as_http_wants_them() {
        assert_eq!(
            super::http_date(784_111_777).unwrap(),
            "Sun, 06 Nov 1994 08:49:37 GMT"
        );
    }
}
