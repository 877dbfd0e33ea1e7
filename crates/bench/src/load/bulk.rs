//! Large bodies.

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use http::{Method, StatusCode};
use http_body_util::BodyExt as _;
use tokio::time::{Instant, timeout};

use super::{PATIENCE, Target};
use crate::payload::Payload;
use crate::stats;

/// Bytes a second of one download.
pub async fn download(target: &Target, bytes: u64) -> anyhow::Result<f64> {
    let mut connection = target.connect().await?;
    let begun = Instant::now();
    let answer = connection
        .send(target.get(&format!("/bytes/{bytes}")))
        .await?;
    ensure!(answer.status() == StatusCode::OK, "{}", answer.status());
    let mut body = answer.into_body();
    let mut received = 0;
    while let Some(frame) = timeout(PATIENCE, body.frame()).await? {
        received += frame?.data_ref().map_or(0, Bytes::len) as u64;
    }
    ensure!(received == bytes, "{received} of {bytes} bytes came");
    Ok(stats::count(bytes) / begun.elapsed().as_secs_f64())
}

/// Downloads until it is dropped.
pub async fn endless_download(target: &Target) -> anyhow::Result<()> {
    loop {
        download(target, 64 * 1024 * 1024).await?;
    }
}

/// Bytes a second of one upload.
pub async fn upload(target: &Target, piece: &Bytes, bytes: u64) -> anyhow::Result<f64> {
    let mut connection = target.connect().await?;
    let begun = Instant::now();
    let body = Payload::repeated(piece, bytes);
    let answer = connection
        .whole(target.request(Method::POST, "/sink", body))
        .await?;
    let counted: u64 = std::str::from_utf8(&answer)?
        .trim()
        .parse()
        .context("what the other end counted")?;
    ensure!(counted == bytes, "{counted} of {bytes} bytes arrived");
    Ok(stats::count(bytes) / begun.elapsed().as_secs_f64())
}
