use std::collections::BTreeMap;

use latchkey_model::access::KeyScope;
use latchkey_model::account::{Account, Email};
use latchkey_model::app::{AppId, AppName};
use latchkey_model::app_connection::{AccessMode, NewAppConnection};
use latchkey_model::chance::SeededChance;
use latchkey_model::clock::{FixedClock, Timestamp};
use latchkey_model::plan::Entitlements;
use latchkey_model::printer::{Printer, PrinterName, Seen};
use latchkey_net::proxy::endings::Hold;

use super::*;
use crate::config::CacheBounds;

/// A relay's memory with one printer and one app connection that has something open.
struct Bench {
    life: Life,
    chance: SeededChance,
    clock: FixedClock,
    account: AccountId,
    printer: PrinterId,
    connection: AppConnectionId,
    hold: Hold,
}

impl Bench {
    async fn new() -> Self {
        let chance = SeededChance::new(5);
        let clock = FixedClock::new(Timestamp::from_millis(1_000_000));
        let store = RelayStore::open_in_memory().await.unwrap();
        let with = |app_connections| Entitlements {
            app_connections,
            ..Entitlements::default()
        };
        let plans = [
            ("supporter".parse().unwrap(), with(true)),
            ("free".parse().unwrap(), with(false)),
        ];
        let life = Life::new(Parts {
            store,
            plans: Plans::new(BTreeMap::from(plans)),
            tunnels: Tunnels::default(),
            endings: Endings::default(),
            clock: Arc::new(clock.clone()),
            tracker: TaskTracker::new(),
            cache: Cache::new(CacheBounds::default()),
        });
        let account = AccountId::generate(&chance);
        let email = Email::parse("ann@example.com").unwrap();
        let plan = "supporter".parse().unwrap();
        let record = Account::new(account.clone(), email, clock.now(), plan);
        let store = &life.0.store;
        store.accounts().create(&record, None).await.unwrap();
        let printer = Printer {
            id: PrinterId::generate(&chance),
            account: account.clone(),
            name: PrinterName::parse("MK4").unwrap(),
            host: None,
            created: clock.now(),
            seen: Seen::default(),
            local_address: None,
        };
        store.printers().create(&printer).await.unwrap();
        let mut bench = Self {
            chance,
            clock,
            account,
            printer: printer.id,
            connection: AppConnectionId::generate(&SeededChance::new(6)),
            hold: Hold::elsewhere(),
            life,
        };
        bench.connection = bench.connect().await;
        bench.hold = bench.life.endings().hold(bench.connection.clone());
        bench
    }

    async fn connect(&self) -> AppConnectionId {
        let wanted = NewAppConnection {
            account: self.account.clone(),
            printer: self.printer.clone(),
            app: AppId::parse("octopod").unwrap(),
            app_name: AppName::parse("OctoPod").unwrap(),
            access: AccessMode::Enhanced,
            scope: KeyScope::Full,
        };
        let (connection, _) = wanted.generate(&self.chance, &self.clock);
        let connections = self.life.0.store.app_connections();
        connections.insert(&connection).await.unwrap();
        connection.id
    }

    fn is_cut(&self) -> bool {
        self.hold.ended().is_cancelled()
    }
}

#[tokio::test]
async fn whoever_may_not_revoke_cuts_nothing() {
    let bench = Bench::new().await;
    let stranger = AccountId::generate(&SeededChance::new(9));
    assert!(
        !bench
            .life
            .revoke(&stranger, &bench.connection)
            .await
            .unwrap()
    );
    assert_eq!(
        bench
            .life
            .revoke_all(&stranger, &bench.printer)
            .await
            .unwrap(),
        0
    );
    assert!(
        !bench
            .life
            .remove_printer(&stranger, &bench.printer)
            .await
            .unwrap()
    );
    assert!(!bench.life.delete_account(&stranger).await.unwrap());
    assert!(!bench.life.suspend(&stranger, "x").await.unwrap());
    assert!(!bench.is_cut());
    assert!(
        bench
            .life
            .revoke(&bench.account, &bench.connection)
            .await
            .unwrap()
    );
    assert!(bench.is_cut());
    assert!(
        !bench
            .life
            .revoke(&bench.account, &bench.connection)
            .await
            .unwrap()
    );
}

#[tokio::test]
async fn a_plan_that_nobody_defined_is_refused_or_a_doubt() {
    let bench = Bench::new().await;
    let lost: PlanName = "lost".parse().unwrap();
    let refused = bench.life.set_plan(&bench.account, &lost).await;
    assert!(matches!(refused, Err(SetPlanError::UnknownPlan(_))));
    // Written by a program with another configuration.
    let accounts = bench.life.0.store.accounts();
    accounts.set_plan(&bench.account, &lost).await.unwrap();
    bench.life.recheck_open().await.unwrap();
    assert!(!bench.is_cut());
    let free = "free".parse().unwrap();
    assert!(bench.life.set_plan(&bench.account, &free).await.unwrap());
    assert!(bench.is_cut());
}

#[tokio::test]
async fn what_another_program_ends_is_cut_at_the_next_look() {
    let bench = Bench::new().await;
    bench.life.recheck_open().await.unwrap();
    assert!(!bench.is_cut());
    let connections = bench.life.0.store.app_connections();
    let reason = EndReason::Revoked;
    connections
        .end(&bench.connection, reason, bench.clock.now())
        .await
        .unwrap();
    bench.life.recheck_open().await.unwrap();
    assert!(bench.is_cut());
}

#[tokio::test]
async fn what_ended_is_found_without_anything_open_by_a_clock_that_is_behind() {
    let bench = Bench::new().await;
    let mut since = bench.clock.now();
    let before = Timestamp::from_millis(since.millis() - 40_000);
    let connections = bench.life.0.store.app_connections();
    connections
        .end(&bench.connection, EndReason::Revoked, before)
        .await
        .unwrap();
    bench.life.recheck_ended(&mut since).await.unwrap();
    assert!(bench.is_cut());
}

#[tokio::test]
async fn doubts_cut_nothing() {
    let bench = Bench::new().await;
    // No record at all: the database is not the one it was in.
    let unknown = AppConnectionId::generate(&SeededChance::new(77));
    let hold = bench.life.endings().hold(unknown);
    bench.life.recheck_open().await.unwrap();
    assert!(!hold.ended().is_cancelled());
    bench.life.0.store.close().await;
    assert!(bench.life.recheck_open().await.is_err());
    let mut since = bench.clock.now();
    assert!(bench.life.recheck_ended(&mut since).await.is_err());
    assert!(
        bench
            .life
            .revoke(&bench.account, &bench.connection)
            .await
            .is_err()
    );
    assert!(!bench.is_cut() && !hold.ended().is_cancelled());
}
