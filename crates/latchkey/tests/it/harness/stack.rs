//! A relay and a host as the processes they are in the field: started from their configuration files, told things by
//! signals, read by their logs. The relay's account, printer and app connections are put into its database beforehand.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use http::{Method, StatusCode};
use latchkey_bench::shaper::{Line, Shaper};
use latchkey_model::access::KeyScope;
use latchkey_model::account::{Account, Email};
use latchkey_model::app::{AppId, AppName};
use latchkey_model::app_connection::{AccessMode, NewAppConnection};
use latchkey_model::chance::SystemChance;
use latchkey_model::clock::{Clock as _, SystemClock};
use latchkey_model::id::{AccountId, AppConnectionId, PrinterId};
use latchkey_model::printer::{HostKey, Printer, PrinterName, Seen};
use latchkey_net::tunnel::HostIdentity;
use latchkey_store::RelayStore;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

use super::artifacts;
use super::http::Request;
use super::lan::Machine;

/// Until a process that was started, or lost its peer, must be of use again. Hosts dial again after a growing pause.
const READY_WITHIN: Duration = Duration::from_mins(1);
const ENDED_WITHIN: Duration = Duration::from_mins(1);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// What a [`Stack`] is to be; ends in [`StackBuilder::start`].
pub(crate) struct StackBuilder {
    relay: Value,
    host: Value,
    key: Option<String>,
    tls: bool,
    front: Option<SocketAddr>,
    line: Option<Line>,
}

/// A relay, a host, and app connections of every access mode.
pub(crate) struct Stack {
    folder: TempDir,
    relay_address: SocketAddr,
    /// Where callers and the host come: the relay, or what is in front of it.
    entry: SocketAddr,
    host_address: SocketAddr,
    scheme: &'static str,
    line: Option<Shaper>,
    pub(crate) relay: Process,
    pub(crate) host: Process,
    pub(crate) account: AccountId,
    pub(crate) printer: PrinterId,
    connections: Vec<Connection>,
}

impl Stack {
    /// A stack whose host stands before the server at `upstream`, which judges callers itself.
    pub(crate) fn before(upstream: impl AsRef<str>) -> StackBuilder {
        StackBuilder {
            relay: json!({}),
            host: json!({
                "upstream": {"kind": "octoprint", "url": upstream.as_ref()},
                "authority": "upstream",
            }),
            key: None,
            tls: false,
            front: None,
            line: None,
        }
    }

    /// The line between host and relay, if there is one.
    pub(crate) fn line(&self) -> &Shaper {
        self.line.as_ref().expect("a line was asked for")
    }

    /// The app connection of this access mode.
    pub(crate) fn connection(&self, access: AccessMode) -> &Connection {
        let found = self.connections.iter().find(|one| one.access == access);
        found.expect("there is one of each")
    }

    /// A further app connection of the same printer.
    pub(crate) async fn connect_app(&self, access: AccessMode) -> Connection {
        self.connect_app_as(access, KeyScope::Full).await
    }

    /// The same, going as far as this.
    pub(crate) async fn connect_app_as(&self, access: AccessMode, scope: KeyScope) -> Connection {
        let store = self.open_store().await;
        let site = self.site();
        let whose = (&self.account, &self.printer);
        let connection = insert(&store, whose, access, scope, &site).await;
        store.close().await;
        connection
    }

    /// The relay's database, opened once more beside the relay.
    pub(crate) async fn open_store(&self) -> RelayStore {
        RelayStore::open(self.database()).await.unwrap()
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.folder.path().join("relay/relay.db")
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The host's address at home.
    pub(crate) fn host_url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.host_address)
    }

    /// The relay's own address of `path`, which starts with a slash.
    pub(crate) fn relay_url(&self, path: &str) -> String {
        let port = self.entry.port();
        format!("{}://localhost:{port}{path}", self.scheme)
    }

    /// Where the relay itself listens.
    pub(crate) fn relay_address(&self) -> SocketAddr {
        self.relay_address
    }

    fn site(&self) -> Site {
        Site {
            scheme: self.scheme,
            domain: format!("printers.localhost:{}", self.entry.port()),
        }
    }

    /// Starts the relay (again) and waits until it answers.
    pub(crate) async fn start_relay(&mut self) {
        self.relay.start();
        self.relay.await_line("the relay is listening").await;
    }

    /// Starts the host (again) and waits until the relay has its tunnel.
    pub(crate) async fn start_host(&mut self) {
        let seen = self.relay.count_lines("a host connected");
        self.host.start();
        self.host.await_line("the host is listening").await;
        self.await_tunnel(seen).await;
    }

    /// Waits until the relay, since its start, has said more than `seen` times that a host connected.
    pub(crate) async fn await_tunnel(&self, seen: usize) {
        self.relay
            .await_lines("a host connected", seen + 1, &self.host)
            .await;
    }

    /// Asks for `path` until the answer has this status.
    pub(crate) async fn await_status(&self, connection: &Connection, path: &str, status: u16) {
        let deadline = Instant::now() + READY_WITHIN;
        let mut last = String::new();
        while Instant::now() < deadline {
            match connection.get(path).try_send().await {
                Ok(answer) if answer.status() == status => return,
                Ok(answer) => last = answer.status().to_string(),
                Err(error) => last = error.to_string(),
            }
            sleep(LOOK_AGAIN).await;
        }
        panic!("waited for {status} at {path}; last: {last}");
    }
}

impl StackBuilder {
    /// Lets the host check callers and use `key` at the upstream.
    pub(crate) fn authority_host(mut self, key: &str) -> Self {
        self.host["authority"] = json!("host");
        self.host["upstream"]["api_key_file"] = json!("upstream.key");
        self.key = Some(key.to_owned());
        self
    }

    /// Sets a key of `relay.yaml`.
    pub(crate) fn relay(mut self, key: &str, value: Value) -> Self {
        self.relay[key] = value;
        self
    }

    /// Sets a key of `host.yaml`.
    pub(crate) fn host(mut self, key: &str, value: Value) -> Self {
        self.host[key] = value;
        self
    }

    /// Gives the relay a certificate of a private CA, whose own one the host is given as `ca.pem`.
    pub(crate) fn tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// Lets a web server at this address, which the test starts, end TLS in front of the relay.
    pub(crate) fn behind(mut self, front: SocketAddr) -> Self {
        self.front = Some(front);
        self
    }

    /// Lets the host reach the relay over this line only. Callers may go past it:
    /// [`Stack::relay_address`].
    pub(crate) fn over(mut self, line: Line) -> Self {
        self.line = Some(line);
        self
    }

    /// Starts both and waits until the host's tunnel is up.
    pub(crate) async fn start(self) -> Stack {
        let mut stack = self.prepare().await;
        stack.start_relay().await;
        stack.start_host().await;
        stack
    }

    /// Everything but starting them.
    pub(crate) async fn prepare(mut self) -> Stack {
        let folder = TempDir::with_prefix("latchkey-stack-").unwrap();
        let at = |name: &str| folder.path().join(name);
        let (relay_address, host_address) = (free_address(), free_address());
        let line = match self.line {
            Some(line) => {
                let line = Shaper::listening(free_address(), relay_address, line).await;
                Some(line.unwrap())
            }
            None => None,
        };
        let beside = line.as_ref().map(Shaper::address);
        let entry = beside.or(self.front).unwrap_or(relay_address);
        let secured = self.tls || self.front.is_some();
        let scheme = if secured { "https" } else { "http" };
        // No public name ends in `localhost` alone, so no certificate can stand for everything right below it.
        let web = format!("localhost:{}", entry.port());
        let domain = format!("printers.{web}");

        if secured {
            certify(folder.path());
            self.host["relay"] = json!({"ca_file": "ca.pem"});
        }
        if self.front.is_some() {
            self.relay["trusted_proxies"] = json!(["127.0.0.1/32"]);
            self.host["relay"]["allow_unbound"] = json!(true);
        } else if self.tls && self.relay["tls"].is_null() {
            self.relay["tls"] = json!({"cert": "relay.pem", "key": "relay.key"});
        }
        if let Some(key) = &self.key {
            std::fs::write(at("upstream.key"), format!("{key}\n")).unwrap();
        }
        self.relay["listen"] = json!(relay_address);
        self.relay["status_listen"] = json!("127.0.0.1:0");
        self.relay["public_url"] = json!(format!("{scheme}://{web}"));
        self.relay["connection_domain"] = json!(domain);
        self.relay["data"] = json!("relay");
        self.host["listen"] = json!(host_address);
        self.host["status_listen"] = json!("127.0.0.1:0");
        self.host["data"] = json!("host");
        if self.host["relay"]["printing"].is_null() {
            // What the printer's server is asked is what a test asks, unless it is about this.
            self.host["relay"]["printing"] = json!("refuse");
        }
        self.host["relay"]["url"] = json!(format!("{scheme}://{web}"));
        // JSON is YAML, too.
        std::fs::write(at("relay.yaml"), self.relay.to_string()).unwrap();
        std::fs::write(at("host.yaml"), self.host.to_string()).unwrap();

        let identity = HostIdentity::load_or_create(&at("host/identity.key")).unwrap();
        let store = RelayStore::open(at("relay/relay.db")).await.unwrap();
        let site = Site { scheme, domain };
        let (account, printer) = household(&store, identity.public_key()).await;
        let mut connections = Vec::new();
        for access in AccessMode::ALL {
            let whose = (&account, &printer);
            connections.push(insert(&store, whose, access, KeyScope::Full, &site).await);
        }
        store.close().await;

        Stack {
            relay: Process::new("relay", folder.path()),
            host: Process::new("host", folder.path()),
            folder,
            relay_address,
            entry,
            host_address,
            scheme,
            line,
            account,
            printer,
            connections,
        }
    }
}

async fn household(store: &RelayStore, host_key: [u8; 32]) -> (AccountId, PrinterId) {
    let account = Account::new(
        AccountId::generate(&SystemChance),
        Email::parse("owner@latchkey.example").unwrap(),
        SystemClock.now(),
        "supporter".parse().unwrap(),
    );
    store.accounts().create(&account, None).await.unwrap();
    let printer = Printer {
        id: PrinterId::generate(&SystemChance),
        account: account.id.clone(),
        name: PrinterName::parse("Workshop").unwrap(),
        host: Some(HostKey::from_bytes(host_key)),
        created: SystemClock.now(),
        seen: Seen::default(),
        local_address: None,
    };
    store.printers().create(&printer).await.unwrap();
    (account.id, printer.id)
}

async fn insert(
    store: &RelayStore,
    (account, printer): (&AccountId, &PrinterId),
    access: AccessMode,
    scope: KeyScope,
    site: &Site,
) -> Connection {
    let wanted = NewAppConnection {
        account: account.clone(),
        printer: printer.clone(),
        app: AppId::parse("octopod").unwrap(),
        app_name: AppName::parse("OctoPod").unwrap(),
        access,
        scope,
    };
    let (connection, credentials) = wanted.generate(&SystemChance, &SystemClock);
    store.app_connections().insert(&connection).await.unwrap();
    let label = credentials.label.expose().to_owned();
    let authority = format!("{label}.{}", site.domain);
    let basic = credentials.basic.as_ref();
    Connection {
        access,
        id: connection.id,
        url: format!("{}://{authority}", site.scheme),
        authority,
        label,
        basic: basic.map(|pair| {
            (
                pair.user.expose().to_owned(),
                pair.password.expose().to_owned(),
            )
        }),
        bearer: credentials
            .bearer
            .as_ref()
            .map(|token| token.expose().to_owned()),
        app_token: credentials.app_token.expose().to_owned(),
    }
}

/// Where a relay's app connections are.
struct Site {
    scheme: &'static str,
    domain: String,
}

/// An app connection, with the secrets that its app was shown.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    pub(crate) access: AccessMode,
    pub(crate) id: AppConnectionId,
    /// Its address, without a slash at the end.
    pub(crate) url: String,
    /// Host name and port.
    pub(crate) authority: String,
    pub(crate) label: String,
    pub(crate) basic: Option<(String, String)>,
    pub(crate) bearer: Option<String>,
    pub(crate) app_token: String,
}

impl Connection {
    pub(crate) fn port(&self) -> u16 {
        self.authority.rsplit_once(':').unwrap().1.parse().unwrap()
    }

    /// The address of `path`, which starts with a slash.
    pub(crate) fn address(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// The value of `Authorization`, the bearer token if there is one.
    pub(crate) fn authorization(&self) -> Option<String> {
        use base64::Engine as _;
        let basic = |(user, password): &(String, String)| {
            let pair = format!("{user}:{password}");
            let pair = base64::engine::general_purpose::STANDARD.encode(pair);
            format!("Basic {pair}")
        };
        let bearer = self.bearer.as_ref().map(|token| format!("Bearer {token}"));
        bearer.or_else(|| self.basic.as_ref().map(basic))
    }

    /// A request with the connection's credential.
    pub(crate) fn request(&self, method: Method, path: &str) -> Request {
        let request = Request::new(method, self.address(path));
        match self.authorization() {
            Some(value) => request.header("Authorization", value),
            None => request,
        }
    }

    pub(crate) fn get(&self, path: &str) -> Request {
        self.request(Method::GET, path)
    }

    pub(crate) fn post(&self, path: &str) -> Request {
        self.request(Method::POST, path)
    }
}

/// One of our processes, with the log of all its runs.
pub(crate) struct Process {
    role: &'static str,
    config: PathBuf,
    log: PathBuf,
    /// What gets it into another machine, if it is in one.
    entrance: Vec<OsString>,
    child: Option<Child>,
}

impl Process {
    pub(crate) fn new(role: &'static str, folder: &Path) -> Self {
        Self {
            role,
            config: folder.join(format!("{role}.yaml")),
            log: folder.join(format!("{role}.log")),
            entrance: Vec::new(),
            child: None,
        }
    }

    /// Lets it run in another machine from its next start on.
    pub(crate) fn move_to(&mut self, machine: &Machine) {
        self.entrance = machine.entrance().to_vec();
    }

    /// Lets it have no more than so many descriptors from its next start on.
    pub(crate) fn limit_descriptors(&mut self, most: u32) {
        let script = format!("ulimit -n {most} && exec \"$@\"");
        self.entrance = ["sh", "-c", &script, "sh"].map(OsString::from).to_vec();
    }

    /// Starts it, and waits for nothing.
    pub(crate) fn start(&mut self) {
        assert!(self.child.is_none(), "the {} runs already", self.role);
        // Of an earlier run, a line must not be taken for one of this.
        let log = self.log();
        if !log.is_empty() {
            let mut earlier = OpenOptions::new();
            let earlier = earlier.create(true).append(true).open(self.earlier());
            std::io::Write::write_all(&mut earlier.unwrap(), log.as_bytes()).unwrap();
        }
        let output = File::create(&self.log).unwrap();
        let mut command = match self.entrance.split_first() {
            None => latchkey(),
            Some((program, arguments)) => {
                let mut command = Command::new(program);
                command
                    .args(arguments)
                    .arg(latchkey().as_std().get_program());
                command.kill_on_drop(true);
                command
            }
        };
        let child = command
            .args(["--log", "info,latchkey=debug", "--log-format", "json"])
            .args([self.role, "--config"])
            .arg(&self.config)
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn();
        self.child = Some(child.unwrap());
    }

    /// Starts it where it is expected to end by itself.
    pub(crate) async fn run_to_end(&mut self) -> ExitStatus {
        self.start();
        self.ended().await
    }

    fn earlier(&self) -> PathBuf {
        self.log.with_extension("earlier.log")
    }

    /// What it logged since it was last started; the last lines may still be on their way.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// What it logged in all its runs, with the lines that were on their way.
    pub(crate) async fn whole_log(&self) -> String {
        // It gathers lines for a few milliseconds.
        sleep(Duration::from_millis(100)).await;
        self.logs()
    }

    /// The files of all its runs.
    fn logs(&self) -> String {
        let earlier = std::fs::read(self.earlier()).unwrap_or_default();
        String::from_utf8_lossy(&earlier).into_owned() + &self.log()
    }

    pub(crate) fn role(&self) -> &'static str {
        self.role
    }

    /// A field that it has logged as a text.
    pub(crate) fn field(&self, name: &str) -> String {
        let log = self.log();
        let found = log.lines().find_map(|line| {
            let line: Value = serde_json::from_str(line).ok()?;
            let found = line.get(name).or_else(|| line["fields"].get(name))?;
            found.as_str().map(str::to_owned)
        });
        found.unwrap_or_else(|| panic!("the {} never said {name}:\n{log}", self.role))
    }

    pub(crate) fn count_lines(&self, part: &str) -> usize {
        self.log()
            .lines()
            .filter(|line| line.contains(part))
            .count()
    }

    /// Waits until it has logged `part`.
    pub(crate) async fn await_line(&mut self, part: &str) {
        let deadline = Instant::now() + READY_WITHIN;
        while self.count_lines(part) == 0 {
            if let Some(status) = self
                .child
                .as_mut()
                .and_then(|child| child.try_wait().unwrap())
            {
                panic!("the {} ended with {status}:\n{}", self.role, self.log());
            }
            let waited = Instant::now() < deadline;
            assert!(
                waited,
                "the {} never said {part:?}:\n{}",
                self.role,
                self.log()
            );
            sleep(LOOK_AGAIN).await;
        }
    }

    async fn await_lines(&self, part: &str, count: usize, other: &Self) {
        let deadline = Instant::now() + READY_WITHIN;
        while self.count_lines(part) < count {
            assert!(
                Instant::now() < deadline,
                "the {} did not say {part:?} {count} times:\n{}\n{}",
                self.role,
                self.log(),
                other.log()
            );
            sleep(LOOK_AGAIN).await;
        }
    }

    pub(crate) fn id(&self) -> u32 {
        let id = self.child.as_ref().and_then(Child::id);
        id.unwrap_or_else(|| panic!("the {} does not run", self.role))
    }

    /// SIGKILL: it has no time for anything.
    pub(crate) async fn kill(&mut self) {
        let mut child = self.child.take().expect("runs");
        child.kill().await.unwrap();
    }

    /// SIGTERM, and nothing more.
    pub(crate) async fn terminate(&self) {
        signal(self.id(), "TERM").await;
    }

    /// Waits for its end.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("runs");
        let ended = tokio::time::timeout(ENDED_WITHIN, child.wait()).await;
        let Ok(status) = ended else {
            let _ = child.kill().await;
            panic!("the {} did not end:\n{}", self.role, self.log());
        };
        status.unwrap()
    }

    /// SIGTERM, then its end, which must be a good one.
    pub(crate) async fn stop(&mut self) {
        self.terminate().await;
        let status = self.ended().await;
        assert!(
            status.success(),
            "{} ended with {status}:\n{}",
            self.role,
            self.log()
        );
    }

    /// Resident memory now, in bytes.
    pub(crate) fn resident(&self) -> u64 {
        self.memory("VmRSS:")
    }

    /// The most resident memory since [`Self::forget_peak`].
    pub(crate) fn peak(&self) -> u64 {
        self.memory("VmHWM:")
    }

    /// Begins to measure the peak anew.
    pub(crate) fn forget_peak(&self) {
        std::fs::write(format!("/proc/{}/clear_refs", self.id()), "5").unwrap();
    }

    /// How many descriptors it has open.
    pub(crate) fn descriptors(&self) -> usize {
        let open = std::fs::read_dir(format!("/proc/{}/fd", self.id()));
        open.unwrap().count()
    }

    /// How many threads it has.
    pub(crate) fn threads(&self) -> usize {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.id()));
        threads.unwrap().count()
    }

    fn memory(&self, field: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with(field)).unwrap();
        let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        kib * 1024
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let kept = artifacts().join("stack");
            let name = std::thread::current()
                .name()
                .unwrap_or("test")
                .replace("::", "-");
            let file = kept.join(format!("{name}-{}.log", self.role));
            let _ = std::fs::create_dir_all(&kept).and_then(|()| std::fs::write(file, self.logs()));
        }
        // `kill_on_drop` ends the process.
    }
}

/// The program under test; killed when dropped.
pub(crate) fn latchkey() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_latchkey"));
    command.kill_on_drop(true);
    command
}

/// Sends a signal by its name. The shell's own `kill`: it needs no unsafe code and no further crate.
pub(crate) async fn signal(process: u32, name: &str) {
    let sent = Command::new("sh")
        .args(["-c", "kill -\"$0\" \"$1\"", name, &process.to_string()])
        .status();
    assert!(sent.await.unwrap().success());
}

/// An address that nothing listens on, and whose port no connection going out is given: those are higher. Processes of
/// a stack come back to their address, and nothing may have slipped in meanwhile.
pub(crate) fn free_address() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    const FIRST: u16 = 20_000;
    const PORTS: u16 = 12_000;
    // Test processes that run at the same time begin at different places.
    let start =
        u16::try_from(std::process::id() % u32::from(PORTS) * 61 % u32::from(PORTS)).unwrap();
    for _ in 0..PORTS {
        let step = NEXT.fetch_add(1, Ordering::Relaxed) % PORTS;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, FIRST + (start + step) % PORTS));
        if std::net::TcpListener::bind(address).is_ok() {
            return address;
        }
    }
    panic!("no port is free");
}

/// A private CA, and a certificate of it for the relay and its app connections.
pub(crate) fn certify(folder: &Path) {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = authority().self_signed(&key).unwrap();
    std::fs::write(folder.join("ca.pem"), certificate.pem()).unwrap();
    std::fs::write(folder.join("ca.key"), key.serialize_pem()).unwrap();
    renew(folder);
}

fn authority() -> rcgen::CertificateParams {
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa};
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.distinguished_name
        .push(DnType::CommonName, "Latchkey tests");
    ca
}

/// Another certificate of the private CA, in the place of the one before.
pub(crate) fn renew(folder: &Path) {
    use rcgen::{CertificateParams, Issuer, KeyPair};
    let ca_key = std::fs::read_to_string(folder.join("ca.key")).unwrap();
    let issuer = Issuer::new(authority(), KeyPair::from_pem(&ca_key).unwrap());
    let key = KeyPair::generate().unwrap();
    let names = ["localhost".to_owned(), "*.printers.localhost".to_owned()];
    let certificate = CertificateParams::new(names)
        .unwrap()
        .signed_by(&key, &issuer)
        .unwrap();
    for (name, text) in [
        ("relay.pem", certificate.pem()),
        ("relay.key", key.serialize_pem()),
    ] {
        let draft = folder.join(format!("{name}.draft"));
        std::fs::write(&draft, text).unwrap();
        std::fs::rename(draft, folder.join(name)).unwrap();
    }
}

/// The status and envelope of an answer that the relay gave by itself.
pub(crate) fn assert_relay_status(response: &super::http::Response, status: u16) {
    let expected = StatusCode::from_u16(status).unwrap();
    assert_eq!(response.status, expected, "{response:?}");
    assert_eq!(response.header("content-type"), "application/json");
    assert_eq!(response.header("cache-control"), "no-store");
    assert!(
        !response.headers.contains_key("www-authenticate"),
        "{response:?}"
    );
    let envelope = response.json();
    assert_eq!(envelope["Status"], status, "{envelope}");
    assert!(
        envelope["Error"].is_string() && envelope["Result"].is_null(),
        "{envelope}"
    );
}

/// `latchkey sim`, which prints nothing by itself; killed when dropped.
pub(crate) struct Simulator {
    address: SocketAddr,
    _child: Child,
    _files: TempDir,
}

impl Simulator {
    /// The key it takes unless told otherwise.
    pub(crate) const KEY: &str = "latchkey-sim";

    pub(crate) async fn start() -> Self {
        let files = TempDir::with_prefix("latchkey-sim-").unwrap();
        let address = free_address();
        let child = latchkey()
            .args(["--log", "warn", "sim", "--idle", "--fps", "1", "--listen"])
            .arg(address.to_string())
            .arg("--files")
            .arg(files.path())
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let simulator = Self {
            address,
            _child: child.unwrap(),
            _files: files,
        };
        let deadline = Instant::now() + READY_WITHIN;
        while Request::get(simulator.url("")).try_send().await.is_err() {
            assert!(
                Instant::now() < deadline,
                "the simulated printer did not start"
            );
            sleep(LOOK_AGAIN).await;
        }
        simulator
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address of `path`, which starts without a slash.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }
}
