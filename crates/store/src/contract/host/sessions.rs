//! What holds of sessions.

use std::slice;

use latchkey_model::clock::Timestamp;
use latchkey_model::secret::{PushHandleHash, SessionHash, SessionToken};
use latchkey_model::session::{IDLE, LONGEST, Mechanism};
use latchkey_model::user::Group;

use super::{Maker, name};
use crate::contract::{Case, Outcome, at, cases, check, check_eq};
use crate::error::StoreError;
use crate::host::{FoundSession, HostStore};

cases! { HostStore,
    session_is_found_as_it_was_kept,
    session_needs_its_user_and_its_own_cookie,
    session_is_seen_later_and_never_earlier,
    renewed_session_has_another_cookie,
    ended_session_is_gone,
    sessions_of_a_user_end_but_one,
    longest_unseen_session_gives_way,
    idle_and_old_sessions_are_pruned,
}

async fn session_is_found_as_it_was_kept(store: &HostStore) -> Outcome {
    let make = Maker::default();
    let sessions = store.sessions();
    let ann = make.known(store, "ann", Group::Users).await?;
    make.known(store, "bob", Group::Users).await?;
    let typed = make.session(&ann, 200);
    let mut remembered = make.session(&ann, 100);
    remembered.session.mechanism = Mechanism::RememberMe;
    remembered.session.credentials_seen = None;
    for opened in [&typed, &remembered] {
        check_eq!(opened.keep(store).await?, []);
        let expected = Some(FoundSession {
            session: opened.session.clone(),
            user: ann.clone(),
        });
        check_eq!(sessions.find(&opened.token.hash()).await?, expected);
        let (bob, push) = (name("bob"), opened.push.hash());
        check_eq!(sessions.find_by_push(&ann.name, &push).await?, expected);
        check_eq!(sessions.find_by_push(&bob, &push).await?, None);
        // What the push socket is told is no cookie, and the other way round.
        let swapped = SessionHash::of(opened.push.expose());
        check_eq!(sessions.find(&swapped).await?, None);
        let swapped = PushHandleHash::of(opened.token.expose());
        check_eq!(sessions.find_by_push(&ann.name, &swapped).await?, None);
    }
    let listed = sessions.list_of(&ann.name).await?;
    check_eq!(listed, [typed.session, remembered.session]);
    check_eq!(sessions.list_of(&name("bob")).await?, []);
    Ok(())
}

async fn session_needs_its_user_and_its_own_cookie(store: &HostStore) -> Outcome {
    let make = Maker::default();
    let ann = make.known(store, "ann", Group::Users).await?;
    let nobodys = make.session(&make.user("nobody", Group::Users), 100);
    check!(matches!(
        nobodys.keep(store).await,
        Err(StoreError::Conflict)
    ));
    let first = make.opened(store, &ann, 100).await?;
    let mut same_cookie = make.session(&ann, 100);
    same_cookie.token = first.token.clone();
    let mut same_push = make.session(&ann, 100);
    same_push.push = first.push.clone();
    for second in [same_cookie, same_push] {
        check!(matches!(
            second.keep(store).await,
            Err(StoreError::Conflict)
        ));
    }
    let listed = store.sessions().list_of(&ann.name).await?;
    check_eq!(listed, [first.session]);
    Ok(())
}

async fn session_is_seen_later_and_never_earlier(store: &HostStore) -> Outcome {
    let make = Maker::default();
    let sessions = store.sessions();
    let ann = make.known(store, "ann", Group::Users).await?;
    let (one, other) = (
        make.opened(store, &ann, 100).await?,
        make.opened(store, &ann, 100).await?,
    );
    for (millis, seen) in [(300, 300), (200, 300)] {
        sessions.touch(&one.session.id, at(millis)).await?;
        let found = sessions.find(&one.token.hash()).await?;
        check_eq!(found.map(|found| found.session.seen), Some(at(seen)));
    }
    let found = sessions.find(&other.token.hash()).await?;
    check_eq!(found.map(|found| found.session), Some(other.session));
    Ok(())
}

async fn renewed_session_has_another_cookie(store: &HostStore) -> Outcome {
    let make = Maker::default();
    let sessions = store.sessions();
    let ann = make.known(store, "ann", Group::Users).await?;
    let mut opened = make.session(&ann, 100);
    opened.session.mechanism = Mechanism::RememberMe;
    opened.session.credentials_seen = None;
    opened.keep(store).await?;
    let other = make.opened(store, &ann, 100).await?;
    let new = SessionToken::generate(&make.chance);
    let id = &opened.session.id;
    check!(sessions.renew(id, &new.hash(), at(500)).await?);
    check_eq!(sessions.find(&opened.token.hash()).await?, None);
    let mut expected = opened.session.clone();
    expected.mechanism = Mechanism::Password;
    expected.seen = at(500);
    expected.credentials_seen = Some(at(500));
    let found = sessions.find(&new.hash()).await?;
    check_eq!(found.map(|found| found.session), Some(expected.clone()));
    let by_push = sessions
        .find_by_push(&ann.name, &opened.push.hash())
        .await?;
    check_eq!(by_push.map(|found| found.session), Some(expected));
    let found = sessions.find(&other.token.hash()).await?;
    check_eq!(found.map(|found| found.session), Some(other.session));
    check!(sessions.end(id).await?);
    check!(!sessions.renew(id, &new.hash(), at(600)).await?);
    Ok(())
}

async fn ended_session_is_gone(store: &HostStore) -> Outcome {
    let make = Maker::default();
    let sessions = store.sessions();
    let ann = make.known(store, "ann", Group::Users).await?;
    let one = make.opened(store, &ann, 100).await?;
    let other = make.opened(store, &ann, 100).await?;
    check!(sessions.end(&one.session.id).await?);
    check!(!sessions.end(&one.session.id).await?);
    check_eq!(sessions.find(&one.token.hash()).await?, None);
    let by_push = sessions.find_by_push(&ann.name, &one.push.hash()).await?;
    check_eq!(by_push, None);
    check_eq!(sessions.list_of(&ann.name).await?, [other.session]);
    Ok(())
}

async fn sessions_of_a_user_end_but_one(store: &HostStore) -> Outcome {
    let make = Maker::default();
    let sessions = store.sessions();
    let ann = make.known(store, "ann", Group::Users).await?;
    let bob = make.known(store, "bob", Group::Users).await?;
    let kept = make.opened(store, &ann, 100).await?;
    let other = make.opened(store, &ann, 100).await?;
    let bobs = make.opened(store, &bob, 100).await?;
    let but = Some(&kept.session.id);
    let ended = sessions.end_of(&ann.name, but).await?;
    check_eq!(ended, [other.session.id]);
    let left = sessions.list_of(&ann.name).await?;
    check_eq!(left, slice::from_ref(&kept.session));
    // Somebody else's session is none to spare.
    let but = Some(&bobs.session.id);
    let ended = sessions.end_of(&ann.name, but).await?;
    check_eq!(ended, [kept.session.id]);
    check_eq!(sessions.end_of(&ann.name, None).await?, []);
    check_eq!(sessions.list_of(&bob.name).await?, [bobs.session]);
    Ok(())
}

async fn longest_unseen_session_gives_way(store: &HostStore) -> Outcome {
    let make = Maker::default();
    let sessions = store.sessions();
    let ann = make.known(store, "ann", Group::Users).await?;
    let bob = make.known(store, "bob", Group::Users).await?;
    let bobs = make.opened(store, &bob, 1).await?;
    let mut all = Vec::new();
    for index in 0..100 {
        all.push(make.opened(store, &ann, 100 + index).await?);
    }
    sessions.touch(&all[0].session.id, at(900)).await?;
    let ended = make.session(&ann, 901).keep(store).await?;
    check_eq!(ended, [all[1].session.id.clone()]);
    // The new one stays even if the clock was set back before it came.
    let early = make.session(&ann, 2);
    let ended = early.keep(store).await?;
    check_eq!(ended, [all[2].session.id.clone()]);
    check!(sessions.find(&early.token.hash()).await?.is_some());
    check!(sessions.find(&all[0].token.hash()).await?.is_some());
    check!(sessions.find(&bobs.token.hash()).await?.is_some());
    check_eq!(sessions.list_of(&ann.name).await?.len(), 100);
    Ok(())
}

async fn idle_and_old_sessions_are_pruned(store: &HostStore) -> Outcome {
    let make = Maker::default();
    let sessions = store.sessions();
    let ann = make.known(store, "ann", Group::Users).await?;
    let start = at(1_000);
    let used = make.opened(store, &ann, 1_000).await?;
    let idle = make.opened(store, &ann, 1_000).await?;
    let before = |moment: Timestamp| at(moment.millis() - 1);
    let (idle_end, last_end) = (start.plus(IDLE), start.plus(LONGEST));
    sessions.touch(&used.session.id, before(idle_end)).await?;
    // As the model has it, to the millisecond.
    check_eq!(sessions.prune(before(idle_end)).await?, []);
    check!(idle.session.is_alive(before(idle_end)) && !idle.session.is_alive(idle_end));
    check_eq!(sessions.prune(idle_end).await?, [idle.session.id]);
    sessions.touch(&used.session.id, before(last_end)).await?;
    check_eq!(sessions.prune(before(last_end)).await?, []);
    check_eq!(sessions.prune(last_end).await?, [used.session.id]);
    // A clock that was set back ends nothing.
    let ahead = make.opened(store, &ann, 5_000).await?;
    check_eq!(sessions.prune(at(0)).await?, []);
    check!(sessions.find(&ahead.token.hash()).await?.is_some());
    Ok(())
}
