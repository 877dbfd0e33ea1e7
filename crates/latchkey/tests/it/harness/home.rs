//! A host at home as the process it is in the field, with people who know their passwords, and a browser for each.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use argon2::{Algorithm, Argon2, Params, PasswordHasher, Version};
use http::{Method, StatusCode};
use latchkey_model::clock::Timestamp;
use latchkey_model::secret::PasswordHash;
use latchkey_model::user::{Group, User, UserName};
use latchkey_store::HostStore;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::http::{Cookies, Request, Response};
use super::stack::{Process, Simulator, free_address};

/// Somebody with a password at the host.
#[derive(Clone, Copy)]
pub(crate) struct Person {
    pub(crate) name: &'static str,
    pub(crate) password: &'static str,
    group: Group,
}

/// Administers the host.
pub(crate) const ANN: Person = Person {
    name: "ann",
    password: "correct-horse",
    group: Group::Admins,
};
/// Uses the printer.
pub(crate) const BOB: Person = Person {
    name: "bob",
    password: "battery-staple",
    group: Group::Users,
};
/// Only watches.
pub(crate) const EVE: Person = Person {
    name: "eve",
    password: "looking-glass",
    group: Group::Readonly,
};

/// A running host with `authority: host`, and what it stands before.
pub(crate) struct Home {
    pub(crate) host: Process,
    address: SocketAddr,
    folder: TempDir,
    /// The simulated printer, if that is what is behind it.
    pub(crate) printer: Option<Simulator>,
}

impl Home {
    /// Before a simulated printer.
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Before a simulated printer, with these settings in its configuration.
    pub(crate) async fn start_with(settings: &[(&str, Value)]) -> Self {
        let mut home = Self::prepare_simulated().await;
        for (name, value) in settings {
            home.configure(name, value.clone());
        }
        home.start_host().await;
        home
    }

    async fn prepare_simulated() -> Self {
        let printer = Simulator::start().await;
        let upstream = printer.url("");
        let mut home = Self::prepare(upstream.trim_end_matches('/'), Simulator::KEY).await;
        home.printer = Some(printer);
        home
    }

    /// Before the server at `upstream`, which may not be there at all; not started yet.
    pub(crate) async fn prepare(upstream: &str, key: &str) -> Self {
        let folder = TempDir::with_prefix("latchkey-home-").unwrap();
        let address = free_address();
        std::fs::write(folder.path().join("upstream.key"), key).unwrap();
        let config = json!({
            "listen": address.to_string(),
            "status_listen": null,
            "data": "data",
            "upstream": {"kind": "octoprint", "url": upstream, "api_key_file": "upstream.key"},
            "webcams": [{"path": "/webcam/", "url": format!("{upstream}/webcam/")}],
        });
        std::fs::write(folder.path().join("host.yaml"), config.to_string()).unwrap();
        let home = Self {
            host: Process::new("host", folder.path()),
            address,
            folder,
            printer: None,
        };
        let store = home.open_store().await;
        for person in [ANN, BOB, EVE] {
            person.register(&store).await;
        }
        store.close().await;
        home
    }

    /// Sets something in its configuration, before it is started.
    pub(crate) fn configure(&self, name: &str, value: Value) {
        let path = self.folder().join("host.yaml");
        let config = std::fs::read_to_string(&path).unwrap();
        let mut config: Value = serde_json::from_str(&config).unwrap();
        config[name] = value;
        std::fs::write(path, config.to_string()).unwrap();
    }

    /// Where its configuration, its data and its log are.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Starts it (again) and waits until it answers.
    pub(crate) async fn start_host(&mut self) {
        self.host.start();
        self.host.await_line("the host is listening").await;
    }

    /// Its database, opened once more beside it.
    pub(crate) async fn open_store(&self) -> HostStore {
        let path = self.folder.path().join("data/host.db");
        HostStore::open(path).await.unwrap()
    }

    /// Its configuration, for commands beside it.
    pub(crate) fn config(&self) -> PathBuf {
        self.folder.path().join("host.yaml")
    }

    /// The address of a path, which starts with a slash.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// A browser in which `person` has just signed in.
    pub(crate) async fn sign_in(&self, person: Person) -> Browser {
        let mut browser = self.browser();
        let answer = browser.log_in(person.name, person.password).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        browser
    }

    /// A browser in which nobody has signed in.
    pub(crate) fn browser(&self) -> Browser {
        Browser::at(&self.url(""))
    }

    /// A key of `person` for an app, made by the person.
    pub(crate) async fn key(&self, person: Person, app: &str) -> String {
        let mut browser = self.sign_in(person).await;
        let command = json!({"command": "generate", "app": app});
        let made = browser.post("/api/plugin/appkeys", &command).await;
        assert_eq!(made.status, StatusCode::OK, "{made:?}");
        made.json()["api_key"].as_str().unwrap().to_owned()
    }
}

impl Person {
    async fn register(self, store: &HostStore) {
        // A cheap hash: what a real one costs is another test's business.
        let cheap = Params::new(Params::MIN_M_COST, 1, 1, None).unwrap();
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, cheap);
        let hash = argon2.hash_password(self.password.as_bytes()).unwrap();
        let user = User {
            name: UserName::parse(self.name).unwrap(),
            group: self.group,
            active: true,
            created: Timestamp::from_millis(0),
        };
        let hash = PasswordHash::new(hash.to_string());
        store.users().create(&user, Some(&hash)).await.unwrap();
    }
}

/// A browser as far as the host sees one: cookies, and the CSRF token on whatever changes something.
#[derive(Clone)]
pub(crate) struct Browser {
    base: String,
    pub(crate) cookies: Cookies,
    /// Told as the caller's own address by a proxy on this machine, so that limits for one address count apart.
    pub(crate) address: Option<String>,
}

impl Browser {
    /// At a host, or at an app connection that asks for nothing more.
    pub(crate) fn at(base: &str) -> Self {
        Self {
            base: base.trim_end_matches('/').to_owned(),
            cookies: Cookies::default(),
            address: None,
        }
    }

    /// Loads the sign-in page for its cookie, and signs in.
    pub(crate) async fn log_in(&mut self, user: &str, password: &str) -> Response {
        self.get("/login/").await;
        let pair = json!({"user": user, "pass": password});
        self.post("/api/login", &pair).await
    }

    pub(crate) async fn get(&mut self, path: &str) -> Response {
        self.send(self.request(Method::GET, path)).await
    }

    pub(crate) async fn post(&mut self, path: &str, body: &Value) -> Response {
        let mut request = self.request(Method::POST, path).json(body);
        if let Some(token) = self.csrf_token() {
            request = request.header("X-CSRF-Token", token);
        }
        self.send(request).await
    }

    /// Sends a form as a page of the host does.
    pub(crate) async fn submit(&mut self, path: &str, fields: &[(&str, &str)]) -> Response {
        let token = self.csrf_token().unwrap_or_default();
        let mut all = fields.to_vec();
        all.push(("csrf_token", &token));
        let request = self.request(Method::POST, path).form(&all);
        self.send(request).await
    }

    pub(crate) async fn send(&mut self, request: Request) -> Response {
        let answer = request.send().await.read().await;
        self.cookies.learn(&answer.headers);
        answer
    }

    /// A request with the browser's cookies.
    pub(crate) fn request(&self, method: Method, path: &str) -> Request {
        let request = Request::new(method, format!("{}{path}", self.base)).cookies(&self.cookies);
        match &self.address {
            Some(address) => request.header("X-Forwarded-For", address),
            None => request,
        }
    }

    pub(crate) fn csrf_token(&self) -> Option<String> {
        self.cookies.find("csrf_token_P").map(str::to_owned)
    }
}
