//! The same requests to a real OctoPrint and to a second server, answer by answer. What differs is a failure, unless it
//! is in the list of differences that are wanted, with the reason; what is in the list and does not differ is a failure
//! as well.
//!
//! `observe` says what of an answer counts. The sections follow the contract. Both lists, what was seen and what
//! differed, are left in `artifacts/differential/`.

mod app_keys;
mod dialog;
mod known;
mod observe;
mod proxy;
mod server;
mod sessions;
mod socket;
mod workflow;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use argon2::{Argon2, PasswordHasher as _};
use futures_util::future::BoxFuture;
use latchkey_model::clock::{Clock as _, SystemClock};
use latchkey_model::secret::PasswordHash;
use latchkey_model::user::{Group, User, UserName};
use latchkey_store::HostStore;
use serde_json::json;
use tempfile::TempDir;

use self::known::{Known, WANTED};
use self::observe::Row;
use self::server::{Person, Probe, Server};
use crate::harness::artifacts;
use crate::harness::demo::Demo;
use crate::harness::http::Request;
use crate::harness::octoprint::{ADMIN, ADMIN_API_KEY, OctoPrint, USER};

const VIEWER: &str = "vera";
const VIEWER_PASSWORD: &str = "only-looking-around";

/// Something that was not the same at both servers.
#[derive(Debug)]
struct Difference {
    case: String,
    what: String,
    /// At OctoPrint, and at the other.
    seen: [String; 2],
}

/// Two tests of each part: a second OctoPrint proves that nothing but the server makes a difference.
macro_rules! parts {
    ($($part:ident),+ $(,)?) => {$(
        mod $part {
            use super::Part;

            #[tokio::test]
            async fn two_octoprints_differ_in_nothing() {
                super::two_octoprints(Part::$part).await;
            }

            #[tokio::test]
            async fn host_answers_as_octoprint_does() {
                super::host_and_octoprint(Part::$part).await;
            }
        }

        impl Part {
            #[expect(non_upper_case_globals, reason = "named as the test is")]
            const $part: Self = Self {
                name: stringify!($part),
                visit: |probe| Box::pin(visits::$part(probe)),
            };
        }
    )+};
}

/// Some of the sections, visited one after the other at one server.
#[derive(Clone, Copy)]
struct Part {
    name: &'static str,
    visit: for<'a> fn(&'a mut Probe) -> BoxFuture<'a, ()>,
}

parts!(
    requests, decisions, limits, pages, keys, people, sockets, addresses
);

async fn two_octoprints(part: Part) {
    let (one, other) = tokio::join!(OctoPrint::start(), OctoPrint::start());
    let (server, second) = tokio::join!(octoprint_server(&one), octoprint_server(&other));
    let (rows, second) = tokio::join!(part.at(server), part.at(second));
    let differences = compare(&rows, &second);
    leave(
        &format!("{}.two-octoprints", part.name),
        &rows,
        &differences,
    );
    assert!(differences.is_empty(), "{}", listed(&differences));
    assert!(rows.len() > 10, "only {} cases", rows.len());
}

async fn host_and_octoprint(part: Part) {
    let data = TempDir::new().unwrap();
    let (octoprint, demo) = tokio::join!(OctoPrint::start(), Demo::start(data.path()));
    let (server, second) =
        tokio::join!(octoprint_server(&octoprint), latchkey_server(&demo, &data));
    let (rows, second) = tokio::join!(part.at(server), part.at(second));
    demo.stop().await;
    let differences = compare(&rows, &second);
    leave(&format!("{}.host", part.name), &rows, &differences);
    let (wanted, unwanted): (Vec<_>, Vec<_>) = differences
        .into_iter()
        .partition(|one| WANTED.iter().any(|known| known.covers(one)));
    assert!(unwanted.is_empty(), "{}", listed(&unwanted));
    let asked = |known: &&Known| rows.iter().any(|row| known.is_about(&row.case));
    let gone = |known: &&Known| !wanted.iter().any(|one| known.covers(one));
    let gone: Vec<_> = WANTED.iter().filter(asked).filter(gone).collect();
    assert!(gone.is_empty(), "these no longer differ: {gone:#?}");
}

impl Part {
    async fn at(self, server: Server) -> Vec<Row> {
        let mut probe = Probe::new(server);
        (self.visit)(&mut probe).await;
        probe.rows
    }
}

/// A real OctoPrint, with somebody added who may not grant.
async fn octoprint_server(octoprint: &OctoPrint) -> Server {
    let add = Request::post(octoprint.url("api/access/users")).header("X-Api-Key", ADMIN_API_KEY);
    let viewer = json!({"name": VIEWER, "password": VIEWER_PASSWORD, "active": true, "groups": ["readonly"]});
    let added = add.json(&viewer).send().await.read().await;
    assert_eq!(added.status, 200, "{added:?}");
    Server {
        base: octoprint
            .base_url()
            .to_string()
            .trim_end_matches('/')
            .to_owned(),
        admin: Person::new(ADMIN.name, ADMIN.password),
        user: Person::new(USER.name, USER.password),
        viewer: Person::new(VIEWER, VIEWER_PASSWORD),
    }
}

/// The demo's host, with somebody added likewise.
async fn latchkey_server(demo: &Demo, data: &TempDir) -> Server {
    let store = HostStore::open(data.path().join("host/host.db"))
        .await
        .unwrap();
    let viewer = User {
        name: UserName::parse(VIEWER).unwrap(),
        group: Group::Readonly,
        active: true,
        created: SystemClock.now(),
    };
    let hash = Argon2::default().hash_password(VIEWER_PASSWORD.as_bytes());
    let hash = PasswordHash::new(hash.unwrap().to_string());
    let added = store.users().create(&viewer, Some(&hash)).await;
    added.unwrap();
    store.close().await;
    let users = demo.facts["host_users"].as_array().unwrap();
    let person = |admin: bool| {
        let found = users.iter().find(|user| user["admin"] == admin).unwrap();
        Person::new(
            found["name"].as_str().unwrap(),
            found["password"].as_str().unwrap(),
        )
    };
    Server {
        base: demo.text("host_url").trim_end_matches('/').to_owned(),
        admin: person(true),
        user: person(false),
        viewer: Person::new(VIEWER, VIEWER_PASSWORD),
    }
}

mod visits {
    use super::{Probe, app_keys, dialog, proxy, sessions, socket, workflow};

    pub(super) async fn requests(probe: &mut Probe) {
        workflow::shapes(probe).await;
        workflow::request_inputs(probe).await;
        workflow::polling(probe).await;
        workflow::times(probe).await;
    }

    pub(super) async fn decisions(probe: &mut Probe) {
        workflow::decisions(probe).await;
        workflow::deciders(probe).await;
    }

    pub(super) async fn limits(probe: &mut Probe) {
        workflow::limits(probe).await;
    }

    pub(super) async fn pages(probe: &mut Probe) {
        dialog::rows(probe).await;
        dialog::login_page(probe).await;
    }

    pub(super) async fn keys(probe: &mut Probe) {
        app_keys::listing(probe).await;
        app_keys::commands(probe).await;
        app_keys::using(probe).await;
        app_keys::logins(probe).await;
    }

    pub(super) async fn people(probe: &mut Probe) {
        sessions::logins(probe).await;
        sessions::logouts(probe).await;
        sessions::freshness(probe).await;
    }

    pub(super) async fn sockets(probe: &mut Probe) {
        socket::pages(probe).await;
        socket::odd_messages(probe).await;
        socket::raw(probe).await;
        socket::framed(probe).await;
    }

    pub(super) async fn addresses(probe: &mut Probe) {
        proxy::addresses(probe).await;
        proxy::origins(probe).await;
    }
}

fn compare(reference: &[Row], other: &[Row]) -> Vec<Difference> {
    let mut differences = Vec::new();
    let others: BTreeMap<_, _> = other.iter().map(|row| (&row.case, row)).collect();
    assert_eq!(
        others.len(),
        other.len(),
        "two cases have one name: {:?}",
        doubled(other)
    );
    for row in reference {
        let Some(other) = others.get(&row.case) else {
            differences.push(Difference::new(&row.case, "case", ["asked", "not asked"]));
            continue;
        };
        let mut names: Vec<_> = row.seen.keys().chain(other.seen.keys()).collect();
        names.sort();
        names.dedup();
        for name in names {
            let seen = [row, other].map(|row| row.seen.get(name).map_or("", String::as_str));
            if seen[0] != seen[1] {
                differences.push(Difference::new(&row.case, name, seen));
            }
        }
    }
    let known: Vec<_> = reference.iter().map(|row| &row.case).collect();
    for row in other.iter().filter(|row| !known.contains(&&row.case)) {
        differences.push(Difference::new(&row.case, "case", ["not asked", "asked"]));
    }
    differences
}

fn doubled(rows: &[Row]) -> Vec<&str> {
    let mut names: Vec<_> = rows.iter().map(|row| row.case.as_str()).collect();
    names.sort_unstable();
    let doubled = names.windows(2).filter(|pair| pair[0] == pair[1]);
    doubled.map(|pair| pair[0]).collect()
}

impl Difference {
    fn new(case: &str, what: &str, seen: [&str; 2]) -> Self {
        Self {
            case: case.to_owned(),
            what: what.to_owned(),
            seen: seen.map(str::to_owned),
        }
    }
}

fn listed(differences: &[Difference]) -> String {
    let mut list = format!("{} differences:\n", differences.len());
    for one in differences {
        let [octoprint, other] = &one.seen;
        let _ = writeln!(
            list,
            "{} [{}]\n    OctoPrint: {octoprint}\n    other:     {other}",
            one.case, one.what
        );
    }
    list
}

/// Keeps for reading what OctoPrint answered, and what differed.
fn leave(name: &str, rows: &[Row], differences: &[Difference]) {
    let folder = artifacts().join("differential");
    std::fs::create_dir_all(&folder).unwrap();
    let mut seen = String::new();
    for row in rows {
        let _ = writeln!(seen, "{}", row.case);
        for (what, value) in &row.seen {
            let _ = writeln!(seen, "    {what}: {value}");
        }
    }
    std::fs::write(folder.join(format!("{name}.seen.txt")), seen).unwrap();
    std::fs::write(
        folder.join(format!("{name}.differences.txt")),
        listed(differences),
    )
    .unwrap();
}
