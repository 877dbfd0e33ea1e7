//! The behaviour that every database behind [`RelayStore`] must show.

use latchkey_model::access::KeyScope;
use latchkey_model::account::{Account, Email};
use latchkey_model::app::{AppId, AppName};
use latchkey_model::app_connection::{
    AccessMode, AppConnection, ConnectionCredentials, NewAppConnection,
};
use latchkey_model::chance::SeededChance;
use latchkey_model::clock::FixedClock;
use latchkey_model::id::{AccountId, PrinterId};
use latchkey_model::printer::{Printer, PrinterName, Seen};

use super::{Case, at};
use crate::error::StoreError;
use crate::relay::RelayStore;

mod account_usage;
mod accounts;
mod activity;
mod app_connections;
mod apps;
mod audit;
mod events;
mod links;
mod live_links;
mod members;
mod notices;
mod origins;
mod own_access;
mod pairings;
mod passkeys;
mod print_letters;
mod printers;
mod second_factors;
mod sessions;
mod snapshots;
mod webhooks;

/// All cases. Each needs an empty store of its own.
pub fn cases() -> impl Iterator<Item = Case<RelayStore>> {
    [
        accounts::CASES,
        printers::CASES,
        pairings::CASES,
        app_connections::CASES,
        apps::CASES,
        audit::CASES,
        events::CASES,
        webhooks::CASES,
        snapshots::CASES,
        print_letters::CASES,
        account_usage::CASES,
        activity::CASES,
        live_links::CASES,
        members::CASES,
        notices::CASES,
        origins::CASES,
        passkeys::CASES,
        second_factors::CASES,
        own_access::CASES,
        sessions::CASES,
        links::CASES,
    ]
    .into_iter()
    .flatten()
    .copied()
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

impl Maker {
    /// An account with this address.
    pub fn account(&self, email: &str) -> Account {
        Account::new(
            AccountId::generate(&self.chance),
            Email::parse(email).expect("an address"),
            at(10),
            "supporter".parse().expect("a plan name"),
        )
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
            scope: KeyScope::Full,
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

async fn find(
    store: &RelayStore,
    household: &Household,
) -> Result<Option<AppConnection>, StoreError> {
    let label = household.credentials.label.hash();
    let found = store.app_connections().find_by_label_hash(&label).await?;
    Ok(found.map(|found| found.connection))
}
