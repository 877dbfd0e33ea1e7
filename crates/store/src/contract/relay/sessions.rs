//! What holds of sessions at a relay.

use latchkey_model::account::{Account, Suspension};
use latchkey_model::account_session::AccountSession;
use latchkey_model::id::SessionId;
use latchkey_model::secret::{PasswordHash, SessionHash};

use super::Maker;
use crate::contract::{Case, Outcome, at, cases, check, check_eq};
use crate::error::StoreError;
use crate::relay::RelayStore;

cases! { RelayStore,
    session_is_found_by_its_cookie_with_its_account,
    session_begins_only_with_the_password_that_was_proved,
    session_needs_its_account_and_goes_with_it,
    sessions_are_ended_by_their_account_alone,
    renewed_session_has_another_cookie,
    of_too_many_sessions_the_longest_unseen_end,
    sessions_that_ended_by_age_are_forgotten,
}

fn session(make: &Maker, account: &Account, seen: i64) -> AccountSession {
    AccountSession {
        id: SessionId::generate(&make.chance),
        account: account.id.clone(),
        created: at(seen),
        seen: at(seen),
        proved: at(seen),
        second_factor: None,
        device: "Firefox on Linux".into(),
        network: "192.0.2.0/24".into(),
    }
}

async fn open(store: &RelayStore, session: &AccountSession, cookie: &str) -> Outcome {
    let hash = SessionHash::of(cookie);
    check!(store.sessions().open(session, &hash, None).await?);
    Ok(())
}

async fn session_begins_only_with_the_password_that_was_proved(store: &RelayStore) -> Outcome {
    let make = Maker::default();
    let ann = make.account("ann@example.com");
    let [old, new] = ["old", "new"].map(|phc| PasswordHash::new(phc.to_owned()));
    store.accounts().create(&ann, Some(&old)).await?;
    let (kept, cookie) = (session(&make, &ann, 30), SessionHash::of("a"));
    let sessions = store.sessions();
    for wrong in [None, Some(&new)] {
        check!(!sessions.open(&kept, &cookie, wrong).await?);
    }
    check!(store.accounts().set_password_hash(&ann.id, &new).await?);
    check!(!sessions.open(&kept, &cookie, Some(&old)).await?);
    let suspension = Suspension {
        at: at(40),
        reason: "abuse".to_owned(),
    };
    store.accounts().suspend(&ann.id, &suspension).await?;
    check!(!sessions.open(&kept, &cookie, Some(&new)).await?);
    check_eq!(sessions.find(&cookie).await?, None);
    store.accounts().unsuspend(&ann.id).await?;
    check!(sessions.open(&kept, &cookie, Some(&new)).await?);
    let again = sessions.open(&kept, &cookie, Some(&new)).await;
    check!(matches!(again, Err(StoreError::Conflict)));
    Ok(())
}

async fn session_is_found_by_its_cookie_with_its_account(store: &RelayStore) -> Outcome {
    let make = Maker::default();
    let mut ann = make.account("ann@example.com");
    ann.administrator = true;
    ann.email_verified = Some(at(15));
    store.accounts().create(&ann, None).await?;
    let kept = session(&make, &ann, 30);
    open(store, &kept, "a").await?;
    let found = store.sessions().find(&SessionHash::of("a")).await?;
    check_eq!(found.as_ref().map(|found| &found.session), Some(&kept));
    check_eq!(found.as_ref().map(|found| &found.account), Some(&ann));
    check_eq!(store.sessions().find(&SessionHash::of("b")).await?, None);
    store.sessions().touch(&kept.id, at(40)).await?;
    store.sessions().touch(&kept.id, at(35)).await?;
    let listed = store.sessions().list_of(&ann.id).await?;
    check_eq!(listed.first().map(|session| session.seen), Some(at(40)));
    Ok(())
}

async fn session_needs_its_account_and_goes_with_it(store: &RelayStore) -> Outcome {
    let make = Maker::default();
    let ann = make.account("ann@example.com");
    let kept = session(&make, &ann, 30);
    check!(
        !store
            .sessions()
            .open(&kept, &SessionHash::of("a"), None)
            .await?
    );
    store.accounts().create(&ann, None).await?;
    open(store, &kept, "a").await?;
    store.accounts().delete(&ann.id, at(50)).await?;
    check_eq!(store.sessions().find(&SessionHash::of("a")).await?, None);
    Ok(())
}

async fn sessions_are_ended_by_their_account_alone(store: &RelayStore) -> Outcome {
    let make = Maker::default();
    let (ann, bob) = (
        make.account("ann@example.com"),
        make.account("bob@example.com"),
    );
    for account in [&ann, &bob] {
        store.accounts().create(account, None).await?;
    }
    let kept: Vec<_> = (0..3).map(|seen| session(&make, &ann, seen)).collect();
    for (session, cookie) in kept.iter().zip(["a", "b", "c"]) {
        open(store, session, cookie).await?;
    }
    check!(!store.sessions().end(&bob.id, &kept[0].id).await?);
    check!(store.sessions().end(&ann.id, &kept[0].id).await?);
    check!(!store.sessions().end(&ann.id, &kept[0].id).await?);
    check_eq!(store.sessions().end_others(&bob.id, None).await?, 0);
    let sessions = store.sessions();
    let others = sessions.end_others(&ann.id, Some(&kept[1].id)).await?;
    check_eq!(others, 1);
    let left = store.sessions().list_of(&ann.id).await?;
    check_eq!(left, kept[1..2]);
    check_eq!(store.sessions().end_others(&ann.id, None).await?, 1);
    Ok(())
}

async fn renewed_session_has_another_cookie(store: &RelayStore) -> Outcome {
    let make = Maker::default();
    let ann = make.account("ann@example.com");
    store.accounts().create(&ann, None).await?;
    let kept = session(&make, &ann, 30);
    open(store, &kept, "a").await?;
    let (new, id) = (SessionHash::of("b"), kept.id.clone());
    check!(store.sessions().renew(&id, &new, at(60), false).await?);
    check_eq!(store.sessions().find(&SessionHash::of("a")).await?, None);
    let found = store.sessions().find(&new).await?;
    let proved = found.map(|found| (found.session.proved, found.session.second_factor));
    check_eq!(proved, Some((at(60), None)));
    let newer = SessionHash::of("c");
    check!(store.sessions().renew(&id, &newer, at(61), true).await?);
    check!(store.sessions().renew(&id, &new, at(62), false).await?);
    let found = store.sessions().find(&new).await?;
    let second = found.and_then(|found| found.session.second_factor);
    check_eq!(second, Some(at(61)));
    store.sessions().end(&ann.id, &id).await?;
    check!(!store.sessions().renew(&id, &new, at(70), true).await?);
    Ok(())
}

async fn of_too_many_sessions_the_longest_unseen_end(store: &RelayStore) -> Outcome {
    let make = Maker::default();
    let ann = make.account("ann@example.com");
    store.accounts().create(&ann, None).await?;
    for number in 0..102 {
        let session = session(&make, &ann, number);
        open(store, &session, &number.to_string()).await?;
    }
    let left = store.sessions().list_of(&ann.id).await?;
    check_eq!(left.len(), 100);
    check!(left.iter().all(|session| session.seen >= at(2)));
    Ok(())
}

async fn sessions_that_ended_by_age_are_forgotten(store: &RelayStore) -> Outcome {
    let make = Maker::default();
    let ann = make.account("ann@example.com");
    store.accounts().create(&ann, None).await?;
    open(store, &session(&make, &ann, 0), "a").await?;
    let idle = i64::try_from(latchkey_model::account_session::IDLE.as_millis())?;
    check_eq!(store.sessions().prune(at(idle - 1)).await?, 0);
    check_eq!(store.sessions().prune(at(idle)).await?, 1);
    Ok(())
}
