//! A browser that loads a page: six connections, and what it keeps for the next time.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, bail};
use http::StatusCode;
use http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, ETAG, HeaderMap, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH,
    LAST_MODIFIED,
};
use http_body_util::BodyExt as _;
use tokio::time::{Instant, timeout};

use super::{PATIENCE, Target};

/// As many as browsers open to one server.
const CONNECTIONS: usize = 6;

/// What a browser keeps between visits.
#[derive(Debug, Default)]
pub struct Browser {
    kept: Mutex<HashMap<String, Kept>>,
}

#[derive(Clone, Debug, Default)]
struct Kept {
    /// Asked again with these.
    conditions: HeaderMap,
    /// Not asked again at all.
    fresh: bool,
}

/// One visit.
#[derive(Clone, Copy, Debug, Default)]
pub struct Visit {
    /// Until the last byte of the last part.
    pub took: Duration,
    /// Bytes of bodies that came.
    pub bytes: u64,
    /// Requests that were made.
    pub asked: u64,
    /// Of these, answered "as you have it".
    pub unchanged: u64,
}

impl Browser {
    /// Loads these parts of a page, in their order, as far as it does not have them.
    pub async fn load(&self, target: &Target, paths: &[String]) -> anyhow::Result<Visit> {
        let begun = Instant::now();
        let waiting = Mutex::new(paths.iter().cloned().collect::<VecDeque<_>>());
        let lanes = (0..CONNECTIONS).map(|_| self.lane(target, &waiting));
        let lanes = futures_util::future::try_join_all(lanes).await?;
        let mut visit = Visit::default();
        for lane in lanes {
            visit.bytes += lane.bytes;
            visit.asked += lane.asked;
            visit.unchanged += lane.unchanged;
        }
        visit.took = begun.elapsed();
        Ok(visit)
    }

    async fn lane(
        &self,
        target: &Target,
        waiting: &Mutex<VecDeque<String>>,
    ) -> anyhow::Result<Visit> {
        let mut visit = Visit::default();
        let mut connection = None;
        loop {
            let next = waiting
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .pop_front();
            let Some(path) = next else { return Ok(visit) };
            let kept = self.kept(&path);
            if kept.fresh {
                continue;
            }
            let mut request = target.get(&path);
            let headers = request.headers_mut();
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
            headers.extend(kept.conditions);
            let mut open = match connection.take() {
                Some(open) => open,
                None => target.connect().await?,
            };
            let answer = open.send(request).await?;
            let (head, body) = answer.into_parts();
            let closes = head
                .headers
                .get("connection")
                .is_some_and(|value| value == "close");
            let body = timeout(PATIENCE, body.collect()).await;
            let body = body.with_context(|| format!("{path} did not come"))??;
            visit.asked += 1;
            visit.bytes += body.to_bytes().len() as u64;
            match head.status {
                StatusCode::NOT_MODIFIED => visit.unchanged += 1,
                StatusCode::OK => self.keep(path, &head.headers),
                other => bail!("{path}: {other}"),
            }
            if !closes {
                connection = Some(open);
            }
        }
    }

    fn kept(&self, path: &str) -> Kept {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(path).cloned().unwrap_or_default()
    }

    fn keep(&self, path: String, answer: &HeaderMap) {
        let said = answer
            .get(CACHE_CONTROL)
            .and_then(|value| value.to_str().ok());
        let said = said.unwrap_or_default().to_ascii_lowercase();
        if said.contains("no-store") {
            return;
        }
        let mut kept = Kept::default();
        let age = said
            .split(',')
            .find_map(|word| word.trim().strip_prefix("max-age="));
        let age: u64 = age.and_then(|age| age.parse().ok()).unwrap_or(0);
        kept.fresh = age > 0 && !said.contains("no-cache");
        for (from, to) in [(ETAG, IF_NONE_MATCH), (LAST_MODIFIED, IF_MODIFIED_SINCE)] {
            if let Some(value) = answer.get(from) {
                kept.conditions.insert(to, value.clone());
            }
        }
        let mut all = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(path, kept);
    }
}

/// The parts of our own server on a page: what it refers to that is fetched with it.
pub fn parts_of(html: &str) -> Vec<String> {
    let mut parts = Vec::new();
    for tag in html.split('<').skip(1) {
        let tag = tag.split('>').next().unwrap_or_default();
        let name = tag.split([' ', '\t', '\n']).next().unwrap_or_default();
        let attribute = match name {
            "script" | "img" => "src=",
            "link" if tag.contains("stylesheet") || tag.contains("icon") => "href=",
            _ => continue,
        };
        let Some((_, rest)) = tag.split_once(attribute) else {
            continue;
        };
        let quote = rest
            .chars()
            .next()
            .filter(|&first| first == '"' || first == '\'');
        let value = quote.and_then(|quote| rest[1..].split(quote).next());
        let value = value.unwrap_or_default().replace("&amp;", "&");
        let ours = value.starts_with('/') && !value.starts_with("//");
        if ours && !parts.contains(&value) {
            parts.push(value);
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_page_refers_to_is_found_once() {
        let html = r#"<html><head><link rel="stylesheet" href="/static/a.css?x=1&amp;y=2">
            <link rel="help" href="/help"><script src='/static/b.js'></script>
            <script>var src="/no.js"</script><script src="https://else.example/c.js"></script>
            <img alt="x" src="/logo.png"><img src="//else.example/d.png"><img src="/logo.png">"#;
        assert_eq!(
            parts_of(html),
            ["/static/a.css?x=1&y=2", "/static/b.js", "/logo.png"]
        );
    }
}
