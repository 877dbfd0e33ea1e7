//! One connection, from its first byte to its last.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::header::CONNECTION;
use http::{HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use super::limits::Permit;
use super::socket::CallerSocket;
use super::streams::{self, HandedOut, Streams};
use super::tap::{READ_BUFFER, Tap, Tapped};
use super::{Call, CallerWatch, Handler, ListenSettings, Stop};
use crate::body::{self, Body};
use crate::calm::Calm;
use crate::proxy::pace::{CallerGone, Paced, WatchedBody};
use crate::tls::Exporter;
use crate::{client_addr, gate};

pub(super) struct Connection<H> {
    pub(super) settings: Arc<ListenSettings>,
    pub(super) handler: H,
    pub(super) stop: Stop,
    pub(super) tracker: TaskTracker,
    pub(super) peer: SocketAddr,
}

/// What all requests of one connection share.
#[derive(Clone)]
struct Shared {
    settings: Arc<ListenSettings>,
    peer: SocketAddr,
    secure: bool,
    server_name: Option<String>,
    exporter: Option<Exporter>,
    watch: CallerWatch,
}

impl<H: Handler> Connection<H> {
    pub(super) async fn run(self, stream: TcpStream, place: Permit) {
        super::prepare(&stream);
        let Some(tls) = self.settings.tls.clone() else {
            let Some(http2) = self.in_time(starts_with_h2_preface(&stream)).await else {
                return;
            };
            let socket = CallerSocket::new(stream, place, &self.settings);
            let shared = self.shared(socket.watch(), false);
            return self.serve(socket, http2, shared).await;
        };
        let socket = CallerSocket::new(stream, place, &self.settings);
        let watch = socket.watch();
        let Some(Ok(stream)) = self.in_time(super::accept_tls(&tls, socket)).await else {
            return;
        };
        let (_, session) = stream.get_ref();
        let http2 = session.alpn_protocol() == Some(b"h2");
        let shared = Shared {
            server_name: session.server_name().map(str::to_owned),
            exporter: crate::tls::server_exporter(&stream).ok(),
            ..self.shared(watch, true)
        };
        self.serve(stream, http2, shared).await;
    }

    /// Awaits the first bytes of a connection; nobody is owed an answer before them.
    async fn in_time<F: Future>(&self, start: F) -> Option<F::Output> {
        tokio::select! {
            biased;
            started = timeout(self.settings.handshake_timeout, start) => started.ok(),
            () = self.stop.soft.cancelled() => None,
        }
    }

    fn shared(&self, watch: CallerWatch, secure: bool) -> Shared {
        Shared {
            settings: Arc::clone(&self.settings),
            peer: self.peer,
            secure,
            server_name: None,
            exporter: None,
            watch,
        }
    }

    async fn serve<S>(self, stream: S, http2: bool, shared: Shared)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let outcome = if http2 {
            self.serve_http2(stream, shared).await
        } else {
            self.serve_http1(stream, shared).await
        };
        if let Err(error) = outcome {
            // Callers break connections all the time; that is theirs to do.
            tracing::debug!(%error, "a caller's connection ended early");
        }
    }

    async fn serve_http1<S>(self, stream: S, shared: Shared) -> hyper::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let tap = Tap::default();
        let seen = tap.clone();
        let watch = shared.watch.with_tap(tap.clone());
        let shared = Shared {
            watch: watch.clone(),
            ..shared
        };
        let tapped = Tapped::new(stream, tap.clone(), self.settings.head_timeout);
        let handler = self.handler;
        let service = service_fn(move |request| {
            let answer = answer(handler.clone(), request, shared.clone(), Some(tap.clone()));
            // An error makes hyper close without an answer.
            async move { answer.await.ok_or(CallerGone) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.settings.idle_timeout)
            .half_close(true)
            .max_buf_size(READ_BUFFER)
            .auto_date_header(false)
            .serve_connection(TokioIo::new(tapped), service)
            .with_upgrades();
        let outcome = {
            tokio::pin!(connection);
            tokio::select! {
                outcome = connection.as_mut() => outcome,
                () = self.stop.soft.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            }
        };
        let answered = outcome
            .as_ref()
            .map_or_else(hyper::Error::is_parse, |()| true);
        if answered && seen.is_mid_request() {
            watch.linger().await;
        }
        outcome
    }

    async fn serve_http2<S>(self, stream: S, shared: Shared) -> hyper::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let handler = self.handler;
        // HTTP/2 reads all the time, so hyper itself notices a caller that went away.
        let shared = Shared {
            watch: CallerWatch::never(),
            ..shared
        };
        let service = service_fn(move |request| {
            let answer = answer(handler.clone(), request, shared.clone(), None);
            async move {
                streams::asked();
                let answer = answer.await;
                streams::answered();
                let watched = |body| body::boxed(HandedOut::new(body));
                answer.map(|answer| answer.map(watched)).ok_or(CallerGone)
            }
        });
        let streams = Streams::new(self.tracker, self.settings.write_stall);
        let stream = TokioIo::new(Calm::from_client(stream));
        let connection = http2_builder(streams.clone()).serve_connection(stream, service);
        tokio::pin!(connection);
        tokio::select! {
            outcome = connection.as_mut() => return outcome,
            () = self.stop.soft.cancelled() => {}
            () = streams.idle(self.settings.idle_timeout) => {}
            () = streams.abused() => {}
        }
        connection.as_mut().graceful_shutdown();
        tokio::select! {
            outcome = connection => outcome,
            () = cut_after_goodbye(&streams) => Ok(()),
            // h2 would wait for ever for a window to send the rest of an answer through.
            () = streams.idle(self.settings.write_stall) => Ok(()),
        }
    }
}

/// Completes when a caller that takes back its requests has been told to stop.
async fn cut_after_goodbye(streams: &Streams) {
    streams.abused().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
}

/// HTTP/2 towards callers: enough for a page and some cameras, little for an attacker.
fn http2_builder(streams: Streams) -> http2::Builder<Streams> {
    let mut builder = http2::Builder::new(streams);
    builder
        .timer(TokioTimer::new())
        .enable_connect_protocol()
        .auto_date_header(false)
        .initial_stream_window_size(256 * 1024)
        // Not below streams times stream window: one unread upload must not stop the rest.
        .initial_connection_window_size(32 * 1024 * 1024)
        .max_concurrent_streams(128)
        .max_frame_size(16 * 1024)
        .max_send_buf_size(64 * 1024)
        .max_header_list_size(u32::try_from(gate::MAX_FIELD_BYTES).expect("32 KiB fits"))
        .max_pending_accept_reset_streams(20)
        .max_local_error_reset_streams(100)
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(20));
    builder
}

/// One request of either version, from the gate to the last byte of the answer.
async fn answer<H: Handler>(
    handler: H,
    mut request: Request<Incoming>,
    shared: Shared,
    tap: Option<Tap>,
) -> Option<Response<Body>> {
    let caller = client_addr::resolve(
        shared.peer.ip(),
        shared.secure,
        request.headers(),
        &shared.settings.trusted,
    );
    let passed = match gate::pass(&mut request, tap.as_ref()) {
        Ok(passed) => passed,
        Err(rejection) => return Some(closing(handler.refuse(rejection), tap.is_some())),
    };
    let request = request.map(|incoming| {
        body::boxed(Paced::new(
            incoming,
            shared.settings.body_stall,
            tap.clone(),
        ))
    });
    let watch = shared.watch.clone();
    let call = Call {
        peer: shared.peer,
        caller,
        authority: passed.authority,
        server_name: shared.server_name,
        websocket: passed.websocket,
        tunnel: passed.tunnel,
        watch: watch.clone(),
        exporter: shared.exporter,
    };
    let mut response = tokio::select! {
        response = handler.handle(request, call) => response,
        () = watch.gone() => return None,
    };
    let Some(tap) = tap else {
        return Some(response);
    };
    name_unusual_status(&mut response);
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        tap.upgraded();
        return Some(response);
    }
    let response = response.map(|body| body::boxed(WatchedBody::new(body, watch)));
    Some(closing(response, tap.is_body_lost()))
}

/// hyper would write `<none>` after a status that has no registered phrase.
fn name_unusual_status(response: &mut Response<Body>) {
    if response.status().canonical_reason().is_none() {
        let empty = hyper::ext::ReasonPhrase::from_static(b"");
        response.extensions_mut().insert(empty);
    }
}

/// Has hyper close an HTTP/1 connection after this answer. HTTP/2 frames requests
/// beyond doubt, so one bad request says nothing about its neighbours.
fn closing(mut response: Response<Body>, close: bool) -> Response<Body> {
    if close {
        response
            .headers_mut()
            .insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Whether a plain connection speaks HTTP/2 from the start (RFC 9113 section 3.4).
async fn starts_with_h2_preface(stream: &TcpStream) -> bool {
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let mut start = [0; PREFACE.len()];
    for pause in pauses() {
        let seen = match stream.peek(&mut start).await {
            // hyper will find the same end or error and deal with it.
            Ok(0) | Err(_) => return false,
            Ok(count) => &start[..count],
        };
        if !PREFACE.starts_with(seen) {
            return false;
        }
        if seen.len() == PREFACE.len() {
            return true;
        }
        // The rest is under way; the socket stays readable, so there is nothing to await.
        tokio::time::sleep(pause).await;
    }
    false
}

/// How long to wait for the rest of a preface, time after time: it comes at once, or
/// from somebody who only keeps us looking.
fn pauses() -> impl Iterator<Item = Duration> {
    let longest = Duration::from_millis(250);
    std::iter::successors(Some(Duration::from_millis(5)), move |pause| {
        Some((*pause * 2).min(longest))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_preface_is_looked_at_quickly_at_first_and_seldom_later() {
        let first: Vec<_> = pauses().take(3).map(|pause| pause.as_millis()).collect();
        assert_eq!(first, [5, 10, 20]);
        let patience = ListenSettings::default().handshake_timeout;
        let mut waited = Duration::ZERO;
        let looks = pauses().take_while(|pause| {
            waited += *pause;
            waited < patience
        });
        assert!(looks.count() < 50);
    }
}
