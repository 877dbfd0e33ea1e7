//! A web origin in this process, and browsers that walk through it.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use data_encoding::HEXLOWER;
use http::header::{CONTENT_TYPE, COOKIE, LOCATION, ORIGIN, REFRESH, SET_COOKIE};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use latchkey_model::account::{Account, Email};
use latchkey_model::chance::{Chance, SeededChance};
use latchkey_model::clock::{Clock, FixedClock, Timestamp};
use latchkey_model::id::{AccountId, PrinterId};
use latchkey_model::printer::{Printer, PrinterName, Seen};
use latchkey_store::RelayStore;
use latchkey_store::relay::SignIn;
use tower::ServiceExt as _;

use crate::apps::{Registration, register};
use crate::config::{Config, PublicUrl};
use crate::mail::Mail;
use crate::pages::visit::Arrival;
use crate::sessions::Visitor;
use crate::state::State;
use crate::web_origin::router;

pub(super) const ORIGIN_OF_OURS: &str = "http://localhost:7010";

pub(super) struct Bench {
    pub(super) state: State,
    pub(super) clock: FixedClock,
    chance: Arc<SeededChance>,
    router: Router,
}

fn config() -> Config {
    Config {
        public_url: PublicUrl::from_url(&ORIGIN_OF_OURS.parse().unwrap()).unwrap(),
        connection_domain: "localhost:7010".parse().unwrap(),
        ..crate::tests::config()
    }
}

impl Bench {
    pub(super) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(super) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = config();
        change(&mut config);
        let chance = Arc::new(SeededChance::new(11));
        let clock = FixedClock::new(Timestamp::from_millis(1_760_000_000_000));
        let store = RelayStore::open_in_memory().await.unwrap();
        let (as_clock, as_chance): (Arc<dyn Clock>, Arc<dyn Chance>) =
            (Arc::new(clock.clone()), Arc::clone(&chance) as _);
        let config = Arc::new(config);
        let state = crate::tests::state(config, store, &as_clock, &as_chance, Mail::off());
        let bench = Self {
            router: router(state.clone()),
            state,
            clock,
            chance,
        };
        bench.register("octopod", "OctoPod", "octopod:").await;
        bench.register("devtest", "Test app", "*").await;
        bench
    }

    pub(super) async fn register(&self, id: &str, name: &str, target: &str) {
        let targets = [target.to_owned()];
        let wanted = Registration {
            id,
            name,
            developer: Some("Northlight Labs"),
            website: Some("https://northlight.example"),
            targets: &targets,
            logo: None,
        };
        register(&self.state.store, &wanted, self.clock.now())
            .await
            .unwrap();
    }

    pub(super) async fn account(&self, email: &str) -> Account {
        let account = Account::new(
            AccountId::generate(&*self.chance),
            Email::parse(email).unwrap(),
            self.clock.now(),
            "supporter".parse().unwrap(),
        );
        let accounts = self.state.store.accounts();
        accounts.create(&account, None).await.unwrap();
        account
    }

    pub(super) async fn printer(&self, account: &Account, name: &str) -> Printer {
        let printer = Printer {
            id: PrinterId::generate(&*self.chance),
            account: account.id.clone(),
            name: PrinterName::parse(name).unwrap(),
            host: None,
            created: self.clock.now(),
            seen: Seen::default(),
            local_address: None,
        };
        let printers = self.state.store.printers();
        printers.create(&printer).await.unwrap();
        // Found out later, as in earnest.
        let found = printers
            .note_local_address(&printer.id, "192.168.1.5:5010")
            .await;
        assert!(found.unwrap());
        printer
    }

    pub(super) async fn connections(&self, printer: &Printer) -> usize {
        let connections = self.state.store.app_connections();
        let listed = connections
            .list_by_printer(&printer.account, &printer.id)
            .await;
        listed.unwrap().len()
    }

    /// A browser in which nobody is signed in.
    pub(super) fn browser(&self) -> Browser {
        Browser {
            router: self.router.clone(),
            cookies: BTreeMap::new(),
            headers: HeaderMap::new(),
        }
    }

    pub(super) async fn signed_in(&self, account: &Account) -> Browser {
        let mut browser = self.browser();
        let headers = HeaderMap::new();
        let visitor = Visitor {
            headers: &headers,
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        };
        let proved = SignIn {
            account: account.clone(),
            password_hash: None,
        };
        let opened = self.state.sessions.open(&proved, &visitor).await.unwrap();
        let opened = opened.unwrap();
        browser.keep(opened.cookie.to_str().unwrap());
        browser
    }

    /// Types the password once more in a browser that is signed in.
    pub(super) async fn prove(&self, browser: &mut Browser, account: &Account) {
        let sessions = self.state.store.sessions();
        let session = sessions.list_of(&account.id).await.unwrap().remove(0);
        let cookie = self.state.sessions.renew(&session.id).await.unwrap();
        browser.keep(cookie.to_str().unwrap());
    }

    pub(super) async fn sign_everybody_out(&self, account: &Account) {
        let sessions = self.state.store.sessions();
        for session in sessions.list_of(&account.id).await.unwrap() {
            sessions.end(&account.id, &session.id).await.unwrap();
        }
    }
}

/// Keeps cookies, follows nothing.
#[derive(Clone)]
pub(super) struct Browser {
    router: Router,
    cookies: BTreeMap<String, String>,
    /// Sent with everything.
    pub(super) headers: HeaderMap,
}

#[derive(Debug)]
pub(super) struct Page {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

impl Browser {
    fn keep(&mut self, cookie: &str) {
        let pair = cookie.split(';').next().unwrap();
        let (name, value) = pair.split_once('=').unwrap();
        self.cookies.insert(name.to_owned(), value.to_owned());
    }

    pub(super) async fn get(&mut self, path: &str) -> Page {
        self.send(Request::get(path), String::new()).await
    }

    pub(super) async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Page {
        let pairs: Vec<_> = fields
            .iter()
            .map(|(name, value)| format!("{name}={}", encoded(value)))
            .collect();
        let request = Request::post(path).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        let request = if self.headers.contains_key(ORIGIN) {
            request
        } else {
            request.header(ORIGIN, ORIGIN_OF_OURS)
        };
        self.send(request, pairs.join("&")).await
    }

    pub(super) async fn post_json(&mut self, path: &str, body: &str) -> Page {
        let request = Request::post(path).header(CONTENT_TYPE, "application/json");
        self.send(request, body.to_owned()).await
    }

    /// Sends the form on a page as it stands, with these fields added or changed.
    pub(super) async fn submit(
        &mut self,
        page: &Page,
        path: &str,
        fields: &[(&str, &str)],
    ) -> Page {
        let mut hidden = page.hidden();
        // A page may have a second form, with the same token.
        let mut names = std::collections::BTreeSet::new();
        hidden.retain(|(name, _)| names.insert(name.clone()));
        let mut all: Vec<(&str, &str)> = hidden
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        all.retain(|(name, _)| fields.iter().all(|(changed, _)| changed != name));
        all.extend(fields);
        self.post(path, &all).await
    }

    async fn send(&mut self, request: http::request::Builder, body: String) -> Page {
        let cookies: Vec<_> = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let mut request = request
            .header(COOKIE, cookies.join("; "))
            .body(Body::from(body))
            .unwrap();
        request.headers_mut().extend(self.headers.clone());
        request.extensions_mut().insert(Arrival {
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            request_id: "0000000000000000".to_owned(),
        });
        let answer = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = answer.into_parts();
        for cookie in parts.headers.get_all(SET_COOKIE) {
            self.keep(cookie.to_str().unwrap());
        }
        let body = body.collect().await.unwrap().to_bytes();
        Page {
            status: parts.status,
            headers: parts.headers,
            body: String::from_utf8_lossy(&body).into_owned(),
        }
    }
}

impl Page {
    pub(super) fn location(&self) -> &str {
        assert!(
            self.status.is_redirection(),
            "{} {}",
            self.status,
            self.body
        );
        self.headers[LOCATION].to_str().unwrap()
    }

    /// Where the page goes on to by itself.
    pub(super) fn refresh(&self) -> Option<String> {
        let value = self.headers.get(REFRESH)?.to_str().unwrap();
        Some(value.strip_prefix("0; url=").unwrap().to_owned())
    }

    /// The values that went with it, decoded.
    pub(super) fn completion(&self) -> BTreeMap<String, String> {
        let address = self
            .refresh()
            .unwrap_or_else(|| panic!("{} {}", self.status, self.body));
        let query = address.split_once('?').unwrap().1;
        url::form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect()
    }

    pub(super) fn has(&self, text: &str) -> bool {
        self.body.contains(text)
    }

    /// Names and values of the hidden fields of its form.
    fn hidden(&self) -> Vec<(String, String)> {
        let inputs = self.body.split("<input type=\"hidden\" name=\"").skip(1);
        inputs
            .map(|rest| {
                let (name, rest) = rest.split_once('"').unwrap();
                let value = rest
                    .strip_prefix(" value=\"")
                    .unwrap()
                    .split('"')
                    .next()
                    .unwrap();
                (name.to_owned(), unescaped(value))
            })
            .collect()
    }
}

pub(super) fn unescaped(text: &str) -> String {
    [
        ("&#60;", "<"),
        ("&#62;", ">"),
        ("&#34;", "\""),
        ("&#39;", "'"),
        ("&#38;", "&"),
    ]
    .iter()
    .fold(text.to_owned(), |text, (escaped, plain)| {
        text.replace(escaped, plain)
    })
}

pub(super) fn encoded(text: &str) -> String {
    let digits = HEXLOWER.encode(text.as_bytes());
    let pairs = digits.as_bytes().chunks(2).map(str::from_utf8);
    pairs.flat_map(|pair| ["%", pair.unwrap()]).collect()
}
