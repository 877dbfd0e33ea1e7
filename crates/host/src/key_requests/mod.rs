//! Key requests: apps ask for a key, a person decides, the app fetches it once.
//!
//! What waits is kept in memory: its app asks every second, and would have to ask anew after a
//! restart anyway. What was granted is in the database, so that no decision is lost.

mod blocked;
pub(crate) mod http;
pub(crate) mod wire;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use latchkey_model::access::KeyScope;
use latchkey_model::app::AppName;
use latchkey_model::chance::Chance;
use latchkey_model::clock::{Clock, Timestamp};
use latchkey_model::key_request::{Decision, KeyRequest, Waiting};
use latchkey_model::secret::{
    AppKeyText, DecisionToken, DecisionTokenHash, RequestToken, RequestTokenHash,
};
use latchkey_model::user::UserName;
use latchkey_store::StoreError;
use latchkey_store::host::{Grant, HostStore};
use tokio_util::sync::CancellationToken;

use self::blocked::Blocked;
use crate::app_keys::{Minting, UNFETCHED};
use crate::notices::{Notice, Notices};

/// Most requests that wait at once; limits per address come before.
const MOST_WAITING: usize = 256;
/// How often given-up requests are looked for.
const SWEEP: Duration = Duration::from_millis(500);

/// All key requests of this host. Clones share them.
#[derive(Clone)]
pub(crate) struct KeyRequests {
    waiting: Arc<Mutex<Book>>,
    store: HostStore,
    minting: Minting,
    notices: Notices,
    clock: Arc<dyn Clock>,
    chance: Arc<dyn Chance>,
}

/// What waits, by either token.
#[derive(Default)]
struct Book {
    by_app: HashMap<RequestTokenHash, Entry>,
    by_user: HashMap<DecisionTokenHash, RequestTokenHash>,
    blocked: Blocked,
}

struct Entry {
    request: KeyRequest,
    user_token: DecisionToken,
    /// Somebody's decision is being kept: for its app it still waits, for other people it is over.
    decided: bool,
}

/// A request as it is shown to those who may decide it.
#[derive(Debug, Clone)]
pub(crate) struct Shown {
    pub(crate) request: KeyRequest,
    pub(crate) user_token: DecisionToken,
}

/// Why nothing can be asked at present.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AskError {
    #[error("too many requests are waiting")]
    TooMany,
    #[error("somebody has blocked this address for a while")]
    Blocked,
}

/// What an app hears when it asks after its request.
pub(crate) enum Poll {
    Waiting,
    Granted(AppKeyText),
    /// Unknown, denied, given up, or fetched already.
    Gone,
}

/// Why a decision counts for nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DecideError {
    #[error("no such request is waiting for this user")]
    Gone,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl KeyRequests {
    pub(crate) fn new(
        store: HostStore,
        minting: Minting,
        notices: Notices,
        clock: Arc<dyn Clock>,
        chance: Arc<dyn Chance>,
    ) -> Self {
        Self {
            waiting: Arc::default(),
            store,
            minting,
            notices,
            clock,
            chance,
        }
    }

    /// Takes an app's wish, and shows it to whoever may decide.
    pub(crate) fn ask(
        &self,
        app: AppName,
        user: Option<String>,
        remote: IpAddr,
    ) -> Result<RequestToken, AskError> {
        let now = self.clock.now();
        let request = KeyRequest::new(app, user, remote, now);
        let app_token = RequestToken::generate(&*self.chance);
        let user_token = DecisionToken::generate(&*self.chance);
        let notice = Notice::AccessRequested {
            app_name: request.app.to_string(),
            user_token: user_token.expose().to_owned(),
            user: request.user.clone(),
            remote_address: remote.to_canonical().to_string(),
        };
        let mut book = self.book();
        if book.blocked.contains(remote, now) {
            return Err(AskError::Blocked);
        }
        if book.by_app.len() >= MOST_WAITING {
            return Err(AskError::TooMany);
        }
        book.by_user.insert(user_token.hash(), app_token.hash());
        let entry = Entry {
            request,
            user_token,
            decided: false,
        };
        book.by_app.insert(app_token.hash(), entry);
        drop(book);
        self.notices.tell(notice);
        Ok(app_token)
    }

    /// An app asks after its request; that keeps the request alive. The key is made now, not at
    /// the decision, and handed out once.
    pub(crate) async fn poll(&self, app_token: &str) -> Result<Poll, StoreError> {
        let token = RequestTokenHash::of(app_token);
        let now = self.clock.now();
        self.end_given_up(now);
        if let Some(entry) = self.book().by_app.get_mut(&token) {
            entry.request.poll(now);
            return Ok(Poll::Waiting);
        }
        let redeemed = self.minting.redeem(&token, now).await?;
        Ok(redeemed.map_or(Poll::Gone, Poll::Granted))
    }

    /// The request of an app's token, if it waits. Looking keeps nothing alive.
    pub(crate) fn find(&self, app_token: &str) -> Option<Shown> {
        self.end_given_up(self.clock.now());
        let token = RequestTokenHash::of(app_token);
        let book = self.book();
        let entry = book.by_app.get(&token).filter(|entry| !entry.decided);
        entry.map(Entry::shown)
    }

    /// The request of a person's token, if it waits for that person.
    pub(crate) fn find_for(&self, user_token: &str, user: &UserName) -> Option<Shown> {
        self.end_given_up(self.clock.now());
        let book = self.book();
        let app_token = book.by_user.get(&DecisionTokenHash::of(user_token))?;
        let entry = book.by_app.get(app_token)?;
        entry.is_for(user).then(|| entry.shown())
    }

    /// What waits for a user, the oldest first.
    pub(crate) fn list_for(&self, user: &UserName) -> Vec<Shown> {
        self.end_given_up(self.clock.now());
        let book = self.book();
        let concerning = book.by_app.values().filter(|entry| entry.is_for(user));
        let mut shown: Vec<Shown> = concerning.map(Entry::shown).collect();
        shown.sort_by_key(|shown| shown.request.created);
        shown
    }

    /// A person decides. Of two who decide at once the first one counts.
    pub(crate) async fn decide(
        &self,
        user_token: &str,
        user: &UserName,
        decision: Decision,
    ) -> Result<(), DecideError> {
        self.end_given_up(self.clock.now());
        let claim = self.claim(user_token, user).ok_or(DecideError::Gone)?;
        if let Decision::Grant(scope) = decision
            && let Err(error) = self.keep_grant(&claim, user, scope).await
        {
            claim.give_up();
            return Err(error.into());
        }
        Ok(())
    }

    /// Lets an address ask for nothing for a while.
    pub(crate) fn block(&self, remote: IpAddr) {
        let now = self.clock.now();
        self.book().blocked.add(remote, now);
    }

    /// Ends what its app has given up, until stopped, so that dialogs close by themselves.
    pub(crate) async fn watch(self, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(SWEEP);
        loop {
            tokio::select! {
                _ = ticks.tick() => self.end_given_up(self.clock.now()),
                () = stop.cancelled() => return,
            }
        }
    }

    async fn keep_grant(
        &self,
        claim: &Claim<'_>,
        user: &UserName,
        scope: KeyScope,
    ) -> Result<(), StoreError> {
        let now = self.clock.now();
        let forgotten = Timestamp::from_millis(now.millis() - millis(UNFETCHED));
        self.store.grants().prune(forgotten).await?;
        let grant = Grant {
            user: user.clone(),
            app: claim.request.app.clone(),
            scope,
            at: now,
        };
        self.store.grants().keep(&claim.app_token, &grant).await
    }

    fn claim(&self, user_token: &str, user: &UserName) -> Option<Claim<'_>> {
        let mut book = self.book();
        let app_token = *book.by_user.get(&DecisionTokenHash::of(user_token))?;
        let entry = book.by_app.get_mut(&app_token)?;
        if !entry.is_for(user) {
            return None;
        }
        entry.decided = true;
        Some(Claim {
            requests: self,
            app_token,
            request: entry.request.clone(),
            given_up: false,
        })
    }

    fn end_given_up(&self, now: Timestamp) {
        let mut ended = Vec::new();
        let mut book = self.book();
        let Book {
            by_app, by_user, ..
        } = &mut *book;
        by_app.retain(|_, entry| {
            let waiting = entry.request.waiting(now);
            // The decision that is under way tells of its end itself.
            if waiting != Waiting::Yes && !entry.decided {
                by_user.remove(&entry.user_token.hash());
                ended.push(Notice::RequestEnded {
                    user_token: entry.user_token.expose().to_owned(),
                    user: entry.request.user.clone(),
                });
            }
            waiting == Waiting::Yes || entry.decided
        });
        drop(book);
        for notice in ended {
            self.notices.tell(notice);
        }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The one decision that counts. The request ends with it, however it comes about: when the
/// decider's connection is lost meanwhile, what was kept is kept.
struct Claim<'r> {
    requests: &'r KeyRequests,
    app_token: RequestTokenHash,
    request: KeyRequest,
    given_up: bool,
}

impl Claim<'_> {
    /// Nothing was decided after all: the request waits on.
    fn give_up(mut self) {
        self.given_up = true;
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let mut book = self.requests.book();
        if self.given_up {
            if let Some(entry) = book.by_app.get_mut(&self.app_token) {
                entry.decided = false;
            }
            return;
        }
        let Some(entry) = book.by_app.remove(&self.app_token) else {
            return;
        };
        book.by_user.remove(&entry.user_token.hash());
        drop(book);
        self.requests.notices.tell(Notice::RequestEnded {
            user_token: entry.user_token.expose().to_owned(),
            user: entry.request.user,
        });
    }
}

impl Entry {
    /// Whether it waits for a user's decision.
    fn is_for(&self, user: &UserName) -> bool {
        !self.decided && self.request.concerns(user)
    }

    fn shown(&self) -> Shown {
        Shown {
            request: self.request.clone(),
            user_token: self.user_token.clone(),
        }
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
