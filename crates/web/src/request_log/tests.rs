use std::{
    io,
    sync::{Mutex, PoisonError},
};

use super::*;
use crate::logging::{Format, subscriber};
use axum::{Router, body::Body as AxumBody, routing::post};
use bytes::Bytes;
use futures_util::{Stream, stream};
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use tower::ServiceExt;
use tracing_subscriber::fmt::MakeWriter;

const SECRET: &str = "s3cr3t-canary";

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl io::Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Captured {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Captured {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    fn lines(&self) -> Vec<serde_json::Value> {
        self.text()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    fn only_line(&self) -> serde_json::Value {
        let lines = self.lines();
        assert_eq!(lines.len(), 1, "{}", self.text());
        lines.into_iter().next().unwrap()
    }

    fn start(&self, format: Format) -> tracing::subscriber::DefaultGuard {
        tracing::subscriber::set_default(subscriber(format, "trace", self.clone()).unwrap())
    }
}

fn line() -> RequestLine {
    RequestLine::new("r-1", &Method::GET, Class::Edge)
}

fn chunks(
    frames: Vec<Result<&'static str, io::Error>>,
) -> StreamBody<impl Stream<Item = Result<Frame<Bytes>, io::Error>>> {
    let frames = frames
        .into_iter()
        .map(|f| f.map(|text| Frame::data(Bytes::from(text))));
    StreamBody::new(stream::iter(frames.collect::<Vec<_>>()))
}

#[tokio::test]
async fn line_is_written_when_the_body_has_ended() {
    let log = Captured::default();
    let _guard = log.start(Format::Json);
    let mut line = line().caller("203.0.113.77".parse().unwrap());
    line.set_printer("p-7");
    line.set_app_connection("c-9");
    line.received().add(5);
    let response = line.follow(Response::new(chunks(vec![Ok("abc"), Ok("defg")])));
    assert_eq!(log.text(), "");
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "abcdefg");
    let written = log.only_line();
    for (field, expected) in [
        ("request.id", "r-1".into()),
        ("request.method", "GET".into()),
        ("request.class", "edge".into()),
        ("response.status", 200.into()),
        ("outcome", "completed".into()),
        ("received.size_bytes", 5.into()),
        ("sent.size_bytes", 7.into()),
        ("printer.id", "p-7".into()),
        ("app_connection.id", "c-9".into()),
        ("caller.address", "203.0.113.0/24".into()),
        ("level", serde_json::Value::from("INFO")),
    ] {
        assert_eq!(written[field], expected, "{field}");
    }
    assert!(written["duration_ms"].is_u64());
    assert!(written.get("failure").is_none() && written.get("request.route").is_none());
    let message = written["message"].as_str().unwrap();
    assert!(
        message.starts_with("GET request (edge) answered 200 in "),
        "{message}"
    );
}

#[tokio::test]
async fn caller_who_leaves_early_is_seen() {
    let log = Captured::default();
    let _guard = log.start(Format::Json);
    let mut body = line()
        .follow(Response::new(chunks(vec![Ok("abc"), Ok("defg")])))
        .into_body();
    body.frame().await.unwrap().unwrap();
    drop(body);
    let written = log.only_line();
    assert_eq!(written["outcome"], "cancelled");
    assert_eq!(written["sent.size_bytes"], 3);
}

#[tokio::test]
async fn answer_that_breaks_off_says_so() {
    let log = Captured::default();
    let _guard = log.start(Format::Json);
    let mut line = line();
    line.set_failure(Side::Tunnel, "closed");
    let broken = chunks(vec![Ok("abc"), Err(io::Error::other(SECRET))]);
    let body = line.follow(Response::new(broken)).into_body();
    assert!(body.collect().await.is_err());
    let written = log.only_line();
    assert_eq!(written["outcome"], "broken");
    assert_eq!(written["failure"], "tunnel.closed");
    assert!(!log.text().contains(SECRET));
}

#[tokio::test]
async fn request_given_up_before_an_answer_has_a_line_too() {
    let log = Captured::default();
    let _guard = log.start(Format::Json);
    drop(line());
    let written = log.only_line();
    assert_eq!(written["outcome"], "cancelled");
    assert!(written.get("response.status").is_none());
}

#[tokio::test]
async fn bodies_nobody_asks_for_are_complete() {
    let log = Captured::default();
    let _guard = log.start(Format::Json);
    drop(line().follow(Response::new(Empty::<Bytes>::new())));
    let head = RequestLine::new("r-2", &Method::HEAD, Class::Page);
    drop(head.follow(Response::new(Full::new(Bytes::from("never sent")))));
    line().finish(Outcome::Completed);
    for written in log.lines() {
        assert_eq!(written["outcome"], "completed", "{written}");
        assert_eq!(written["sent.size_bytes"], 0);
    }
    assert_eq!(log.lines().len(), 3);
}

#[tokio::test]
async fn body_of_known_length_is_complete_with_its_last_byte() {
    let log = Captured::default();
    let _guard = log.start(Format::Json);
    let mut body = line()
        .follow(Response::new(Full::new(Bytes::from("abc"))))
        .into_body();
    body.frame().await.unwrap().unwrap();
    drop(body);
    assert_eq!(log.only_line()["outcome"], "completed");
}

/// Both formats: what the caller sent must not be found, wherever it stood.
#[tokio::test]
async fn planted_secret_is_nowhere_in_the_log() {
    for format in [Format::Json, Format::Human] {
        let log = Captured::default();
        let _guard = log.start(format);
        let answer = |matched: MatchedPath, request: Request<AxumBody>| async move {
            let mut line = RequestLine::new("r-1", request.method(), Class::Api);
            line.set_route(matched);
            let counted = CountedBody::new(request.into_body(), line.received());
            let size = counted.collect().await.unwrap().to_bytes().len();
            line.follow(Response::new(AxumBody::from(format!("{size} bytes"))))
        };
        let answer = move |matched, request| async move {
            answer(matched, request).await.map(AxumBody::new)
        };
        let app = Router::new().route("/api/{name}", post(answer));
        let request = Request::post(format!("/api/{SECRET}?apikey={SECRET}&token={SECRET}"))
            .header("authorization", format!("Bearer {SECRET}"))
            .header("cookie", format!("session={SECRET}"))
            .header("user-agent", SECRET)
            .header("host", format!("{SECRET}.relay.example.net"))
            .body(AxumBody::from(SECRET))
            .unwrap();
        let response = app.oneshot(request).await.unwrap();
        response.into_body().collect().await.unwrap();
        let text = log.text();
        assert!(!text.contains(SECRET), "{text}");
        assert!(
            text.contains("/api/{name}") && text.contains("13"),
            "{text}"
        );
    }
}

#[test]
fn unknown_methods_are_not_written() {
    let log = Captured::default();
    let _guard = log.start(Format::Json);
    let method = Method::from_bytes(SECRET.as_bytes()).unwrap();
    drop(RequestLine::new("r-1", &method, Class::Unknown));
    assert_eq!(log.only_line()["request.method"], "OTHER");
}

#[test]
fn addresses_are_cut_to_their_network() {
    for (address, expected) in [
        ("203.0.113.77", "203.0.113.0/24"),
        ("::ffff:203.0.113.77", "203.0.113.0/24"),
        ("2001:db8:12:3456::1", "2001:db8:12::/48"),
        ("::1", "0:0:0::/48"),
    ] {
        let address: IpAddr = address.parse().unwrap();
        assert_eq!(CallerPrefix::from(address).to_string(), expected);
    }
}

#[test]
fn requests_are_counted_from_beginning_to_end() {
    let metrics = Arc::new(Metrics::new());
    let line = line().metrics(metrics.clone());
    assert!(
        metrics
            .encode()
            .contains(r#"latchkey_requests_in_flight{class="edge"} 1"#)
    );
    drop(line);
    let text = metrics.encode();
    assert!(text.contains(r#"latchkey_requests_in_flight{class="edge"} 0"#));
    assert!(text.contains(r#"latchkey_requests_total{class="edge",status="none"} 1"#));
}
