//! Getting into the server's push socket: what it says to everybody, and the way in with the
//! host's own credential.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use http::Request;
use http::header::CONTENT_TYPE;
use http_body_util::{BodyExt, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use latchkey_net::body::{self, Body};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::filter::{Verdict, judge};
use crate::push::PushUpstream;
use crate::upstream::credentials::X_API_KEY;

/// The largest message of the server that is read.
const LARGEST_MESSAGE: usize = 1024 * 1024;
const LARGEST_LOGIN: usize = 256 * 1024;
const BUFFER: usize = 16 * 1024;
/// How long signing in and opening the socket may take.
const ENTERING: Duration = Duration::from_secs(10);
/// How long a client waits for the server's first message before it gets ours.
const ASKING: Duration = Duration::from_secs(2);
/// How long that message is not asked for again, if there was one and if not.
const FRESH: Duration = Duration::from_mins(1);
const FAILED: Duration = Duration::from_secs(5);

pub(crate) type Socket = WebSocketStream<TcpStream>;

/// The server lets the host in no further, or not at all.
#[derive(Debug)]
pub(crate) struct Unavailable;

/// The push socket of one server.
pub(crate) struct Source {
    upstream: PushUpstream,
    client: Client<HttpConnector, Body>,
    /// The first message, when it was asked for last. Locked while it is asked for, so that
    /// many clients ask once.
    connected: Mutex<Option<(Instant, Option<Value>)>>,
    refused: AtomicBool,
}

#[derive(Deserialize)]
struct Login {
    name: Option<String>,
    session: Option<String>,
}

impl Source {
    pub(crate) fn new(upstream: PushUpstream) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(ENTERING));
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(0)
            .build(connector);
        Self {
            upstream,
            client,
            connected: Mutex::new(None),
            refused: AtomicBool::new(false),
        }
    }

    /// The server's own first message, as it was a minute ago at most.
    pub(in crate::push) async fn connected(&self) -> Option<Value> {
        let mut known = self.connected.lock().await;
        if let Some((when, connected)) = &*known {
            let lasts = if connected.is_some() { FRESH } else { FAILED };
            if when.elapsed() < lasts {
                return connected.clone();
            }
        }
        let asked = timeout(ASKING, self.ask_connected()).await;
        let connected = asked.unwrap_or(None);
        *known = Some((Instant::now(), connected.clone()));
        connected
    }

    async fn ask_connected(&self) -> Option<Value> {
        let mut socket = self.open().await.ok()?;
        let connected = loop {
            if let Message::Text(message) = socket.next().await?.ok()?
                && let Verdict::Connected(connected) = judge(&message)
            {
                break connected;
            }
        };
        let _ = socket.close(None).await;
        Some(connected)
    }

    /// Opens the socket and says who the host is.
    pub(crate) async fn enter(&self) -> Result<Socket, Unavailable> {
        let entering = async {
            let auth = self.sign_in().await?;
            let mut socket = self.open().await?;
            let auth = json!({ "auth": auth }).to_string();
            socket
                .send(Message::text(auth))
                .await
                .map_err(|_| Unavailable)?;
            Ok(socket)
        };
        timeout(ENTERING, entering)
            .await
            .unwrap_or(Err(Unavailable))
    }

    async fn open(&self) -> Result<Socket, Unavailable> {
        let address = &self.upstream.address;
        let stream = TcpStream::connect(address.authority().to_string()).await;
        let stream = stream.map_err(|_| Unavailable)?;
        stream.set_nodelay(true).map_err(|_| Unavailable)?;
        let url = format!(
            "ws://{}{}/sockjs/websocket",
            address.authority(),
            address.base_path()
        );
        let config = WebSocketConfig::default()
            .read_buffer_size(BUFFER)
            .write_buffer_size(0)
            .max_message_size(Some(LARGEST_MESSAGE))
            .max_frame_size(Some(LARGEST_MESSAGE));
        let opened = client_async_with_config(url, stream, Some(config)).await;
        Ok(opened.map_err(|_| Unavailable)?.0)
    }

    /// Signs in with the host's credential: what the socket is to be told.
    async fn sign_in(&self) -> Result<String, Unavailable> {
        let address = &self.upstream.address;
        let url = format!(
            "http://{}{}/api/login",
            address.authority(),
            address.base_path()
        );
        let mut request = Request::post(url)
            .header(CONTENT_TYPE, "application/json")
            .body(body::full(r#"{"passive":true}"#))
            .map_err(|_| Unavailable)?;
        if let Some(credential) = &self.upstream.credential {
            request.headers_mut().insert(X_API_KEY, credential.value());
        }
        let response = self
            .client
            .request(request)
            .await
            .map_err(|_| Unavailable)?;
        let is_success = response.status().is_success();
        let body = Limited::new(response.into_body(), LARGEST_LOGIN);
        let body = body.collect().await.map_err(|_| Unavailable)?.to_bytes();
        let login = serde_json::from_slice(&body).ok().filter(|_| is_success);
        let Some(Login {
            name: Some(name),
            session: Some(session),
        }) = login
        else {
            self.note_refusal(true);
            return Err(Unavailable);
        };
        self.note_refusal(false);
        Ok(format!("{name}:{session}"))
    }

    fn note_refusal(&self, refused: bool) {
        if !self.refused.swap(refused, Ordering::Relaxed) && refused {
            tracing::warn!(
                "the printer's server does not sign the host in with its key; \
                 nothing is heard of the printer over its push socket"
            );
        }
    }
}
