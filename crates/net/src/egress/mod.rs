//! Calls to addresses that people or apps name: the one way out.
//!
//! Responsible for whom such a call may reach. A name is resolved once and only the addresses
//! that were looked at are connected to, so a name server that answers otherwise the next moment
//! leads nowhere. No redirect is followed. Of an answer nothing but its status is taken, unless the
//! operator named who is called.

mod address;
mod named;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::header::{ACCEPT, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper_util::rt::TokioIo;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use url::{Host, Position, Url};

use crate::body::{self, read_up_to};
use crate::resolve;
use crate::tls::{self, TlsError};

pub use self::named::Named;

/// How we name ourselves: which version it is is nobody's business.
const NAME: &str = "Latchkey";

/// Longest head of an answer. A longer one is no answer.
const LONGEST_HEAD: usize = 16 * 1024;

/// Longest address that may be named.
pub const LONGEST_URL: usize = 2048;

/// Whom calls may reach beyond the open internet.
#[derive(Debug, Clone, Default)]
pub struct EgressRules {
    /// Networks whose addresses may be reached although they are not the open internet's.
    pub allow_networks: Vec<IpNet>,
    /// Whether plain HTTP will do.
    pub allow_http: bool,
}

impl EgressRules {
    /// For whom the operator named: anywhere, by TLS.
    pub fn anywhere() -> Self {
        let all: [IpNet; 2] = [Ipv4Net::default().into(), Ipv6Net::default().into()];
        Self {
            allow_networks: all.to_vec(),
            allow_http: false,
        }
    }
}

/// Why there was no answer. Says nothing of what is behind an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EgressError {
    /// The URL is none that may be called.
    #[error("the address may not be called")]
    Refused,
    /// The name leads to no address that may be reached.
    #[error("the address is not in the open internet")]
    Closed,
    /// The name has no address.
    #[error("the name has no address")]
    Unknown,
    /// Nobody took the connection, or it broke off.
    #[error("the connection failed")]
    Connection,
    /// The certificate is none that we believe.
    #[error("the certificate is not good")]
    Certificate,
    /// It took too long.
    #[error("there was no answer in time")]
    TimedOut,
}

impl EgressError {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Refused,
        Self::Closed,
        Self::Unknown,
        Self::Connection,
        Self::Certificate,
        Self::TimedOut,
    ];

    /// The stable word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused_address",
            Self::Closed => "closed_network",
            Self::Unknown => "unknown_name",
            Self::Connection => "connection_failed",
            Self::Certificate => "bad_certificate",
            Self::TimedOut => "timed_out",
        }
    }
}

/// What is wrong with a URL, whatever its name leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// No URL, or one without a host, or too long.
    #[error("needs to be an absolute URL of at most 2048 characters")]
    Form,
    /// Not by HTTPS.
    #[error("needs to begin with https://")]
    Scheme,
    /// With a user name or password: whoever sees the URL has them.
    #[error("must not have a user name or password in it")]
    UserInfo,
    /// A port that belongs to something else.
    #[error("needs port 443, or one from 1024 on")]
    Port,
    /// An address that is not the open internet's.
    #[error("needs an address in the open internet")]
    Closed,
}

/// Who tells the addresses of a name.
pub trait Resolver: Send + Sync {
    /// The addresses of a name, as they are now.
    fn resolve(&self, name: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>>;
}

/// Asks the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

impl Resolver for SystemResolver {
    fn resolve(&self, name: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            let found = resolve::addresses(&Host::Domain(name), 0).await?;
            Ok(found.into_iter().map(|address| address.ip()).collect())
        })
    }
}

/// Calls what people or apps named. Clones share it.
#[derive(Clone)]
pub struct Egress(Arc<Shared>);

struct Shared {
    rules: EgressRules,
    tls: TlsConnector,
    resolver: Box<dyn Resolver>,
}

impl fmt::Debug for Egress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Egress").field(&self.0.rules).finish()
    }
}

impl Egress {
    /// Believes public certificates, and those in `ca` beside them.
    pub fn new(rules: EgressRules, ca: Option<&Path>) -> Result<Self, TlsError> {
        Self::with_resolver(rules, ca, Box::new(SystemResolver))
    }

    /// The same with another who tells addresses.
    pub fn with_resolver(
        rules: EgressRules,
        ca: Option<&Path>,
        resolver: Box<dyn Resolver>,
    ) -> Result<Self, TlsError> {
        let tls = TlsConnector::from(tls::http_client_config(ca)?);
        Ok(Self(Arc::new(Shared {
            rules,
            tls,
            resolver,
        })))
    }

    /// Reads a URL that somebody wants to be called. What its name leads to is looked at by each
    /// call.
    pub fn read(&self, text: &str) -> Result<Named, UrlError> {
        if text.len() > LONGEST_URL {
            return Err(UrlError::Form);
        }
        let named = Named::parse(text).ok_or(UrlError::Form)?;
        self.check(&named.url)?;
        Ok(named)
    }

    fn check(&self, url: &Url) -> Result<(Host<String>, u16), UrlError> {
        let rules = &self.0.rules;
        let usual = match url.scheme() {
            "https" => 443,
            "http" if rules.allow_http => 80,
            _ => return Err(UrlError::Scheme),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(UrlError::UserInfo);
        }
        let host = url.host().ok_or(UrlError::Form)?.to_owned();
        let port = url.port().unwrap_or(usual);
        if port != usual && port < 1024 {
            return Err(UrlError::Port);
        }
        let literal = match &host {
            Host::Ipv4(ip) => Some(IpAddr::from(*ip)),
            Host::Ipv6(ip) => Some(IpAddr::from(*ip)),
            Host::Domain(_) => None,
        };
        if literal.is_some_and(|ip| !address::may_be_reached(ip, &rules.allow_networks)) {
            return Err(UrlError::Closed);
        }
        Ok((host, port))
    }

    /// Sends JSON to a URL, and says with which status it was answered. Dropped, it ends at once.
    pub async fn post_json(
        &self,
        named: &Named,
        body: Bytes,
        within: Duration,
    ) -> Result<StatusCode, EgressError> {
        let called = timeout(within, self.call(named, json(body)?, None));
        let answer = called.await.unwrap_or(Err(EgressError::TimedOut))?;
        Ok(answer.status())
    }

    /// Sends a request to its URL, and takes the whole answer if its body has `most` bytes at
    /// most. Dropped, it ends at once.
    ///
    /// For whom the operator named: what people or apps named could be made to show us what it is.
    pub async fn send(
        &self,
        request: Request<Bytes>,
        most: usize,
        within: Duration,
    ) -> Result<Response<Bytes>, EgressError> {
        let named = self.read(&request.uri().to_string());
        let named = named.map_err(|_| EgressError::Refused)?;
        let called = timeout(within, self.call(&named, request, Some(most)));
        called.await.unwrap_or(Err(EgressError::TimedOut))
    }

    /// Calls a URL. The body of the answer is read if there is a number of bytes it may have.
    async fn call(
        &self,
        named: &Named,
        request: Request<Bytes>,
        most: Option<usize>,
    ) -> Result<Response<Bytes>, EgressError> {
        let url = &named.url;
        let (host, port) = self.check(url).map_err(|_| EgressError::Refused)?;
        let addresses = self.addresses(&host).await?;
        let request = addressed(named, request)?;
        let socket = connect(&addresses, port).await?;
        if url.scheme() == "http" {
            return ask(socket, request, most).await;
        }
        let name = tls::server_name(&host).ok_or(EgressError::Refused)?;
        let secured = self.0.tls.connect(name, socket).await;
        let secured = secured.map_err(|error| match tls::certificate_error(&error) {
            Some(_) => EgressError::Certificate,
            None => EgressError::Connection,
        })?;
        ask(secured, request, most).await
    }

    /// The addresses of a host that may be reached.
    async fn addresses(&self, host: &Host<String>) -> Result<Vec<IpAddr>, EgressError> {
        let found = match host {
            Host::Ipv4(ip) => vec![IpAddr::from(*ip)],
            Host::Ipv6(ip) => vec![IpAddr::from(*ip)],
            Host::Domain(name) => {
                let found = self.0.resolver.resolve(name.clone()).await;
                found.map_err(|_| EgressError::Unknown)?
            }
        };
        if found.is_empty() {
            return Err(EgressError::Unknown);
        }
        let allowed = &self.0.rules.allow_networks;
        let mut open = found;
        open.retain(|address| address::may_be_reached(*address, allowed));
        if open.is_empty() {
            return Err(EgressError::Closed);
        }
        Ok(open)
    }
}

/// The first of these addresses that takes the connection. The caller bounds the time.
async fn connect(addresses: &[IpAddr], port: u16) -> Result<TcpStream, EgressError> {
    /// One silent address must not use up the time of the others.
    const EACH: Duration = Duration::from_secs(3);
    for address in addresses {
        let connecting = TcpStream::connect(SocketAddr::new(*address, port));
        if let Ok(Ok(socket)) = timeout(EACH, connecting).await {
            return Ok(socket);
        }
    }
    Err(EgressError::Connection)
}

fn json(body: Bytes) -> Result<Request<Bytes>, EgressError> {
    Request::builder()
        .method(Method::POST)
        .header(ACCEPT, HeaderValue::from_static("*/*"))
        .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
        .header(CONTENT_LENGTH, body.len())
        .body(body)
        .map_err(|_| EgressError::Refused)
}

/// The request as it goes over the wire: whom it is for stands in `Host`, and we name ourselves.
fn addressed(named: &Named, request: Request<Bytes>) -> Result<Request<Full<Bytes>>, EgressError> {
    let authority = &named.url[Position::BeforeHost..Position::AfterPort];
    let (mut head, body) = request.into_parts();
    head.uri = named.target().ok_or(EgressError::Refused)?.into();
    let authority = HeaderValue::from_str(authority).map_err(|_| EgressError::Refused)?;
    for (name, value) in [
        (HOST, authority),
        (USER_AGENT, HeaderValue::from_static(NAME)),
        (CONNECTION, HeaderValue::from_static("close")),
    ] {
        head.headers.insert(name, value);
    }
    Ok(Request::from_parts(head, Full::new(body)))
}

async fn ask<IO>(
    io: IO,
    request: Request<Full<Bytes>>,
    most: Option<usize>,
) -> Result<Response<Bytes>, EgressError>
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let handshake = hyper::client::conn::http1::Builder::new()
        .max_buf_size(LONGEST_HEAD)
        .handshake(TokioIo::new(io));
    let (mut sender, connection) = handshake.await.map_err(|_| EgressError::Connection)?;
    let mut connection = std::pin::pin!(connection);
    let exchange = async {
        let answer = sender.send_request(request).await;
        let (head, body) = answer.map_err(|_| EgressError::Connection)?.into_parts();
        let body = match most {
            Some(most) => read_up_to(most, body::boxed(body)).await,
            None => Ok(Bytes::new()),
        };
        let body = body.map_err(|_| EgressError::Connection)?;
        Ok::<_, EgressError>(Response::from_parts(head, body))
    };
    let mut exchange = std::pin::pin!(exchange);
    // No task of its own: dropped with the call, the connection goes too.
    tokio::select! {
        answer = &mut exchange => answer,
        // It ended: whatever it left for the answer is there now, an error at least.
        _ = &mut connection => exchange.await,
    }
}
