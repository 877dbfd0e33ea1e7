//! What the host's routes answer, to whom, and whom they refuse.

mod bypass;
mod dialog;
mod forged;
mod fresh;
mod keys;
mod routes;
mod watching;
mod who;
mod workflow;

use std::net::IpAddr;

use http::{HeaderMap, StatusCode};
use latchkey_model::access::KeyScope;
use latchkey_model::app::AppName;
use latchkey_model::clock::Timestamp;
use latchkey_model::secret::{PasswordHash, RequestTokenHash};
use latchkey_model::session_key::{Registration, SessionAppName, SessionScope};
use latchkey_model::user::{Group, User};
use tokio::sync::OnceCell;

use crate::config::FileApp;
use crate::public::Public;
use crate::service::Door;
use crate::session_keys::tests::documented_app;
use crate::sessions::tests::{Bench, Browser, PASSWORD, Reply, at_home, config, name, request};

/// Everybody who may call, by what they can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    Guest,
    /// Only watches.
    Rita,
    /// Whose key and whose key request are what is asked for.
    Bob,
    /// Another ordinary user.
    Ben,
    /// Administers the host.
    Ann,
    BobsFullKey,
    BobsViewKey,
    AppConnection,
    /// An app that signed for its key.
    SessionKey,
    /// One that may administer the printer's server.
    AdminSessionKey,
}

/// Their answers stand in the table; those of the next two follow from it.
const EVERYBODY: [Who; 8] = [
    Who::Guest,
    Who::Rita,
    Who::Bob,
    Who::Ben,
    Who::Ann,
    Who::BobsFullKey,
    Who::BobsViewKey,
    Who::AppConnection,
];

/// At the host's own routes these are nobody, as an app connection is.
const SESSION_KEYS: [Who; 2] = [Who::SessionKey, Who::AdminSessionKey];

/// A host with four active people who all have the same password, and one who left.
async fn host() -> Bench {
    let mut config = config();
    let file = "host.yaml".to_owned();
    config.session_apps.entries.push(FileApp {
        registration: documented_app(),
        file,
        own: true,
    });
    let bench = Bench::empty(config).await;
    populate(&bench).await;
    let app = Registration {
        name: SessionAppName::parse("kept:1").unwrap(),
        ..documented_app()
    };
    let keys = &bench.authority.session_keys;
    keys.register(app, "ann").await.unwrap();
    bench
}

async fn populate(bench: &Bench) {
    /// Made once: making one is slow on purpose.
    static HASH: OnceCell<PasswordHash> = OnceCell::const_new();
    let users = &bench.authority.users;
    let hash = HASH.get_or_init(async || users.passwords.hash(PASSWORD).await.unwrap());
    let hash = hash.await;
    for (who, group) in [
        ("ann", Group::Admins),
        ("bob", Group::Users),
        ("ben", Group::Users),
        ("rita", Group::Readonly),
        ("olga", Group::Users),
    ] {
        let user = User {
            name: name(who),
            group,
            active: who != "olga",
            created: Timestamp::from_millis(0),
        };
        let store = bench.authority.store.users();
        store.create(&user, Some(hash)).await.unwrap();
    }
}

/// A browser in which somebody signed in just now.
async fn browser_of<'b>(bench: &'b Bench, user: &str) -> Browser<'b> {
    let mut browser = guest(bench);
    let user = bench
        .authority
        .users
        .find(&name(user))
        .await
        .unwrap()
        .unwrap();
    let (none, public) = (HeaderMap::new(), Public::of(&browser.inbound));
    let sessions = &bench.authority.sessions;
    let cookies = sessions.open(&user, &none, &browser.inbound, &public);
    browser.learn(&cookies.await.unwrap());
    browser
}

/// A browser that has been to a page of the host.
fn guest(bench: &Bench) -> Browser<'_> {
    let mut browser = bench.browser();
    let public = Public::of(&browser.inbound);
    let csrf = bench.authority.sessions.csrf(&HeaderMap::new(), &public);
    browser.learn(&[csrf.set_cookie]);
    browser
}

async fn key_of(bench: &Bench, user: &str, app: &str, scope: KeyScope) -> String {
    let app = AppName::cleaned(app).unwrap();
    let keys = &bench.authority.app_keys;
    let key = keys.generate(&name(user), &app, scope).await.unwrap();
    key.expose().to_owned()
}

/// A session key, without an app that signed for it.
fn session_key(bench: &Bench, scope: SessionScope) -> String {
    let name = SessionAppName::parse("kept:1").unwrap();
    let key = bench.authority.session_keys.put_verified(&name, scope);
    key.expose().to_owned()
}

/// Somebody who calls, with what they have to show.
struct Caller<'b> {
    browser: Browser<'b>,
    key: Option<String>,
}

impl<'b> Caller<'b> {
    async fn new(bench: &'b Bench, who: Who) -> Self {
        let (browser, key) = match who {
            Who::Guest => (guest(bench), None),
            Who::Rita => (browser_of(bench, "rita").await, None),
            Who::Bob => (browser_of(bench, "bob").await, None),
            Who::Ben => (browser_of(bench, "ben").await, None),
            Who::Ann => (browser_of(bench, "ann").await, None),
            Who::BobsFullKey => {
                let key = key_of(bench, "bob", "Full", KeyScope::Full).await;
                (bench.browser(), Some(key))
            }
            Who::BobsViewKey => {
                let key = key_of(bench, "bob", "View", KeyScope::View).await;
                (bench.browser(), Some(key))
            }
            Who::AppConnection => {
                let mut browser = bench.browser();
                browser.inbound.door = Door::Tunnel {
                    app_connection: Some("c1".to_owned()),
                    scope: KeyScope::Full,
                };
                (browser, None)
            }
            Who::SessionKey => (
                bench.browser(),
                Some(session_key(bench, SessionScope::Full)),
            ),
            Who::AdminSessionKey => {
                let key = session_key(bench, SessionScope::Admin);
                (bench.browser(), Some(key))
            }
        };
        Self { browser, key }
    }

    /// Sends what belongs to a route, with the token that a page of the host would send.
    async fn send(&mut self, method: &str, path: &str, body: Sent) -> Reply {
        let token = self.browser.csrf();
        self.send_with(method, path, body, &token, &[]).await
    }

    async fn send_with(
        &mut self,
        method: &str,
        path: &str,
        body: Sent,
        token: &str,
        more: &[(&str, &str)],
    ) -> Reply {
        let mut fields = more.to_vec();
        if let Some(key) = &self.key {
            fields.push(("x-api-key", key));
        }
        let text = match body {
            Sent::Nothing => String::new(),
            Sent::Json(text) => {
                fields.push(("content-type", "application/json"));
                if !token.is_empty() {
                    fields.push(("x-csrf-token", token));
                }
                text.to_owned()
            }
            Sent::Form(text) => {
                fields.push(("content-type", "application/x-www-form-urlencoded"));
                if token.is_empty() {
                    text.to_owned()
                } else {
                    format!("{text}&csrf_token={token}")
                }
            }
        };
        self.browser.send(method, path, &fields, &text).await
    }
}

/// The body of a request.
#[derive(Debug, Clone, Copy)]
enum Sent {
    Nothing,
    Json(&'static str),
    Form(&'static str),
}

/// What requests are about: Bob's.
struct Things {
    app_token: String,
    user_token: String,
    key_id: String,
    /// Of Bob, elsewhere.
    session_id: String,
}

impl Things {
    async fn new(bench: &Bench) -> Self {
        key_of(bench, "bob", "Owned", KeyScope::Full).await;
        browser_of(bench, "bob").await;
        let store = &bench.authority.store;
        let owned = AppName::cleaned("Owned").unwrap();
        let key = store.app_keys().find(&name("bob"), &owned).await.unwrap();
        let sessions = store.sessions().list_of(&name("bob")).await.unwrap();
        let (app_token, user_token) = ask(bench, Some("bob"));
        Self {
            app_token,
            user_token,
            key_id: key.unwrap().key.id.to_string(),
            session_id: sessions.last().unwrap().id.to_string(),
        }
    }

    fn fill(&self, pattern: &str) -> String {
        pattern
            .replace("{app_token}", &self.app_token)
            .replace("{user_token}", &self.user_token)
            .replace("{id}", &self.key_id)
            .replace("{name}", "olga")
            .replace("{app}", "kept%3A1")
            .replace("{*unknown}", "nothing/here")
    }
}

/// An app's wish for a key: its own token, and the one to decide by.
fn ask(bench: &Bench, user: Option<&str>) -> (String, String) {
    let requests = &bench.authority.key_requests;
    let app = AppName::cleaned("Wish").unwrap();
    let from: IpAddr = [192, 168, 1, 40].into();
    let app_token = requests.ask(app, user.map(str::to_owned), from).unwrap();
    let shown = requests.find(app_token.expose()).unwrap();
    let user_token = shown.user_token.expose().to_owned();
    (app_token.expose().to_owned(), user_token)
}

/// All that a request could have changed, as text.
async fn state(bench: &Bench, things: &Things) -> String {
    let store = &bench.authority.store;
    let mut told = String::new();
    let mut tell = |line: String| {
        told.push_str(&line);
        told.push('\n');
    };
    for user in store.users().list().await.unwrap() {
        let kept = store.users().find_sign_in(&user.name).await.unwrap();
        let hash = kept.unwrap().password_hash.unwrap();
        tell(format!("{user:?} {}", hash.expose()));
        let mut sessions = store.sessions().list_of(&user.name).await.unwrap();
        sessions.sort_by_key(|session| session.id.to_string());
        tell(format!("{sessions:?}"));
        let waiting = bench.authority.key_requests.list_for(&user.name);
        let mut waiting: Vec<_> = waiting
            .iter()
            .map(|shown| shown.user_token.expose().to_owned())
            .collect();
        waiting.sort();
        tell(format!("{waiting:?}"));
    }
    tell(format!("{:?}", store.session_apps().list().await.unwrap()));
    let switches = store.session_apps().list_switches().await.unwrap();
    tell(format!("{switches:?}"));
    tell(format!("{:?}", bench.authority.local_api.frontend()));
    let mut keys = store.app_keys().list().await.unwrap();
    keys.sort_by_key(|key| key.id.to_string());
    tell(format!("{keys:?}"));
    let token = RequestTokenHash::of(&things.app_token);
    tell(format!("{:?}", store.grants().find(&token).await.unwrap()));
    told
}

fn is_refusal(status: StatusCode) -> bool {
    matches!(status.as_u16(), 400 | 403 | 404 | 405)
}

fn is_of_admins(path: &str) -> bool {
    let of_admins = ["/latchkey/users", "/latchkey/apps", "/latchkey/relay"];
    of_admins.iter().any(|start| path.contains(start))
}
