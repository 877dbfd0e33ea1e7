//! What a relay and a host know at the start: an account, printers, an app connection, a key of the host's.

use std::path::Path;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use latchkey_model::access::KeyScope;
use latchkey_model::account::{Account, Email};
use latchkey_model::app::{AppId, AppName};
use latchkey_model::app_connection::{AccessMode, NewAppConnection};
use latchkey_model::app_key::AppKey;
use latchkey_model::chance::SystemChance;
use latchkey_model::clock::{Clock as _, SystemClock};
use latchkey_model::id::{AccountId, AppKeyId, PrinterId};
use latchkey_model::printer::{HostKey, Printer, PrinterName, Seen};
use latchkey_model::secret::AppKeyText;
use latchkey_model::user::{Group, User, UserName};
use latchkey_net::tunnel::HostIdentity;
use latchkey_store::host::NewAppKey;
use latchkey_store::{HostStore, RelayStore};

/// How callers prove themselves: to the relay as an app connection, to the host as an app.
#[derive(Clone, Debug)]
pub struct Access {
    /// The app connection's own part of its hostname.
    pub label: String,
    /// Both credentials.
    pub headers: HeaderMap,
}

/// Fills the databases of a relay and a host whose data are in `relay` and `host` in this folder.
pub async fn prepare(folder: &Path) -> anyhow::Result<Access> {
    let identity = HostIdentity::load_or_create(&folder.join("host/identity.key"))?;
    let store = RelayStore::open(folder.join("relay/relay.db")).await?;
    let account = account(&store).await?;
    let printer = printer(&store, &account, identity.public_key()).await?;
    let wanted = NewAppConnection {
        account,
        printer,
        app: AppId::parse("bench")?,
        app_name: AppName::parse("Bench")?,
        access: AccessMode::Bearer,
        scope: KeyScope::Full,
    };
    let (connection, credentials) = wanted.generate(&SystemChance, &SystemClock);
    store.app_connections().insert(&connection).await?;
    store.close().await;
    let bearer = credentials.bearer.as_ref();
    let bearer = bearer.map(|token| format!("Bearer {}", token.expose()));
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, bearer.unwrap_or_default().parse()?);
    headers.insert("x-api-key", app_key(folder).await?.parse()?);
    Ok(Access {
        label: credentials.label.expose().to_owned(),
        headers,
    })
}

/// Makes printers with hosts of their own at the relay whose data are in this folder.
pub async fn prepare_hosts(folder: &Path, count: usize) -> anyhow::Result<Vec<HostIdentity>> {
    let store = RelayStore::open(folder.join("relay/relay.db")).await?;
    let account = account(&store).await?;
    let mut hosts = Vec::with_capacity(count);
    for _ in 0..count {
        let identity = HostIdentity::generate()?;
        printer(&store, &account, identity.public_key()).await?;
        hosts.push(identity);
    }
    store.close().await;
    Ok(hosts)
}

async fn account(store: &RelayStore) -> anyhow::Result<AccountId> {
    let id = AccountId::generate(&SystemChance);
    let email = Email::parse("bench@latchkey.example")?;
    let account = Account::new(id, email, SystemClock.now(), "supporter".parse()?);
    store.accounts().create(&account, None).await?;
    Ok(account.id)
}

async fn printer(
    store: &RelayStore,
    owner: &AccountId,
    host: [u8; 32],
) -> anyhow::Result<PrinterId> {
    let printer = Printer {
        id: PrinterId::generate(&SystemChance),
        account: owner.clone(),
        name: PrinterName::parse("Bench")?,
        host: Some(HostKey::from_bytes(host)),
        created: SystemClock.now(),
        seen: Seen::default(),
        local_address: None,
    };
    store.printers().create(&printer).await?;
    Ok(printer.id)
}

/// A user of the host and the key of an app of theirs.
async fn app_key(folder: &Path) -> anyhow::Result<String> {
    let store = HostStore::open(folder.join("host/host.db")).await?;
    let user = User {
        name: UserName::parse("bench")?,
        group: Group::Users,
        active: true,
        created: SystemClock.now(),
    };
    store.users().create(&user, None).await?;
    let text = AppKeyText::generate(&SystemChance);
    let new = NewAppKey {
        key: AppKey {
            id: AppKeyId::generate(&SystemChance),
            user: user.name,
            app: AppName::parse("Bench")?,
            hash: text.hash(),
            scope: KeyScope::Full,
            created: SystemClock.now(),
            last_use: None,
            requests: 0,
            through: None,
        },
        // Nobody is ever shown it again; it only has to be as long as one.
        sealed: vec![0; 64],
    };
    store.app_keys().keep(&new).await?;
    store.close().await;
    Ok(text.expose().to_owned())
}
