//! `/sim/echo`, `/sim/count`, `/sim/sink`: the bench. They say what arrived, send slowly, or swallow,
//! so that a proxy in between can be checked. Not routes of the real printer server.

use std::convert::Infallible;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{HeaderMap, Uri};
use serde_json::{Value, json};

use super::ApiError;
use super::key::query_value;
use crate::App;

const MOST_CHUNKS: u64 = 1_000_000;
const LONGEST_DELAY_MS: u64 = 60_000;
/// How much of a body is shown as text.
const SHOWN: usize = 64;

/// What arrived: method, path and query as sent, every header in order, and the body's measure.
/// Only the printer's own key is left out: a host in front may have added it, and the app
/// that asks here is not to learn it.
pub(crate) async fn echo(
    State(app): State<App>,
    request: Request,
) -> Result<Json<Value>, ApiError> {
    let (parts, body) = request.into_parts();
    let measure = Measure::of(body).await?;
    Ok(Json(json!({
        "method": parts.method.as_str(),
        "target": parts.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str),
        "version": format!("{:?}", parts.version),
        "headers": header_list(&parts.headers, &app.config.api_key),
        "body": { "bytes": measure.bytes, "crc32": format!("{:08x}", !measure.crc), "starts": measure.starts() },
    })))
}

/// `n` chunks (10) of `size` bytes (a numbered line if 0), `delay_ms` apart (0).
pub(crate) async fn count(uri: Uri) -> Response {
    let ask = |name: &str, default: u64, most: u64| {
        query_value(&uri, name)
            .and_then(|value| value.parse().ok())
            .unwrap_or(default)
            .min(most)
    };
    let delay = Duration::from_millis(ask("delay_ms", 0, LONGEST_DELAY_MS));
    let size = usize::try_from(ask("size", 0, 1 << 20)).unwrap_or(0);
    let chunks = stream::iter(0..ask("n", 10, MOST_CHUNKS)).then(move |number| async move {
        if number > 0 && !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        Ok::<_, Infallible>(chunk(number, size))
    });
    (
        [
            ("content-type", "text/plain; charset=utf-8"),
            ("cache-control", "no-store"),
        ],
        Body::from_stream(chunks),
    )
        .into_response()
}

/// Reads a body of any length and says how long it was.
pub(crate) async fn sink(request: Request) -> Result<Json<Value>, ApiError> {
    let measure = Measure::of(request.into_body()).await?;
    Ok(Json(
        json!({ "bytes": measure.bytes, "crc32": format!("{:08x}", !measure.crc) }),
    ))
}

fn chunk(number: u64, size: usize) -> Bytes {
    let mut line = format!("{number}\n").into_bytes();
    if size > 0 {
        line.resize(size, b'.');
    }
    line.into()
}

fn header_list(headers: &HeaderMap, own_key: &str) -> Vec<[String; 2]> {
    headers
        .iter()
        .map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes());
            [
                name.to_string(),
                value.replace(own_key, "(the printer's key)"),
            ]
        })
        .collect()
}

struct Measure {
    bytes: u64,
    /// CRC-32 (IEEE), not yet inverted.
    crc: u32,
    first: Vec<u8>,
}

impl Measure {
    async fn of(body: Body) -> Result<Self, ApiError> {
        let table = crc_table();
        let mut measure = Self {
            bytes: 0,
            crc: u32::MAX,
            first: Vec::new(),
        };
        let mut chunks = body.into_data_stream();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|_| ApiError::bad("The body ended early"))?;
            measure.bytes += u64::try_from(chunk.len()).unwrap_or(0);
            let missing = SHOWN.saturating_sub(measure.first.len()).min(chunk.len());
            measure.first.extend_from_slice(&chunk[..missing]);
            for byte in &chunk {
                let index = usize::from(measure.crc.to_le_bytes()[0] ^ byte);
                measure.crc = (measure.crc >> 8) ^ table[index];
            }
        }
        Ok(measure)
    }

    fn starts(&self) -> String {
        String::from_utf8_lossy(&self.first).into_owned()
    }
}

fn crc_table() -> [u32; 256] {
    let mut table = [0; 256];
    for (entry, number) in table.iter_mut().zip(0u32..) {
        *entry = (0..8).fold(number, |crc, _| {
            if crc & 1 == 1 {
                (crc >> 1) ^ 0xEDB8_8320
            } else {
                crc >> 1
            }
        });
    }
    table
}

#[cfg(test)]
mod tests {
    use super::Measure;
    use axum::body::Body;

    #[tokio::test]
    async fn checksum_is_the_common_crc32() {
        let measure = Measure::of(Body::from("123456789")).await.unwrap();
        assert_eq!((measure.bytes, !measure.crc), (9, 0xCBF4_3926));
        assert_eq!(measure.starts(), "123456789");
    }
}
