//! What holds of codes and recovery codes.

use latchkey_model::account_session::{AccountSession, Factors};
use latchkey_model::id::SessionId;
use latchkey_model::secret::{RecoveryCodeHash, SessionHash};

use super::Maker;
use crate::contract::{Case, Outcome, at, cases, check, check_eq};
use crate::error::StoreError;
use crate::relay::{CodeGenerator, RelayStore};

cases! { RelayStore,
    generator_is_kept_once_and_goes_with_its_recovery_codes,
    code_counts_once_and_no_earlier_one_after_it,
    recovery_code_counts_once_for_its_account_alone,
    recovery_codes_stand_for_a_generator_only,
    session_without_second_factor_begins_only_where_none_is_asked_for,
}

fn generator() -> CodeGenerator {
    CodeGenerator {
        sealed_seed: vec![1, 2, 3],
        created: at(30),
        last_step: 7,
    }
}

fn codes(of: &str) -> Vec<RecoveryCodeHash> {
    (0..3)
        .map(|number| RecoveryCodeHash::of(&format!("{of}{number}")))
        .collect()
}

async fn generator_is_kept_once_and_goes_with_its_recovery_codes(store: &RelayStore) -> Outcome {
    let ann = Maker::default().account("ann@example.com");
    let factors = store.second_factors();
    let missing = factors.add(&ann.id, &generator(), &codes("a")).await;
    check!(matches!(missing, Err(StoreError::Conflict)));
    store.accounts().create(&ann, None).await?;
    check_eq!(factors.find(&ann.id).await?, None);
    factors.add(&ann.id, &generator(), &codes("a")).await?;
    check_eq!(factors.find(&ann.id).await?, Some(generator()));
    let again = factors.add(&ann.id, &generator(), &codes("b")).await;
    check!(matches!(again, Err(StoreError::Conflict)));
    check_eq!(factors.count_recovery_codes(&ann.id).await?, 3);
    check!(factors.remove(&ann.id).await?);
    check!(!factors.remove(&ann.id).await?);
    check!(!factors.remove_all(&ann.id).await?);
    check_eq!(factors.count_recovery_codes(&ann.id).await?, 0);
    factors.add(&ann.id, &generator(), &codes("a")).await?;
    check!(factors.remove_all(&ann.id).await?);
    check_eq!(factors.find(&ann.id).await?, None);
    Ok(())
}

async fn code_counts_once_and_no_earlier_one_after_it(store: &RelayStore) -> Outcome {
    let ann = Maker::default().account("ann@example.com");
    store.accounts().create(&ann, None).await?;
    let factors = store.second_factors();
    check!(!factors.take_step(&ann.id, 8).await?);
    factors.add(&ann.id, &generator(), &[]).await?;
    for (step, counts) in [(7, false), (9, true), (9, false), (8, false), (10, true)] {
        check_eq!(factors.take_step(&ann.id, step).await?, counts);
    }
    Ok(())
}

async fn recovery_code_counts_once_for_its_account_alone(store: &RelayStore) -> Outcome {
    let make = Maker::default();
    let (ann, bob) = (
        make.account("ann@example.com"),
        make.account("bob@example.com"),
    );
    let factors = store.second_factors();
    for account in [&ann, &bob] {
        store.accounts().create(account, None).await?;
    }
    factors.add(&ann.id, &generator(), &codes("a")).await?;
    factors.add(&bob.id, &generator(), &codes("b")).await?;
    let code = codes("a")[1];
    check_eq!(factors.take_recovery_code(&bob.id, &code).await?, None);
    check_eq!(factors.take_recovery_code(&ann.id, &code).await?, Some(2));
    check_eq!(factors.take_recovery_code(&ann.id, &code).await?, None);
    Ok(())
}

async fn recovery_codes_stand_for_a_generator_only(store: &RelayStore) -> Outcome {
    let ann = Maker::default().account("ann@example.com");
    store.accounts().create(&ann, None).await?;
    let factors = store.second_factors();
    check!(!factors.replace_recovery_codes(&ann.id, &codes("a")).await?);
    factors.add(&ann.id, &generator(), &codes("a")).await?;
    check!(factors.replace_recovery_codes(&ann.id, &codes("b")).await?);
    let old = factors.take_recovery_code(&ann.id, &codes("a")[0]).await?;
    check_eq!(old, None);
    check_eq!(factors.count_recovery_codes(&ann.id).await?, 3);
    Ok(())
}

async fn session_without_second_factor_begins_only_where_none_is_asked_for(
    store: &RelayStore,
) -> Outcome {
    let make = Maker::default();
    let ann = make.account("ann@example.com");
    store.accounts().create(&ann, None).await?;
    store
        .second_factors()
        .add(&ann.id, &generator(), &[])
        .await?;
    let mut session = AccountSession {
        id: SessionId::generate(&make.chance),
        account: ann.id.clone(),
        created: at(40),
        seen: at(40),
        proved: at(40),
        second_factor: None,
        device: String::new(),
        network: String::new(),
    };
    let hash = SessionHash::of("a");
    check!(!store.sessions().open(&session, &hash, None).await?);
    session.second_factor = Some(at(40));
    check!(store.sessions().open(&session, &hash, None).await?);
    let found = store.sessions().find(&hash).await?;
    let codes = Factors {
        codes: true,
        passkeys: false,
    };
    check_eq!(found.as_ref().map(|found| found.factors), Some(codes));
    check_eq!(found.map(|found| found.session), Some(session));
    Ok(())
}
