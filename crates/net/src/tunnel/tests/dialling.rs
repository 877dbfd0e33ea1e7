//! The dialler: schedule, sentences, moving, stopping.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use super::super::backoff::{Backoff, SeededJitter};
use super::super::connections::Common;
use super::super::dial::{Connect, Dialled, TcpConnect};
use super::super::dialler::Core;
use super::super::together::Together;
use super::*;
use tokio::sync::watch;
use tokio::time::Instant;
use url::Url;

/// Connects to what the test prepared, in order; fails when nothing is left.
struct Prepared {
    pipes: Arc<Mutex<VecDeque<DuplexStream>>>,
    attempts: mpsc::UnboundedSender<Instant>,
}

impl Connect for Prepared {
    async fn connect(&self) -> Result<Dialled, DialError> {
        let _ = self.attempts.send(Instant::now());
        match self.pipes.lock().unwrap().pop_front() {
            Some(io) => Ok(Dialled {
                io: Box::new(io),
                exporter: None,
            }),
            None => Err(DialError::Connect {
                relay: NAME.to_owned(),
                cause: std::io::ErrorKind::ConnectionRefused.into(),
            }),
        }
    }
}

pub(super) struct Rig {
    pub(super) bench: Bench,
    pipes: Arc<Mutex<VecDeque<DuplexStream>>>,
    pub(super) attempts: mpsc::UnboundedReceiver<Instant>,
    pub(super) state: watch::Receiver<DialState>,
    nudge: Arc<tokio::sync::Notify>,
    together: Arc<Together>,
}

impl Rig {
    pub(super) fn start(service: impl StreamService) -> Self {
        Self::with(1, service)
    }

    /// A dialler with so many connections.
    pub(super) fn with(connections: u8, service: impl StreamService) -> Self {
        let bench = Bench::new();
        let pipes = Arc::<Mutex<VecDeque<DuplexStream>>>::default();
        let (heard, attempts) = heard();
        let url = Url::parse("https://relay.example.com").unwrap();
        let together = Together::new(connections.into());
        let nudge = Arc::default();
        let common = Arc::new(Common {
            connect: Prepared {
                pipes: Arc::clone(&pipes),
                attempts: heard,
            },
            config: DiallerConfig::new(url, "Workshop".to_owned(), "0.1.0".to_owned()),
            relay_name: NAME.to_owned(),
            allow_unbound: true,
            identity: bench.identity.clone(),
            service,
            tracker: bench.tracker.clone(),
            nudge: Arc::clone(&nudge),
            together: Arc::clone(&together),
        });
        for index in 0..connections {
            let backoff = Backoff::new(Box::new(SeededJitter(7)));
            let core = Core::new(Arc::clone(&common), index, backoff);
            let running = core.run(bench.soft.clone(), bench.hard.clone());
            bench.tracker.spawn(running);
        }
        Self {
            bench,
            pipes,
            attempts,
            state: together.follow(),
            nudge,
            together,
        }
    }

    pub(super) fn prepare(&self) -> DuplexStream {
        let (host_io, relay_io) = pipe();
        self.pipes.lock().unwrap().push_back(host_io);
        relay_io
    }

    pub(super) async fn welcome(&self, io: DuplexStream, id: &str) -> Tunnel {
        let arrival = self.bench.acceptor(NAME).accept(io, None).await.unwrap();
        arrival.welcome(id, Some("P1")).await.unwrap()
    }

    pub(super) async fn until(&mut self, wanted: impl Fn(&DialState) -> bool) -> DialState {
        self.state
            .wait_for(|state| wanted(state))
            .await
            .unwrap()
            .clone()
    }

    pub(super) async fn connected(&mut self, id: &str) {
        self.until(
            |state| matches!(state, DialState::Connected { tunnel_id, .. } if tunnel_id == id),
        )
        .await;
    }

    pub(super) async fn waiting(&mut self) -> (Instant, String) {
        match self
            .until(|state| matches!(state, DialState::Waiting { .. }))
            .await
        {
            DialState::Waiting { until, why, .. } => (until, why),
            _ => unreachable!(),
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test that stops reading must not stop the dialler"
)]
fn heard() -> (
    mpsc::UnboundedSender<Instant>,
    mpsc::UnboundedReceiver<Instant>,
) {
    mpsc::unbounded_channel()
}

#[tokio::test(start_paused = true)]
async fn delays_double_with_full_jitter_up_to_a_minute() {
    let mut rig = Rig::start(ok);
    let mut expected = Backoff::new(Box::new(SeededJitter(7)));
    let mut last = rig.attempts.recv().await.unwrap();
    let mut bound = Duration::from_millis(500);
    for _ in 0..14 {
        let next = rig.attempts.recv().await.unwrap();
        let delay = expected.next();
        assert!(delay <= bound);
        let waited = next - last;
        assert!(
            waited >= delay && waited <= delay + Duration::from_millis(2),
            "{waited:?} {delay:?}"
        );
        last = next;
        bound = (bound * 2).min(Duration::from_mins(1));
    }
    assert!(expected.next() <= Duration::from_mins(1));
    let (_, why) = rig.waiting().await;
    assert!(why.contains("is the relay running"), "{why}");
}

#[tokio::test(start_paused = true)]
async fn healthy_tunnel_and_nudge_start_the_schedule_over() {
    let mut rig = Rig::start(ok);
    for _ in 0..10 {
        rig.attempts.recv().await.unwrap();
    }
    let io = rig.prepare();
    rig.attempts.recv().await.unwrap();
    let tunnel = rig.welcome(io, "tun-1").await;
    rig.connected("tun-1").await;
    tokio::time::sleep(Duration::from_secs(61)).await;
    tunnel.close();
    let (until, why) = rig.waiting().await;
    assert!(until - Instant::now() <= Duration::from_millis(500));
    assert!(why.contains("tunnel"), "{why}");

    while rig.attempts.try_recv().is_ok() {}
    for _ in 0..9 {
        rig.attempts.recv().await.unwrap();
    }
    rig.waiting().await;
    let before = Instant::now();
    rig.nudge.notify_one();
    let attempt = rig.attempts.recv().await.unwrap();
    assert!(attempt - before <= Duration::from_millis(1));
    let (until, _) = rig.waiting().await;
    assert!(until - Instant::now() <= Duration::from_millis(500));
}

#[tokio::test(start_paused = true)]
async fn refusals_have_a_slower_schedule_of_their_own() {
    for (code, retry_after_ms, least) in [
        (RefusalCode::UnknownHost, None, 60),
        (RefusalCode::Held, Some(30_000), 30),
        (
            RefusalCode::Other("invented_later".to_owned()),
            Some(7_000),
            7,
        ),
        (RefusalCode::Busy, Some(u64::MAX), 3600),
    ] {
        let mut rig = Rig::start(ok);
        let io = rig.prepare();
        let arrival = rig.bench.acceptor(NAME).accept(io, None).await.unwrap();
        let refusal = Refusal {
            code,
            sentence: "pair this host first: latchkey pair".to_owned(),
            retry_after_ms,
        };
        arrival.refuse(refusal).await;
        let told = |state: &DialState| matches!(state, DialState::Waiting { why, .. } if why.contains("pair this host"));
        let DialState::Waiting { until, .. } = rig.until(told).await else {
            unreachable!()
        };
        let wait = until - Instant::now();
        let least = Duration::from_secs(least);
        assert!(
            wait + Duration::from_millis(10) >= least && wait <= least * 5 / 4,
            "{wait:?}"
        );
    }
}

#[tokio::test]
async fn drained_host_moves_while_the_old_stream_goes_on() {
    let (give, mut feeds) = mpsc::channel(1);
    let service = move |_: Request<Incoming>, _: StreamHead| {
        let give = give.clone();
        async move {
            let (feed, body) = channel_body();
            give.send(feed).await.unwrap();
            Response::new(body)
        }
    };
    let mut rig = Rig::start(service);
    let io = rig.prepare();
    let old = rig.welcome(io, "old").await;
    rig.connected("old").await;
    let response = old.send(get("/long"), &head()).await.unwrap();
    let feed = feeds.recv().await.unwrap();

    let io = rig.prepare();
    old.drain(Duration::from_millis(5)).await.unwrap();
    let during = old.send(get("/between"), &head()).await.unwrap();
    drop((feeds.recv().await.unwrap(), during));
    let new = rig.welcome(io, "new").await;
    rig.connected("new").await;
    // The host finishes the old one by itself: nothing new on it, the rest arrives.
    while old.is_open() {
        match old.send(get("/late"), &head()).await {
            Ok(late) => drop((feeds.recv().await, late)),
            Err(error) => assert!(matches!(error, SendError::NotSent(_)), "{error}"),
        }
    }
    feed.send(Ok("the rest".into())).await.unwrap();
    drop(feed);
    assert_eq!(text(response).await, "the rest");
    old.closed().await;
    assert!(new.probe(Duration::from_mins(1)).await);
}

#[tokio::test]
async fn dismissed_tunnel_ends_with_its_reason() {
    let mut rig = Rig::start(ok);
    let io = rig.prepare();
    let tunnel = rig.welcome(io, "tun-1").await;
    rig.connected("tun-1").await;
    let refusal = Refusal {
        code: RefusalCode::Replaced,
        sentence: "a newer tunnel took over".to_owned(),
        retry_after_ms: None,
    };
    tunnel.dismiss(refusal).await;
    let (until, why) = rig.waiting().await;
    assert!(why.contains("a newer tunnel took over"));
    assert!(until - Instant::now() > Duration::from_secs(50));
}

#[tokio::test]
async fn soft_stop_ends_waiting_dialling_and_tunnels() {
    let mut waiting = Rig::start(ok);
    waiting.waiting().await;
    waiting.bench.soft.cancel();
    waiting.until(|state| *state == DialState::Stopped).await;

    let mut connected = Rig::start(ok);
    let io = connected.prepare();
    let tunnel = connected.welcome(io, "tun-1").await;
    connected.connected("tun-1").await;
    connected.bench.soft.cancel();
    connected.until(|state| *state == DialState::Stopped).await;
    tunnel.closed().await;
    connected.bench.tracker.close();
    connected.bench.tracker.wait().await;
}

#[tokio::test]
async fn real_tls_binds_the_hello_to_its_connection() {
    let bench = Bench::new();
    let pki = Pki::new();
    let mut origin = WebOrigin::start(&bench, Some(pki.server())).await;
    let url = Url::parse(&format!("https://localhost:{}", origin.port)).unwrap();
    let name = relay_name(&url).unwrap();
    let mut config = DiallerConfig::new(url, "Workshop".to_owned(), "0.1.0".to_owned());
    config.ca_file = Some(pki.cert());
    let dialler = Dialler::new(config, bench.identity.clone(), ok, bench.tracker.clone()).unwrap();
    let mut state = dialler.state();
    bench
        .tracker
        .spawn(dialler.run(bench.soft.clone(), bench.hard.clone()));
    let (io, exporter) = origin.next().await;
    assert!(exporter.is_some());
    let arrival = bench.acceptor(&name).accept(io, exporter).await.unwrap();
    assert_eq!(arrival.hello.binding, Binding::TlsExporter);
    let tunnel = arrival.welcome("tun-1", None).await.unwrap();
    assert_eq!(
        text(tunnel.send(get("/"), &head()).await.unwrap()).await,
        "ok"
    );
    state
        .wait_for(|state| matches!(state, DialState::Connected { .. }))
        .await
        .unwrap();
    bench.soft.cancel();
    state
        .wait_for(|state| *state == DialState::Stopped)
        .await
        .unwrap();
}

/// What a host sees when it dials `url`.
async fn dial_error(bench: &Bench, url: &str, ca: Option<&std::path::Path>) -> DialError {
    let url = Url::parse(url).unwrap();
    let connect = TcpConnect::new(&url, ca, Duration::from_secs(10), bench.tracker.clone());
    match connect {
        Ok(connect) => connect.connect().await.map(drop).unwrap_err(),
        Err(error) => error,
    }
}

#[tokio::test]
async fn plain_http_is_only_for_this_machine() {
    let bench = Bench::new();
    for url in [
        "http://relay.example.com",
        "http://192.168.1.5:7010",
        "http://localhost.example.com",
    ] {
        let error = dial_error(&bench, url, None).await;
        assert!(matches!(error, DialError::Plain(_)), "{error}");
        assert!(error.to_string().contains("use https"));
    }
    for url in [
        "https://relay.example.com/path",
        "https://u:p@relay.example.com",
        "ftp://relay.example.com",
    ] {
        let error = dial_error(&bench, url, None).await;
        assert!(matches!(error, DialError::Url(_)), "{error}");
    }
    let mut origin = WebOrigin::start(&bench, None).await;
    for host in ["localhost", "relay.localhost", "127.0.0.1"] {
        let url = Url::parse(&format!("http://{host}:{}", origin.port)).unwrap();
        let connect =
            TcpConnect::new(&url, None, Duration::from_secs(10), bench.tracker.clone()).unwrap();
        connect.connect().await.map(drop).unwrap();
        assert!(origin.next().await.1.is_none());
    }
}

#[tokio::test]
async fn certificate_nobody_vouches_for_is_refused() {
    let bench = Bench::new();
    let pki = Pki::new();
    let origin = WebOrigin::start(&bench, Some(pki.server())).await;
    let url = format!("https://localhost:{}", origin.port);
    let error = dial_error(&bench, &url, None).await;
    assert!(matches!(error, DialError::Certificate { .. }), "{error}");
    let other = Pki::new();
    let error = dial_error(&bench, &url, Some(&other.cert())).await;
    assert!(matches!(error, DialError::Certificate { .. }), "{error}");
}

#[tokio::test]
async fn server_that_is_no_relay_is_named_in_words() {
    let bench = Bench::new();
    for (answer, wanted) in [
        (
            "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
            "not a Latchkey relay",
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            "not a Latchkey relay",
        ),
        (
            "HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n",
            "does not let tunnels in",
        ),
        (
            "HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n",
            "takes no tunnels now",
        ),
        (
            "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
            "another protocol",
        ),
        (
            "SSH-2.0-OpenSSH_9.2\r\n",
            "does not answer as an HTTP server",
        ),
    ] {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        bench.tracker.spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            let _ = tokio::io::AsyncReadExt::read(&mut socket, &mut request).await;
            let _ = tokio::io::AsyncWriteExt::write_all(&mut socket, answer.as_bytes()).await;
            let _ = tokio::io::AsyncReadExt::read(&mut socket, &mut request).await;
        });
        let error = dial_error(&bench, &url, None).await.to_string();
        assert!(error.contains(wanted), "{error}");
    }
    let closed = TcpListener::bind(("127.0.0.1", 0))
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let error = dial_error(&bench, &format!("http://{closed}"), None).await;
    assert!(matches!(error, DialError::Connect { .. }), "{error}");
}

#[test]
fn relay_names_have_one_spelling() {
    for (url, name) in [
        ("https://Relay.Example.com", "relay.example.com"),
        ("https://relay.example.com:443/", "relay.example.com"),
        ("https://relay.example.com:8443", "relay.example.com:8443"),
        ("http://localhost:7010", "localhost:7010"),
        ("http://[::1]:7010", "[::1]:7010"),
    ] {
        assert_eq!(relay_name(&Url::parse(url).unwrap()).unwrap(), name);
    }
}

/// A line between what the dialler and the relay have, which can go silent.
fn line(rig: &Rig) -> (DuplexStream, watch::Sender<bool>) {
    let mut host = rig.prepare();
    let (relay, mut other) = pipe();
    let silent = watch::Sender::new(false);
    let mut told = silent.subscribe();
    rig.bench.tracker.spawn(async move {
        tokio::select! {
            _ = tokio::io::copy_bidirectional(&mut host, &mut other) => return,
            told = told.wait_for(|silent| *silent) => drop(told),
        }
        // Both ends stay open, and nobody says anything any more.
        let held = (host, other);
        let _ = told.changed().await;
        drop(held);
    });
    (relay, silent)
}

#[tokio::test(start_paused = true)]
async fn a_tunnel_that_is_silent_after_a_sleep_is_given_up_sooner() {
    let mut rig = Rig::start(ok);
    let (relay, silent) = line(&rig);
    let _tunnel = rig.welcome(relay, "first").await;
    rig.connected("first").await;

    // One that lives is asked for nothing, and stays.
    rig.together.woke.notify_waiters();
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert!(matches!(*rig.state.borrow(), DialState::Connected { .. }));

    silent.send_replace(true);
    // What was on its way is there.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let woke = Instant::now();
    rig.together.woke.notify_waiters();
    rig.waiting().await;
    let took = woke.elapsed();
    assert!(took <= Duration::from_secs(6), "{took:?}");
}
