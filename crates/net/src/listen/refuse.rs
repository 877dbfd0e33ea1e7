//! What a caller is told for whom there is no place.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

/// Callers that are told at the same time; more are closed without a word. Each has a descriptor.
const TOLD_AT_ONCE: usize = 16;
/// How long one is listened to, before and after.
const PATIENCE: Duration = Duration::from_secs(1);

const ANSWER: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\n\
    Content-Type: application/json\r\n\
    Content-Length: 94\r\n\
    Cache-Control: no-store\r\n\
    Retry-After: 5\r\n\
    Connection: close\r\n\r\n\
    {\"error\":\"There are too many connections here. Try again soon.\",\"code\":\"too_many_connections\"}";

/// Tells callers on plain connections; to others it would be noise.
pub(super) struct Refusals {
    places: Arc<Semaphore>,
    plain: bool,
}

impl Refusals {
    pub(super) fn new(plain: bool) -> Self {
        Self {
            places: Arc::new(Semaphore::new(TOLD_AT_ONCE)),
            plain,
        }
    }

    pub(super) fn tell(&self, stream: TcpStream, tracker: &TaskTracker) {
        if !self.plain {
            return;
        }
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            return;
        };
        tracker.spawn(async move {
            // Who leaves, or says nothing, needs no answer.
            let _ = tokio::time::timeout(2 * PATIENCE, answer(stream)).await;
            drop(place);
        });
    }
}

/// An answer before the question would be an error to many clients, and a close with unread bytes
/// takes the answer away again.
async fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    let mut seen = [0; 1024];
    let heard = tokio::time::timeout(PATIENCE, stream.read(&mut seen)).await;
    let Ok(Ok(count @ 1..)) = heard else {
        return Ok(());
    };
    if seen[..count].starts_with(b"PRI") {
        return Ok(());
    }
    stream.write_all(ANSWER).await?;
    stream.shutdown().await?;
    while stream.read(&mut seen).await? > 0 {}
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_as_long_as_it_says() {
        let text = std::str::from_utf8(ANSWER).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(
            head.contains(&format!("Content-Length: {}\r\n", body.len())),
            "{}",
            body.len()
        );
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(body["code"], "too_many_connections");
    }
}
