//! Sending a request through a host's connections: through another one if the first did not take
//! it, and once more if it broke and the request only asks.

use std::time::Duration;

use http::{Request, Response};
use latchkey_model::id::HostId;
use latchkey_net::body::Body;
use latchkey_net::proxy::endless::is_webcam;
use latchkey_net::proxy::splice::Counts;
use latchkey_net::tunnel::{ActiveStream, SendError, StreamHead, Tunnel};

use super::Tunnels;
use super::placement::{self, Kind};

/// How often it is looked what a socket has moved: nobody sees its bytes but who copies them.
const LOOK: Duration = Duration::from_secs(5);

/// Why a request has no answer.
#[derive(Debug)]
pub(crate) enum NoAnswer {
    /// No connection is there that takes it.
    NotConnected,
    /// Each carries as many streams as it may.
    Full,
    /// It failed in this one.
    Failed(Tunnel, SendError),
}

impl Tunnels {
    /// Sends a request through the connection that is best for it.
    pub(crate) async fn send(
        &self,
        host: &HostId,
        mut request: Request<Body>,
        head: &StreamHead,
    ) -> Result<Response<Body>, NoAnswer> {
        let path = request.uri().path().to_owned();
        let kind = self.kind_of(host, &request);
        let mut tried: Vec<Tunnel> = Vec::new();
        let mut is_second = false;
        let mut outcome = NoAnswer::NotConnected;
        loop {
            let Some(tunnel) = self.place(host, kind, &tried) else {
                return Err(outcome);
            };
            (request, outcome) = match tunnel.send(request, head).await {
                Ok(response) => return Ok(self.weigh(host, &path, response)),
                Err(SendError::NotSent(request)) => (*request, NoAnswer::NotConnected),
                Err(SendError::Full(request)) => (*request, NoAnswer::Full),
                Err(SendError::Broken(request, error)) if !is_second => {
                    tracing::debug!(tunnel.id = tunnel.id(), %error, "a request is sent again");
                    is_second = true;
                    (*request, NoAnswer::NotConnected)
                }
                Err(error) => return Err(NoAnswer::Failed(tunnel, error)),
            };
            tried.push(tunnel);
        }
    }

    fn kind_of(&self, host: &HostId, request: &Request<Body>) -> Kind {
        let known = || {
            let registry = self.registry();
            let here = registry.live.get(host);
            here.is_some_and(|here| here.pictures.has(request.uri().path()))
        };
        if placement::is_large_upload(request) || known() {
            Kind::Bulk
        } else {
            Kind::Small
        }
    }

    /// Counts a picture that runs as heavy from its first byte on.
    fn weigh(&self, host: &HostId, path: &str, response: Response<Body>) -> Response<Body> {
        if is_webcam(response.headers()) {
            if let Some(stream) = response.extensions().get::<ActiveStream>() {
                stream.note_heavy();
            }
            if let Some(here) = self.registry().live.get_mut(host) {
                here.pictures.note(path);
            }
        }
        response
    }
}

/// Weighs a socket's stream while its bytes are copied.
pub(crate) async fn weighed<T>(
    stream: Option<ActiveStream>,
    counts: &Counts,
    copying: impl Future<Output = T>,
) -> T {
    let mut copying = std::pin::pin!(copying);
    let mut before = 0;
    loop {
        if let Ok(done) = tokio::time::timeout(LOOK, copying.as_mut()).await {
            return done;
        }
        let copied = counts.now();
        let moved = copied.from_caller + copied.to_caller;
        if let Some(stream) = &stream {
            stream.note_moved(moved - before);
        }
        before = moved;
    }
}
