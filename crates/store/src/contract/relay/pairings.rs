//! What holds of hosts that wait to be paired.

use latchkey_model::account::Account;
use latchkey_model::chance::SeededChance;
use latchkey_model::id::PrinterId;
use latchkey_model::pairing::{LASTS, Pairing, PairingOutcome};
use latchkey_model::printer::{HostKey, Printer, PrinterName};
use latchkey_model::secret::{PairingCode, PairingCodeHash, PairingPoll, PairingPollHash};

use super::{Maker, find};
use crate::contract::{Case, Outcome, at, cases, check, check_eq};
use crate::relay::{Confirmation, RelayStore};

cases! { RelayStore,
    host_waits_once_and_for_a_while,
    only_so_many_hosts_wait,
    confirmed_host_is_a_printer_once,
    refused_host_is_nobodys,
    host_of_another_account_is_not_displaced,
    host_paired_again_keeps_its_app_connections,
    an_account_has_no_more_printers_than_it_may,
    pairing_goes_with_its_printer_and_account,
}

fn hashes(seed: u64) -> (PairingCodeHash, PairingPollHash) {
    let chance = SeededChance::new(seed);
    let code = PairingCode::generate(&chance).hash();
    (code, PairingPoll::generate(&chance).hash())
}

fn waiting(host: u8) -> Pairing {
    let key = HostKey::from_bytes([host; 32]);
    Pairing::new(
        key,
        "octopi".to_owned(),
        "203.0.113.0/24".to_owned(),
        at(100),
    )
}

fn printer_of(account: &Account, host: u8, name: &str) -> Printer {
    let key = HostKey::from_bytes([host; 32]);
    Printer {
        id: PrinterId::from(&key.id()),
        host: Some(key),
        name: PrinterName::parse(name).expect("a name"),
        ..Maker::default().printer(account, "MK4")
    }
}

async fn host_waits_once_and_for_a_while(store: &RelayStore) -> Outcome {
    let (code, poll) = hashes(1);
    let pairings = store.pairings();
    check!(pairings.start(&code, &poll, &waiting(1), 9).await?);
    check_eq!(
        pairings.find_by_code(&code, at(101)).await?,
        Some(waiting(1))
    );
    check_eq!(
        pairings.find_by_poll(&poll, at(101)).await?,
        Some(waiting(1))
    );
    let end = at(100).plus(LASTS);
    check_eq!(pairings.find_by_code(&code, end).await?, None);
    check_eq!(pairings.find_by_poll(&poll, end).await?, None);
    // A host that asks anew has the new code only.
    let (newer, newer_poll) = hashes(2);
    check!(pairings.start(&newer, &newer_poll, &waiting(1), 9).await?);
    check_eq!(pairings.find_by_code(&code, at(101)).await?, None);
    check_eq!(pairings.find_by_poll(&poll, at(101)).await?, None);
    check!(pairings.find_by_code(&newer, at(101)).await?.is_some());
    check_eq!(pairings.prune(at(101)).await?, 0);
    check_eq!(pairings.prune(end).await?, 1);
    Ok(())
}

async fn only_so_many_hosts_wait(store: &RelayStore) -> Outcome {
    let pairings = store.pairings();
    for host in 1..=2 {
        let (code, poll) = hashes(host.into());
        check!(pairings.start(&code, &poll, &waiting(host), 2).await?);
    }
    let (code, poll) = hashes(3);
    check!(!pairings.start(&code, &poll, &waiting(3), 2).await?);
    // One that waits already may ask anew, and what is over makes room.
    check!(pairings.start(&code, &poll, &waiting(2), 2).await?);
    let (code, poll) = hashes(4);
    let mut later = waiting(4);
    later.created = at(100).plus(LASTS);
    check!(pairings.start(&code, &poll, &later, 2).await?);
    Ok(())
}

async fn confirmed_host_is_a_printer_once(store: &RelayStore) -> Outcome {
    let make = Maker::default();
    let ann = make.account("ann@example.com");
    store.accounts().create(&ann, None).await?;
    let (code, poll) = hashes(1);
    let pairings = store.pairings();
    pairings.start(&code, &poll, &waiting(1), 9).await?;
    let printer = printer_of(&ann, 1, "Garage");
    let late = pairings
        .confirm(&code, &printer, at(100).plus(LASTS))
        .await?;
    check_eq!(late, Confirmation::Gone);
    let done = pairings.confirm(&code, &printer, at(101)).await?;
    check_eq!(done, Confirmation::Made(printer.id.clone()));
    check_eq!(store.printers().load(&printer.id).await?, printer);
    let outcome = PairingOutcome::Confirmed {
        account: ann.id.clone(),
        printer: printer.id.clone(),
    };
    let found = pairings.find_by_poll(&poll, at(102)).await?;
    check_eq!(found.map(|found| found.outcome), Some(outcome));
    let twice = pairings.confirm(&code, &printer, at(103)).await?;
    check_eq!(twice, Confirmation::Gone);
    check!(!pairings.refuse(&code, &ann.id, at(103)).await?);
    Ok(())
}

async fn refused_host_is_nobodys(store: &RelayStore) -> Outcome {
    let make = Maker::default();
    let ann = make.account("ann@example.com");
    store.accounts().create(&ann, None).await?;
    let (code, poll) = hashes(1);
    let pairings = store.pairings();
    pairings.start(&code, &poll, &waiting(1), 9).await?;
    check!(pairings.refuse(&code, &ann.id, at(101)).await?);
    check!(!pairings.refuse(&code, &ann.id, at(101)).await?);
    let found = pairings.find_by_poll(&poll, at(102)).await?;
    check_eq!(
        found.map(|found| found.outcome),
        Some(PairingOutcome::Refused)
    );
    let printer = printer_of(&ann, 1, "Garage");
    let late = pairings.confirm(&code, &printer, at(102)).await?;
    check_eq!(late, Confirmation::Gone);
    check_eq!(store.printers().find(&printer.id).await?, None);
    Ok(())
}

async fn host_of_another_account_is_not_displaced(store: &RelayStore) -> Outcome {
    let make = Maker::default();
    let (ann, eve) = (
        make.account("ann@example.com"),
        make.account("eve@example.com"),
    );
    store.accounts().create(&ann, None).await?;
    store.accounts().create(&eve, None).await?;
    let kept = printer_of(&ann, 1, "Garage");
    store.printers().create(&kept).await?;
    let (code, poll) = hashes(1);
    let pairings = store.pairings();
    pairings.start(&code, &poll, &waiting(1), 9).await?;
    let stolen = printer_of(&eve, 1, "Mine");
    let stolen = pairings.confirm(&code, &stolen, at(101)).await?;
    check_eq!(stolen, Confirmation::Taken);
    check_eq!(store.printers().load(&kept.id).await?, kept);
    // Its owner may still use the code.
    let found = pairings.find_by_code(&code, at(101)).await?;
    check_eq!(
        found.map(|found| found.outcome),
        Some(PairingOutcome::Waiting)
    );
    Ok(())
}

async fn host_paired_again_keeps_its_app_connections(store: &RelayStore) -> Outcome {
    let make = Maker::default();
    let ann = make.household(store, "ann@example.com").await?;
    let key = HostKey::from_bytes([1; 32]);
    let (owner, printer) = (&ann.account.id, &ann.printer.id);
    store.printers().attach_host(owner, printer, &key).await?;
    let (code, poll) = hashes(1);
    let pairings = store.pairings();
    pairings.start(&code, &poll, &waiting(1), 9).await?;
    let again = printer_of(&ann.account, 1, "Shed");
    let again = pairings.confirm(&code, &again, at(101)).await?;
    check_eq!(again, Confirmation::Again(printer.clone()));
    let name = store.printers().load(printer).await?.name;
    check_eq!(name.as_str(), "Shed");
    check_eq!(find(store, &ann).await?, Some(ann.connection.clone()));
    Ok(())
}

async fn an_account_has_no_more_printers_than_it_may(store: &RelayStore) -> Outcome {
    let make = Maker::default();
    let ann = make.account("ann@example.com");
    store.accounts().create(&ann, None).await?;
    let (code, poll) = hashes(1);
    let pairings = store.pairings();
    pairings.start(&code, &poll, &waiting(1), 9).await?;
    let printer = printer_of(&ann, 1, "Garage");
    let none = pairings.confirm_within(&code, &printer, Some(0), at(101));
    check_eq!(none.await?, Confirmation::Full);
    check_eq!(store.printers().find(&printer.id).await?, None);
    // The code is good as long as before.
    let one = pairings.confirm_within(&code, &printer, Some(1), at(101));
    check_eq!(one.await?, Confirmation::Made(printer.id.clone()));
    // One that is theirs already needs no more room.
    let (code, poll) = hashes(2);
    pairings.start(&code, &poll, &waiting(1), 9).await?;
    let again = pairings.confirm_within(&code, &printer, Some(1), at(102));
    check_eq!(again.await?, Confirmation::Again(printer.id.clone()));
    let (code, poll) = hashes(3);
    pairings.start(&code, &poll, &waiting(2), 9).await?;
    let second = printer_of(&ann, 2, "Shed");
    let second = pairings.confirm_within(&code, &second, Some(1), at(103));
    check_eq!(second.await?, Confirmation::Full);
    Ok(())
}

async fn pairing_goes_with_its_printer_and_account(store: &RelayStore) -> Outcome {
    let make = Maker::default();
    let ann = make.account("ann@example.com");
    store.accounts().create(&ann, None).await?;
    let pairings = store.pairings();
    let printer = printer_of(&ann, 1, "Garage");
    let (code, poll) = hashes(1);
    pairings.start(&code, &poll, &waiting(1), 9).await?;
    pairings.confirm(&code, &printer, at(101)).await?;
    store
        .printers()
        .remove(&ann.id, &printer.id, at(102))
        .await?;
    check_eq!(pairings.find_by_poll(&poll, at(103)).await?, None);
    let (code, poll) = hashes(2);
    pairings.start(&code, &poll, &waiting(1), 9).await?;
    pairings.refuse(&code, &ann.id, at(104)).await?;
    store.accounts().delete(&ann.id, at(105)).await?;
    check_eq!(pairings.find_by_poll(&poll, at(106)).await?, None);
    Ok(())
}
