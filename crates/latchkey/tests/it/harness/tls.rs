//! A caller that comes over TLS, as apps do in the field, with HTTP/1.1 or HTTP/2 as negotiated.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, Version};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use latchkey_net::tls::tunnel_client_config;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::http::Response as Whole;
use super::within;

pub(crate) type UpgradedSocket = WebSocketStream<TokioIo<hyper::upgrade::Upgraded>>;

/// One TLS connection to loopback.
pub(crate) enum TlsCaller {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

impl TlsCaller {
    /// Connects as to `name`, believing the CA in `ca`, and speaks `version`.
    pub(crate) async fn connect(name: &str, port: u16, ca: &Path, version: Version) -> Self {
        let alpn = if version == Version::HTTP_2 {
            "h2"
        } else {
            "http/1.1"
        };
        let stream = handshake(name, port, ca, alpn).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(alpn.as_bytes()));
        let io = TokioIo::new(stream);
        if version == Version::HTTP_2 {
            let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
            tokio::spawn(connection);
            Self::Http2(sender)
        } else {
            let (sender, connection) = http1::handshake(io).await.unwrap();
            tokio::spawn(connection.with_upgrades());
            Self::Http1(sender)
        }
    }

    /// Sends a request whose URI is absolute.
    pub(crate) async fn send(&mut self, request: Request<Bytes>) -> Whole {
        let (head, body) = self.begin(request).await.into_parts();
        let body = within("the body", body.collect()).await.unwrap().to_bytes();
        Whole {
            status: head.status,
            headers: head.headers,
            body,
        }
    }

    /// Sends a request, and leaves the answer's body to be read.
    pub(crate) async fn begin(
        &mut self,
        request: Request<Bytes>,
    ) -> Response<hyper::body::Incoming> {
        let mut request = request.map(Full::new);
        let what = format!("{} {}", request.method(), request.uri());
        let answer = match self {
            Self::Http2(sender) => within(&what, sender.send_request(request)).await,
            Self::Http1(sender) => {
                let uri = request.uri().clone();
                let host = uri.authority().unwrap().as_str().parse().unwrap();
                request.headers_mut().insert("host", host);
                *request.uri_mut() = uri.path_and_query().unwrap().as_str().parse().unwrap();
                within(&what, sender.send_request(request)).await
            }
        };
        answer.unwrap_or_else(|error| panic!("{what}: {error:?}"))
    }

    /// Opens a WebSocket: by upgrade, or by extended CONNECT over HTTP/2.
    pub(crate) async fn websocket(&mut self, mut request: Request<Bytes>) -> UpgradedSocket {
        let headers = request.headers_mut();
        headers.insert("sec-websocket-version", "13".parse().unwrap());
        let expected = match self {
            Self::Http1(_) => {
                headers.insert("connection", "Upgrade".parse().unwrap());
                headers.insert("upgrade", "websocket".parse().unwrap());
                headers.insert(
                    "sec-websocket-key",
                    "dGhlIHNhbXBsZSBub25jZQ==".parse().unwrap(),
                );
                101
            }
            Self::Http2(_) => {
                *request.method_mut() = http::Method::CONNECT;
                let protocol = hyper::ext::Protocol::from_static("websocket");
                request.extensions_mut().insert(protocol);
                200
            }
        };
        let response = self.begin(request).await;
        assert_eq!(response.status().as_u16(), expected, "{response:?}");
        let upgraded = within("the upgrade", hyper::upgrade::on(response))
            .await
            .unwrap();
        WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Client, None).await
    }
}

/// The certificate that a caller is shown who connects as to `name`.
pub(crate) async fn certificate_shown(name: &str, port: u16, ca: &Path) -> Vec<u8> {
    let stream = handshake(name, port, ca, "http/1.1").await.unwrap();
    let (_, session) = stream.get_ref();
    session.peer_certificates().unwrap()[0].to_vec()
}

/// A TLS connection and nothing on it yet.
pub(crate) async fn handshake(
    name: &str,
    port: u16,
    ca: &Path,
    alpn: &str,
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut config = (*tunnel_client_config(Some(ca)).unwrap()).clone();
    config.alpn_protocols = vec![alpn.as_bytes().to_vec()];
    let tcp = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    let name = name.to_owned().try_into().unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    within("the TLS handshake", connector.connect(name, tcp)).await
}
