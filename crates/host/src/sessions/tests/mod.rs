//! Signing in, as browsers and apps see it: requests through the reception, answers compared.

mod browser;
mod keys;
mod page;
mod sessions;
mod sign_in;

use std::sync::Arc;
use std::time::Duration;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use latchkey_model::access::KeyScope;
use latchkey_model::app::AppName;
use latchkey_model::chance::SeededChance;
use latchkey_model::clock::{FixedClock, Timestamp};
use latchkey_model::sealed::MasterKey;
use latchkey_model::user::{Group, UserName};
use latchkey_net::body::{self, Body};
use latchkey_net::client_addr::Scheme;
use latchkey_store::host::HostStore;
use serde_json::Value;

pub(crate) use self::browser::Browser;
use crate::authority::Authority;
use crate::authority::opening::{Opened, Surroundings};
use crate::authority::reception::Reception;
use crate::config::{
    AuthorityMode, ClientAddress, Config, FileApps, Timeouts, Upstream as UpstreamConfig,
    UpstreamAddress, UpstreamKind,
};
use crate::local_api::{Facts, LocalApi};
use crate::pages::Pages;
use crate::service::{Door, Inbound};
use crate::upstream::probe::Trust;
use crate::upstream::{Answer, Upstream};

pub(crate) const MINUTE: Duration = Duration::from_mins(1);
pub(crate) const PASSWORD: &str = "right-horse";

/// A host that knows three active people and one who is not.
pub(crate) struct Bench {
    pub(crate) reception: Reception,
    pub(crate) authority: Authority,
    pub(crate) upstream: Upstream,
    pub(crate) clock: FixedClock,
}

pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.headers[CONTENT_TYPE], "application/json");
        serde_json::from_str(&self.text).unwrap()
    }

    pub(crate) fn field(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }
}

pub(crate) fn config() -> Config {
    let nowhere = UpstreamAddress::from_url(&"http://127.0.0.1:1".parse().unwrap()).unwrap();
    Config {
        name: "voron".to_owned(),
        listen: "127.0.0.1:0".parse().unwrap(),
        announce: false,
        status_listen: None,
        data: std::path::PathBuf::new(),
        key_file: None,
        upstream: UpstreamConfig {
            kind: UpstreamKind::Generic,
            address: nowhere,
            credential: None,
            load: crate::config::Load::default(),
        },
        authority: AuthorityMode::Host,
        webcams: Vec::new(),
        client_address: ClientAddress::Auto,
        hostnames: Vec::new(),
        trusted_proxies: Vec::new(),
        relay: None,
        timeouts: Timeouts::default(),
        session_apps: FileApps::default(),
        fresh_for: MINUTE * 5,
        drain: Duration::from_secs(1),
    }
}

pub(crate) fn local_api() -> LocalApi {
    let facts = Facts {
        name: "voron".to_owned(),
        printer_id: "A".repeat(48).parse().unwrap(),
        authority: AuthorityMode::Host,
        upstream: UpstreamKind::Generic,
        listen: "127.0.0.1:5010".parse().unwrap(),
        relay: None,
    };
    LocalApi::open(facts, None)
}

pub(crate) fn at_home() -> Inbound {
    Inbound {
        door: Door::Lan,
        address: [192, 168, 1, 7].into(),
        scheme: Scheme::Http,
        authority: "octopi.local".parse().unwrap(),
        prefix: String::new(),
        websocket: false,
        request_id: "0123456789abcdef".to_owned(),
    }
}

pub(crate) fn name(text: &str) -> UserName {
    UserName::parse(text).unwrap()
}

impl Bench {
    async fn new() -> Self {
        let bench = Self::empty(config()).await;
        let users = &bench.authority.users;
        for (name, group) in [
            ("ann", Group::Admins),
            ("bob", Group::Users),
            ("rita", Group::Readonly),
            ("olga", Group::Users),
        ] {
            users.add(name, PASSWORD, group).await.unwrap();
        }
        users.set_active(&name("olga"), false).await.unwrap();
        bench
    }

    /// A host that nobody has set up.
    pub(crate) async fn empty(config: Config) -> Self {
        let clock = FixedClock::new(Timestamp::from_millis(1_769_860_800_000));
        let around = Surroundings {
            pages: Pages {
                name: "voron".into(),
                relay: crate::relay::tests::unset(),
                upstream_kind: "Printer server",
                webcam: None,
                trust: Trust::default(),
            },
            local_api: local_api(),
            clock: Arc::new(clock.clone()),
            chance: Arc::new(SeededChance::new(11)),
            tracker: tokio_util::task::TaskTracker::new(),
            stopping: tokio_util::sync::CancellationToken::new(),
        };
        let store = HostStore::open_in_memory().await.unwrap();
        let opened = Opened::with(&config, around, store, &MasterKey::from_bytes([3; 32]));
        Self {
            reception: opened.reception,
            authority: opened.authority,
            upstream: Upstream::new(config, Trust::default()),
            clock,
        }
    }

    pub(crate) async fn ask(&self, request: Request<Body>, inbound: &Inbound) -> Reply {
        let answer = self.reception.answer(request, inbound, &self.upstream);
        let Ok(Answer::Plain(response)) = answer.await else {
            panic!("no plain answer");
        };
        let (parts, body) = response.into_parts();
        let text = body.collect().await.unwrap().to_bytes();
        Reply {
            status: parts.status,
            headers: parts.headers,
            text: String::from_utf8(text.to_vec()).unwrap(),
        }
    }

    pub(crate) fn browser(&self) -> Browser<'_> {
        Browser::new(self, at_home())
    }

    /// A browser that has been to the sign-in page, and signed in.
    pub(crate) async fn signed_in(&self, user: &str) -> Browser<'_> {
        let mut browser = self.browser();
        browser.visit_login().await;
        let reply = browser.log_in(user, PASSWORD).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text);
        browser
    }

    pub(crate) async fn key(&self, user: &str, scope: KeyScope) -> String {
        let app = AppName::cleaned("An app").unwrap();
        let keys = &self.authority.app_keys;
        let key = keys.generate(&name(user), &app, scope).await.unwrap();
        key.expose().to_owned()
    }
}

pub(crate) fn request(
    method: &str,
    path: &str,
    fields: &[(&str, &str)],
    text: &str,
) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    request.body(body::full(text.to_owned())).unwrap()
}
