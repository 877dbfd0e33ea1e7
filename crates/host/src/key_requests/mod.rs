//! Key requests: apps ask for a key, a person decides, the app fetches it once.
//!
//! What waits is kept in memory: its app asks every second, and would have to ask anew after a
//! restart anyway. What was granted is in the database, so that no decision is lost.

mod blocked;
pub(crate) mod http;
mod wire;

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
use crate::app_keys::Minting;
use crate::notices::{Notice, Notices};

/// Most requests that wait at once; limits per address come before.
const MOST_WAITING: usize = 256;
/// A grant that nobody fetches for so long is forgotten: it is a key in waiting.
const UNFETCHED: Duration = Duration::from_hours(24);
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
        self.book().by_app.get(&token).map(Entry::shown)
    }

    /// The request of a person's token, if it waits for that person.
    pub(crate) fn find_for(&self, user_token: &str, user: &UserName) -> Option<Shown> {
        self.end_given_up(self.clock.now());
        let book = self.book();
        let app_token = book.by_user.get(&DecisionTokenHash::of(user_token))?;
        let entry = book.by_app.get(app_token)?;
        entry.request.concerns(user).then(|| entry.shown())
    }

    /// What waits for a user, the oldest first.
    pub(crate) fn list_for(&self, user: &UserName) -> Vec<Shown> {
        self.end_given_up(self.clock.now());
        let book = self.book();
        let concerning = book.by_app.values().filter(|e| e.request.concerns(user));
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
        let (app_token, entry) = self.take(user_token, user).ok_or(DecideError::Gone)?;
        let ended = Notice::RequestEnded {
            user_token: user_token.to_owned(),
            user: entry.request.user.clone(),
        };
        if let Decision::Grant(scope) = decision
            && let Err(error) = self
                .keep_grant(&app_token, &entry.request, user, scope)
                .await
        {
            self.put_back(app_token, entry);
            return Err(error.into());
        }
        self.notices.tell(ended);
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
        app_token: &RequestTokenHash,
        request: &KeyRequest,
        user: &UserName,
        scope: KeyScope,
    ) -> Result<(), StoreError> {
        let now = self.clock.now();
        let forgotten = Timestamp::from_millis(now.millis() - millis(UNFETCHED));
        self.store.grants().prune(forgotten).await?;
        let grant = Grant {
            user: user.clone(),
            app: request.app.clone(),
            scope,
            at: now,
        };
        self.store.grants().keep(app_token, &grant).await
    }

    fn take(&self, user_token: &str, user: &UserName) -> Option<(RequestTokenHash, Entry)> {
        let mut book = self.book();
        let user_token = DecisionTokenHash::of(user_token);
        let app_token = *book.by_user.get(&user_token)?;
        let entry = book.by_app.get(&app_token)?;
        if !entry.request.concerns(user) {
            return None;
        }
        book.by_user.remove(&user_token);
        book.by_app
            .remove(&app_token)
            .map(|entry| (app_token, entry))
    }

    fn put_back(&self, app_token: RequestTokenHash, entry: Entry) {
        let mut book = self.book();
        book.by_user.insert(entry.user_token.hash(), app_token);
        book.by_app.insert(app_token, entry);
    }

    fn end_given_up(&self, now: Timestamp) {
        let mut ended = Vec::new();
        let mut book = self.book();
        let Book {
            by_app, by_user, ..
        } = &mut *book;
        by_app.retain(|_, entry| {
            let waiting = entry.request.waiting(now);
            if waiting != Waiting::Yes {
                by_user.remove(&entry.user_token.hash());
                ended.push(Notice::RequestEnded {
                    user_token: entry.user_token.expose().to_owned(),
                    user: entry.request.user.clone(),
                });
            }
            waiting == Waiting::Yes
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

impl Entry {
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
