//! What tests of the relay's pages share: the real routes over a store in memory, browsers that
//! keep cookies and send forms, and a mail server.

mod browser;
mod mail_server;
mod routes;

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use latchkey_model::access::KeyScope;
use latchkey_model::account::Account;
use latchkey_model::app::{AppId, AppName};
use latchkey_model::app_connection::{
    AccessMode, AppConnection, ConnectionCredentials, NewAppConnection,
};
use latchkey_model::chance::{Chance, SeededChance};
use latchkey_model::clock::{Clock, FixedClock, Timestamp};
use latchkey_model::id::PrinterId;
use latchkey_model::link::{Link, LinkPurpose};
use latchkey_model::plan::{Entitlements, Plans};
use latchkey_model::printer::{Printer, PrinterName, Seen};
use latchkey_model::sealed::MasterKey;
use latchkey_net::egress::Egress;
use latchkey_store::RelayStore;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use crate::accounts::SigningUp;
use crate::activity::Activity;
use crate::audit::{self, Audit};
use crate::cache::Cache;
use crate::camera::Camera;
use crate::config::{
    AdministratorsFactor, CacheBounds, Config, PublicUrl, Registration, Sender, Smtp, SmtpTls,
    UnregisteredApps, Webhooks,
};
use crate::events::Events;
use crate::life::{Endings, Life, Parts};
use crate::limits::Limits;
use crate::mail::{self, Mail, Post};
use crate::notices::Notices;
use crate::own_access::OwnAccess;
use crate::pages::visit::Arrival;
use crate::state::{Making, State};
use crate::tunnels::Tunnels;

pub(crate) use self::browser::{Browser, Reply, picture};
pub(crate) use self::mail_server::MailServer;

/// The password of everybody.
pub(crate) const PASSWORD: &str = "correct-horse-battery";

/// A relay without sockets.
pub(crate) struct Bench {
    pub(crate) state: State,
    pub(crate) clock: FixedClock,
    pub(crate) chance: Arc<dyn Chance>,
    router: Router,
    /// Sends letters until the bench goes.
    _post: DropGuard,
    /// Each browser comes from an address of its own.
    browsers: AtomicU64,
}

impl Bench {
    /// Everybody may sign up, and no letters are sent.
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// The same with letters.
    pub(crate) async fn with_mail(server: &MailServer) -> Self {
        let port = server.port;
        Self::with(|config| config.smtp = Some(smtp(port))).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = config();
        change(&mut config);
        let config = Arc::new(config);
        let store = RelayStore::open_in_memory().await.unwrap();
        let fixed = FixedClock::new(Timestamp::from_millis(1_760_000_000_000));
        let clock: Arc<dyn Clock> = Arc::new(fixed.clone());
        let chance: Arc<dyn Chance> = Arc::new(SeededChance::new(1));
        let (mail, post) = Post::open(&mail::Making {
            config: &config,
            store: &store,
            clock: &clock,
            chance: &chance,
        })
        .unwrap();
        let stop = CancellationToken::new();
        if let Some(mut post) = post {
            post.hurry();
            // Ends with the test's runtime, or with the bench.
            let tracker = TaskTracker::new();
            tracker.spawn(post.run(stop.clone()));
        }
        let state = state(config, store, &clock, &chance, mail);
        Self {
            router: crate::web_origin::router(state.clone()),
            state,
            clock: fixed,
            chance,
            _post: stop.drop_guard(),
            browsers: AtomicU64::new(1),
        }
    }

    pub(crate) fn store(&self) -> &RelayStore {
        &self.state.store
    }

    /// A browser that nobody signed in with.
    pub(crate) fn browser(&self) -> Browser<'_> {
        let number = self.browsers.fetch_add(1, Ordering::Relaxed);
        let [.., high, low] = number.to_be_bytes();
        Browser::new(self, Ipv4Addr::new(198, 51, high, low).into())
    }

    /// Somebody's account, with [`PASSWORD`].
    pub(crate) async fn account(&self, email: &str) -> Account {
        let invitation = Link::new(LinkPurpose::Invitation, self.clock.now());
        let invitation = self.state.accounts.make_link(&invitation).await.unwrap();
        let wish = SigningUp {
            email,
            password: PASSWORD,
            invitation: invitation.expose(),
            address: Ipv4Addr::LOCALHOST.into(),
        };
        self.state.accounts.sign_up(&wish).await.unwrap().account
    }

    pub(crate) async fn administrator(&self, email: &str) -> Account {
        let account = self.account(email).await;
        let accounts = self.store().accounts();
        accounts.set_administrator(&account.id, true).await.unwrap();
        accounts.load(&account.id).await.unwrap()
    }

    /// A browser in which somebody with an account just signed in.
    pub(crate) async fn signed_in(&self, account: &Account) -> Browser<'_> {
        let mut browser = self.browser();
        browser.sign_in(account.email.as_str()).await;
        browser
    }

    pub(crate) async fn printer(&self, owner: &Account, name: &str) -> Printer {
        let printer = Printer {
            id: PrinterId::generate(&*self.chance),
            account: owner.id.clone(),
            name: PrinterName::parse(name).unwrap(),
            host: None,
            created: self.clock.now(),
            seen: Seen::default(),
            local_address: None,
        };
        self.store().printers().create(&printer).await.unwrap();
        printer
    }

    pub(crate) async fn app_connection(
        &self,
        by: &Account,
        printer: &Printer,
        app: &str,
    ) -> AppConnection {
        let (connection, _) = self.new_app_connection(by, printer, app);
        let store = self.store().app_connections();
        store.insert(&connection).await.unwrap();
        connection
    }

    /// One that is not kept yet, with its secrets.
    pub(crate) fn new_app_connection(
        &self,
        by: &Account,
        printer: &Printer,
        app: &str,
    ) -> (AppConnection, ConnectionCredentials) {
        NewAppConnection {
            account: by.id.clone(),
            printer: printer.id.clone(),
            app: AppId::parse("fieldglass").unwrap(),
            app_name: AppName::parse(app).unwrap(),
            access: AccessMode::Enhanced,
            scope: KeyScope::Full,
        }
        .generate(&*self.chance, &self.clock)
    }

    /// What an app with this token is answered at the App API: the status, and the body.
    pub(crate) async fn ask_app_api(
        &self,
        method: &str,
        path: &str,
        token: &str,
        body: &str,
    ) -> (u16, serde_json::Value) {
        let mut request = http::Request::builder()
            .method(method)
            .uri(path)
            .header("AppToken", token)
            .extension(Arrival {
                address: Ipv4Addr::new(198, 51, 100, 9).into(),
                request_id: "r-1".to_owned(),
            })
            .body(axum::body::Body::from(body.to_owned()))
            .unwrap();
        crate::paths::normalize(request.uri_mut());
        let Ok(answer) = self.router.clone().oneshot(request).await;
        let status = answer.status().as_u16();
        let body = axum::body::to_bytes(answer.into_body(), usize::MAX);
        let body = serde_json::from_slice(&body.await.unwrap());
        (status, body.unwrap_or_default())
    }

    fn clock_now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Lets `member` use a printer.
    pub(crate) async fn share(&self, printer: &Printer, member: &Account) {
        let members = self.store().members();
        let now = self.clock.now();
        assert!(members.add(&printer.id, &member.id, now).await.unwrap());
    }
}

/// All that a relay is, over this store.
pub(crate) fn state(
    config: Arc<Config>,
    store: RelayStore,
    clock: &Arc<dyn Clock>,
    chance: &Arc<dyn Chance>,
    mail: Mail,
) -> State {
    let events = Events::new(store.clone());
    let activity = Activity::new(store.clone(), Arc::clone(clock));
    let life = Life::new(Parts {
        store: store.clone(),
        plans: config.plans.clone(),
        tunnels: Tunnels::default(),
        endings: Endings::default(),
        clock: Arc::clone(clock),
        tracker: TaskTracker::new(),
        cache: Cache::new(CacheBounds::default()),
    });
    let webhooks = &config.webhooks;
    let egress = Egress::new(webhooks.rules.clone(), webhooks.ca.as_deref()).unwrap();
    let key = MasterKey::from_bytes([7; 32]);
    let audit = Audit::new(audit::Making {
        store: store.clone(),
        clock: Arc::clone(clock),
        chance: Arc::clone(chance),
        key: &key,
        end: None,
    });
    let limits = Limits::new(
        store.clone(),
        Arc::clone(clock),
        config.plans.clone(),
        TaskTracker::new(),
    );
    State::new(Making {
        egress,
        own_access: OwnAccess::new(&config, &store, clock, chance, &key),
        config,
        limits,
        camera: Camera::new(
            life.tunnels().clone(),
            TaskTracker::new(),
            CancellationToken::new(),
        ),
        clock: Arc::clone(clock),
        chance: Arc::clone(chance),
        tunnels: life.tunnels().clone(),
        life,
        notices: Notices::new(store.clone(), Arc::clone(clock), mail.clone()),
        mail,
        store,
        events,
        activity,
        stopping: CancellationToken::new(),
        audit,
        key,
    })
}

/// Webhooks over this store, by a clock that stands still.
pub(crate) fn webhooks(store: &RelayStore) -> crate::webhooks::Webhooks {
    let clock: Arc<dyn Clock> = Arc::new(FixedClock::new(Timestamp::from_millis(0)));
    let chance: Arc<dyn Chance> = Arc::new(SeededChance::new(3));
    let state = state(
        Arc::new(config()),
        store.clone(),
        &clock,
        &chance,
        Mail::off(),
    );
    state.webhooks.clone()
}

/// Everybody may sign up, for a plan with everything, and no letters are sent. Of the plan `small`
/// there is room for one of each.
pub(crate) fn config() -> Config {
    let free = Entitlements {
        app_connections: false,
        ..Entitlements::default()
    };
    let small = Entitlements {
        max_printers: Some(1),
        max_app_connections: Some(1),
        max_upload_bytes: Some(500_000_000),
        max_bytes_per_month: Some(10_000_000_000),
        max_webcam_seconds_per_window: Some(3_600),
        ..Entitlements::default()
    };
    let plans = [
        ("supporter", Entitlements::default()),
        ("free", free),
        ("small", small),
    ];
    let plans = plans.map(|(name, plan)| (name.parse().unwrap(), plan));
    Config {
        listen: (Ipv4Addr::LOCALHOST, 0).into(),
        status_listen: None,
        public_url: PublicUrl::from_url(&"https://relay.example.net".parse().unwrap()).unwrap(),
        connection_domain: "printers.example.net".parse().unwrap(),
        tls: None,
        acme: None,
        hosts: None,
        trusted_proxies: Vec::new(),
        data: "unused".into(),
        registration: Registration::Open,
        unregistered_apps: UnregisteredApps::Allow,
        allow_hostname_only: false,
        default_plan: "supporter".parse().unwrap(),
        plans: Plans::new(plans.into_iter().collect()),
        administrators_factor: AdministratorsFactor::IfSet,
        smtp: None,
        webhooks: Webhooks::default(),
        compression: true,
        cache: CacheBounds::default(),
        admission: crate::config::Admission::default(),
        first_byte: Duration::from_secs(35),
        drain: Duration::from_secs(5),
    }
}

pub(crate) fn smtp(port: u16) -> Smtp {
    Smtp {
        host: "127.0.0.1".to_owned(),
        port,
        tls: SmtpTls::None,
        login: None,
        from: Sender::parse("Our relay <relay@example.net>").unwrap(),
    }
}
