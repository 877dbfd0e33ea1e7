//! Session keys: an app that is registered with its public key signs for a key that is good for
//! two hours.
//!
//! Which apps are registered is [`apps`], the keys that are good now are [`table`], what is
//! remembered of them is [`log`]. The rules are `latchkey_model::session_key`.

pub(crate) mod apps;
mod crowds;
pub(crate) mod http;
mod log;
mod table;
#[cfg(test)]
pub(crate) mod tests;
mod wire;

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use latchkey_model::chance::Chance;
use latchkey_model::clock::{Clock, Timestamp};
use latchkey_model::id::SessionKeyId;
use latchkey_model::secret::{SessionKeyHash, SessionKeyText};
use latchkey_model::session_key::{
    Refusal, Registration, SessionAppName, UNVERIFIED_FOR, Unusable, signed_text,
};
use latchkey_store::StoreError;
use latchkey_store::host::{HostStore, SessionKeyRecord};
use latchkey_web::limits::{Limits, TooMany, Window, household};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::apps::{Apps, FileApps, RegisterError, Registered};
use self::log::KeyLog;
pub(crate) use self::table::VerifiedKey;
use self::table::{NotToVerify, Table};
use crate::authority::endings::{Endings, Hold, Holder};

/// How often old keys are cleared away, which ends what is open with them.
const CLEARED_EVERY: Duration = Duration::from_secs(1);
/// How often uses are written.
const WRITTEN_EVERY: Duration = Duration::from_secs(10);

/// How many unverified keys one address may ask for.
const ASKING: [Window; 1] = [Window::new(20, Duration::from_mins(1))];
/// Addresses that are remembered for it. Fewer than elsewhere: strangers ask without anything.
const MOST_ASKING: usize = 2000;

/// The use cases of session keys. Clones share everything.
#[derive(Clone)]
pub(crate) struct SessionKeys(Arc<Inner>);

struct Inner {
    apps: Apps,
    table: Mutex<Table>,
    log: KeyLog,
    asking: Limits<IpAddr>,
    endings: Endings,
    clock: Arc<dyn Clock>,
    chance: Arc<dyn Chance>,
    tracker: TaskTracker,
}

/// What session keys need of the rest of the host.
pub(crate) struct SessionKeysParts {
    /// Missing where the printer's server is the authority.
    pub(crate) store: Option<HostStore>,
    pub(crate) files: FileApps,
    pub(crate) endings: Endings,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) chance: Arc<dyn Chance>,
    pub(crate) tracker: TaskTracker,
}

/// A key that waits for its signature.
#[derive(Debug)]
pub(crate) struct Unverified {
    pub(crate) key: SessionKeyText,
    pub(crate) until: Timestamp,
}

/// Why nobody gets an unverified key.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum BeginError {
    /// No app is registered: this host offers no session keys.
    NotOffered,
    TooMany(TooMany),
}

/// What an app says to have a key verified.
#[derive(Debug)]
pub(crate) struct Claim<'c> {
    pub(crate) app: SessionAppName,
    pub(crate) key: &'c str,
    pub(crate) signature: Vec<u8>,
}

/// Why a key is not verified, in the order in which it is looked at.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum VerifyError {
    NotOffered,
    /// Unknown, switched off, without a public key or with one that is too short.
    App,
    /// What is registered as its public key is none.
    PublicKey,
    Signature,
    /// Unknown, too old or verified already.
    Key,
}

impl SessionKeys {
    pub(crate) fn new(parts: SessionKeysParts) -> Self {
        Self(Arc::new(Inner {
            apps: Apps::new(parts.store.clone(), parts.files),
            table: Mutex::default(),
            log: KeyLog::new(
                parts.store,
                Arc::clone(&parts.clock),
                Arc::clone(&parts.chance),
            ),
            asking: Limits::remembering(&ASKING, MOST_ASKING),
            endings: parts.endings,
            clock: parts.clock,
            chance: parts.chance,
            tracker: parts.tracker,
        }))
    }

    /// Reads what is kept of apps, and notes that the keys of an earlier run are over.
    pub(crate) async fn load(&self) -> Result<(), StoreError> {
        self.0.log.begin().await?;
        self.0.apps.load().await?;
        Ok(())
    }

    /// The apps as they count now.
    pub(crate) fn registered(&self) -> Arc<Registered> {
        self.0.apps.registered()
    }

    /// Whether any app is registered.
    pub(crate) fn is_offered(&self) -> bool {
        !self.registered().is_empty()
    }

    /// A new key for whoever asks; it is worth nothing before an app has signed for it.
    pub(crate) fn begin(&self, from: IpAddr) -> Result<Unverified, BeginError> {
        if !self.is_offered() {
            return Err(BeginError::NotOffered);
        }
        let now = self.0.clock.now();
        let household = household(from);
        let counted = self.0.asking.count(&household, now);
        counted.map_err(BeginError::TooMany)?;
        let key = SessionKeyText::generate(&*self.0.chance);
        let over = self.table().begin(key.hash(), household, now);
        self.cut(&over);
        let until = now.plus(UNVERIFIED_FOR);
        Ok(Unverified { key, until })
    }

    /// Makes a key a verified one, if a registered app signed for it. The order of the checks, and
    /// what becomes of the key, is the contract's.
    pub(crate) async fn verify(
        &self,
        claim: &Claim<'_>,
        from: IpAddr,
    ) -> Result<Arc<VerifiedKey>, VerifyError> {
        let registered = self.registered();
        if registered.is_empty() {
            return Err(VerifyError::NotOffered);
        }
        let Some(entry) = registered.find(&claim.app) else {
            self.take_away(claim, from).await;
            return Err(VerifyError::App);
        };
        let public_key = match entry.app.usable() {
            Ok(public_key) => public_key,
            Err(why) => {
                self.0.log.refused(&claim.app, Refusal::Unusable, from);
                self.take_away(claim, from).await;
                return Err(match why {
                    Unusable::Unreadable(_) => VerifyError::PublicKey,
                    _ => VerifyError::App,
                });
            }
        };
        let text = signed_text(&claim.app, claim.key);
        if public_key
            .verify(text.as_bytes(), &claim.signature)
            .is_err()
        {
            self.0.log.refused(&claim.app, Refusal::Signature, from);
            self.take_away(claim, from).await;
            return Err(VerifyError::Signature);
        }
        let (scope, wording) = (entry.app.scope(), *entry.app.wording());
        let verified = {
            let mut table = self.table();
            let make = |until| VerifiedKey {
                id: SessionKeyId::generate(&*self.0.chance),
                app: claim.app.clone(),
                scope,
                until,
                wording,
            };
            // An entry that has changed since ends its keys under this lock, so none is missed.
            let holds = self.still_holds(&claim.app, &wording);
            holds.then(|| table.verify(&SessionKeyHash::of(claim.key), self.0.clock.now(), make))
        };
        match verified {
            Some(Ok((key, gone))) => {
                // Noted although the app may hang up now: it knows the key.
                let (this, noted) = (self.clone(), Arc::clone(&key));
                self.to_the_end(async move { this.0.log.verified(&noted, from).await })
                    .await;
                self.end(gone, "there were too many").await;
                Ok(key)
            }
            Some(Err(NotToVerify)) => {
                self.0.log.refused(&claim.app, Refusal::Key, from);
                Err(VerifyError::Key)
            }
            None => {
                self.0.log.refused(&claim.app, Refusal::Unusable, from);
                self.take_away(claim, from).await;
                Err(VerifyError::App)
            }
        }
    }

    /// The verified key that a text is, if it is good now.
    pub(crate) fn find(&self, text: &str) -> Option<Arc<VerifiedKey>> {
        // Nearly every other key is seen here first.
        let text = SessionKeyText::parse(text).ok()?;
        self.table().find(&text.hash(), self.0.clock.now())
    }

    /// The same by its id.
    pub(crate) fn find_by_id(&self, id: &SessionKeyId) -> Option<Arc<VerifiedKey>> {
        self.table().find_by_id(id, self.0.clock.now())
    }

    /// Joins what is open in a key's name; `None` if it ended meanwhile.
    pub(crate) fn hold(&self, key: &VerifiedKey) -> Option<Hold> {
        let hold = self.0.endings.hold(Holder::SessionKey(key.id.clone()));
        self.find_by_id(&key.id).map(|_| hold)
    }

    /// Notes a request with a key.
    pub(crate) fn note_use(&self, key: &VerifiedKey, from: IpAddr) {
        self.0.log.used(key, from);
    }

    /// All keys that are good now.
    pub(crate) fn live(&self) -> Vec<Arc<VerifiedKey>> {
        let now = self.0.clock.now();
        self.table().verified(now).cloned().collect()
    }

    /// The newest entries of the log, of one app or of all. What happened a moment ago is in it.
    pub(crate) async fn history(
        &self,
        of: Option<&SessionAppName>,
        most: u32,
    ) -> Result<Vec<SessionKeyRecord>, StoreError> {
        self.0.log.write().await;
        self.0.log.list(of, most).await
    }

    /// Takes what the files say now. Keys of entries that are gone or changed end.
    pub(crate) async fn set_files(&self, files: FileApps) {
        self.0.apps.set_files(files);
        self.end_changed().await;
    }

    /// Registers an app on the page.
    pub(crate) async fn register(
        &self,
        registration: Registration,
        by: &str,
    ) -> Result<(), RegisterError> {
        let by = by.to_owned();
        self.change(|apps, now| async move { apps.register(registration, &by, now).await })
            .await
    }

    /// Removes an app that was registered on the page, and ends its keys. False if there is none.
    pub(crate) async fn remove(&self, name: &SessionAppName, by: &str) -> Result<bool, StoreError> {
        let (name, by) = (name.clone(), by.to_owned());
        self.change(|apps, now| async move { apps.remove(&name, &by, now).await })
            .await
    }

    /// Switches an app on or off; off ends its keys. False if there is none.
    pub(crate) async fn switch(
        &self,
        name: &SessionAppName,
        enabled: bool,
        by: &str,
    ) -> Result<bool, StoreError> {
        let (name, by) = (name.clone(), by.to_owned());
        self.change(|apps, now| async move { apps.switch(&name, enabled, &by, now).await })
            .await
    }

    /// Changes what is registered, and ends the keys that hold no longer.
    async fn change<T, F>(&self, work: impl FnOnce(Apps, Timestamp) -> F) -> T
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let this = self.clone();
        let work = work(self.0.apps.clone(), self.0.clock.now());
        self.to_the_end(async move {
            let done = work.await;
            this.end_changed().await;
            done
        })
        .await
    }

    /// A verified key of an app, as if it had signed for it.
    #[cfg(test)]
    pub(crate) fn put_verified(
        &self,
        app: &SessionAppName,
        scope: latchkey_model::session_key::SessionScope,
    ) -> SessionKeyText {
        let (key, now) = (
            SessionKeyText::generate(&*self.0.chance),
            self.0.clock.now(),
        );
        let registered = self.registered();
        let wording = registered.find(app).map(|entry| *entry.app.wording());
        let make = |until| VerifiedKey {
            id: SessionKeyId::generate(&*self.0.chance),
            app: app.clone(),
            scope,
            until,
            wording: wording.unwrap_or_default(),
        };
        let mut table = self.table();
        table.begin(key.hash(), IpAddr::from([192, 168, 1, 7]), now);
        let verified = table.verify(&key.hash(), now, make);
        verified.expect("it was begun just now");
        key
    }

    /// Writes what was noted and clears away what is too old, until stopped and once more then.
    pub(crate) async fn watch(self, stop: CancellationToken) {
        // Apart from each other: a slow disk must not let a key live longer.
        let clearing = async {
            let mut turns = tokio::time::interval(CLEARED_EVERY);
            while let Some(_turn) = stop.run_until_cancelled(turns.tick()).await {
                let over = self.table().clear(self.0.clock.now());
                self.cut(&over);
            }
        };
        let writing = async {
            let mut turns = tokio::time::interval(WRITTEN_EVERY);
            while let Some(_turn) = stop.run_until_cancelled(turns.tick()).await {
                self.0.log.write().await;
                self.catch_up().await;
            }
            self.0.log.write().await;
        };
        tokio::join!(clearing, writing);
    }

    /// What was changed and could not be read back at the time counts now.
    async fn catch_up(&self) {
        match self.0.apps.load().await {
            Ok(true) => self.end_changed().await,
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "the registered apps could not be read"),
        }
    }

    /// Work that is done to its end though whoever waits for it may go: half of it would be a
    /// change that is kept and does not count.
    async fn to_the_end<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> T {
        match self.0.tracker.spawn(work).await {
            Ok(done) => done,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The program ends.
                Err(_) => std::future::pending().await,
            },
        }
    }

    /// A key for which a wrong claim was made is gone, if the claim came from where it was asked
    /// for: nobody else can end an app's key by guessing.
    async fn take_away(&self, claim: &Claim<'_>, from: IpAddr) {
        let hash = SessionKeyHash::of(claim.key);
        let gone = self.table().remove_of(&hash, household(from));
        self.end(gone, "a wrong claim was made for it").await;
    }

    async fn end_changed(&self) {
        let gone = self
            .table()
            .end_unless(|key| self.still_holds(&key.app, &key.wording));
        self.end(gone, "its app's registration changed").await;
    }

    fn still_holds(&self, app: &SessionAppName, wording: &[u8; 32]) -> bool {
        let registered = self.registered();
        let entry = registered.find(app);
        entry.is_some_and(|entry| entry.app.usable().is_ok() && entry.app.wording() == wording)
    }

    async fn end(&self, gone: impl IntoIterator<Item = Arc<VerifiedKey>>, why: &'static str) {
        let gone: Vec<_> = gone.into_iter().collect();
        // What is open is cut first; writing may take a while.
        self.cut(&gone);
        let now = self.0.clock.now();
        let early: Vec<_> = gone.into_iter().filter(|key| key.until > now).collect();
        if early.is_empty() {
            return;
        }
        let this = self.clone();
        self.to_the_end(async move {
            for key in early {
                this.0.log.ended(&key, why).await;
            }
        })
        .await;
    }

    fn cut(&self, gone: &[Arc<VerifiedKey>]) {
        for key in gone {
            self.0.endings.end(&Holder::SessionKey(key.id.clone()));
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
