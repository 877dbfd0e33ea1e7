//! Questions of the host itself to the printer's server.

use std::time::Duration;

use http::{HeaderValue, Method, Request, Response, StatusCode, Uri};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use latchkey_net::body::{self, Body};
use serde_json::Value;
use tokio::time::timeout;

use crate::config::{Config, Credential, UpstreamAddress};
use crate::upstream::credentials::X_API_KEY;

/// How long an answer may take, from the question to its last byte.
const PATIENCE: Duration = Duration::from_secs(10);
/// Settings are the longest: plugins fill them.
const LONGEST: usize = 4 * 1024 * 1024;

/// The server does not answer, or nothing that could be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unreachable;

/// Asks the printer's server, with the host's own key if it has one.
#[derive(Clone)]
pub(super) struct Asking {
    client: Client<HttpConnector, Body>,
    address: UpstreamAddress,
    credential: Option<Credential>,
}

impl Asking {
    pub(super) fn new(config: &Config) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(config.timeouts.connect));
        let client = Client::builder(TokioExecutor::new())
            // A connection that the server may close just as it is used would look like a server
            // that is gone.
            .pool_max_idle_per_host(0)
            .build(connector);
        Self {
            client,
            address: config.upstream.address.clone(),
            credential: config.upstream.credential.clone(),
        }
    }

    pub(super) fn address(&self) -> &UpstreamAddress {
        &self.address
    }

    /// The host's key as a field.
    pub(super) fn credential(&self) -> Option<HeaderValue> {
        self.credential.as_ref().map(Credential::value)
    }

    /// What the server answers, if it is JSON; its status alone otherwise.
    pub(super) async fn json(&self, path: &str) -> Result<(StatusCode, Value), Unreachable> {
        let asking = async {
            let response = self.get(&self.uri(path)?, true).await?;
            let status = response.status();
            let whole = body::read_up_to(LONGEST, body::boxed(response.into_body()));
            let whole = whole.await.map_err(|_| Unreachable)?;
            let value = serde_json::from_slice(&whole).unwrap_or(Value::Null);
            Ok((status, value))
        };
        timeout(PATIENCE, asking).await.unwrap_or(Err(Unreachable))
    }

    /// The same, if the answer is 200 and JSON.
    pub(super) async fn json_of(&self, path: &str) -> Option<Value> {
        let (status, value) = self.json(path).await.ok()?;
        (status == StatusCode::OK && !value.is_null()).then_some(value)
    }

    /// The address of a path at the printer's server.
    pub(super) fn uri(&self, path: &str) -> Result<Uri, Unreachable> {
        uri(&self.address, path).ok_or(Unreachable)
    }

    /// Asks any server that is configured. The key is for the printer's own.
    pub(super) async fn get(
        &self,
        uri: &Uri,
        with_key: bool,
    ) -> Result<Response<Incoming>, Unreachable> {
        let mut request = Request::new(body::empty());
        *request.method_mut() = Method::GET;
        *request.uri_mut() = uri.clone();
        if let (true, Some(key)) = (with_key, self.credential()) {
            request.headers_mut().insert(X_API_KEY, key);
        }
        self.client.request(request).await.map_err(|_| Unreachable)
    }
}

/// The address of a path at a server.
pub(super) fn uri(address: &UpstreamAddress, path: &str) -> Option<Uri> {
    Uri::builder()
        .scheme("http")
        .authority(address.authority().to_string())
        .path_and_query(format!("{}{path}", address.base_path()))
        .build()
        .ok()
}
