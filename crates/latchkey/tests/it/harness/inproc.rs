//! Relay and host in the test's own process, before a printer server that the test plays itself, byte by byte.
//!
//! A test says which way in it takes and is given the printer and the door:
//! `let (printer, door) = Setup::new(way).open().await`. Then it is both ends at once: it calls at the door, accepts
//! at the printer, and no step needs to guess when another one is done.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use http::HeaderValue;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use latchkey_host::Host;
use latchkey_host::config as host;
use latchkey_host::relay::Link;
use latchkey_model::access::KeyScope;
use latchkey_model::account::{Account, Email};
use latchkey_model::app::{AppId, AppName};
use latchkey_model::app_connection::{AccessMode, NewAppConnection};
use latchkey_model::chance::SystemChance;
use latchkey_model::clock::{Clock as _, SystemClock};
use latchkey_model::id::{AccountId, AppConnectionId, PrinterId};
use latchkey_model::plan::{Entitlements, Plans};
use latchkey_model::printer::{HostKey, Printer as PrinterRecord, PrinterName, Seen};
use latchkey_net::body::Body;
use latchkey_net::listen::Stop;
use latchkey_relay::config as relay;
use latchkey_relay::{Life, Relay, RelayError};
use latchkey_store::RelayStore;
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::raw::RawConnection;
use super::within;

const PLAN: &str = "supporter";

/// Makes two tests of each situation, one for each way in.
macro_rules! at_both_hops {
    ($($situation:ident),+ $(,)?) => {$(
        mod $situation {
            use crate::harness::inproc::Way;

            #[tokio::test]
            async fn at_the_edge() {
                super::$situation(Way::Edge).await;
            }

            #[tokio::test]
            async fn at_the_lan_door() {
                super::$situation(Way::Lan).await;
            }
        }
    )+};
}
pub(crate) use at_both_hops;

/// How a caller reaches the printer's server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Caller, relay, tunnel, host, printer.
    Edge,
    /// Caller, host, printer.
    Lan,
}

/// The printer's server, played by the test: it accepts and answers what it likes.
pub(crate) struct Printer {
    listener: TcpListener,
}

impl Printer {
    pub(crate) async fn start() -> Self {
        Self::at((Ipv4Addr::LOCALHOST, 0).into()).await
    }

    pub(crate) async fn at(address: SocketAddr) -> Self {
        Self {
            listener: TcpListener::bind(address).await.unwrap(),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    /// The next connection of the host.
    pub(crate) async fn accept(&self) -> RawConnection {
        RawConnection::over(self.accept_stream().await)
    }

    pub(crate) async fn accept_stream(&self) -> TcpStream {
        within("the host to connect", self.listener.accept())
            .await
            .unwrap()
            .0
    }

    /// Answers the host's question whether callers need a key, and waits until the host has drawn its conclusion.
    pub(crate) async fn answer_probe(&self, status: &str) {
        let mut probe = self.accept().await;
        probe.read_request().await;
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
        probe.send(answer).await;
        probe.read_to_end().await;
    }
}

/// What is to be opened.
pub(crate) struct Setup {
    way: Way,
    access: AccessMode,
    probe: &'static str,
    tweak_host: Box<dyn FnOnce(&mut host::Config)>,
}

impl Setup {
    pub(crate) fn new(way: Way) -> Self {
        Self {
            way,
            access: AccessMode::Enhanced,
            probe: "403 Forbidden",
            tweak_host: Box::new(|_| {}),
        }
    }

    pub(crate) fn access(mut self, access: AccessMode) -> Self {
        self.access = access;
        self
    }

    /// What the printer answers to a stranger on loopback.
    pub(crate) fn probe(mut self, status: &'static str) -> Self {
        self.probe = status;
        self
    }

    pub(crate) fn host(mut self, tweak: impl FnOnce(&mut host::Config) + 'static) -> Self {
        self.tweak_host = Box::new(tweak);
        self
    }

    /// A printer, and the door that leads to it.
    pub(crate) async fn open(self) -> (Printer, Door) {
        let printer = Printer::start().await;
        let probe = self.probe;
        let door = self.open_before(printer.address());
        let (door, ()) = tokio::join!(door, printer.answer_probe(probe));
        (printer, door)
    }

    /// A door that leads to an address where the test may have something, or not.
    pub(crate) async fn open_before(self, printer: SocketAddr) -> Door {
        match self.way {
            Way::Edge => {
                let relay = RunningRelay::start(|_| {}).await;
                relay.attach(printer, self.access, self.tweak_host).await
            }
            Way::Lan => {
                let host = running_host(printer, None, self.tweak_host).await;
                let address = host.address;
                Door {
                    way: Way::Lan,
                    address,
                    lan: address,
                    authority: address.to_string(),
                    label: String::new(),
                    ids: None,
                    link: None,
                    basic: None,
                    bearer: None,
                    host_stop: host.stop,
                    data: vec![host.data],
                }
            }
        }
    }
}

/// A relay that serves, for any number of hosts.
pub(crate) struct RunningRelay {
    pub(crate) address: SocketAddr,
    pub(crate) store: RelayStore,
    pub(crate) life: Life,
    pub(crate) stop: Stop,
    /// Ends when the relay has.
    pub(crate) running: JoinHandle<()>,
    config: relay::Config,
    pub(crate) account: AccountId,
    data: Arc<TempDir>,
}

impl RunningRelay {
    pub(crate) async fn start(tweak: impl FnOnce(&mut relay::Config)) -> Self {
        let data = tempfile::tempdir().unwrap();
        let mut config = relay_config(&data);
        tweak(&mut config);
        let (relay, config) = bind(config).await;
        let address = relay.local_addr().unwrap();
        let (store, life, stop) = (relay.store(), relay.life(), relay.stop());
        let running = tokio::spawn(relay.run());
        let account = Account::new(
            AccountId::generate(&SystemChance),
            Email::parse("owner@latchkey.example").unwrap(),
            SystemClock.now(),
            PLAN.parse().unwrap(),
        );
        store.accounts().create(&account, None).await.unwrap();
        Self {
            address,
            store,
            life,
            stop,
            running,
            config,
            account: account.id,
            data: Arc::new(data),
        }
    }

    pub(crate) fn config(&self) -> &relay::Config {
        &self.config
    }

    /// The database, opened once more, as by a command beside the relay.
    pub(crate) async fn open_store(&self) -> RelayStore {
        let path = Relay::database(&self.config.data);
        RelayStore::open(path).await.unwrap()
    }

    /// Records a printer for the host with this key, and an app connection to it.
    pub(crate) async fn record(&self, host_key: [u8; 32], access: AccessMode) -> Door {
        self.record_as(host_key, access, KeyScope::Full).await
    }

    /// The same, going as far as this.
    pub(crate) async fn record_as(
        &self,
        host_key: [u8; 32],
        access: AccessMode,
        scope: KeyScope,
    ) -> Door {
        let printer = PrinterRecord {
            id: PrinterId::generate(&SystemChance),
            account: self.account.clone(),
            name: PrinterName::parse("Printer").unwrap(),
            host: Some(HostKey::from_bytes(host_key)),
            created: SystemClock.now(),
            seen: Seen::default(),
            local_address: None,
        };
        self.store.printers().create(&printer).await.unwrap();
        self.connect_as(&printer.id, access, scope).await
    }

    /// A further app connection to a printer.
    pub(crate) async fn connect(&self, printer: &PrinterId, access: AccessMode) -> Door {
        self.connect_as(printer, access, KeyScope::Full).await
    }

    /// The same, going as far as this.
    pub(crate) async fn connect_as(
        &self,
        printer: &PrinterId,
        access: AccessMode,
        scope: KeyScope,
    ) -> Door {
        self.connect_for(&self.account, printer, access, scope)
            .await
    }

    /// The same, allowed by this account.
    pub(crate) async fn connect_for(
        &self,
        account: &AccountId,
        printer: &PrinterId,
        access: AccessMode,
        scope: KeyScope,
    ) -> Door {
        let wanted = NewAppConnection {
            account: account.clone(),
            printer: printer.clone(),
            app: AppId::parse("devtest").unwrap(),
            app_name: AppName::parse("Test").unwrap(),
            access,
            scope,
        };
        let (connection, credentials) = wanted.generate(&SystemChance, &SystemClock);
        let connections = self.store.app_connections();
        connections.insert(&connection).await.unwrap();
        let label = credentials.label.expose().to_owned();
        let url = self.config.connection_url(&label);
        let basic = credentials.basic.map(|pair| {
            let pair = format!("{}:{}", pair.user.expose(), pair.password.expose());
            base64::engine::general_purpose::STANDARD.encode(pair)
        });
        Door {
            way: Way::Edge,
            address: self.address,
            lan: self.address,
            authority: url.split_once("://").unwrap().1.to_owned(),
            label,
            ids: Some((connection.id, printer.clone())),
            link: None,
            basic,
            bearer: credentials.bearer.map(|token| token.expose().to_owned()),
            host_stop: Stop::default(),
            data: vec![Arc::clone(&self.data)],
        }
    }

    /// Starts a host for the printer at this address, and waits until the edge leads there.
    pub(crate) async fn attach(
        &self,
        printer: SocketAddr,
        access: AccessMode,
        tweak: impl FnOnce(&mut host::Config),
    ) -> Door {
        let url = self.config.public_url.to_string().parse().unwrap();
        let (host, running) = bound_host(printer, Some(url), tweak).await;
        // The relay has to know the key before it sees it, or it sends the host away for a while.
        let mut door = self.record(running.public_key, access).await;
        door.link = Some(host.link());
        door.lan = running.address;
        door.host_stop = running.stop;
        door.data.push(running.data);
        tokio::spawn(host.run());
        within("the tunnel", door.ready()).await;
        door
    }
}

/// A host that serves, or is about to.
pub(crate) struct RunningHost {
    pub(crate) address: SocketAddr,
    pub(crate) public_key: [u8; 32],
    pub(crate) stop: Stop,
    data: Arc<TempDir>,
}

/// Starts a host for the printer at this address.
pub(crate) async fn running_host(
    printer: SocketAddr,
    relay: Option<url::Url>,
    tweak: impl FnOnce(&mut host::Config),
) -> RunningHost {
    let (host, running) = bound_host(printer, relay, tweak).await;
    tokio::spawn(host.run());
    running
}

async fn bound_host(
    printer: SocketAddr,
    relay: Option<url::Url>,
    tweak: impl FnOnce(&mut host::Config),
) -> (Host, RunningHost) {
    let data = tempfile::tempdir().unwrap();
    let mut config = host_config(printer, &data, relay);
    tweak(&mut config);
    let host = Host::bind(config, Arc::new(SystemClock), Arc::new(SystemChance))
        .await
        .unwrap();
    let running = RunningHost {
        address: host.local_addr().unwrap(),
        public_key: host.public_key(),
        stop: host.stop(),
        data: Arc::new(data),
    };
    (host, running)
}

/// The free port is somebody else's by the time it is wanted, now and then; then another one is tried.
async fn bind(config: relay::Config) -> (Relay, relay::Config) {
    loop {
        let mut config = config.clone();
        let free = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        config.listen = free.local_addr().unwrap();
        drop(free);
        let port = config.listen.port();
        let scheme = config.public_url.scheme().as_str();
        config.public_url = public_url(&format!("{scheme}://localhost:{port}"));
        config.connection_domain = format!("localhost:{port}").parse().unwrap();
        let relay = Relay::bind(
            config.clone(),
            Arc::new(SystemClock),
            Arc::new(SystemChance),
        );
        match relay.await {
            Ok(relay) => return (relay, config),
            Err(RelayError::Listen { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

pub(crate) fn public_url(text: &str) -> relay::PublicUrl {
    relay::PublicUrl::from_url(&text.parse().unwrap()).unwrap()
}

fn relay_config(data: &TempDir) -> relay::Config {
    let free = Entitlements {
        app_connections: false,
        ..Entitlements::default()
    };
    let plans = [
        (PLAN.parse().unwrap(), Entitlements::default()),
        ("free".parse().unwrap(), free),
    ];
    relay::Config {
        listen: (Ipv4Addr::LOCALHOST, 0).into(),
        status_listen: None,
        public_url: public_url("http://localhost"),
        connection_domain: "localhost".parse().unwrap(),
        tls: None,
        acme: None,
        hosts: None,
        trusted_proxies: Vec::new(),
        data: data.path().to_owned(),
        registration: relay::Registration::Open,
        unregistered_apps: relay::UnregisteredApps::Allow,
        allow_hostname_only: false,
        administrators_factor: relay::AdministratorsFactor::IfSet,
        smtp: None,
        webhooks: relay::Webhooks::default(),
        compression: true,
        cache: relay::CacheBounds::default(),
        default_plan: PLAN.parse().unwrap(),
        plans: Plans::new(plans.into_iter().collect()),
        admission: relay::Admission::default(),
        first_byte: Duration::from_secs(35),
        drain: Duration::from_secs(5),
    }
}

fn host_config(printer: SocketAddr, data: &TempDir, relay: Option<url::Url>) -> host::Config {
    host::Config {
        name: "Workshop".to_owned(),
        listen: (Ipv4Addr::LOCALHOST, 0).into(),
        announce: false,
        status_listen: None,
        data: data.path().join("host"),
        key_file: None,
        upstream: host::Upstream {
            kind: host::UpstreamKind::OctoPrint,
            address: upstream(printer),
            credential: None,
            load: host::Load::default(),
        },
        // What callers write arrives as it is; who they are is another test's business.
        authority: host::AuthorityMode::Upstream,
        webcams: Vec::new(),
        client_address: host::ClientAddress::Auto,
        hostnames: Vec::new(),
        trusted_proxies: Vec::new(),
        relay: relay.map(|url| host::Relay {
            app_keys: true,
            // A test that plays the printer's server hears its own callers only.
            printing: false,
            compression: true,
            url,
            ca_file: None,
            allow_unbound: false,
            connections: 2,
        }),
        timeouts: host::Timeouts::default(),
        session_apps: host::FileApps::default(),
        fresh_for: Duration::from_mins(5),
        drain: Duration::from_secs(5),
    }
}

pub(crate) fn upstream(address: SocketAddr) -> host::UpstreamAddress {
    let url = format!("http://{address}").parse().unwrap();
    host::UpstreamAddress::from_url(&url).unwrap()
}

/// Where a caller knocks, and with what.
pub(crate) struct Door {
    pub(crate) way: Way,
    pub(crate) address: SocketAddr,
    /// The host's own listener, whichever the way in is.
    pub(crate) lan: SocketAddr,
    /// What callers write into `Host`.
    pub(crate) authority: String,
    /// The first label of the hostname, at the edge.
    pub(crate) label: String,
    /// What it is at the relay: the app connection, and the printer that it leads to.
    pub(crate) ids: Option<(AppConnectionId, PrinterId)>,
    /// What the host's dialler does.
    pub(crate) link: Option<watch::Receiver<Link>>,
    /// User and password, in base64.
    pub(crate) basic: Option<String>,
    pub(crate) bearer: Option<String>,
    pub(crate) host_stop: Stop,
    /// Removed when nobody uses the roles any more.
    data: Vec<Arc<TempDir>>,
}

impl Door {
    pub(crate) async fn connect(&self) -> RawConnection {
        RawConnection::connect(self.address).await
    }

    /// The value of `Authorization` this door asks for, if it asks for one.
    pub(crate) fn authorization(&self) -> Option<String> {
        let basic = self.basic.as_ref().map(|pair| format!("Basic {pair}"));
        basic.or_else(|| self.bearer.as_ref().map(|token| format!("Bearer {token}")))
    }

    /// A request head: the request line without its version, and fields beside `Host` and the door's credential.
    pub(crate) fn head(&self, line: &str, fields: &[&str]) -> String {
        let mut head = format!("{line} HTTP/1.1\r\nHost: {}\r\n", self.authority);
        if let Some(authorization) = self.authorization() {
            head.extend(["Authorization: ", &authorization, "\r\n"]);
        }
        for field in fields {
            head.extend([field, "\r\n"]);
        }
        head + "\r\n"
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.authority)
    }

    /// Whether a caller at this door sees the relay's own statuses.
    pub(crate) fn either<T>(&self, edge: T, lan: T) -> T {
        match self.way {
            Way::Edge => edge,
            Way::Lan => lan,
        }
    }

    /// A caller that speaks HTTP/2 from the first byte.
    pub(crate) async fn http2(&self) -> http2::SendRequest<Body> {
        let stream = within("a connection", TcpStream::connect(self.address));
        let io = TokioIo::new(stream.await.unwrap());
        let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
        tokio::spawn(async move {
            // A failure shows at the requests.
            let _ = connection.await;
        });
        sender
    }

    /// A request for [`Self::http2`].
    pub(crate) fn http2_request(&self, method: &str, path: &str) -> http::request::Builder {
        let request = http::Request::builder().method(method).uri(self.url(path));
        match self.authorization() {
            Some(value) => request.header("authorization", HeaderValue::from_str(&value).unwrap()),
            None => request,
        }
    }

    /// Asks for a path that the host answers itself, until it does.
    async fn ready(&self) {
        let question = self.head("GET /octoeverywhere-command-api/ready", &[]);
        let mut caller = self.connect().await;
        loop {
            caller.send(&question).await;
            if caller.read_response().await.status() == 200 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
