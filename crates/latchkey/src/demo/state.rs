//! What a demo keeps: one account, one printer paired with the demo's host, and one app
//! connection of each access mode. Secrets are shown once and stored as hashes, so the
//! demo remembers them in its own file.

use anyhow::Context;
use latchkey_host::users::Passwords;
use latchkey_model::access::KeyScope;
use latchkey_model::account::{Account, Email};
use latchkey_model::app::{AppId, AppName};
use latchkey_model::app_connection::{AccessMode, NewAppConnection};
use latchkey_model::chance::{SystemChance, letters};
use latchkey_model::clock::{Clock, SystemClock};
use latchkey_model::id::{AccountId, PrinterId};
use latchkey_model::printer::{HostKey, Printer, PrinterName, Seen};
use latchkey_model::secret::{AppTokenHash, PasswordHash};
use latchkey_model::user::{Group, User, UserName};
use latchkey_relay::apps::{RegisterError, Registration, register};
use latchkey_relay::config::Config;
use latchkey_store::host::Change;
use latchkey_store::{HostStore, RelayStore};

use super::report::{DemoAccount, DemoAppConnection, DemoUser, Report};

const EMAIL: &str = "demo@latchkey.example";
const PASSWORD_LETTERS: &[u8] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// What was kept, or made.
pub(super) struct State {
    pub(super) account: DemoAccount,
    pub(super) printer_id: String,
    pub(super) app_connections: Vec<DemoAppConnection>,
}

/// Goes on with the state of an earlier start as far as it is there and fits.
pub(super) async fn keep(
    before: Option<&Report>,
    store: &RelayStore,
    relay: &Config,
    host_key: [u8; 32],
) -> anyhow::Result<State> {
    apps(store).await?;
    let (account_id, account) = account(store, before).await?;
    let printer_id = printer(store, &account_id, HostKey::from_bytes(host_key)).await?;
    let mut app_connections = Vec::new();
    for access in AccessMode::ALL {
        let kept = before.and_then(|report| report.app_connection(access.as_str()));
        let connection = match kept {
            Some(kept) if is_live(store, kept).await? => moved(kept, relay),
            _ => create(store, relay, &account_id, &printer_id, access).await?,
        };
        app_connections.push(connection);
    }
    Ok(State {
        account,
        printer_id: printer_id.to_string(),
        app_connections,
    })
}

/// Apps that exist, with the return addresses they use, and one for trying things out.
const APPS: [(&str, &str, &[&str]); 5] = [
    ("devtest", "Test app", &["*"]),
    ("octopod", "OctoPod", &["octopod:"]),
    ("mobileraker", "Mobileraker", &["mobileraker:"]),
    (
        "octoapp",
        "OctoApp",
        &[
            "octoapp:",
            "https://app.octoapp.eu/",
            "https://app.octoapp.eu/connect-octoeverywhere",
        ],
    ),
    ("centaurilink", "Centauri Link", &["centaurilink:"]),
];

/// Registers the apps that are not there, whether they never were or somebody removed them.
async fn apps(store: &RelayStore) -> anyhow::Result<()> {
    for (id, name, targets) in APPS {
        let targets: Vec<_> = targets.iter().map(|&text| text.to_owned()).collect();
        let wanted = Registration {
            id,
            name,
            developer: None,
            website: None,
            targets: &targets,
            logo: None,
        };
        match register(store, &wanted, SystemClock.now()).await {
            // Also when somebody who tries things out registered one of their own in its place.
            Ok(_) | Err(RegisterError::Taken(_) | RegisterError::LooksLike { .. }) => {}
            Err(error) => return Err(error).context("cannot register the demo's apps"),
        }
    }
    Ok(())
}

async fn account(
    store: &RelayStore,
    before: Option<&Report>,
) -> anyhow::Result<(AccountId, DemoAccount)> {
    let email = Email::parse(EMAIL).context("the demo's e-mail address")?;
    let known = store.accounts().find_by_email(&email).await?;
    if let (Some(known), Some(report)) = (&known, before) {
        return Ok((known.id.clone(), report.account.clone()));
    }
    let (password, hash) = new_password().await?;
    let id = if let Some(known) = known {
        // The database outlived the file with the password: set a new one.
        store.accounts().set_password_hash(&known.id, &hash).await?;
        known.id
    } else {
        let plan = "supporter".parse().context("the demo's plan")?;
        let id = AccountId::generate(&SystemChance);
        let account = Account {
            administrator: true,
            ..Account::new(id, email, SystemClock.now(), plan)
        };
        store.accounts().create(&account, Some(&hash)).await?;
        account.id
    };
    let account = DemoAccount {
        email: EMAIL.to_owned(),
        password,
    };
    Ok((id, account))
}

/// People at the host: one administrator, and one who uses the printer.
pub(super) async fn host_users(
    before: Option<&Report>,
    store: &HostStore,
) -> anyhow::Result<Vec<DemoUser>> {
    let before = before.map_or(&[][..], |report| &report.host_users);
    let mut users = Vec::new();
    for (name, group) in [("admin", Group::Admins), ("maker", Group::Users)] {
        let user = User {
            name: UserName::parse(name).context("a demo user's name")?,
            group,
            active: true,
            created: SystemClock.now(),
        };
        let known = store.users().find(&user.name).await?.is_some();
        let kept = before.iter().find(|kept| kept.name == name);
        if let (true, Some(kept)) = (known, kept) {
            users.push(kept.clone());
            continue;
        }
        let (password, hash) = new_password().await?;
        if known {
            // The database outlived the file with the password: set a new one.
            let users = store.users();
            let change = users.set_password_hash(&user.name, &hash, None).await?;
            anyhow::ensure!(
                change != Change::Missing,
                "the demo's user {name} went away"
            );
        } else {
            store.users().create(&user, Some(&hash)).await?;
        }
        users.push(DemoUser {
            name: name.to_owned(),
            password,
            admin: group.is_admin(),
        });
    }
    Ok(users)
}

async fn new_password() -> anyhow::Result<(String, PasswordHash)> {
    let password = letters(&SystemChance, PASSWORD_LETTERS, 16);
    let hash = Passwords::default().hash(&password).await?;
    Ok((password, hash))
}

async fn printer(
    store: &RelayStore,
    owner: &AccountId,
    host: HostKey,
) -> anyhow::Result<PrinterId> {
    let printers = store.printers();
    if let Some(printer) = printers.find_by_host(&host.id()).await? {
        return Ok(printer.id);
    }
    if let Some(printer) = printers.list_by_account(owner).await?.into_iter().next() {
        // The host's identity was thrown away with its directory; this is its successor.
        printers.attach_host(owner, &printer.id, &host).await?;
        return Ok(printer.id);
    }
    let printer = Printer {
        id: PrinterId::from(&host.id()),
        account: owner.clone(),
        name: PrinterName::parse("Demo printer").context("the demo printer's name")?,
        host: Some(host),
        created: SystemClock.now(),
        seen: Seen::default(),
        local_address: None,
    };
    printers.create(&printer).await?;
    Ok(printer.id)
}

async fn is_live(store: &RelayStore, kept: &DemoAppConnection) -> anyhow::Result<bool> {
    let found = store
        .app_connections()
        .find_by_app_token_hash(&AppTokenHash::of(&kept.app_token))
        .await?;
    Ok(found.is_some_and(|found| found.holder.is_some()))
}

/// The same connection at the address of this start: only the port may have changed.
fn moved(kept: &DemoAppConnection, relay: &Config) -> DemoAppConnection {
    let label = kept
        .url
        .split("://")
        .nth(1)
        .and_then(|rest| rest.split('.').next())
        .unwrap_or_default();
    DemoAppConnection {
        url: relay.connection_url(label),
        ..kept.clone()
    }
}

async fn create(
    store: &RelayStore,
    relay: &Config,
    account: &AccountId,
    printer: &PrinterId,
    access: AccessMode,
) -> anyhow::Result<DemoAppConnection> {
    let wanted = NewAppConnection {
        account: account.clone(),
        printer: printer.clone(),
        app: AppId::parse("devtest").context("the demo's app")?,
        app_name: AppName::parse("Demo app").context("the demo's app")?,
        access,
        scope: KeyScope::Full,
    };
    let (connection, credentials) = wanted.generate(&SystemChance, &SystemClock);
    store.app_connections().insert(&connection).await?;
    let basic = credentials.basic.as_ref();
    Ok(DemoAppConnection {
        access: access.to_string(),
        id: connection.id.to_string(),
        url: relay.connection_url(credentials.label.expose()),
        user: basic.map(|pair| pair.user.expose().to_owned()),
        password: basic.map(|pair| pair.password.expose().to_owned()),
        bearer: credentials
            .bearer
            .as_ref()
            .map(|token| token.expose().to_owned()),
        app_token: credentials.app_token.expose().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use latchkey_model::portal::ReturnTarget;

    use super::*;

    #[tokio::test]
    async fn apps_are_registered_once_and_again_when_they_were_removed() {
        let store = RelayStore::open_in_memory().await.unwrap();
        for _ in 0..2 {
            apps(&store).await.unwrap();
            let known = store.apps().list().await.unwrap();
            let ids: Vec<_> = known.iter().map(|app| app.id.as_str()).collect();
            let all = [
                "centaurilink",
                "devtest",
                "mobileraker",
                "octoapp",
                "octopod",
            ];
            assert_eq!(ids, all);
            let brands = known.iter().filter(|app| app.is_brand()).count();
            assert_eq!(brands, 4, "anybody can be the test app");
            let octoapp = &known[3];
            for (address, leads) in [
                ("octoapp://x", true),
                ("https://app.octoapp.eu/", true),
                ("https://app.octoapp.eu/connect-octoeverywhere", true),
                ("https://app.octoapp.eu/elsewhere", false),
                ("https://octoapp.eu.evil.example/", false),
            ] {
                let target = ReturnTarget::parse(address).unwrap();
                assert_eq!(octoapp.allows(&target), leads, "{address}");
            }
            store.apps().remove(&known[0].id).await.unwrap();
        }
    }
}
