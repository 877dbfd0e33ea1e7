//! What holds of passkeys.

use latchkey_model::account::Account;
use latchkey_model::account_session::AccountSession;
use latchkey_model::id::{PasskeyId, SessionId};
use latchkey_model::secret::SessionHash;

use super::Maker;
use crate::contract::{Case, Outcome, at, cases, check, check_eq};
use crate::error::StoreError;
use crate::relay::{KeptPasskey, RelayStore};

cases! { RelayStore,
    passkey_is_found_by_what_its_device_calls_it,
    passkeys_of_an_account_are_bounded,
    use_of_a_passkey_counts_once,
    passkey_is_removed_by_its_account_alone,
    session_by_a_passkey_begins_while_it_is_there,
}

fn passkey(make: &Maker, account: &Account, credential: u8) -> KeptPasskey {
    KeptPasskey {
        id: PasskeyId::generate(&make.chance),
        account: account.id.clone(),
        credential_id: vec![credential; 40],
        credential: "{\"counter\":0}".to_owned(),
        name: "Phone".to_owned(),
        created: at(30 + i64::from(credential)),
        used: None,
    }
}

async fn passkey_is_found_by_what_its_device_calls_it(store: &RelayStore) -> Outcome {
    let make = Maker::default();
    let ann = make.account("ann@example.com");
    let kept = passkey(&make, &ann, 1);
    let passkeys = store.passkeys();
    check!(!passkeys.add(&kept, 10).await?);
    store.accounts().create(&ann, None).await?;
    check!(passkeys.add(&kept, 10).await?);
    let found = passkeys.find_by_credential(&[1; 40]).await?;
    check_eq!(found.as_ref(), Some(&kept));
    check_eq!(passkeys.find_by_credential(&[1; 39]).await?, None);
    let same = KeptPasskey {
        id: PasskeyId::generate(&make.chance),
        ..kept
    };
    let again = passkeys.add(&same, 10).await;
    check!(matches!(again, Err(StoreError::Conflict)));
    Ok(())
}

async fn passkeys_of_an_account_are_bounded(store: &RelayStore) -> Outcome {
    let make = Maker::default();
    let ann = make.account("ann@example.com");
    store.accounts().create(&ann, None).await?;
    for credential in 0..3 {
        let kept = passkey(&make, &ann, credential);
        check_eq!(store.passkeys().add(&kept, 2).await?, credential < 2);
    }
    check_eq!(store.passkeys().list_of(&ann.id).await?.len(), 2);
    Ok(())
}

async fn use_of_a_passkey_counts_once(store: &RelayStore) -> Outcome {
    let make = Maker::default();
    let ann = make.account("ann@example.com");
    store.accounts().create(&ann, None).await?;
    let kept = passkey(&make, &ann, 1);
    let passkeys = store.passkeys();
    passkeys.add(&kept, 2).await?;
    check!(passkeys.note_used(&kept, "{\"counter\":1}", at(90)).await?);
    check!(!passkeys.note_used(&kept, "{\"counter\":1}", at(91)).await?);
    let listed = passkeys.list_of(&ann.id).await?;
    check_eq!(listed[0].used, Some(at(90)));
    check_eq!(listed[0].credential, "{\"counter\":1}");
    Ok(())
}

async fn passkey_is_removed_by_its_account_alone(store: &RelayStore) -> Outcome {
    let make = Maker::default();
    let (ann, bob) = (
        make.account("ann@example.com"),
        make.account("bob@example.com"),
    );
    for account in [&ann, &bob] {
        store.accounts().create(account, None).await?;
    }
    let kept = passkey(&make, &ann, 1);
    let passkeys = store.passkeys();
    passkeys.add(&kept, 2).await?;
    check!(!passkeys.remove(&bob.id, &kept.id).await?);
    check!(!store.second_factors().remove_all(&bob.id).await?);
    check!(passkeys.remove(&ann.id, &kept.id).await?);
    check!(!passkeys.remove(&ann.id, &kept.id).await?);
    passkeys.add(&kept, 2).await?;
    check!(store.second_factors().remove_all(&ann.id).await?);
    check_eq!(passkeys.list_of(&ann.id).await?, []);
    Ok(())
}

async fn session_by_a_passkey_begins_while_it_is_there(store: &RelayStore) -> Outcome {
    let make = Maker::default();
    let ann = make.account("ann@example.com");
    store.accounts().create(&ann, None).await?;
    let kept = passkey(&make, &ann, 1);
    let session = AccountSession {
        id: SessionId::generate(&make.chance),
        account: ann.id.clone(),
        created: at(40),
        seen: at(40),
        proved: at(40),
        second_factor: Some(at(40)),
        device: String::new(),
        network: String::new(),
    };
    let (sessions, hash) = (store.sessions(), SessionHash::of("a"));
    let passkey = Some(&kept.id);
    check!(!sessions.open_by(&session, &hash, None, passkey).await?);
    store.passkeys().add(&kept, 2).await?;
    check!(sessions.open_by(&session, &hash, None, passkey).await?);
    let found = sessions.find(&hash).await?;
    check!(found.is_some_and(|found| found.factors.passkeys && !found.factors.codes));
    Ok(())
}
