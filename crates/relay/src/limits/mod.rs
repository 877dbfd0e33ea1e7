//! What plans limit, counted and enforced while it passes: sizes, the webcam's time, how much is
//! open at once, and the bytes of a month.
//!
//! Responsible for one book of counts per account, which decides about every piece of a body under
//! one lock, so that no number of parallel requests gets past a limit. Leaves to others who may
//! call at all, and what a caller is answered (`edge/`).

mod book;
mod pass;
#[cfg(test)]
mod tests;
mod webcam;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use latchkey_model::clock::{Clock, Timestamp};
use latchkey_model::id::{AccountId, PrinterId};
use latchkey_model::limit::{Month, Reached};
use latchkey_model::plan::{Entitlements, Plans};
use latchkey_store::relay::{MonthlyBytes, WatchedWebcam};
use latchkey_store::{RelayStore, StoreError};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::book::{Book, Counts};
pub(crate) use self::pass::{Pass, PicturePass, Socket};

/// How often the plans of accounts with something open are looked at: one query for 500 accounts.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// After so many looks what was counted is written: what a crash forgets.
const WRITE_AFTER: u32 = 5;
/// After so many looks without use an account's book is put away; it is read again when needed.
const PUT_AWAY_AFTER: u32 = 60;
/// Months that are kept, the present one among them.
const MONTHS: i64 = 25;
/// How long ago a webcam's window began that is forgotten. Longer ones begin anew after it.
const WINDOWS: Duration = Duration::from_hours(62 * 24);

/// The counts of all accounts. Clones share them.
#[derive(Clone)]
pub(crate) struct Limits(Arc<Shared>);

struct Shared {
    store: RelayStore,
    clock: Arc<dyn Clock>,
    plans: Plans,
    /// As many as accounts used the relay within the last minute.
    books: Mutex<HashMap<AccountId, Arc<Book>>>,
    /// Ends webcam streams at their limits.
    tracker: TaskTracker,
}

/// In whose name something passes, and what their plan is at this moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject<'a> {
    pub(crate) account: &'a AccountId,
    pub(crate) printer: &'a PrinterId,
    pub(crate) plan: &'a Entitlements,
}

/// Why nothing may pass.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotNow {
    #[error(transparent)]
    Reached(#[from] Reached),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the printer is gone, or its owner's plan is not in the configuration")]
    NoPlan,
}

/// What an account has used, for people.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Used {
    /// Bytes of this month, both ways.
    pub(crate) bytes: u64,
    /// Of each webcam, how much of the window that is open was watched, and for how long the
    /// window goes on.
    pub(crate) webcams: Vec<(PrinterId, Duration, Duration)>,
}

impl Limits {
    pub(crate) fn new(
        store: RelayStore,
        clock: Arc<dyn Clock>,
        plans: Plans,
        tracker: TaskTracker,
    ) -> Self {
        Self(Arc::new(Shared {
            store,
            clock,
            plans,
            books: Mutex::default(),
            tracker,
        }))
    }

    /// Lets one request begin, which is open until its pass goes. `of_webcam`: whether it asks for
    /// a webcam, as far as its address tells.
    pub(crate) async fn begin(
        &self,
        subject: Subject<'_>,
        of_webcam: bool,
    ) -> Result<Pass, NotNow> {
        let book = self.book(subject.account).await?;
        let now = self.0.clock.now();
        {
            let mut counts = book.counts();
            counts.adopt(*subject.plan);
            counts.open(of_webcam, now)?;
        }
        Ok(Pass::new(
            book,
            subject.printer.clone(),
            Arc::clone(&self.0.clock),
            self.0.tracker.clone(),
        ))
    }

    /// The same for a webcam that the relay itself shows: it counts against the printer's owner.
    pub(crate) async fn begin_webcam(&self, printer: &PrinterId) -> Result<Pass, NotNow> {
        let (account, plan) = self.owner(printer).await?;
        let subject = Subject {
            account: &account,
            printer,
            plan: &plan,
        };
        self.begin(subject, true).await
    }

    /// Lets a single picture be asked for that the relay itself shows. Many may wait for the same
    /// one, so it is none of what the printer's owner has open: only the month limits it.
    pub(crate) async fn begin_picture(&self, printer: &PrinterId) -> Result<PicturePass, NotNow> {
        let (account, plan) = self.owner(printer).await?;
        let book = self.book(&account).await?;
        {
            let mut counts = book.counts();
            counts.adopt(plan);
            counts.room(1, self.0.clock.now())?;
        }
        Ok(PicturePass::new(book, Arc::clone(&self.0.clock)))
    }

    /// A printer's owner, and the plan of theirs.
    async fn owner(&self, printer: &PrinterId) -> Result<(AccountId, Entitlements), NotNow> {
        let found = self.0.store.printers().find(printer).await?;
        let account = found.ok_or(NotNow::NoPlan)?.account;
        let found = self.0.store.accounts().find(&account).await?;
        let plan = found.and_then(|account| self.0.plans.find(&account.plan).copied());
        Ok((account, plan.ok_or(NotNow::NoPlan)?))
    }

    /// What an account on this plan has used.
    pub(crate) async fn used(
        &self,
        account: &AccountId,
        plan: &Entitlements,
    ) -> Result<Used, StoreError> {
        let now = self.0.clock.now();
        let used = |counts: &mut Counts| {
            counts.adopt(*plan);
            counts.used(now)
        };
        if let Some(book) = self.found(account) {
            return Ok(used(&mut book.counts()));
        }
        let kept = self.0.store.account_usage();
        let kept = kept.load(account, Month::of(now)).await?;
        Ok(used(&mut Counts::new(kept, now)))
    }

    fn found(&self, account: &AccountId) -> Option<Arc<Book>> {
        self.books().get(account).cloned()
    }

    async fn book(&self, account: &AccountId) -> Result<Arc<Book>, StoreError> {
        if let Some(book) = self.found(account) {
            return Ok(book);
        }
        let now = self.0.clock.now();
        let kept = self.0.store.account_usage();
        let kept = kept.load(account, Month::of(now)).await?;
        // Of two who read it at once the first one's counts.
        let mut books = self.books();
        let book = books
            .entry(account.clone())
            .or_insert_with(|| Arc::new(Book::new(account.clone(), Counts::new(kept, now))));
        Ok(Arc::clone(book))
    }

    /// Writes what was counted. What cannot be written is kept for the next time.
    pub(crate) async fn write(&self) {
        let (mut months, mut webcams) = (Vec::new(), Vec::new());
        for book in self.all() {
            let mut counts = book.counts();
            let account = &book.account;
            months.extend(counts.take_bytes().map(|(month, bytes)| MonthlyBytes {
                account: account.clone(),
                month,
                bytes,
            }));
            webcams.extend(
                counts
                    .take_windows()
                    .map(|(printer, window)| WatchedWebcam {
                        account: account.clone(),
                        printer,
                        window,
                    }),
            );
        }
        let kept = self.0.store.account_usage();
        if let Err(error) = kept.keep(&months, &webcams).await {
            tracing::warn!(%error, "what counts against plans could not be kept; it is tried again");
            for of_month in months {
                if let Some(book) = self.found(&of_month.account) {
                    book.counts().put_back(of_month.month, of_month.bytes);
                }
            }
            for watched in webcams {
                if let Some(book) = self.found(&watched.account) {
                    book.counts().note_window(&watched.printer);
                }
            }
        }
    }

    /// Lets plans hold that were changed meanwhile, here or by a command beside the relay. A plan
    /// that is not known, and a database that does not answer, change nothing.
    async fn look(&self) -> Result<(), StoreError> {
        let open: Vec<_> = self
            .all()
            .into_iter()
            .filter(|book| book.counts().is_open())
            .map(|book| book.account.clone())
            .collect();
        for (account, plan) in self.0.store.account_usage().plans(&open).await? {
            let plan = self.0.plans.find(&plan);
            if let (Some(book), Some(plan)) = (self.found(&account), plan) {
                book.counts().adopt(*plan);
            }
        }
        Ok(())
    }

    /// Puts away the books of accounts that have not used the relay for a while.
    fn put_away(&self) {
        self.books().retain(|_, book| {
            let idle = book.counts().idle_for(PUT_AWAY_AFTER / WRITE_AFTER);
            // Somebody may just be about to use it.
            !idle || Arc::strong_count(book) > 1
        });
    }

    fn all(&self) -> Vec<Arc<Book>> {
        self.books().values().cloned().collect()
    }

    /// Looks and writes now and then until stopped, which is after the last request, and writes
    /// once more then.
    pub(crate) async fn watch(self, stop: CancellationToken) {
        let mut in_doubt = false;
        for look in 1_u32.. {
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = stop.cancelled() => return self.write().await,
            }
            match self.look().await {
                Ok(()) => in_doubt = false,
                Err(_) if in_doubt => {}
                Err(error) => {
                    in_doubt = true;
                    tracing::warn!(%error, "cannot look whether plans have changed");
                }
            }
            if look % WRITE_AFTER == 0 {
                self.write().await;
                self.put_away();
            }
        }
    }

    fn books(&self) -> MutexGuard<'_, HashMap<AccountId, Arc<Book>>> {
        self.0.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Forgets use that nobody is shown any more.
pub(crate) async fn forget(store: &RelayStore, now: Timestamp) -> Result<(), StoreError> {
    let months = Month::of(now).before(MONTHS - 1);
    let age = i64::try_from(WINDOWS.as_millis()).unwrap_or(i64::MAX);
    let before = Timestamp::from_millis(now.millis().saturating_sub(age));
    store.account_usage().forget(months, before).await
}

/// Whether a request asks for a webcam, as far as its address tells: it is refused as one.
pub(crate) fn asks_for_webcam(uri: &http::Uri) -> bool {
    let path = uri.path();
    path.starts_with("/webcam")
        || uri
            .query()
            .is_some_and(|query| query.split('&').any(|pair| pair == "action=stream"))
}
