//! Who may do what: every route, asked by everybody, compared with a table that people read.
//!
//! `routes.txt` has a line for each route and a column for each asker: the status, and a `*`
//! where something that is kept has changed. A route without a line fails, and so does a line
//! without a route.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::time::Duration;

use axum::body::Body;
use http::header::{CONTENT_TYPE, COOKIE, ORIGIN};
use http::{HeaderMap, Request};
use latchkey_model::account::{Account, Email};
use latchkey_model::app_connection::{AppConnection, ConnectionCredentials};
use latchkey_model::id::AccountId;
use latchkey_model::link::{Link, LinkPurpose};
use latchkey_model::printer::Printer;
use latchkey_store::relay::SignIn;
use latchkey_web::written_routes::written;
use tower::ServiceExt;

use super::Bench;
use super::browser::{multipart, picture};
use crate::apps::{Registration, register};
use crate::pages::paths;
use crate::pages::visit::Arrival;
use crate::sessions::Visitor;

const TABLE: &str = include_str!("routes.txt");

/// What is no route, or not with this method.
const NO_ROUTES: [(&str, &str); 5] = [
    ("GET", "/nowhere"),
    ("POST", "/nowhere"),
    ("GET", "/printers/nonsense"),
    ("POST", "/printers"),
    ("GET", "/sign-out"),
];

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    Stranger,
    /// Owns the printer and the app connection of the table.
    Owner,
    /// The same, six minutes after the password was typed.
    OwnerLater,
    Member,
    /// Has a printer of their own.
    Other,
    Administrator,
    /// The same, six minutes later.
    AdministratorLater,
    /// An app with the token of the owner's app connection.
    App,
}

const EVERYBODY: [Who; 8] = [
    Who::Stranger,
    Who::Owner,
    Who::OwnerLater,
    Who::Member,
    Who::Other,
    Who::Administrator,
    Who::AdministratorLater,
    Who::App,
];

const LATER: Duration = Duration::from_mins(6);

/// A relay with people on it. Nobody has a password: hashing them would take minutes.
struct World {
    bench: Bench,
    owner: Account,
    member: Account,
    other: Account,
    administrator: Account,
    printer: Printer,
    connection: AppConnection,
    credentials: ConnectionCredentials,
    invitation: String,
    /// The secret of a live link of the printer, and its id.
    live: (String, String),
}

impl World {
    async fn new() -> Self {
        let bench = Bench::new().await;
        let owner = person(&bench, "ann@example.com").await;
        let member = person(&bench, "mia@example.com").await;
        let other = person(&bench, "bob@example.com").await;
        let administrator = person(&bench, "root@example.com").await;
        let accounts = bench.store().accounts();
        accounts
            .set_administrator(&administrator.id, true)
            .await
            .unwrap();
        let printer = bench.printer(&owner, "Voron").await;
        bench.printer(&other, "Prusa").await;
        bench.share(&printer, &member).await;
        let (connection, credentials) = bench.new_app_connection(&owner, &printer, "Fieldglass");
        let store = bench.store().app_connections();
        store.insert(&connection).await.unwrap();
        let app = Registration {
            id: "octopod",
            name: "OctoPod",
            developer: None,
            website: None,
            targets: &[],
            logo: None,
        };
        let now = bench.clock_now();
        register(bench.store(), &app, now).await.unwrap();
        let link = Link {
            account: Some(owner.id.clone()),
            printer: Some(printer.id.clone()),
            ..Link::new(LinkPurpose::SharePrinter, bench.clock_now())
        };
        let invitation = bench.state.accounts.make_link(&link).await.unwrap();
        let wish = crate::live_links::Wish {
            printer: printer.id.clone(),
            account: owner.id.clone(),
            app_connection: None,
            hours: latchkey_model::live_link::LinkHours::USUAL,
            with_print: false,
        };
        let live = bench.state.live_links.make(wish).await.unwrap();
        let secret = live.url.rsplit('/').next().unwrap().to_owned();
        Self {
            live: (secret, live.id.to_string()),
            owner,
            member,
            other,
            administrator,
            printer,
            connection,
            credentials,
            invitation: invitation.expose().to_owned(),
            bench,
        }
    }

    fn account(&self, who: Who) -> Option<&Account> {
        match who {
            Who::Stranger | Who::App => None,
            Who::Owner | Who::OwnerLater => Some(&self.owner),
            Who::Member => Some(&self.member),
            Who::Other => Some(&self.other),
            Who::Administrator | Who::AdministratorLater => Some(&self.administrator),
        }
    }

    /// The path with what its names stand for.
    fn path(&self, route: &str) -> String {
        let id = if route.starts_with("/app-connections/") {
            self.connection.id.as_str()
        } else if route.starts_with("/admin/tunnels/") {
            self.printer.id.as_str()
        } else if route.starts_with("/admin/apps/") {
            "octopod"
        } else if route.starts_with("/admin/") {
            self.other.id.as_str()
        } else if route.starts_with("/apps/") {
            "fieldglass"
        } else {
            self.printer.id.as_str()
        };
        let path = route
            .replace("{*rest}", "more")
            .replace("{id}", id)
            .replace("{account}", self.member.id.as_str())
            .replace("{name}", "Voron")
            .replace("{secret}", &self.live.0);
        let request = "appId=fieldglass&returnUrl=http%3A%2F%2F127.0.0.1%3A9%2Fdone";
        match route {
            "/join" => paths::with(&path, "code", &self.invitation),
            _ if route.starts_with("/appportal/") => {
                format!("{path}?{request}&printer={}", self.printer.id)
            }
            _ => path,
        }
    }

    /// One set of fields for all forms: each takes its own.
    fn form(&self, token: &str) -> String {
        let printer = self.printer.id.as_str();
        let fields = [
            ("csrf_token", token),
            ("id", "spool"),
            ("name", "Renamed"),
            ("targets", "octopod:"),
            ("email", "eve@example.com"),
            ("password", "correct-horse-battery"),
            ("reason", "because"),
            ("plan", "free"),
            ("administrator", "true"),
            ("find", "bob"),
            ("code", &self.invitation),
            ("invitation", ""),
            ("until", "24"),
            ("link", &self.live.1),
            ("answer", "add"),
            ("printer", printer),
            ("session", "abcdefghijklmnopqrst"),
            (
                "request",
                "appId=fieldglass&returnUrl=http%3A%2F%2F127.0.0.1%3A9%2Fdone",
            ),
            ("once", "abcdefghijklmnopqrstuv"),
            ("scope", "full"),
            ("sure", "yes"),
            ("decision", "allow"),
        ];
        let all = fields
            .iter()
            .fold(String::from("?"), |body, (name, value)| {
                paths::with(&body, name, value)
            });
        all.trim_start_matches(['?', '&']).to_owned()
    }

    /// Asks, and gives the status.
    async fn ask(&self, method: &str, route: &str, who: Who, forged: Option<Forged>) -> u16 {
        let mut headers = HeaderMap::new();
        if let Some(account) = self.account(who) {
            self.sign_in(account, &mut headers).await;
        }
        if matches!(who, Who::OwnerLater | Who::AdministratorLater) {
            let now = self.bench.clock_now().plus(LATER);
            self.bench.clock.set(now);
        }
        let token = self.token(&mut headers).await;
        let sent = if method == "ANY" { "PUT" } else { method };
        let mut request = Request::builder().method(sent).uri(self.path(route));
        if who == Who::App {
            request = request.header("AppToken", self.credentials.app_token.expose());
        }
        let mut body = Vec::new();
        if method == "POST" {
            let origin = match forged {
                Some(Forged::Origin(origin)) => origin,
                _ => "https://relay.example.net",
            };
            let token = match forged {
                Some(Forged::Token(token)) => token,
                Some(Forged::OtherSession) => &self.token_of(&self.other).await,
                _ => &token,
            };
            let kind = if route.ends_with("/logo") {
                body = multipart(token, "logo", &picture(16));
                "multipart/form-data; boundary=between"
            } else {
                body = self.form(token).into_bytes();
                "application/x-www-form-urlencoded"
            };
            request = request.header(CONTENT_TYPE, kind).header(ORIGIN, origin);
        }
        let mut request = request.body(Body::from(body)).unwrap();
        request.headers_mut().extend(headers);
        request.extensions_mut().insert(Arrival {
            address: IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7)),
            request_id: "r-1".to_owned(),
        });
        let Ok(response) = self.bench.router.clone().oneshot(request).await;
        response.status().as_u16()
    }

    async fn sign_in(&self, account: &Account, headers: &mut HeaderMap) {
        let visitor = Visitor {
            headers: &HeaderMap::new(),
            address: IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7)),
        };
        let proved = SignIn {
            account: account.clone(),
            password_hash: None,
        };
        let opened = self.bench.state.sessions.open(&proved, &visitor).await;
        let cookie = opened.unwrap().unwrap().cookie;
        let pair = cookie.to_str().unwrap().split(';').next().unwrap();
        headers.append(COOKIE, pair.parse().unwrap());
    }

    /// The token of the forms in this browser, whose cookie it gets.
    async fn token(&self, headers: &mut HeaderMap) -> String {
        let sessions = &self.bench.state.sessions;
        let found = sessions.find(headers).await.unwrap();
        let csrf = sessions.csrf(headers, found.as_ref().map(|found| &found.session.id));
        let cookie = csrf.set_cookie.unwrap();
        let pair = cookie.to_str().unwrap().split(';').next().unwrap();
        headers.append(COOKIE, pair.parse().unwrap());
        csrf.token
    }

    async fn token_of(&self, account: &Account) -> String {
        let mut headers = HeaderMap::new();
        self.sign_in(account, &mut headers).await;
        self.token(&mut headers).await
    }

    /// Everything that is kept and that a request could change, but for when sessions were used.
    async fn picture(&self) -> BTreeSet<String> {
        let store = self.bench.store();
        let now = self.bench.clock_now();
        let mut kept = BTreeSet::new();
        for account in store.accounts().list(None, 100).await.unwrap() {
            let hash = store.accounts().find_password_hash(&account.id).await;
            let hash = hash.unwrap().map(|hash| hash.expose().to_owned());
            kept.insert(format!("{account:?} {hash:?}"));
            for session in store.sessions().list_of(&account.id).await.unwrap() {
                kept.insert(format!("session {} of {}", session.id, session.account));
            }
            self.printers(&account.id, &mut kept).await;
        }
        self.apps(&mut kept).await;
        for purpose in LinkPurpose::ALL {
            for (hash, link) in store.links().list(purpose, now).await.unwrap() {
                kept.insert(format!("{:?} {link:?}", hash.as_bytes()));
            }
        }
        kept
    }

    async fn apps(&self, kept: &mut BTreeSet<String>) {
        let apps = self.bench.store().apps();
        for app in apps.list().await.unwrap() {
            let logo = apps.find_logo(&app.id).await.unwrap();
            kept.insert(format!("{app:?} {:?}", logo.map(|logo| logo.len())));
        }
    }

    async fn printers(&self, account: &AccountId, kept: &mut BTreeSet<String>) {
        let store = self.bench.store();
        for printer in store.printers().list_by_account(account).await.unwrap() {
            kept.insert(format!("{printer:?}"));
            let members = store.members().list(account, &printer.id).await.unwrap();
            kept.insert(format!("{members:?}"));
            let listed = store.app_connections();
            let listed = listed.list_by_printer(account, &printer.id).await.unwrap();
            kept.insert(format!("{listed:?}"));
            let now = self.bench.clock_now();
            let links = store.live_links();
            let links = links
                .list_of_printer(account, &printer.id, now)
                .await
                .unwrap();
            kept.insert(format!("{links:?}"));
        }
    }
}

async fn person(bench: &Bench, email: &str) -> Account {
    let account = Account::new(
        AccountId::generate(&*bench.chance),
        Email::parse(email).unwrap(),
        bench.clock_now(),
        "supporter".parse().unwrap(),
    );
    bench
        .store()
        .accounts()
        .create(&account, None)
        .await
        .unwrap();
    account
}

/// How a form is not ours.
#[derive(Debug, Clone, Copy)]
enum Forged {
    Token(&'static str),
    OtherSession,
    Origin(&'static str),
}

/// All routes: method and path.
fn routes() -> BTreeSet<(String, String)> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut routes = written(&source);
    routes.extend(NO_ROUTES.map(|(method, path)| (method.to_owned(), path.to_owned())));
    routes
}

#[tokio::test]
async fn everybody_gets_what_the_table_says_and_nothing_else_changes() {
    let mut found = String::from(
        "# Made and compared by routes.rs. A `*`: something that is kept has changed.\n",
    );
    let _ = writeln!(
        found,
        "# {}",
        EVERYBODY.map(|who| format!("{who:?}")).join(" ")
    );
    for (method, path) in routes() {
        let _ = write!(found, "{method:4} {path:46}");
        for who in EVERYBODY {
            let world = World::new().await;
            let before = world.picture().await;
            let status = world.ask(&method, &path, who, None).await;
            let after = world.picture().await;
            let changed = if without_sessions(&before) == without_sessions(&after) {
                ' '
            } else {
                '*'
            };
            let _ = write!(found, " {status}{changed}");
        }
        found.truncate(found.trim_end().len());
        found.push('\n');
    }
    assert_eq!(
        found, TABLE,
        "write what is right into routes.txt:\n{found}"
    );
}

/// Signing in for the question adds a session.
fn without_sessions(kept: &BTreeSet<String>) -> Vec<&String> {
    kept.iter()
        .filter(|text| !text.starts_with("session "))
        .collect()
}

/// Requests that change something are refused wherever they do not come from a page of ours, in
/// this session.
#[tokio::test]
async fn forged_forms_change_nothing_anywhere() {
    let changing: BTreeMap<_, _> = TABLE
        .lines()
        .filter(|line| line.starts_with("POST"))
        .map(|line| {
            let path = line.split_whitespace().nth(1).unwrap();
            let who = if path.starts_with("/admin") {
                Who::Administrator
            } else if path.ends_with("/leave") || path == "/join" {
                Who::Member
            } else {
                Who::Owner
            };
            (path, who)
        })
        .filter(|(path, _)| !BY_OTHER_PROOF.contains(path))
        .collect();
    assert!(changing.len() > 25, "the table has few forms");
    for (path, who) in changing {
        for forged in [
            Forged::Token(""),
            Forged::Token("nonsense"),
            Forged::OtherSession,
            Forged::Origin("https://evil.example"),
            Forged::Origin("null"),
            Forged::Origin("http://relay.example.net"),
        ] {
            let world = World::new().await;
            let before = world.picture().await;
            let status = world.ask("POST", path, who, Some(forged)).await;
            let after = world.picture().await;
            assert_eq!(
                without_sessions(&before),
                without_sessions(&after),
                "{path} {forged:?}"
            );
            let refused = matches!(status, 303 | 403 | 404 | 405);
            assert!(refused, "{path} {forged:?}: {status}");
            if matches!(forged, Forged::Origin(_)) && status != 405 && path != "/nowhere" {
                assert_eq!(status, 403, "{path} {forged:?}");
            }
        }
    }
}

/// What no browser sends by itself, proved by a token, a code or a signature in it.
const BY_OTHER_PROOF: [&str; 7] = [
    "/api/live/createfromappconnection",
    "/api/pairing",
    "/api/pairing/poll",
    "/api/appconnection/setnotificationwebhook",
    "/api/appconnection/deletenotificationwebhook",
    "/api/gadget/getstatusfromappconnection",
    "/appportal/v1/token",
];
