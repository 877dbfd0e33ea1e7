//! The routes, called in process on a relay that no host is connected to.

use std::net::Ipv4Addr;
use std::time::Duration;

use ::http::{Method, Request, Uri};
use axum::Router;
use axum::body::Body;
use http_body_util::BodyExt as _;
use latchkey_model::access::KeyScope;
use latchkey_model::account::{Account, Email, Suspension};
use latchkey_model::app::{AppId, AppName};
use latchkey_model::app_connection::{AccessMode, EndReason, NewAppConnection};
use latchkey_model::chance::SeededChance;
use latchkey_model::clock::{Clock as _, FixedClock, Timestamp};
use latchkey_model::id::{AccountId, AppConnectionId, PrinterId};
use latchkey_model::printer::{HostKey, Presence, Printer, PrinterName, Seen};
use latchkey_model::sealed::MasterKey;
use serde_json::{Value, json};
use tokio::time::Instant;
use tower::ServiceExt as _;

use super::*;
use crate::audit;
use crate::events::Events;
use crate::live_links;
use crate::pages::visit::Arrival;
use crate::paths;
use crate::tests::webhooks;

const INFO: &str = "/api/appconnection/info";
const GADGET: &str = "/api/gadget/GetStatusFromAppConnection";
const LIVE: &str = "/api/live/createFromAppConnection";

/// 2021-03-03T00:00:00Z
const NOW: Timestamp = Timestamp::from_millis(1_614_729_600_000);

struct Scene {
    router: Router,
    events: Events,
    store: RelayStore,
    account: AccountId,
    printer: PrinterId,
    connection: AppConnectionId,
    token: String,
}

fn router(store: &RelayStore) -> Router {
    router_with(store, &Events::new(store.clone()))
}

fn router_with(store: &RelayStore, events: &Events) -> Router {
    let plans = r#"{"supporter": {"max_download_bytes": 500, "max_webcam_stream_seconds": 120},
                    "free": {"app_connections": false}}"#;
    let clock: Arc<dyn Clock> = Arc::new(FixedClock::new(NOW));
    let (live_links, activity) = live_links::tests::over(store, &clock, events);
    http::routes(AppApi::of(Facts {
        live_links,
        activity,
        audit: Audit::new(audit::Making {
            store: store.clone(),
            clock: Arc::clone(&clock),
            chance: Arc::new(SeededChance::new(9)),
            key: &MasterKey::from_bytes([7; 32]),
            end: None,
        }),
        public_url: PublicUrl::from_url(&"https://relay.example".parse().unwrap()).unwrap(),
        plans: serde_json::from_str(plans).unwrap(),
        store: store.clone(),
        tunnels: Tunnels::default(),
        clock,
        webhooks: webhooks(store),
    }))
}

impl Scene {
    async fn new() -> Self {
        let chance = SeededChance::new(7);
        let clock = FixedClock::new(NOW);
        let store = RelayStore::open_in_memory().await.unwrap();
        let events = Events::new(store.clone());
        let account = Account {
            id: AccountId::generate(&chance),
            email: Email::parse("owner@latchkey.example").unwrap(),
            created: clock.now(),
            suspended: None,
            plan: "supporter".parse().unwrap(),
            administrator: false,
            email_verified: None,
        };
        store.accounts().create(&account, None).await.unwrap();
        let printer = Printer {
            id: PrinterId::generate(&chance),
            account: account.id.clone(),
            name: PrinterName::parse("Büro / 2").unwrap(),
            host: Some(HostKey::from_bytes([1; 32])),
            created: clock.now(),
            seen: Seen::default(),
            local_address: None,
        };
        store.printers().create(&printer).await.unwrap();
        let wanted = NewAppConnection {
            account: account.id.clone(),
            printer: printer.id.clone(),
            app: AppId::parse("octopod").unwrap(),
            app_name: AppName::parse("OctoPod").unwrap(),
            access: AccessMode::Enhanced,
            scope: KeyScope::Full,
        };
        let (connection, credentials) = wanted.generate(&chance, &clock);
        store.app_connections().insert(&connection).await.unwrap();
        Self {
            router: router_with(&store, &events),
            events,
            store,
            account: account.id,
            printer: printer.id,
            connection: connection.id,
            token: credentials.app_token.expose().to_owned(),
        }
    }

    async fn ask(&self, method: Method, path: &str, fields: &[(&str, &str)], body: &str) -> Answer {
        let mut uri: Uri = path.parse().unwrap();
        paths::normalize(&mut uri);
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        request = request.extension(Arrival {
            address: Ipv4Addr::new(192, 0, 2, 1).into(),
            request_id: "r-1".to_owned(),
        });
        let request = request.body(Body::from(body.to_owned())).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let field = |name: &str| {
            let value = head.headers.get(name);
            value.map(|value| value.to_str().unwrap().to_owned())
        };
        assert_eq!(field("access-control-allow-origin").as_deref(), Some("*"));
        assert_eq!(field("access-control-allow-credentials"), None);
        assert_eq!(field("cache-control").as_deref(), Some("no-store"));
        if head.status.as_u16() >= 600 {
            assert_eq!(field("latchkey-request-id").as_deref(), Some("r-1"));
        }
        Answer {
            status: head.status.as_u16(),
            allow: field("allow"),
            may_send: field("access-control-allow-headers"),
            body: serde_json::from_slice(&body).unwrap_or(Value::Null),
        }
    }

    async fn info(&self, token: &str) -> Answer {
        self.ask(Method::GET, INFO, &[("AppToken", token)], "")
            .await
    }

    async fn gadget(&self, token: &str) -> Answer {
        self.ask(Method::POST, GADGET, &[("AppToken", token)], "{}")
            .await
    }

    async fn live(&self, token: &str, body: &str) -> Answer {
        self.ask(Method::POST, LIVE, &[("AppToken", token)], body)
            .await
    }

    /// All calls answer this code.
    async fn assert_refused(&self, code: u16) {
        self.info(&self.token).await.assert_refused(code);
        self.gadget(&self.token).await.assert_refused(code);
        self.live(&self.token, "{}").await.assert_refused(code);
    }
}

#[derive(Debug)]
struct Answer {
    status: u16,
    allow: Option<String>,
    may_send: Option<String>,
    body: Value,
}

impl Answer {
    fn assert_refused(&self, code: u16) {
        assert_eq!(self.status, code, "{self:?}");
        assert_eq!(self.body["Status"], code, "{self:?}");
        assert!(!self.body["Error"].as_str().unwrap().is_empty());
        assert!(self.body["IsUserError"].is_boolean());
        assert!(self.body["Result"].is_null());
        assert_eq!(self.body.as_object().unwrap().len(), 4, "{self:?}");
    }
}

#[tokio::test]
async fn info_has_every_field_in_the_envelope_and_beside_it() {
    let scene = Scene::new().await;
    let answer = scene.info(&scene.token).await;
    assert_eq!(answer.status, 200);
    let result = json!({
        "PrinterName": "Büro / 2",
        "PrinterLocalIp": "127.0.0.1",
        "IsOnline": false,
        "LastConnectionTimeUtc": "0001-01-01T00:00:00",
        "LastDisconnectTimeUtc": "0001-01-01T00:00:00",
        "UserFacingPrinterUrl": "https://relay.example/view/B%C3%BCro%20%2F%202",
        "PrinterLimits": {
            "MaxDownloadFileSizeBytes": 500,
            "MaxUploadFileSizeBytes": 9_007_199_254_740_991_u64,
            "MaxSingleWebcamStreamLengthSeconds": 120,
            "MaxTotalWebcamStreamTimePerTimeWindowSeconds": null,
            "WebcamStreamTimeWindow": null,
        },
    });
    let mut body = result.as_object().unwrap().clone();
    body.insert("Status".into(), json!(200));
    body.insert("Error".into(), json!(""));
    body.insert("IsUserError".into(), json!(false));
    body.insert("Result".into(), result);
    assert_eq!(answer.body, Value::Object(body));
}

#[tokio::test]
async fn info_tells_when_the_printer_was_lost_and_where_it_is_at_home() {
    let scene = Scene::new().await;
    let printers = scene.store.printers();
    let at = |seconds: i64| Timestamp::from_millis(1_614_729_600_000 + seconds * 1000);
    let (id, connected, lost) = (&scene.printer, Presence::Connected, Presence::Lost);
    printers.note_seen(id, connected, at(0)).await.unwrap();
    printers.note_seen(id, lost, at(60)).await.unwrap();
    printers
        .note_local_address(id, "192.168.1.9:5010")
        .await
        .unwrap();
    let Answer { status, body, .. } = scene.info(&scene.token).await;
    assert_eq!(status, 200, "not connected is no error");
    assert_eq!(body["IsOnline"], false);
    assert_eq!(body["LastConnectionTimeUtc"], "2021-03-03T00:00:00Z");
    assert_eq!(body["LastDisconnectTimeUtc"], "2021-03-03T00:01:00Z");
    assert_eq!(body["PrinterLocalIp"], "192.168.1.9:5010");
}

#[tokio::test]
async fn gadget_status_is_disabled_and_in_the_envelope_only() {
    let scene = Scene::new().await;
    let expected = json!({
        "Status": 200, "Error": "", "IsUserError": false,
        "Result": {"State": 0, "Status": "", "StatusColor": "w", "Rating": 10},
    });
    let answer = scene.gadget(&scene.token).await;
    assert_eq!((answer.status, &answer.body), (200, &expected));
    let body = json!({"AppToken": scene.token}).to_string();
    let answer = scene.ask(Method::POST, GADGET, &[], &body).await;
    assert_eq!((answer.status, &answer.body), (200, &expected));
}

#[tokio::test]
async fn paths_methods_and_fields_are_taken_as_apps_send_them() {
    let scene = Scene::new().await;
    let token = scene.token.as_str();
    for (path, field) in [
        ("/API/AppConnection/Info", "apptoken"),
        ("/api/appConnection/info?x=Y", "APPTOKEN"),
    ] {
        let answer = scene.ask(Method::GET, path, &[(field, token)], "").await;
        assert_eq!(answer.status, 200, "{path}");
    }
    let head = scene
        .ask(Method::HEAD, INFO, &[("AppToken", token)], "")
        .await;
    assert_eq!((head.status, &head.body), (200, &Value::Null));
    let answer = scene
        .ask(Method::POST, INFO, &[("AppToken", token)], "")
        .await;
    answer.assert_refused(405);
    assert_eq!(answer.allow.as_deref(), Some("GET, HEAD, OPTIONS"));
    let answer = scene
        .ask(Method::GET, GADGET, &[("AppToken", token)], "")
        .await;
    answer.assert_refused(405);
    assert_eq!(answer.allow.as_deref(), Some("POST, OPTIONS"));
    for path in [
        "/api/appconnection/nothing",
        "/API/Live/x",
        "/api/gadget/a/b",
    ] {
        scene
            .ask(Method::GET, path, &[], "")
            .await
            .assert_refused(404);
    }
}

#[tokio::test]
async fn pages_of_any_origin_may_send_the_token() {
    let scene = Scene::new().await;
    for path in [INFO, GADGET, "/Api/AppConnection/INFO"] {
        let fields = [
            ("Origin", "https://app.example"),
            ("Access-Control-Request-Method", "GET"),
            ("Access-Control-Request-Headers", "apptoken"),
        ];
        let answer = scene.ask(Method::OPTIONS, path, &fields, "").await;
        assert_eq!(answer.status, 204);
        assert!(
            answer
                .may_send
                .unwrap()
                .starts_with("AppToken, Content-Type")
        );
    }
}

#[tokio::test]
async fn a_token_that_is_missing_doubled_or_unknown_is_told_apart() {
    let scene = Scene::new().await;
    let token = scene.token.as_str();
    scene
        .ask(Method::GET, INFO, &[], "")
        .await
        .assert_refused(400);
    scene
        .ask(Method::POST, GADGET, &[], "")
        .await
        .assert_refused(400);
    scene.info("").await.assert_refused(400);
    let same = [("AppToken", token), ("AppToken", token)];
    assert_eq!(scene.ask(Method::GET, INFO, &same, "").await.status, 200);
    let differ = [("AppToken", token), ("AppToken", "lk_app_x")];
    scene
        .ask(Method::GET, INFO, &differ, "")
        .await
        .assert_refused(400);
    let stranger = AppToken::generate(&SeededChance::new(8));
    for unknown in ["lk_app_mistyped", "x", stranger.expose()] {
        scene.info(unknown).await.assert_refused(603);
        scene.gadget(unknown).await.assert_refused(603);
    }
    let long = format!("{{\"Pad\":\"{}\"}}", "x".repeat(20_000));
    scene
        .ask(Method::POST, GADGET, &[], &long)
        .await
        .assert_refused(400);
    let fields = [("AppToken", token)];
    let answer = scene.ask(Method::POST, GADGET, &fields, &long).await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn suspension_and_plan_are_told_and_pass() {
    let scene = Scene::new().await;
    let accounts = scene.store.accounts();
    let suspension = Suspension {
        at: Timestamp::from_millis(1),
        reason: "overdue".to_owned(),
    };
    let suspended = accounts.suspend(&scene.account, &suspension).await;
    assert!(suspended.unwrap());
    scene.assert_refused(605).await;
    assert!(accounts.unsuspend(&scene.account).await.unwrap());
    assert_eq!(scene.info(&scene.token).await.status, 200);
    let plan = |name: &str| name.parse().unwrap();
    accounts
        .set_plan(&scene.account, &plan("free"))
        .await
        .unwrap();
    scene.assert_refused(605).await;
    accounts
        .set_plan(&scene.account, &plan("supporter"))
        .await
        .unwrap();
    assert_eq!(scene.info(&scene.token).await.status, 200);
}

#[tokio::test]
async fn an_end_is_told_for_good() {
    let scene = Scene::new().await;
    let connections = scene.store.app_connections();
    let now = Timestamp::from_millis(1);
    let ended = connections.end(&scene.connection, EndReason::Revoked, now);
    assert!(ended.await.unwrap());
    scene.assert_refused(604).await;
    scene
        .store
        .accounts()
        .delete(&scene.account, now)
        .await
        .unwrap();
    scene.assert_refused(604).await;
}

#[tokio::test]
async fn every_doubt_is_600() {
    let scene = Scene::new().await;
    let gone = "gone".parse().unwrap();
    scene
        .store
        .accounts()
        .set_plan(&scene.account, &gone)
        .await
        .unwrap();
    scene.assert_refused(600).await;
    scene.store.close().await;
    scene.assert_refused(600).await;

    // Another database: most likely a disk that is not mounted.
    let store = RelayStore::open_in_memory().await.unwrap();
    let scene = Scene {
        router: router(&store),
        events: Events::new(store.clone()),
        ..scene
    };
    scene.assert_refused(600).await;
    scene.info("x").await.assert_refused(600);
}

// In real time: with the clock stopped, waiting for the database's thread would be no time.
#[tokio::test]
async fn wrong_tokens_wait_after_a_while_and_right_ones_never() {
    let scene = Scene::new().await;
    let timed = async |token: &str, code: u16| {
        let began = Instant::now();
        assert_eq!(scene.info(token).await.status, code);
        began.elapsed()
    };
    // Of each address twenty a minute are answered at once, the next after a quarter of a second.
    let wait = Duration::from_millis(250);
    for _ in 0..20 {
        timed("x", 603).await;
    }
    assert!(timed("x", 603).await >= wait, "and it is still a 603");
    let token = scene.token.as_str();
    let right = timed(token, 200).await;
    assert!(right < wait, "{right:?}");
}

#[tokio::test]
async fn an_app_makes_a_live_link_that_ends_with_its_access() {
    let scene = Scene::new().await;
    let body = format!(
        r#"{{"AppToken":"{}","ExpirationHours":2,"EndWhenCurrentPrintIsComplete":false}}"#,
        scene.token
    );
    let made = scene.ask(Method::POST, LIVE, &[], &body).await;
    assert_eq!(made.status, 200, "{made:?}");
    let url = made.body["Url"].as_str().unwrap();
    let secret = url.strip_prefix("https://relay.example/live/").unwrap();
    assert_eq!(
        made.body["ShortUrl"],
        format!("https://relay.example/l/{secret}")
    );
    assert_eq!(made.body["Result"]["LiveId"], made.body["LiveId"]);
    assert_eq!(made.body["LiveId"].as_str().unwrap().len(), 20);
    let hash = latchkey_model::secret::LiveLinkHash::of(secret);
    let links = scene.store.live_links();
    let found = links.find(&hash).await.unwrap().unwrap();
    assert_eq!(found.app.unwrap().as_str(), "OctoPod");
    assert_eq!(found.link.expires, NOW.plus(Duration::from_hours(2)));
    // The usual is a day.
    let usual = scene.live(&scene.token, "").await;
    let url = usual.body["Url"].as_str().unwrap();
    let secret = url.rsplit('/').next().unwrap();
    let usual = latchkey_model::secret::LiveLinkHash::of(secret);
    let expires = links.find(&usual).await.unwrap().unwrap().link.expires;
    assert_eq!(expires, NOW.plus(Duration::from_hours(24)));
    let ended = scene.store.app_connections();
    ended
        .end(&scene.connection, EndReason::Revoked, NOW)
        .await
        .unwrap();
    assert_eq!(links.find(&hash).await.unwrap(), None);
    scene.live(&scene.token, "{}").await.assert_refused(604);
}

#[tokio::test]
async fn a_live_link_that_ends_with_a_print_needs_one() {
    use latchkey_model::printing::{Condition, Heats, Job, PrinterState, Progress};
    let scene = Scene::new().await;
    let body = r#"{"EndWhenCurrentPrintIsComplete":true}"#;
    scene.live(&scene.token, body).await.assert_refused(613);
    let mut state = PrinterState {
        at: NOW,
        condition: Condition::Ready,
        job: Some(Job {
            print: latchkey_model::id::PrintId::generate(&SeededChance::new(3)),
            file: "vase.gcode".to_owned(),
            started: None,
            progress: Progress::default(),
        }),
        heat: Heats::default(),
        message: None,
        has_camera: false,
    };
    let told = |state: &PrinterState| {
        let events = &scene.events;
        events.note_state(&scene.printer, Some(state.clone()));
    };
    told(&state);
    scene.live(&scene.token, body).await.assert_refused(613);
    state.condition = Condition::Paused;
    told(&state);
    assert_eq!(scene.live(&scene.token, body).await.status, 200);
}

#[tokio::test]
async fn nobody_makes_more_live_links_than_there_is_room_for_or_of_nonsense() {
    let scene = Scene::new().await;
    for body in [
        r#"{"ExpirationHours":0}"#,
        r#"{"ExpirationHours":17521}"#,
        "nonsense",
    ] {
        assert_eq!(scene.live(&scene.token, body).await.status, 400, "{body}");
    }
    assert_eq!(scene.live("", "{}").await.status, 400);
    scene.live("lk_app_nobodys", "{}").await.assert_refused(603);
    for _ in 0..50 {
        assert_eq!(scene.live(&scene.token, "{}").await.status, 200);
    }
    let full = scene.live(&scene.token, "{}").await;
    assert_eq!(
        (full.status, full.body["Status"].as_u64()),
        (400, Some(400))
    );
    let wrong = scene.ask(Method::GET, LIVE, &[], "").await;
    assert_eq!(
        (wrong.status, wrong.allow.as_deref()),
        (405, Some("POST, OPTIONS"))
    );
}
