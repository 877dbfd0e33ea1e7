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
use latchkey_store::RelayStore;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::accounts::SigningUp;
use crate::audit::{self, Audit};
use crate::config::{Config, PublicUrl, Registration, Sender, Smtp, SmtpTls, UnregisteredApps};
use crate::events::Events;
use crate::life::{Endings, Life, Parts};
use crate::mail::{self, Mail, Post};
use crate::own_access::OwnAccess;
use crate::state::{Making, State};
use crate::tunnels::Tunnels;

pub(crate) use self::browser::{Browser, picture};
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
    fn new_app_connection(
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
    let life = Life::new(Parts {
        store: store.clone(),
        plans: config.plans.clone(),
        tunnels: Tunnels::default(),
        endings: Endings::default(),
        clock: Arc::clone(clock),
        tracker: TaskTracker::new(),
    });
    let key = MasterKey::from_bytes([7; 32]);
    let audit = Audit::new(audit::Making {
        store: store.clone(),
        clock: Arc::clone(clock),
        chance: Arc::clone(chance),
        key: &key,
        end: None,
    });
    State::new(Making {
        own_access: OwnAccess::new(&config, &store, clock, chance, &key),
        config,
        store,
        clock: Arc::clone(clock),
        chance: Arc::clone(chance),
        tunnels: life.tunnels().clone(),
        life,
        mail,
        events,
        audit,
        key,
    })
}

/// Everybody may sign up, for a plan with everything, and no letters are sent.
pub(crate) fn config() -> Config {
    let free = Entitlements {
        app_connections: false,
        ..Entitlements::default()
    };
    let plans = [("supporter", Entitlements::default()), ("free", free)];
    let plans = plans.map(|(name, plan)| (name.parse().unwrap(), plan));
    Config {
        listen: (Ipv4Addr::LOCALHOST, 0).into(),
        status_listen: None,
        public_url: PublicUrl::from_url(&"https://relay.example.net".parse().unwrap()).unwrap(),
        connection_domain: "printers.example.net".parse().unwrap(),
        tls: None,
        trusted_proxies: Vec::new(),
        data: "unused".into(),
        registration: Registration::Open,
        unregistered_apps: UnregisteredApps::Allow,
        allow_hostname_only: false,
        default_plan: "supporter".parse().unwrap(),
        plans: Plans::new(plans.into_iter().collect()),
        smtp: None,
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
