//! Ways to the printer's server past the host's own routes and past the levels of keys.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

use super::*;
use crate::config::{UpstreamAddress, UpstreamKind};

/// A printer's server that notes the first line of all it is sent.
struct Server {
    address: UpstreamAddress,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let heard = Arc::<Mutex<Vec<String>>>::default();
        let noting = Arc::clone(&heard);
        TaskTracker::new().spawn(async move {
            loop {
                let (mut socket, _) = listener.accept().await.unwrap();
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    match socket.read_u8().await {
                        Ok(byte) => head.push(byte),
                        Err(_) => break,
                    }
                }
                let head = String::from_utf8_lossy(&head).into_owned();
                let line = head.lines().next().unwrap_or_default().to_owned();
                noting.lock().unwrap().push(line);
                let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";
                let _ = socket.write_all(answer.as_bytes()).await;
                let _ = socket.shutdown().await;
            }
        });
        Self {
            address: UpstreamAddress::from_url(&url.parse().unwrap()).unwrap(),
            heard,
        }
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.heard.lock().unwrap())
    }
}

async fn before(server: &Server) -> Bench {
    let mut config = config();
    config.upstream.kind = UpstreamKind::OctoPrint;
    config.upstream.address = server.address.clone();
    let bench = Bench::empty(config).await;
    populate(&bench).await;
    bench
}

/// All the ways to write a path that some server might read as the path.
fn spellings(path: &str) -> Vec<String> {
    let inner = &path[1..];
    let (first, rest) = inner.split_once('/').unwrap_or((inner, ""));
    let rest = if rest.is_empty() {
        String::new()
    } else {
        format!("/{rest}")
    };
    let encoded = |text: &str| format!("%{:02X}{}", text.as_bytes()[0], &text[1..]);
    let lower = |text: &str| format!("%{:02x}{}", text.as_bytes()[0], &text[1..]);
    let last = path.rsplit('/').next().unwrap();
    let parent = &path[..path.len() - last.len()];
    let upper = path.to_uppercase();
    vec![
        path.to_owned(),
        format!("{path}/"),
        format!("{path}//"),
        format!("{path}/."),
        format!("{path}/x/.."),
        format!("{path}%2F"),
        format!("{path}%20"),
        format!("{path}%00"),
        format!("{path}%09"),
        format!("{path}%0a"),
        format!("{path};"),
        format!("{path};x=1"),
        format!("{path}%3Bx"),
        format!("{path}%3F"),
        format!("{path}%23"),
        format!("/{inner}?apikey=x"),
        format!("//{inner}"),
        format!("///{inner}"),
        format!("//x/{inner}"),
        format!("//x//{inner}"),
        format!("/./{inner}"),
        format!("/x/../{inner}"),
        format!("/x/%2e%2e/{inner}"),
        format!("/x/%2E./{inner}"),
        format!("/x/..%2f{inner}"),
        format!("/x%2f..%2f{inner}"),
        format!("/x/..;/{inner}"),
        format!("/static/../{inner}"),
        format!("/static/..%5c{inner}"),
        format!("/webcam/../{inner}"),
        format!("/webcam/%2e%2e/{inner}"),
        format!("/downloads/files/..%2f..%2f{inner}"),
        format!("/%2f{inner}"),
        format!("/%5c{inner}"),
        format!("/{}{rest}", encoded(first)),
        format!("/{}{rest}", lower(first)),
        format!("/%25{:02x}{}", first.as_bytes()[0], &path[2..]),
        format!("/%2525{:02x}{}", first.as_bytes()[0], &path[2..]),
        format!("{parent}{}", encoded(last)),
        format!("{parent}%25{:02x}{}", last.as_bytes()[0], &last[1..]),
        format!("/{}", inner.replace('/', "%2F")),
        format!("/{}", inner.replace('/', "%2f")),
        format!("/{}", inner.replace('/', "%252f")),
        format!("/{}", inner.replace('/', "//")),
        format!("/{}", inner.replace('/', "/./")),
        format!("/{}", inner.replace('/', ";x/")),
        format!("/{}", inner.replace('/', "%5c")),
        format!("/{}", inner.replace('/', "%20/")),
        upper.clone(),
        format!("/{}{}", first.to_uppercase(), &path[1 + first.len()..]),
        format!("/{upper}"),
        format!("{parent}{last}%C0%AE"),
    ]
}

/// What only the host answers, and what only administrators may have.
const FORBIDDEN: [(&str, &str); 13] = [
    ("POST", "/api/login"),
    ("GET", "/api/login"),
    ("POST", "/api/logout"),
    ("GET", "/api/currentuser"),
    ("GET", "/api/plugin/appkeys"),
    ("POST", "/api/plugin/appkeys"),
    ("POST", "/plugin/appkeys/request"),
    ("POST", "/plugin/appkeys/decision/token"),
    ("GET", "/plugin/appkeys/auth/token"),
    ("GET", "/api/access/users"),
    ("POST", "/api/access/users"),
    ("POST", "/api/settings"),
    ("GET", "/api/settings/apikey"),
];

#[tokio::test]
async fn no_spelling_of_a_path_that_is_not_theirs_gets_a_key_to_the_printers_server() {
    let server = Server::start().await;
    let bench = before(&server).await;
    let (mut tried, mut wrong) = (0, Vec::new());
    for who in [Who::BobsViewKey, Who::BobsFullKey, Who::Bob, Who::Guest] {
        for (method, path) in FORBIDDEN {
            for spelling in spellings(path) {
                if spelling.parse::<http::Uri>().is_err() {
                    continue;
                }
                let mut caller = Caller::new(&bench, who).await;
                // Fresh each time, so that no sign-out ends the next try.
                let body = Sent::Json(r#"{"passive":true}"#);
                let sent = caller.send(method, &spelling, body);
                let answered = tokio::time::timeout(Duration::from_secs(5), sent).await;
                let reply = answered.unwrap_or_else(|_| panic!("{spelling} is not answered"));
                let heard = server.take();
                let what = format!("{who:?} {method} {spelling}: {}", reply.status);
                if !harmless(&heard, path) {
                    wrong.push(format!("{what}: {heard:?}"));
                }
                tried += 1;
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(tried > 2_000, "{tried}");
    let mut app = Caller::new(&bench, Who::BobsViewKey).await;
    let allowed = app.send("GET", "/api/version", Sent::Nothing).await;
    assert_eq!(allowed.status, StatusCode::OK);
    assert_eq!(
        server.take(),
        ["GET /api/version HTTP/1.1"],
        "the server hears at all"
    );
}

/// Nothing came, or something that no server can read as the path.
fn harmless(heard: &[String], path: &str) -> bool {
    let last = path.rsplit('/').next().unwrap();
    heard.iter().all(|line| {
        let target = line.split(' ').nth(1).unwrap_or_default();
        let plain = percent_encoding::percent_decode_str(target).decode_utf8_lossy();
        let twice = percent_encoding::percent_decode_str(&plain).decode_utf8_lossy();
        !twice.to_lowercase().contains(last)
    })
}
