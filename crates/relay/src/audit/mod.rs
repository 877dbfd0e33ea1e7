//! Who did what at this relay, for those who answer for it.
//!
//! Entries are chained by their hashes in the store; where the log ends is noted, signed with the
//! relay's key, in a file beside it. What an entry says is ids and fixed words: no e-mail address,
//! no name of a person, no secret. Whole addresses are forgotten after a week.

mod end;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use latchkey_model::app_key::network_of;
use latchkey_model::audit::{
    AuditCheck, AuditChecked, AuditEntry, AuditFault, AuditHead, AuditRecord, KEPT,
    WHOLE_ADDRESSES, WholeAddress,
};
use latchkey_model::chance::{Chance, SystemChance};
use latchkey_model::clock::{Clock, SystemClock, Timestamp};
use latchkey_model::id::{AccountId, PrinterId};
use latchkey_model::sealed::{MasterKey, SigningKey};
use latchkey_net::key_file::KeyFileError;
use latchkey_store::relay::AuditFilter;
use latchkey_store::{RelayStore, StoreError};
use latchkey_web::limits::{Limits, Window};
use tokio::sync::Mutex;

use self::end::{EndFile, Found};
use crate::config::Config;
use crate::role::Relay;

/// Longest detail, in characters.
const LONGEST_DETAIL: usize = 200;

/// Most entries that are kept.
const MOST: u64 = 500_000;

/// Entries of one kind that one account causes: the log keeps only so many, and whoever does the
/// same again and again is not to push out what others did. One more says that there were more.
const OF_ONE: [Window; 1] = [Window::new(60, Duration::from_hours(1))];
const OF_ONE_AND_THE_LAST: [Window; 1] = [Window::new(61, Duration::from_hours(1))];

/// Entries read at a time.
const BATCH: u32 = 1000;

/// How often the end of the log is told to the program's log, which may be kept elsewhere.
const TELL_EVERY: Duration = Duration::from_hours(24);

/// What the signature of a cut is for.
const CUT: &str = "cut";

/// Who did something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// Somebody signed in.
    Account(AccountId),
    /// Somebody with the relay's files, by a command.
    CommandLine,
    /// An app, by its app connection.
    App,
    /// The relay by itself, or somebody who is not signed in.
    Relay,
}

/// In the place of an account's id.
pub(crate) const COMMAND_LINE: &str = "command line";
pub(crate) const APP: &str = "app";
pub(crate) const RELAY: &str = "relay";

impl Actor {
    fn word(&self) -> &str {
        match self {
            Self::Account(id) => id.as_str(),
            Self::CommandLine => COMMAND_LINE,
            Self::App => APP,
            Self::Relay => RELAY,
        }
    }
}

/// What was done. The stable word for it is the variant's name, `signed_in`, and so is what people
/// read, "Signed in": names are chosen so that they read well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Act {
    /// Somebody signed in.
    SignedIn,
    /// An app named an address that is told what happens to a printer.
    WebhookSet,
    /// An app took it back.
    WebhookDeleted,
    /// It failed too often.
    WebhookOff,
    /// Somebody made a live link, or an app did for them.
    LiveLinkMade,
    /// The owner of a printer ended one of its live links.
    LiveLinkEnded,
    /// An owner changed how far a member goes at a printer.
    MemberLevelChanged,
    /// Somebody signed out.
    SignedOut,
    /// As many wrong passwords as there may be: nobody may try for a while.
    SignInsStopped,
    /// A browser's session was ended from another one.
    SessionsEnded,
    /// Somebody made an account.
    AccountMade,
    /// An account is gone, with all it had.
    AccountRemoved,
    AccountSuspended,
    SuspensionEnded,
    PlanChanged,
    AdministratorMade,
    AdministratorStopped,
    PasswordChanged,
    EmailChanged,
    /// Somebody may make an account here.
    InvitationMade,
    InvitationTakenBack,
    PrinterPaired,
    /// Somebody said that a host with a code is not theirs.
    PairingRefused,
    PrinterRenamed,
    PrinterRemoved,
    /// The other host with a printer's key was let in.
    HostSwapped,
    /// An administrator cut a host's tunnel.
    TunnelDisconnected,
    PrinterOffered,
    OfferTakenBack,
    PrinterShared,
    SharingEnded,
    AppConnectionMade,
    AppConnectionRevoked,
    AppConnectionsRevoked,
    AppRegistered,
    AppChanged,
    AppRemoved,
    /// Codes are asked for from now on, or no longer.
    CodesOn,
    CodesOff,
    RecoveryCodeUsed,
    RecoveryCodesMade,
    PasskeyAdded,
    PasskeyRemoved,
    /// Codes and passkeys of somebody were taken away.
    SecondFactorTakenAway,
    /// Somebody did the same so often that the rest of it is not written down.
    MoreThanUsual,
}

impl Act {
    /// The stable word.
    pub fn word(self) -> String {
        let mut word = String::new();
        for c in format!("{self:?}").chars() {
            if c.is_uppercase() && !word.is_empty() {
                word.push('_');
            }
            word.push(c.to_ascii_lowercase());
        }
        word
    }
}

/// What people read for a stable word, also for one of an older or newer program.
pub(crate) fn in_words(word: &str) -> String {
    let spaced = word.replace('_', " ");
    let mut letters = spaced.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => spaced,
    }
}

/// An entry in the making.
#[derive(Debug, Clone)]
pub struct Entry {
    pub actor: Actor,
    pub act: Act,
    /// Whose account it was about.
    pub account: Option<AccountId>,
    /// Which printer it was about.
    pub printer: Option<PrinterId>,
    /// One line more: an app, a plan; never a secret, nor what names a person.
    pub detail: String,
    /// From where.
    pub address: Option<IpAddr>,
}

impl Entry {
    /// What somebody did, with nothing more to say of it.
    pub fn new(actor: Actor, act: Act) -> Self {
        Self {
            actor,
            act,
            account: None,
            printer: None,
            detail: String::new(),
            address: None,
        }
    }

    /// Who has to answer for there being such an entry, if it is somebody with an account.
    fn causer(&self) -> Option<&AccountId> {
        match &self.actor {
            Actor::Account(id) => Some(id),
            Actor::CommandLine => None,
            // Their app, for the most part.
            Actor::App | Actor::Relay => self.account.as_ref(),
        }
    }
}

/// What an [`Audit`] works with.
pub(crate) struct Making<'a> {
    pub(crate) store: RelayStore,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) chance: Arc<dyn Chance>,
    pub(crate) key: &'a MasterKey,
    /// Where the file is that says where the log ends; without one that is not noted.
    pub(crate) end: Option<PathBuf>,
}

/// The audit log. Clones share it.
#[derive(Clone)]
pub struct Audit(Arc<Shared>);

struct Shared {
    store: RelayStore,
    clock: Arc<dyn Clock>,
    chance: Arc<dyn Chance>,
    key: SigningKey,
    end: Option<EndFile>,
    usual: Limits<(AccountId, Act)>,
    usual_and_last: Limits<(AccountId, Act)>,
    /// Entries of this process come one after the other, each with its note of the end.
    turn: Mutex<()>,
    /// What the end file contradicted; said once, since it stays so until somebody looks.
    doubted: AtomicBool,
    told: AtomicI64,
}

impl Audit {
    /// The name of the file that says where the log ends.
    pub const END_FILE: &'static str = "audit.end";

    pub(crate) fn new(making: Making<'_>) -> Self {
        let key = making.key.signing("relay audit log");
        Self(Arc::new(Shared {
            store: making.store,
            clock: making.clock,
            chance: making.chance,
            end: making.end.map(|path| EndFile::new(path, key.clone())),
            key,
            usual: Limits::new(&OF_ONE),
            usual_and_last: Limits::new(&OF_ONE_AND_THE_LAST),
            turn: Mutex::default(),
            doubted: AtomicBool::default(),
            told: AtomicI64::new(i64::MIN),
        }))
    }

    /// The log of a relay that may be running elsewhere, for a command.
    pub fn of_files(config: &Config, store: &RelayStore) -> Result<Self, KeyFileError> {
        Ok(Self::new(Making {
            store: store.clone(),
            clock: Arc::new(SystemClock),
            chance: Arc::new(SystemChance),
            key: &Relay::master_key(&config.data)?,
            end: Some(Self::end_file(&config.data)),
        }))
    }

    pub(crate) fn end_file(data: &Path) -> PathBuf {
        data.join(Self::END_FILE)
    }

    /// Writes an entry, unless its account caused more of the kind than it may. What cannot be
    /// written is said in the log of the program.
    pub async fn note(&self, entry: Entry) {
        let act = entry.act;
        // On the heap: whoever does something is not to become larger by what is written of it.
        if let Err(error) = Box::pin(self.write(entry)).await {
            tracing::error!(%error, audit.act = act.word(), "an audit entry was not written");
        }
    }

    async fn write(&self, entry: Entry) -> Result<(), StoreError> {
        let Some(entry) = self.allowed(entry).await? else {
            return Ok(());
        };
        let address = entry.address.map(|address| address.to_canonical());
        let whole = address.map(|ip| WholeAddress::new(ip.to_string(), &*self.0.chance));
        let kept = AuditEntry {
            at: self.0.clock.now(),
            actor: entry.actor.word().to_owned(),
            act: entry.act.word(),
            account: entry.account.map(Into::into),
            printer: entry.printer.map(Into::into),
            detail: one_line(&entry.detail),
            network: address.map(network_of),
            address_hash: whole.as_ref().map(WholeAddress::hash),
        };
        let _turn = self.0.turn.lock().await;
        let head = self.0.store.audit().add(&kept, whole.as_ref()).await?;
        self.note_end(head).await
    }

    /// The entry, or in its place that there are too many of its kind, or nothing if that was said.
    /// What administrators do is always written.
    async fn allowed(&self, entry: Entry) -> Result<Option<Entry>, StoreError> {
        let Some(account) = entry.causer() else {
            return Ok(Some(entry));
        };
        let (of, now) = ((account.clone(), entry.act), self.0.clock.now());
        // Both windows begin with the same entry.
        let is_last = self.0.usual_and_last.count(&of, now).is_ok();
        if self.0.usual.count(&of, now).is_ok() {
            return Ok(Some(entry));
        }
        let (account, act) = of;
        let found = self.0.store.accounts().find(&account).await?;
        if found.is_some_and(|account| account.administrator) {
            return Ok(Some(entry));
        }
        Ok(is_last.then(|| Entry {
            account: Some(account),
            detail: act.word(),
            address: entry.address,
            ..Entry::new(entry.actor, Act::MoreThanUsual)
        }))
    }

    /// Notes where the log ends. What was noted before must be in it, or else somebody took the
    /// end away; then the note stays, as a witness.
    async fn note_end(&self, head: AuditHead) -> Result<(), StoreError> {
        let Some(end) = &self.0.end else {
            return Ok(());
        };
        let is_good = match end.read().await {
            Found::Nothing | Found::Unreadable => true,
            Found::Other => false,
            Found::Signed(noted) => {
                let has = self.has(noted).await?;
                // Another process was quicker.
                if has && noted.number >= head.number {
                    return Ok(());
                }
                has
            }
        };
        if !is_good {
            if !self.0.doubted.swap(true, Ordering::Relaxed) {
                tracing::error!("the audit log was changed: see latchkey audit verify");
            }
            return Ok(());
        }
        if let Err(error) = end.write(head).await {
            tracing::error!(%error, "where the audit log ends was not noted");
        }
        Ok(())
    }

    async fn has(&self, head: AuditHead) -> Result<bool, StoreError> {
        let log = self.0.store.audit();
        if let Some(record) = log.find(head.number).await? {
            return Ok(record.hash == head.hash);
        }
        Ok(head.number <= log.anchor().await?.head.number)
    }

    /// Forgets what is old enough: whole addresses, and entries from the oldest on. Tells once a
    /// day where the log ends.
    pub(crate) async fn forget(&self) -> Result<(), StoreError> {
        let (log, now) = (self.0.store.audit(), self.0.clock.now());
        log.forget_addresses(before(now, WHOLE_ADDRESSES)).await?;
        if let Some(last) = log.last_to_cut(before(now, KEPT), MOST).await? {
            let head = AuditHead {
                number: last.number,
                hash: last.hash,
            };
            let seal = self.0.key.sign(&head.signed_text(CUT));
            let gone = log.cut(&head, &seal).await?;
            tracing::info!(audit.entries = gone, "old audit entries were forgotten");
        }
        self.tell_end(now).await
    }

    async fn tell_end(&self, now: Timestamp) -> Result<(), StoreError> {
        let told = self.0.told.load(Ordering::Relaxed);
        if told != i64::MIN && now.since(Timestamp::from_millis(told)) < TELL_EVERY {
            return Ok(());
        }
        let head = self.0.store.audit().head().await?;
        if head != AuditHead::EMPTY {
            tracing::info!(
                audit.number = head.number,
                audit.hash = %head.hash,
                "the audit log ends here"
            );
        }
        self.0.told.store(now.millis(), Ordering::Relaxed);
        Ok(())
    }

    /// Entries, the newest first.
    pub async fn list(
        &self,
        filter: &AuditFilter,
        most: u32,
    ) -> Result<Vec<AuditRecord>, StoreError> {
        self.0.store.audit().list(filter, most).await
    }

    /// Whether the log is as it was written, as far as the relay's key, the note of its end and
    /// what the caller knows of it tell.
    pub async fn verify(&self, known: Option<AuditHead>) -> Result<AuditChecked, StoreError> {
        // Before the log, which goes on meanwhile.
        let noted = match &self.0.end {
            Some(end) => Some(end.read().await),
            None => None,
        };
        let log = self.0.store.audit();
        let anchor = log.anchor().await?;
        let mut expected: Vec<_> = known.into_iter().collect();
        if let Some(Found::Signed(head)) = &noted {
            expected.push(*head);
        }
        let mut check = AuditCheck::new(anchor.head, expected);
        let text = anchor.head.signed_text(CUT);
        let is_ours = match &anchor.seal {
            Some(seal) => self.0.key.verify(&text, seal),
            None => anchor.head == AuditHead::EMPTY,
        };
        if !is_ours {
            check.fault(AuditFault::CutByOther);
        }
        let mut last = anchor.head.number;
        loop {
            let batch = log.list_after(last, BATCH).await?;
            let Some(newest) = batch.last() else { break };
            last = newest.number;
            for record in &batch {
                check.next(record);
            }
        }
        match noted {
            Some(Found::Nothing) if last > 0 => check.fault(AuditFault::NothingKnown),
            Some(Found::Other | Found::Unreadable) => check.fault(AuditFault::KnownByOther),
            _ => {}
        }
        Ok(check.finish())
    }
}

fn before(now: Timestamp, by: Duration) -> Timestamp {
    let millis = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_millis(now.millis().saturating_sub(millis))
}

/// A detail is one line, and not a long one.
fn one_line(text: &str) -> String {
    let shown = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    shown.take(LONGEST_DETAIL).collect()
}
