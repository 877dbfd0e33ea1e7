use latchkey_model::chance::SeededChance;
use latchkey_model::clock::FixedClock;
use latchkey_model::sealed::MasterKey;
use latchkey_model::user::{Group, User};

use super::*;
use crate::authority::endings::Endings;

struct Bench {
    requests: KeyRequests,
    clock: FixedClock,
    heard: tokio::sync::broadcast::Receiver<Notice>,
    store: HostStore,
}

const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 168, 1, 7));

impl Bench {
    async fn set_up() -> Self {
        let store = HostStore::open_in_memory().await.unwrap();
        for name in ["ann", "bob"] {
            let user = User {
                name: UserName::parse(name).unwrap(),
                group: Group::Users,
                active: true,
                created: Timestamp::from_millis(0),
            };
            store.users().create(&user, None).await.unwrap();
        }
        let clock = FixedClock::new(Timestamp::from_millis(1_000_000));
        let notices = Notices::default();
        Self {
            heard: notices.listen(),
            requests: Self::requests(&store, &clock, notices),
            clock,
            store,
        }
    }

    fn requests(store: &HostStore, clock: &FixedClock, notices: Notices) -> KeyRequests {
        let chance: Arc<dyn Chance> = Arc::new(SeededChance::new(7));
        let sealing = MasterKey::from_bytes([1; 32]).sealing();
        let minting = Minting::new(
            store.clone(),
            sealing,
            Endings::default(),
            Arc::clone(&chance),
        );
        let clock: Arc<dyn Clock> = Arc::new(clock.clone());
        KeyRequests::new(store.clone(), minting, notices, clock, chance)
    }

    fn ask(&self, app: &str, user: Option<&str>) -> String {
        let app = AppName::cleaned(app).unwrap();
        let token = self.requests.ask(app, user.map(str::to_owned), HOME);
        token.unwrap().expose().to_owned()
    }

    fn user_token(&self, app_token: &str) -> String {
        let shown = self.requests.find(app_token).unwrap();
        shown.user_token.expose().to_owned()
    }

    async fn decide(&self, user_token: &str, user: &str, decision: Decision) -> bool {
        let user = UserName::parse(user).unwrap();
        match self.requests.decide(user_token, &user, decision).await {
            Ok(()) => true,
            Err(DecideError::Gone) => false,
            Err(DecideError::Store(error)) => panic!("{error}"),
        }
    }

    async fn poll(&self, app_token: &str) -> &'static str {
        match self.requests.poll(app_token).await.unwrap() {
            Poll::Waiting => "waiting",
            Poll::Granted(_) => "granted",
            Poll::Gone => "gone",
        }
    }

    async fn fetch(&self, app_token: &str) -> String {
        match self.requests.poll(app_token).await.unwrap() {
            Poll::Granted(key) => key.expose().to_owned(),
            _ => panic!("nothing was granted"),
        }
    }

    fn told(&mut self) -> Vec<&'static str> {
        let mut told = Vec::new();
        while let Ok(notice) = self.heard.try_recv() {
            told.push(match notice {
                Notice::AccessRequested { .. } => "asked",
                Notice::RequestEnded { .. } => "ended",
                _ => "other",
            });
        }
        told
    }

    fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

const FULL: Decision = Decision::Grant(KeyScope::Full);

#[tokio::test]
async fn an_app_that_asks_while_its_grant_is_being_kept_is_not_turned_away() {
    let bench = Bench::set_up().await;
    let app_token = bench.ask("Fieldglass", None);
    let user_token = bench.user_token(&app_token);
    // In this order: the decision has begun and waits for the database.
    let (decided, polled) = tokio::join!(
        bench.decide(&user_token, "ann", FULL),
        bench.poll(&app_token)
    );
    assert!(decided);
    assert_eq!(polled, "waiting");
    assert_eq!(bench.poll(&app_token).await, "granted");
}

#[tokio::test]
async fn a_decision_whose_connection_is_lost_ends_the_request() {
    let mut bench = Bench::set_up().await;
    let app_token = bench.ask("Fieldglass", None);
    let user_token = bench.user_token(&app_token);
    tokio::select! {
        biased;
        _ = bench.decide(&user_token, "ann", FULL) => panic!("kept at once"),
        () = std::future::ready(()) => {}
    }
    assert!(!bench.decide(&user_token, "bob", FULL).await);
    assert_ne!(bench.poll(&app_token).await, "waiting");
    assert_eq!(bench.told(), ["asked", "ended"]);
}

#[tokio::test]
async fn a_granted_key_is_fetched_once() {
    let mut bench = Bench::set_up().await;
    let app_token = bench.ask("Fieldglass", None);
    assert_eq!(bench.poll(&app_token).await, "waiting");
    let user_token = bench.user_token(&app_token);
    assert!(bench.decide(&user_token, "ann", FULL).await);
    assert_eq!(bench.told(), ["asked", "ended"]);
    // The grant has no clock of five seconds.
    bench.pass(3600);
    let key = bench.fetch(&app_token).await;
    assert_eq!(key.len(), 43);
    assert_eq!(bench.poll(&app_token).await, "gone");
    let keys = bench.store.app_keys().list().await.unwrap();
    assert_eq!(keys.len(), 1);
    assert_eq!(
        (keys[0].user.as_str(), keys[0].app.as_str()),
        ("ann", "Fieldglass")
    );
}

#[tokio::test]
async fn a_denied_request_is_gone_and_leaves_no_key() {
    let mut bench = Bench::set_up().await;
    let app_token = bench.ask("Fieldglass", None);
    let user_token = bench.user_token(&app_token);
    assert!(bench.decide(&user_token, "ann", Decision::Deny).await);
    assert!(
        !bench.decide(&user_token, "ann", FULL).await,
        "the first decision counts"
    );
    assert_eq!(bench.poll(&app_token).await, "gone");
    assert_eq!(bench.told(), ["asked", "ended"]);
    assert!(bench.store.app_keys().list().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_request_that_its_app_gives_up_ends_and_dialogs_hear_of_it() {
    let mut bench = Bench::set_up().await;
    let app_token = bench.ask("Fieldglass", None);
    let user_token = bench.user_token(&app_token);
    for _ in 0..3 {
        bench.pass(5);
        assert_eq!(bench.poll(&app_token).await, "waiting");
    }
    // Looking at it keeps nothing alive.
    bench.pass(4);
    assert!(bench.requests.find(&app_token).is_some());
    bench.pass(2);
    assert!(bench.requests.find(&app_token).is_none());
    assert_eq!(bench.told(), ["asked", "ended"]);
    assert!(!bench.decide(&user_token, "ann", FULL).await);
    assert_eq!(bench.poll(&app_token).await, "gone");
}

#[tokio::test]
async fn no_request_waits_longer_than_ten_minutes() {
    let bench = Bench::set_up().await;
    let app_token = bench.ask("Fieldglass", None);
    for _ in 0..149 {
        bench.pass(4);
        assert_eq!(bench.poll(&app_token).await, "waiting");
    }
    bench.pass(4);
    assert_eq!(bench.poll(&app_token).await, "gone", "after 600 s");
}

#[tokio::test]
async fn a_request_for_one_user_is_seen_and_decided_by_nobody_else() {
    let bench = Bench::set_up().await;
    let app_token = bench.ask("Fieldglass", Some("ann"));
    let user_token = bench.user_token(&app_token);
    let (ann, bob) = (
        UserName::parse("ann").unwrap(),
        UserName::parse("bob").unwrap(),
    );
    assert_eq!(bench.requests.list_for(&ann).len(), 1);
    assert!(bench.requests.list_for(&bob).is_empty());
    assert!(bench.requests.find_for(&user_token, &bob).is_none());
    assert!(!bench.decide(&user_token, "bob", FULL).await);
    assert!(bench.decide(&user_token, "ann", FULL).await);
}

#[tokio::test]
async fn an_app_token_decides_nothing_and_a_user_token_fetches_nothing() {
    let bench = Bench::set_up().await;
    let app_token = bench.ask("Fieldglass", None);
    let user_token = bench.user_token(&app_token);
    assert!(!bench.decide(&app_token, "ann", FULL).await);
    assert_eq!(bench.poll(&user_token).await, "gone");
    assert_eq!(bench.poll(&app_token).await, "waiting");
}

#[tokio::test]
async fn the_same_app_and_user_get_the_same_key_whatever_the_spelling() {
    let bench = Bench::set_up().await;
    let mut keys = Vec::new();
    for (app, user) in [
        ("Fieldglass", "ann"),
        ("fieldGLASS", "ann"),
        ("Fieldglass", "bob"),
    ] {
        let app_token = bench.ask(app, None);
        let user_token = bench.user_token(&app_token);
        assert!(bench.decide(&user_token, user, FULL).await);
        keys.push(bench.fetch(&app_token).await);
    }
    assert_eq!(keys[0], keys[1]);
    assert_ne!(keys[0], keys[2]);
    let ann = UserName::parse("ann").unwrap();
    let kept = bench.store.app_keys().list_of(&ann).await.unwrap();
    assert_eq!(kept.len(), 1);
    assert_eq!(
        kept[0].app.as_str(),
        "Fieldglass",
        "the first spelling is kept"
    );
}

#[tokio::test]
async fn a_grant_survives_a_restart_and_what_waits_does_not() {
    let bench = Bench::set_up().await;
    let granted = bench.ask("Fieldglass", None);
    let waiting = bench.ask("PrintPal", None);
    let user_token = bench.user_token(&granted);
    assert!(bench.decide(&user_token, "ann", FULL).await);
    let again = Bench::requests(&bench.store, &bench.clock, Notices::default());
    assert!(matches!(
        again.poll(&granted).await.unwrap(),
        Poll::Granted(_)
    ));
    assert!(matches!(again.poll(&waiting).await.unwrap(), Poll::Gone));
}

#[tokio::test]
async fn of_many_who_decide_and_fetch_at_once_one_does() {
    let bench = Bench::set_up().await;
    let app_token = bench.ask("Fieldglass", None);
    let user_token = bench.user_token(&app_token);
    let deciding = (0..20).map(|_| bench.decide(&user_token, "ann", FULL));
    let decided = futures_util::future::join_all(deciding).await;
    assert_eq!(decided.iter().filter(|done| **done).count(), 1);
    let polls = futures_util::future::join_all((0..20).map(|_| bench.poll(&app_token))).await;
    assert_eq!(polls.iter().filter(|poll| **poll == "granted").count(), 1);
}

#[tokio::test]
async fn a_blocked_address_may_not_ask_for_an_hour() {
    let bench = Bench::set_up().await;
    bench.requests.block(HOME);
    let app = || AppName::cleaned("Fieldglass").unwrap();
    let asked = bench.requests.ask(app(), None, HOME);
    assert_eq!(asked.unwrap_err(), AskError::Blocked);
    assert!(
        bench
            .requests
            .ask(app(), None, [192, 168, 1, 8].into())
            .is_ok()
    );
    bench.pass(3600);
    assert!(bench.requests.ask(app(), None, HOME).is_ok());
}

#[tokio::test]
async fn what_waits_is_bounded() {
    let bench = Bench::set_up().await;
    for index in 0..MOST_WAITING {
        bench.ask(&format!("App {index}"), None);
    }
    let app = AppName::cleaned("One too many").unwrap();
    assert_eq!(
        bench.requests.ask(app, None, HOME).unwrap_err(),
        AskError::TooMany
    );
}

#[tokio::test]
async fn another_scope_is_another_key_and_ends_the_one_so_far() {
    let bench = Bench::set_up().await;
    let mut keys = Vec::new();
    for scope in [KeyScope::View, KeyScope::Full, KeyScope::Full] {
        let app_token = bench.ask("Dashboard", None);
        let user_token = bench.user_token(&app_token);
        let decision = Decision::Grant(scope);
        assert!(bench.decide(&user_token, "ann", decision).await);
        keys.push(bench.fetch(&app_token).await);
    }
    assert_ne!(
        keys[0], keys[1],
        "whoever watches gains nothing by a namesake"
    );
    assert_eq!(keys[1], keys[2]);
    let found = |key: &str| {
        let hash = latchkey_model::secret::AppKeyHash::of(key);
        let store = bench.store.clone();
        async move { store.app_keys().find_by_hash(&hash).await.unwrap() }
    };
    assert!(found(&keys[0]).await.is_none());
    assert_eq!(found(&keys[1]).await.unwrap().key.scope, KeyScope::Full);
}

#[tokio::test]
async fn a_key_whose_key_file_is_lost_is_replaced_for_its_app() {
    let bench = Bench::set_up().await;
    let app_token = bench.ask("Fieldglass", None);
    let user_token = bench.user_token(&app_token);
    assert!(bench.decide(&user_token, "ann", FULL).await);
    let before = bench.fetch(&app_token).await;
    let elsewhere = MasterKey::from_bytes([2; 32]).sealing();
    let chance: Arc<dyn Chance> = Arc::new(SeededChance::new(8));
    let minting = Minting::new(bench.store.clone(), elsewhere, Endings::default(), chance);
    let app_token = bench.ask("Fieldglass", None);
    let user_token = bench.user_token(&app_token);
    assert!(bench.decide(&user_token, "ann", FULL).await);
    let token = RequestTokenHash::of(&app_token);
    let after = minting.redeem(&token, bench.clock.now()).await.unwrap();
    let after = after.expect("the grant was worth a key");
    assert_ne!(after.expose(), before);
    assert_eq!(bench.store.app_keys().list().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_grant_is_worth_nothing_after_a_day() {
    let bench = Bench::set_up().await;
    let app_token = bench.ask("Fieldglass", None);
    let user_token = bench.user_token(&app_token);
    assert!(bench.decide(&user_token, "ann", FULL).await);
    bench.pass(24 * 3600 + 1);
    assert_eq!(bench.poll(&app_token).await, "gone");
}
