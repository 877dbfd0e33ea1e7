//! Pairing: attaching a host to the account of whoever types, or scans, its code.
//!
//! A code is guessed with a chance below one in a million while it lives: 20⁸ codes against twice
//! [`EVERYWHERE`] tries, since two windows may touch one code's life. Sum in `docs/guide/pairing.md`.

pub(crate) mod http;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use latchkey_model::account::Account;
use latchkey_model::app_key::network_of;
use latchkey_model::chance::Chance;
use latchkey_model::clock::Clock;
use latchkey_model::id::{AccountId, HostId, PrinterId};
use latchkey_model::pairing::{LASTS, POLL_EVERY, Pairing, PairingOutcome};
use latchkey_model::printer::{HostKey, Printer, PrinterName, Seen};
use latchkey_model::secret::{PairingCode, PairingPoll, PairingPollHash};
use latchkey_net::authority::Authority;
use latchkey_net::tunnel::{PairingAnswer, PairingStart, PairingStarted, PairingState, ProofError};
use latchkey_store::relay::Confirmation;
use latchkey_store::{RelayStore, StoreError};
use latchkey_web::limits::{Limits, TooMany, Window, household};

use crate::config::Config;
use crate::pages::paths;

/// Codes asked for from one address: a print farm may set up many hosts at once.
const STARTS_OF_ADDRESS: [Window; 1] = [Window::new(60, Duration::from_hours(1))];
/// Codes that one host asks for.
const STARTS_OF_HOST: [Window; 1] = [Window::new(20, Duration::from_hours(1))];
/// A signed wish is taken once; it is good for ten minutes before and after its time.
const NONCES: [Window; 1] = [Window::new(1, Duration::from_mins(21))];
/// Questions of a host: one in an interval, with room for a clock that runs a little fast.
const POLLS: [Window; 1] = [Window::new(1, Duration::from_secs(4))];
/// Wrong codes typed by one account.
const WRONG_OF_ACCOUNT: [Window; 1] = [Window::new(5, LASTS)];
/// Wrong codes from one address, by whichever account.
const WRONG_OF_ADDRESS: [Window; 1] = [Window::new(20, LASTS)];
/// Wrong codes of everybody together.
const EVERYWHERE: u32 = 1000;
const WRONG_EVERYWHERE: [Window; 1] = [Window::new(EVERYWHERE, LASTS)];
/// Hosts that wait at once.
const MOST_WAITING: u32 = 1000;

/// Why a host gets no code.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// Somebody sends again what the host has sent.
    #[error("this was sent before")]
    Replayed,
    #[error("too many codes were asked for")]
    TooMany(TooMany),
    /// Too many hosts wait.
    #[error("too many hosts wait")]
    Full,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a host is not told how it went.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PollError {
    #[error("asked too often")]
    SlowDown,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a code leads nowhere.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CodeError {
    /// No code looks like this; nothing is counted.
    #[error("this is no code")]
    Malformed,
    #[error("no host waits for this code")]
    Wrong,
    #[error("too many wrong codes")]
    TooMany(TooMany),
    /// The host is another account's printer.
    #[error("the host is paired with another account")]
    Taken,
    /// The account has as many printers as its plan allows.
    #[error("the account has all {most} printers that its plan allows")]
    Full { most: u64 },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Who typed a code, and where.
#[derive(Clone, Copy)]
pub(crate) struct Typist<'a> {
    pub(crate) account: &'a Account,
    pub(crate) address: IpAddr,
}

/// What a good code leads to.
pub(crate) struct Offer {
    pub(crate) code: PairingCode,
    pub(crate) pairing: Pairing,
    /// What the host is to this account already.
    pub(crate) printer: Option<Printer>,
}

/// The use cases of pairing.
pub(crate) struct Pairings {
    config: Arc<Config>,
    store: RelayStore,
    clock: Arc<dyn Clock>,
    chance: Arc<dyn Chance>,
    starts_of_address: Limits<IpAddr>,
    starts_of_host: Limits<HostId>,
    nonces: Limits<[u8; 32]>,
    polls: Limits<PairingPollHash>,
    wrong_of_account: Limits<AccountId>,
    wrong_of_address: Limits<IpAddr>,
    wrong_everywhere: Limits<()>,
}

impl Pairings {
    pub(crate) fn new(
        config: &Arc<Config>,
        store: &RelayStore,
        clock: &Arc<dyn Clock>,
        chance: &Arc<dyn Chance>,
    ) -> Self {
        Self {
            config: Arc::clone(config),
            store: store.clone(),
            clock: Arc::clone(clock),
            chance: Arc::clone(chance),
            starts_of_address: Limits::new(&STARTS_OF_ADDRESS),
            starts_of_host: Limits::new(&STARTS_OF_HOST),
            nonces: Limits::new(&NONCES),
            polls: Limits::new(&POLLS),
            wrong_of_account: Limits::new(&WRONG_OF_ACCOUNT),
            wrong_of_address: Limits::new(&WRONG_OF_ADDRESS),
            wrong_everywhere: Limits::new(&WRONG_EVERYWHERE),
        }
    }

    /// Gives a host a code, if it proves that it is the host, to this relay by the name that it asked for.
    pub(crate) async fn start(
        &self,
        wish: &PairingStart,
        address: IpAddr,
        named: Option<&Authority>,
    ) -> Result<PairingStarted, StartError> {
        let now = self.clock.now();
        self.starts_of_address
            .count(&household(address), now)
            .map_err(StartError::TooMany)?;
        let relay = named.unwrap_or(self.config.public_url.authority());
        let relay = relay.to_string();
        let (key, nonce) = wish.verify(&relay, now.millis().div_euclid(1000))?;
        let host = HostKey::from_bytes(key);
        let fresh = self.nonces.count(&nonce, now);
        fresh.map_err(|_| StartError::Replayed)?;
        let counted = self.starts_of_host.count(&host.id(), now);
        counted.map_err(StartError::TooMany)?;
        let code = PairingCode::generate(&*self.chance);
        let poll = PairingPoll::generate(&*self.chance);
        let pairing = Pairing::new(host, wish.name.trim().to_owned(), network_of(address), now);
        let (code_hash, poll_hash) = (code.hash(), poll.hash());
        let store = self.store.pairings();
        let started = store.start(&code_hash, &poll_hash, &pairing, MOST_WAITING);
        if !started.await? {
            return Err(StartError::Full);
        }
        tracing::info!(host.id = %host.id(), "a host waits to be paired");
        let page = format!("{}/pair", self.config.public_url);
        Ok(PairingStarted {
            link: paths::with(&page, "code", &code.shown()),
            code: code.shown(),
            page,
            poll: poll.expose().to_owned(),
            expires_in: LASTS.as_secs(),
            interval: POLL_EVERY.as_secs(),
        })
    }

    /// Tells a host how it went.
    pub(crate) async fn poll(&self, poll: &str) -> Result<PairingAnswer, PollError> {
        let (hash, now) = (PairingPollHash::of(poll), self.clock.now());
        let found = self.store.pairings().find_by_poll(&hash, now).await?;
        let Some(found) = found else {
            return Ok(plain(PairingState::Expired));
        };
        // After the look-up: what nobody was given takes no memory.
        let counted = self.polls.count(&hash, now);
        counted.map_err(|_| PollError::SlowDown)?;
        match found.outcome {
            PairingOutcome::Waiting => Ok(plain(PairingState::Pending)),
            PairingOutcome::Refused => Ok(plain(PairingState::Refused)),
            PairingOutcome::Confirmed { account, printer } => {
                let account = self.store.accounts().find(&account).await?;
                let printer = self.store.printers().find(&printer).await?;
                Ok(PairingAnswer {
                    printer_name: printer.as_ref().map(|printer| printer.name.to_string()),
                    printer_id: printer.map(|printer| printer.id.to_string()),
                    account: account.map(|account| account.email.masked()),
                    ..plain(PairingState::Confirmed)
                })
            }
        }
    }

    /// The host that waits for this code. Wrong codes count.
    pub(crate) async fn find(&self, typed: &str, by: Typist<'_>) -> Result<Offer, CodeError> {
        let code = PairingCode::parse(typed).map_err(|_| CodeError::Malformed)?;
        let now = self.clock.now();
        // Before the look-up: who has guessed too often learns nothing, right or wrong.
        self.may_try(by)?;
        let found = self
            .store
            .pairings()
            .find_by_code(&code.hash(), now)
            .await?;
        let waiting = found.filter(|found| found.outcome == PairingOutcome::Waiting);
        let Some(pairing) = waiting else {
            // Once more: who guesses many at once learns no more than who guesses one by one.
            self.may_try(by)?;
            self.note_wrong(by);
            return Err(CodeError::Wrong);
        };
        let printer = self.store.printers();
        let printer = printer.find_by_host(&pairing.host.id()).await?;
        if printer.as_ref().is_some_and(|p| p.account != by.account.id) {
            return Err(CodeError::Taken);
        }
        if printer.is_none() {
            self.has_room(by.account).await?;
        }
        Ok(Offer {
            code,
            pairing,
            printer,
        })
    }

    /// How many printers of its own an account may have. A plan that is not defined is the
    /// operator's mistake, and limits nothing here.
    fn most_printers(&self, account: &Account) -> Option<u64> {
        self.config.plans.find(&account.plan)?.max_printers
    }

    async fn has_room(&self, account: &Account) -> Result<(), CodeError> {
        let Some(most) = self.most_printers(account) else {
            return Ok(());
        };
        let own = self.store.printers().list_by_account(&account.id).await?;
        if own.len() as u64 >= most {
            return Err(CodeError::Full { most });
        }
        Ok(())
    }

    /// Makes the host with this code the account's printer. What was confirmed by this account
    /// already stays so, whatever the second click says.
    pub(crate) async fn confirm(
        &self,
        typed: &str,
        name: PrinterName,
        by: Typist<'_>,
    ) -> Result<PrinterId, CodeError> {
        if let Some(printer) = self.confirmed_before(typed, by).await? {
            return Ok(printer);
        }
        let offer = self.find(typed, by).await?;
        let host = offer.pairing.host;
        let now = self.clock.now();
        let printer = Printer {
            id: PrinterId::from(&host.id()),
            account: by.account.id.clone(),
            name,
            host: Some(host),
            created: now,
            seen: Seen::default(),
            local_address: None,
        };
        let pairings = self.store.pairings();
        let most = self.most_printers(by.account);
        let done = pairings
            .confirm_within(&offer.code.hash(), &printer, most, now)
            .await;
        let id = match done {
            Ok(Confirmation::Made(id) | Confirmation::Again(id)) => id,
            Ok(Confirmation::Taken) | Err(StoreError::Conflict) => return Err(CodeError::Taken),
            Ok(Confirmation::Full) => {
                let most = most.unwrap_or_default();
                return Err(CodeError::Full { most });
            }
            // Somebody clicked twice: the other click was first.
            Ok(Confirmation::Gone) => {
                let before = self.confirmed_before(typed, by).await?;
                return before.ok_or(CodeError::Wrong);
            }
            Err(error) => return Err(error.into()),
        };
        tracing::info!(printer.id = %id, account.id = %by.account.id, "a host was paired");
        Ok(id)
    }

    /// Notes that the host with this code is not this account's; the code is used up.
    pub(crate) async fn refuse(&self, typed: &str, by: Typist<'_>) -> Result<(), CodeError> {
        let code = PairingCode::parse(typed).map_err(|_| CodeError::Malformed)?;
        self.may_try(by)?;
        let now = self.clock.now();
        let pairings = self.store.pairings();
        if pairings.refuse(&code.hash(), &by.account.id, now).await? {
            tracing::info!(account.id = %by.account.id, "somebody says that a host is not theirs");
            return Ok(());
        }
        self.note_wrong(by);
        Err(CodeError::Wrong)
    }

    async fn confirmed_before(
        &self,
        typed: &str,
        by: Typist<'_>,
    ) -> Result<Option<PrinterId>, CodeError> {
        let code = PairingCode::parse(typed).map_err(|_| CodeError::Malformed)?;
        self.may_try(by)?;
        let now = self.clock.now();
        let found = self
            .store
            .pairings()
            .find_by_code(&code.hash(), now)
            .await?;
        Ok(found.and_then(|found| match found.outcome {
            PairingOutcome::Confirmed { account, printer } if account == by.account.id => {
                Some(printer)
            }
            _ => None,
        }))
    }

    fn may_try(&self, by: Typist<'_>) -> Result<(), CodeError> {
        let now = self.clock.now();
        self.wrong_of_account
            .check(&by.account.id, now)
            .and_then(|()| self.wrong_of_address.check(&household(by.address), now))
            .and_then(|()| self.wrong_everywhere.check(&(), now))
            .map_err(CodeError::TooMany)
    }

    fn note_wrong(&self, by: Typist<'_>) {
        let now = self.clock.now();
        // One too many was refused before.
        let _ = self.wrong_of_account.count(&by.account.id, now);
        let _ = self.wrong_of_address.count(&household(by.address), now);
        if self.wrong_everywhere.count(&(), now).is_err() {
            tracing::warn!(
                limit.name = "pairing_codes",
                "so many wrong pairing codes that nobody may type one for a while"
            );
        }
    }
}

fn plain(state: PairingState) -> PairingAnswer {
    PairingAnswer {
        state,
        printer_name: None,
        printer_id: None,
        account: None,
    }
}
