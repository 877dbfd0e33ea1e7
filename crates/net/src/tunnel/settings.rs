//! The numbers of a tunnel, and the HTTP/2 builders made from them.
//!
//! The defaults were measured; `docs/protocol/tunnel.md` says why each one is what it is.

use std::time::Duration;

use hyper_util::rt::TokioTimer;
use tokio_util::task::TaskTracker;

use crate::executor::OnTracker;

/// Control streams the relay may open beside a full set of forwarded ones.
const CONTROL_STREAMS: u32 = 8;

/// The numbers of a tunnel. Both ends should use the defaults.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Unread bytes one stream may hold.
    pub stream_window: u32,
    /// Unread bytes all streams together may hold; at least streams × stream window,
    /// else one stalled viewer stops everybody else's requests.
    pub connection_window: u32,
    /// Forwarded streams at a time.
    pub max_streams: u32,
    /// Largest HTTP/2 frame; larger ones delay small requests on slow links.
    pub max_frame: u32,
    /// Bytes one stream may have written and not yet sent.
    pub send_buffer: usize,
    /// Bytes of fields in one request or response.
    pub header_list: u32,
    /// Silence after which a PING goes out.
    pub ping_interval: Duration,
    /// Wait for its answer. Interval and timeout together are the time to notice death.
    pub ping_timeout: Duration,
    /// Time for a hello, from the first byte to the answer.
    pub hello_deadline: Duration,
    /// Time for the answer to any other control request.
    pub control_deadline: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            stream_window: 256 * 1024,
            connection_window: 64 * 1024 * 1024,
            max_streams: 256,
            max_frame: 16 * 1024,
            send_buffer: 64 * 1024,
            header_list: 64 * 1024,
            ping_interval: Duration::from_secs(5),
            ping_timeout: Duration::from_secs(10),
            hello_deadline: Duration::from_secs(10),
            control_deadline: Duration::from_secs(10),
        }
    }
}

impl Settings {
    /// Silence after which a tunnel is dead.
    pub(super) fn dead_after(&self) -> Duration {
        self.ping_interval + self.ping_timeout
    }

    /// The relay's side: it opens the streams.
    pub(super) fn client(
        &self,
        tracker: &TaskTracker,
    ) -> hyper::client::conn::http2::Builder<OnTracker> {
        let mut builder = hyper::client::conn::http2::Builder::new(OnTracker(tracker.clone()));
        builder
            .timer(TokioTimer::new())
            .adaptive_window(false)
            .initial_stream_window_size(self.stream_window)
            .initial_connection_window_size(self.connection_window)
            .initial_max_send_streams((self.max_streams + CONTROL_STREAMS) as usize)
            .max_frame_size(self.max_frame)
            .max_header_list_size(self.header_list)
            .max_send_buf_size(self.send_buffer)
            .keep_alive_interval(self.ping_interval)
            .keep_alive_timeout(self.ping_timeout)
            .keep_alive_while_idle(true)
            // h2 forgets a stream it reset after one second by default and then counts
            // every frame still in flight for it against the budget below: on a slow
            // uplink a few dozen closed webcam views would end the tunnel.
            .reset_stream_duration(self.dead_after() * 2)
            .max_concurrent_reset_streams(4 * self.max_streams as usize)
            .max_local_error_reset_streams(1024)
            .max_pending_accept_reset_streams(self.max_streams as usize)
            // The host opens no streams; push is off in hyper.
            .max_concurrent_streams(0);
        builder
    }

    /// The host's side: it answers them.
    pub(super) fn server(
        &self,
        tracker: &TaskTracker,
    ) -> hyper::server::conn::http2::Builder<OnTracker> {
        let mut builder = hyper::server::conn::http2::Builder::new(OnTracker(tracker.clone()));
        builder
            .timer(TokioTimer::new())
            .adaptive_window(false)
            .initial_stream_window_size(self.stream_window)
            .initial_connection_window_size(self.connection_window)
            .max_concurrent_streams(self.max_streams + CONTROL_STREAMS)
            .max_frame_size(self.max_frame)
            .max_header_list_size(self.header_list)
            .max_send_buf_size(self.send_buffer)
            .keep_alive_interval(self.ping_interval)
            .keep_alive_timeout(self.ping_timeout)
            .auto_date_header(false)
            .enable_connect_protocol()
            // A page that navigates away cancels all its requests in one burst.
            .max_pending_accept_reset_streams(self.max_streams as usize)
            // Counted over the tunnel's whole life, and hyper offers no way to remember
            // reset streams for longer here; see `client`. An upload refused early
            // costs up to sixteen.
            .max_local_error_reset_streams(16 * 1024);
        builder
    }
}
