//! The behaviour that every database behind [`RelayStore`] must show.
//!
//! Each function is one statement about an empty store and fails with a sentence when it does
//! not hold. Whoever brings another database runs all of [`CASES`] on it.

use std::future::Future;
use std::pin::Pin;
use std::slice;

use latchkey_model::account::{Account, Email, Suspension};
use latchkey_model::app::{AppId, AppName};
use latchkey_model::app_connection::{
    AccessMode, AppConnection, AppConnectionState, ConnectionCredentials, EndReason,
    NewAppConnection, OwnerStanding, PresentedCredential, Refusal,
};
use latchkey_model::chance::SeededChance;
use latchkey_model::clock::{FixedClock, Timestamp};
use latchkey_model::id::{AccountId, PrinterId};
use latchkey_model::printer::{HostKey, Presence, Printer, PrinterName, Seen};
use latchkey_model::secret::{LabelHash, PasswordHash};

use crate::error::StoreError;
use crate::relay::{RelayStore, Use};

/// What a case ends with.
pub type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;
type Running<'a> = Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>;
/// A named case.
pub type Case = (&'static str, for<'a> fn(&'a RelayStore) -> Running<'a>);

macro_rules! cases {
    ($($name:ident,)*) => {
        /// All cases. Each needs an empty store of its own.
        pub const CASES: &[Case] = &[$((stringify!($name), |store| Box::pin($name(store)))),*];
    };
}

cases! {
    account_is_found_as_it_was_kept,
    one_account_for_each_address,
    accounts_are_listed_in_pages,
    password_and_plan_change,
    suspension_begins_and_ends_once,
    printer_is_found_as_it_was_kept,
    printer_needs_its_account,
    host_speaks_for_one_printer,
    printer_changes_only_for_its_owner,
    presence_is_noted,
    app_connection_is_found_as_it_was_kept,
    app_connection_needs_the_owners_printer,
    label_is_never_used_again,
    ended_app_connection_is_a_tombstone,
    app_connection_ends_only_for_its_owner,
    removed_printer_ends_its_app_connections,
    deleted_account_leaves_nothing_but_tombstones,
    use_adds_up_and_passes_over_the_ended,
    suspension_and_plan_show_on_the_hot_path,
}

macro_rules! check {
    ($holds:expr) => {
        if !$holds {
            return Err(concat!("does not hold: ", stringify!($holds)).into());
        }
    };
}

macro_rules! check_eq {
    ($left:expr, $right:expr) => {
        let (left, right) = (&$left, &$right);
        if left != right {
            let what = concat!(stringify!($left), " is ", stringify!($right));
            return Err(format!("does not hold: {what}: {left:?}, {right:?}").into());
        }
    };
}

/// Makes what cases work with.
#[derive(Debug)]
pub struct Maker {
    chance: SeededChance,
    clock: FixedClock,
}

impl Default for Maker {
    fn default() -> Self {
        Self {
            chance: SeededChance::new(1),
            clock: FixedClock::new(at(1_000)),
        }
    }
}

/// The moment `millis` after the epoch.
pub const fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

impl Maker {
    /// An account with this address.
    pub fn account(&self, email: &str) -> Account {
        Account {
            id: AccountId::generate(&self.chance),
            email: Email::parse(email).expect("an address"),
            created: at(10),
            suspended: None,
            plan: "supporter".parse().expect("a plan name"),
        }
    }

    /// A printer of this account, without a host.
    pub fn printer(&self, account: &Account, name: &str) -> Printer {
        Printer {
            id: PrinterId::generate(&self.chance),
            account: account.id.clone(),
            name: PrinterName::parse(name).expect("a name"),
            host: None,
            created: at(20),
            seen: Seen::default(),
            local_address: None,
        }
    }

    /// An app connection to this printer.
    pub fn app_connection(
        &self,
        printer: &Printer,
        access: AccessMode,
    ) -> (AppConnection, ConnectionCredentials) {
        NewAppConnection {
            account: printer.account.clone(),
            printer: printer.id.clone(),
            app: AppId::parse("octopod").expect("an id"),
            app_name: AppName::parse("OctoPod").expect("a name"),
            access,
        }
        .generate(&self.chance, &self.clock)
    }

    /// An account with one printer and one app connection, all kept.
    pub async fn household(
        &self,
        store: &RelayStore,
        email: &str,
    ) -> Result<Household, StoreError> {
        let account = self.account(email);
        let printer = self.printer(&account, "MK4");
        let (connection, credentials) = self.app_connection(&printer, AccessMode::Enhanced);
        store.accounts().create(&account, None).await?;
        store.printers().create(&printer).await?;
        store.app_connections().insert(&connection).await?;
        Ok(Household {
            account,
            printer,
            connection,
            credentials,
        })
    }
}

/// An account with one printer and one app connection.
#[derive(Debug)]
pub struct Household {
    /// The account.
    pub account: Account,
    /// Its printer.
    pub printer: Printer,
    /// The printer's app connection.
    pub connection: AppConnection,
    /// The app connection's secrets.
    pub credentials: ConnectionCredentials,
}

async fn account_is_found_as_it_was_kept(store: &RelayStore) -> Outcome {
    let make = Maker::default();
    let mut account = make.account("ann@example.com");
    account.suspended = Some(Suspension {
        at: at(30),
        reason: "unpaid".to_owned(),
    });
    let phc = PasswordHash::new("$argon2id$…".to_owned());
    store.accounts().create(&account, Some(&phc)).await?;
    check_eq!(store.accounts().load(&account.id).await?, account);
    let upper = Email::parse("ANN@Example.com")?;
    check_eq!(
        store.accounts().find_by_email(&upper).await?,
        Some(account.clone())
    );
    let sign_in = store.accounts().find_sign_in(&upper).await?;
    let kept = sign_in.and_then(|found| found.password_hash);
    check_eq!(kept.as_ref().map(PasswordHash::expose), Some(phc.expose()));
    let nobody = make.account("nobody@example.com");
    check_eq!(store.accounts().find(&nobody.id).await?, None);
    check_eq!(store.accounts().find_by_email(&nobody.email).await?, None);
    check!(matches!(
        store.accounts().load(&nobody.id).await,
        Err(StoreError::Missing { table: "accounts" })
    ));
    Ok(())
}

async fn one_account_for_each_address(store: &RelayStore) -> Outcome {
    let make = Maker::default();
    store
        .accounts()
        .create(&make.account("ann@example.com"), None)
        .await?;
    let again = make.account("Ann@Example.com");
    let answer = store.accounts().create(&again, None).await;
    check!(matches!(answer, Err(StoreError::Conflict)));
    check_eq!(store.accounts().find(&again.id).await?, None);
    Ok(())
}

async fn accounts_are_listed_in_pages(store: &RelayStore) -> Outcome {
    let make = Maker::default();
    for email in ["c@example.com", "a@example.com", "b@example.com"] {
        store.accounts().create(&make.account(email), None).await?;
    }
    let first = store.accounts().list(None, 2).await?;
    let emails: Vec<_> = first.iter().map(|account| account.email.as_str()).collect();
    check_eq!(emails, ["a@example.com", "b@example.com"]);
    let after = first.last().map(|account| &account.email);
    let second = store.accounts().list(after, 2).await?;
    let emails: Vec<_> = second.iter().map(|found| found.email.as_str()).collect();
    check_eq!(emails, ["c@example.com"]);
    Ok(())
}

async fn password_and_plan_change(store: &RelayStore) -> Outcome {
    let make = Maker::default();
    let (ann, nobody) = (
        make.account("ann@example.com"),
        make.account("n@example.com"),
    );
    store.accounts().create(&ann, None).await?;
    check!(
        store
            .accounts()
            .find_password_hash(&ann.id)
            .await?
            .is_none()
    );
    let phc = PasswordHash::new("$argon2id$new".to_owned());
    check!(store.accounts().set_password_hash(&ann.id, &phc).await?);
    check!(!store.accounts().set_password_hash(&nobody.id, &phc).await?);
    let kept = store.accounts().find_password_hash(&ann.id).await?;
    check_eq!(kept.as_ref().map(PasswordHash::expose), Some(phc.expose()));
    let free = "free".parse()?;
    check!(store.accounts().set_plan(&ann.id, &free).await?);
    check!(!store.accounts().set_plan(&nobody.id, &free).await?);
    check_eq!(store.accounts().load(&ann.id).await?.plan, free);
    Ok(())
}

async fn suspension_begins_and_ends_once(store: &RelayStore) -> Outcome {
    let ann = Maker::default().account("ann@example.com");
    store.accounts().create(&ann, None).await?;
    let first = Suspension {
        at: at(50),
        reason: "abuse".to_owned(),
    };
    let second = Suspension {
        at: at(60),
        reason: "other".to_owned(),
    };
    check!(store.accounts().suspend(&ann.id, &first).await?);
    check!(!store.accounts().suspend(&ann.id, &second).await?);
    check_eq!(store.accounts().load(&ann.id).await?.suspended, Some(first));
    check!(store.accounts().unsuspend(&ann.id).await?);
    check!(!store.accounts().unsuspend(&ann.id).await?);
    check_eq!(store.accounts().load(&ann.id).await?.suspended, None);
    Ok(())
}

async fn printer_is_found_as_it_was_kept(store: &RelayStore) -> Outcome {
    let make = Maker::default();
    let ann = make.account("ann@example.com");
    store.accounts().create(&ann, None).await?;
    let mut paired = make.printer(&ann, "Zürich 🖨️");
    let key = HostKey::from_bytes([3; 32]);
    paired.host = Some(key);
    let bare = make.printer(&ann, "Annex");
    store.printers().create(&paired).await?;
    store.printers().create(&bare).await?;
    check_eq!(store.printers().load(&paired.id).await?, paired);
    check_eq!(
        store.printers().find_by_host(&key.id()).await?,
        Some(paired.clone())
    );
    let other_host = HostKey::from_bytes([4; 32]).id();
    check_eq!(store.printers().find_by_host(&other_host).await?, None);
    check_eq!(
        store.printers().list_by_account(&ann.id).await?,
        [bare, paired]
    );
    Ok(())
}

async fn printer_needs_its_account(store: &RelayStore) -> Outcome {
    let make = Maker::default();
    let printer = make.printer(&make.account("nobody@example.com"), "MK4");
    let answer = store.printers().create(&printer).await;
    check!(matches!(answer, Err(StoreError::Conflict)));
    check_eq!(store.printers().find(&printer.id).await?, None);
    Ok(())
}

async fn host_speaks_for_one_printer(store: &RelayStore) -> Outcome {
    let make = Maker::default();
    let (ann, bob) = (
        make.household(store, "ann@example.com").await?,
        make.household(store, "bob@example.com").await?,
    );
    let (key, new_key) = (HostKey::from_bytes([3; 32]), HostKey::from_bytes([4; 32]));
    let printers = store.printers();
    check!(
        printers
            .attach_host(&ann.account.id, &ann.printer.id, &key)
            .await?
    );
    check!(
        printers
            .attach_host(&ann.account.id, &ann.printer.id, &key)
            .await?
    );
    let stolen = printers
        .attach_host(&bob.account.id, &bob.printer.id, &key)
        .await;
    check!(matches!(stolen, Err(StoreError::Conflict)));
    check!(
        printers
            .attach_host(&ann.account.id, &ann.printer.id, &new_key)
            .await?
    );
    check_eq!(printers.find_by_host(&key.id()).await?, None);
    let found = printers.find_by_host(&new_key.id()).await?;
    check_eq!(found.map(|printer| printer.id), Some(ann.printer.id));
    // The old key is free again.
    check!(
        printers
            .attach_host(&bob.account.id, &bob.printer.id, &key)
            .await?
    );
    Ok(())
}

async fn printer_changes_only_for_its_owner(store: &RelayStore) -> Outcome {
    let make = Maker::default();
    let (ann, bob) = (
        make.household(store, "ann@example.com").await?,
        make.household(store, "bob@example.com").await?,
    );
    let printers = store.printers();
    let name = PrinterName::parse("Mine now")?;
    let key = HostKey::from_bytes([3; 32]);
    let (thief, target) = (&bob.account.id, &ann.printer.id);
    check_eq!(printers.find_owned(thief, target).await?, None);
    check!(!printers.rename(thief, target, &name).await?);
    check!(!printers.attach_host(thief, target, &key).await?);
    check_eq!(printers.remove(thief, target, at(90)).await?, None);
    let listed = store
        .app_connections()
        .list_by_printer(thief, target)
        .await?;
    check!(listed.is_empty());
    check_eq!(printers.load(target).await?, ann.printer);
    let found = find(store, &ann).await?;
    check_eq!(found, Some(ann.connection.clone()));

    check!(printers.rename(&ann.account.id, target, &name).await?);
    let owned = printers.find_owned(&ann.account.id, target).await?;
    check_eq!(owned.map(|printer| printer.name), Some(name));
    Ok(())
}

async fn presence_is_noted(store: &RelayStore) -> Outcome {
    let make = Maker::default();
    let ann = make.household(store, "ann@example.com").await?;
    let (printers, id) = (store.printers(), &ann.printer.id);
    check_eq!(printers.load(id).await?.seen, Seen::default());
    check!(printers.note_seen(id, Presence::Connected, at(100)).await?);
    check!(printers.note_seen(id, Presence::Alive, at(160)).await?);
    let online = Seen {
        online_since: Some(at(100)),
        last_connected: Some(at(100)),
        last_seen: Some(at(160)),
    };
    check_eq!(printers.load(id).await?.seen, online);
    check!(printers.note_seen(id, Presence::Lost, at(170)).await?);
    let offline = Seen {
        online_since: None,
        last_connected: Some(at(100)),
        last_seen: Some(at(170)),
    };
    check_eq!(printers.load(id).await?.seen, offline);
    check_eq!(printers.note_all_lost().await?, 0);
    check!(printers.note_seen(id, Presence::Connected, at(200)).await?);
    check_eq!(printers.note_all_lost().await?, 1);
    check_eq!(printers.load(id).await?.seen.online_since, None);
    check!(printers.note_local_address(id, "192.168.1.9").await?);
    let kept = printers.load(id).await?.local_address;
    check_eq!(kept.as_deref(), Some("192.168.1.9"));
    let other = make.printer(&ann.account, "other").id;
    check!(!printers.note_seen(&other, Presence::Alive, at(1)).await?);
    Ok(())
}

async fn app_connection_is_found_as_it_was_kept(store: &RelayStore) -> Outcome {
    let make = Maker::default();
    let ann = make.household(store, "ann@example.com").await?;
    let key = HostKey::from_bytes([3; 32]);
    let connections = store.app_connections();
    let mut all = vec![ann.connection.clone()];
    for access in [AccessMode::None, AccessMode::Basic, AccessMode::Bearer] {
        let (connection, credentials) = make.app_connection(&ann.printer, access);
        connections.insert(&connection).await?;
        let by_label = connections
            .find_by_label_hash(&credentials.label.hash())
            .await?;
        check_eq!(
            by_label.map(|found| found.connection),
            Some(connection.clone())
        );
        let by_token = connections
            .find_by_app_token_hash(&credentials.app_token.hash())
            .await?;
        check_eq!(
            by_token.map(|found| found.connection),
            Some(connection.clone())
        );
        all.push(connection);
    }
    store
        .printers()
        .attach_host(&ann.account.id, &ann.printer.id, &key)
        .await?;
    let label = ann.credentials.label.hash();
    let found = connections.find_by_label_hash(&label).await?;
    let holder = found.and_then(|found| found.holder).ok_or("no holder")?;
    check_eq!(holder.account, ann.account.id);
    check_eq!(holder.printer, ann.printer.id);
    check_eq!(holder.printer_name, ann.printer.name);
    check_eq!(holder.host, Some(key.id()));
    check_eq!(holder.plan, ann.account.plan);
    check!(!holder.suspended);
    let unknown = LabelHash::of("app-unknown");
    check_eq!(connections.find_by_label_hash(&unknown).await?, None);
    let listed = connections
        .list_by_printer(&ann.account.id, &ann.printer.id)
        .await?;
    all.sort_by(|one, two| one.id.cmp(&two.id));
    let listed: Vec<_> = listed.into_iter().map(|found| found.connection).collect();
    check_eq!(listed, all);
    Ok(())
}

async fn app_connection_needs_the_owners_printer(store: &RelayStore) -> Outcome {
    let make = Maker::default();
    let ann = make.household(store, "ann@example.com").await?;
    let bob = make.household(store, "bob@example.com").await?;
    let mut foreign = ann.printer.clone();
    foreign.account = bob.account.id.clone();
    let gone = make.printer(&ann.account, "never kept");
    for printer in [foreign, gone] {
        let (connection, credentials) = make.app_connection(&printer, AccessMode::Enhanced);
        let answer = store.app_connections().insert(&connection).await;
        check!(matches!(answer, Err(StoreError::Conflict)));
        let label = credentials.label.hash();
        let found = store.app_connections().find_by_label_hash(&label).await?;
        check_eq!(found, None);
    }
    Ok(())
}

async fn label_is_never_used_again(store: &RelayStore) -> Outcome {
    let make = Maker::default();
    let ann = make.household(store, "ann@example.com").await?;
    let connections = store.app_connections();
    for round in ["live", "ended"] {
        let (mut again, _) = make.app_connection(&ann.printer, AccessMode::Enhanced);
        again.hashes.label = ann.connection.hashes.label;
        let answer = connections.insert(&again).await;
        check!(matches!(answer, Err(StoreError::Conflict)));
        if round == "live" {
            check!(
                connections
                    .end(&ann.connection.id, EndReason::Revoked, at(90))
                    .await?
            );
        }
    }
    Ok(())
}

async fn ended_app_connection_is_a_tombstone(store: &RelayStore) -> Outcome {
    let make = Maker::default();
    let ann = make.household(store, "ann@example.com").await?;
    let connections = store.app_connections();
    let id = &ann.connection.id;
    check!(connections.end(id, EndReason::Revoked, at(90)).await?);
    // The first end stands.
    check!(
        !connections
            .end(id, EndReason::PrinterRemoved, at(95))
            .await?
    );
    let label = ann.credentials.label.hash();
    let found = connections.find_by_label_hash(&label).await?;
    let found = found.ok_or("the tombstone is gone")?;
    check_eq!(found.holder, None);
    check_eq!(found.connection.hashes, ann.connection.hashes);
    let state = AppConnectionState::Ended {
        reason: EndReason::Revoked,
        at: at(90),
    };
    check_eq!(found.connection.state, state);
    let standing = found.owner_standing(|_| None).ok_or("no standing")?;
    check_eq!(standing, OwnerStanding::Entitled);
    let bearer = PresentedCredential::Bearer(ann.credentials.bearer());
    let answer = found.connection.admit(bearer, standing).err();
    check_eq!(answer, Some(Refusal::Ended));
    let nothing = PresentedCredential::Nothing;
    let answer = found.connection.admit(nothing, standing).err();
    check_eq!(answer, Some(Refusal::NotFound));
    let token = ann.credentials.app_token.hash();
    check!(connections.find_by_app_token_hash(&token).await?.is_some());
    let listed = connections
        .list_by_printer(&ann.account.id, &ann.printer.id)
        .await?;
    check!(listed.is_empty());
    check_eq!(
        connections.list_ended_since(at(90)).await?,
        slice::from_ref(id)
    );
    check_eq!(connections.list_ended_since(at(91)).await?, []);
    // A tombstone is nothing to insert.
    let answer = connections.insert(&found.connection).await;
    check!(matches!(answer, Err(StoreError::Conflict)));
    Ok(())
}

async fn app_connection_ends_only_for_its_owner(store: &RelayStore) -> Outcome {
    let make = Maker::default();
    let ann = make.household(store, "ann@example.com").await?;
    let bob = make.household(store, "bob@example.com").await?;
    let connections = store.app_connections();
    let id = &ann.connection.id;
    let reason = EndReason::Revoked;
    check!(
        !connections
            .end_owned(&bob.account.id, id, reason, at(90))
            .await?
    );
    check_eq!(find(store, &ann).await?, Some(ann.connection.clone()));
    check!(
        connections
            .end_owned(&ann.account.id, id, reason, at(90))
            .await?
    );
    check!(
        !connections
            .end_owned(&ann.account.id, id, reason, at(91))
            .await?
    );
    check_eq!(find(store, &bob).await?, Some(bob.connection.clone()));
    Ok(())
}

async fn removed_printer_ends_its_app_connections(store: &RelayStore) -> Outcome {
    let make = Maker::default();
    let ann = make.household(store, "ann@example.com").await?;
    let bob = make.household(store, "bob@example.com").await?;
    let kept = make.printer(&ann.account, "kept");
    store.printers().create(&kept).await?;
    let (other, _) = make.app_connection(&kept, AccessMode::Bearer);
    store.app_connections().insert(&other).await?;
    let printers = store.printers();
    let removed = printers
        .remove(&ann.account.id, &ann.printer.id, at(90))
        .await?;
    let removed = removed.ok_or("was not removed")?;
    check_eq!(removed.app_connections, slice::from_ref(&ann.connection.id));
    check_eq!(printers.find(&ann.printer.id).await?, None);
    check_eq!(
        printers
            .remove(&ann.account.id, &ann.printer.id, at(91))
            .await?,
        None
    );
    let tombstone = find(store, &ann).await?.ok_or("no tombstone")?;
    let state = AppConnectionState::Ended {
        reason: EndReason::PrinterRemoved,
        at: at(90),
    };
    check_eq!(tombstone.state, state);
    check_eq!(find(store, &bob).await?, Some(bob.connection.clone()));
    let listed = store
        .app_connections()
        .list_by_printer(&ann.account.id, &kept.id)
        .await?;
    check_eq!(listed.len(), 1);
    // The same host may be paired anew, under the id apps know.
    printers.create(&ann.printer).await?;
    Ok(())
}

async fn deleted_account_leaves_nothing_but_tombstones(store: &RelayStore) -> Outcome {
    let make = Maker::default();
    let ann = make.household(store, "ann@example.com").await?;
    let bob = make.household(store, "bob@example.com").await?;
    let deleted = store.accounts().delete(&ann.account.id, at(90)).await?;
    let deleted = deleted.ok_or("was not deleted")?;
    check_eq!(deleted.printers, slice::from_ref(&ann.printer.id));
    check_eq!(deleted.app_connections, slice::from_ref(&ann.connection.id));
    check_eq!(
        store.accounts().delete(&ann.account.id, at(91)).await?,
        None
    );
    check_eq!(store.accounts().find(&ann.account.id).await?, None);
    check_eq!(
        store.accounts().find_by_email(&ann.account.email).await?,
        None
    );
    check_eq!(store.printers().find(&ann.printer.id).await?, None);
    let tombstone = find(store, &ann).await?.ok_or("no tombstone")?;
    let state = AppConnectionState::Ended {
        reason: EndReason::AccountDeleted,
        at: at(90),
    };
    check_eq!(tombstone.state, state);
    check_eq!(find(store, &bob).await?, Some(bob.connection.clone()));
    check_eq!(store.accounts().load(&bob.account.id).await?, bob.account);
    // The address is free again.
    let again = make.account("ann@example.com");
    store.accounts().create(&again, None).await?;
    Ok(())
}

async fn use_adds_up_and_passes_over_the_ended(store: &RelayStore) -> Outcome {
    let make = Maker::default();
    let ann = make.household(store, "ann@example.com").await?;
    let bob = make.household(store, "bob@example.com").await?;
    let connections = store.app_connections();
    let used = |household: &Household, millis, requests, bytes| Use {
        id: household.connection.id.clone(),
        at: at(millis),
        requests,
        bytes,
    };
    connections
        .end(&bob.connection.id, EndReason::Revoked, at(90))
        .await?;
    connections.mark_used(&[]).await?;
    connections
        .mark_used(&[used(&ann, 200, 2, 1_000), used(&bob, 200, 5, 5)])
        .await?;
    connections.mark_used(&[used(&ann, 150, 1, 24)]).await?;
    let listed = connections
        .list_by_printer(&ann.account.id, &ann.printer.id)
        .await?;
    let usage = listed.first().ok_or("not listed")?.usage;
    check_eq!(usage.last_used, Some(at(200)));
    check_eq!((usage.requests, usage.bytes), (3, 1_024));
    // No batch, however odd, makes a later one fail.
    connections
        .mark_used(&[used(&ann, 300, u64::MAX, u64::MAX)])
        .await?;
    connections
        .mark_used(&[used(&ann, 400, u64::MAX, 1)])
        .await?;
    Ok(())
}

async fn suspension_and_plan_show_on_the_hot_path(store: &RelayStore) -> Outcome {
    let make = Maker::default();
    let ann = make.household(store, "ann@example.com").await?;
    let label = ann.credentials.label.hash();
    let standing = async || {
        let found = store.app_connections().find_by_label_hash(&label).await?;
        let found = found.ok_or("not found")?;
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(found.owner_standing(|plan| {
            match plan.as_str() {
                "supporter" => Some(true),
                "free" => Some(false),
                _ => None,
            }
        }))
    };
    check_eq!(standing().await?, Some(OwnerStanding::Entitled));
    let suspension = Suspension {
        at: at(50),
        reason: "unpaid".to_owned(),
    };
    store
        .accounts()
        .suspend(&ann.account.id, &suspension)
        .await?;
    check_eq!(standing().await?, Some(OwnerStanding::Suspended));
    store.accounts().unsuspend(&ann.account.id).await?;
    store
        .accounts()
        .set_plan(&ann.account.id, &"free".parse()?)
        .await?;
    check_eq!(standing().await?, Some(OwnerStanding::PlanWithout));
    store
        .accounts()
        .set_plan(&ann.account.id, &"lost".parse()?)
        .await?;
    check_eq!(standing().await?, None);
    Ok(())
}

async fn find(
    store: &RelayStore,
    household: &Household,
) -> Result<Option<AppConnection>, StoreError> {
    let label = household.credentials.label.hash();
    let found = store.app_connections().find_by_label_hash(&label).await?;
    Ok(found.map(|found| found.connection))
}
