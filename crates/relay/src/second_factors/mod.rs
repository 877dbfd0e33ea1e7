//! Codes beside the password (TOTP, RFC 6238), and recovery codes that stand for them.

pub(crate) mod http;
#[cfg(test)]
mod tests;
pub(crate) mod waiting;

use std::sync::Arc;
use std::time::Duration;

use data_encoding::BASE32_NOPAD;
use latchkey_model::account::Account;
use latchkey_model::chance::Chance;
use latchkey_model::clock::{Clock, Timestamp};
use latchkey_model::id::{AccountId, SessionId};
use latchkey_model::sealed::{MasterKey, SigningKey, Vault};
use latchkey_model::secret::{RecoveryCode, RecoveryCodeHash, StepHash, StepToken};
use latchkey_store::relay::{CodeGenerator, SignIn};
use latchkey_store::{RelayStore, StoreError};
use latchkey_web::limits::{Limits, TooMany, Window};
use totp_rs::{Builder, Secret, Totp};
use zeroize::Zeroizing;

use self::waiting::Waiting;
use crate::config::Config;

/// Wrong codes of one account: as many as fit into a code's time, and no more than in an hour.
const GUESSES: [Window; 2] = [
    Window::new(5, Duration::from_secs(30)),
    Window::new(10, Duration::from_hours(1)),
];

/// Bytes of a seed: as long as the hash (RFC 4226 section 4).
const SEED: usize = 20;

/// How many recovery codes there are at first.
pub(crate) const RECOVERY_CODES: usize = 10;

/// How long a seed is shown before it is forgotten, and how many are at once.
const SET_UP_LASTS: Duration = Duration::from_mins(15);
const MOST_SET_UPS: usize = 1000;

/// How long somebody whose password was right may take for the code, and how many do so at once.
const HALF_LASTS: Duration = Duration::from_mins(5);
const MOST_HALF: usize = 1000;

/// Why a code did not count.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CodeError {
    #[error("the code is not right, or was used already")]
    Wrong,
    #[error("too many wrong codes")]
    TooMany(TooMany),
    /// It was set up somewhere else meanwhile.
    #[error("codes are asked for already")]
    Already,
    /// The seed was sealed with another key file.
    #[error("the seed cannot be read")]
    Sealed,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// By what somebody proved that it is them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proof {
    Code,
    /// A recovery code, of which so many are left.
    Recovery {
        left: u64,
    },
}

/// What an app that makes codes has to know.
pub(crate) struct SetUp {
    /// The seed as it is typed.
    pub(crate) seed: Zeroizing<String>,
    /// The same as an address, for a QR code.
    pub(crate) address: Zeroizing<String>,
}

/// What accounts are guarded by beside their passwords.
pub(crate) struct SecondFactors {
    store: RelayStore,
    clock: Arc<dyn Clock>,
    chance: Arc<dyn Chance>,
    sealing: Vault,
    /// Makes hashes of recovery codes, so that the database alone is no help in guessing them.
    hashing: SigningKey,
    /// What apps call this relay.
    issuer: String,
    guesses: Limits<AccountId>,
    set_ups: Waiting<SessionId, Zeroizing<Vec<u8>>>,
    half: Waiting<StepHash, SignIn>,
}

impl SecondFactors {
    pub(crate) fn new(
        config: &Config,
        store: &RelayStore,
        clock: &Arc<dyn Clock>,
        chance: &Arc<dyn Chance>,
        key: &MasterKey,
    ) -> Self {
        Self {
            store: store.clone(),
            clock: Arc::clone(clock),
            chance: Arc::clone(chance),
            sealing: key.vault("relay seeds of codes"),
            hashing: key.signing("relay recovery codes"),
            issuer: plain(config.public_url.authority().host()),
            guesses: Limits::new(&GUESSES),
            set_ups: Waiting::new(SET_UP_LASTS, MOST_SET_UPS),
            half: Waiting::new(HALF_LASTS, MOST_HALF),
        }
    }

    /// Keeps in mind that somebody's password was right, until they bring a code.
    pub(crate) fn half_signed_in(&self, proved: SignIn) -> StepToken {
        let token = StepToken::generate(&*self.chance);
        self.half.put(token.hash(), proved, self.clock.now());
        token
    }

    /// Whose password was right.
    pub(crate) fn find_half(&self, token: &str) -> Option<SignIn> {
        self.half.look(&StepHash::of(token), self.clock.now())
    }

    /// The same, for the last time.
    pub(crate) fn take_half(&self, token: &str) -> Option<SignIn> {
        self.half.take(&StepHash::of(token), self.clock.now())
    }

    /// Whether codes are asked for.
    pub(crate) async fn asks(&self, account: &AccountId) -> Result<bool, StoreError> {
        Ok(self.store.second_factors().find(account).await?.is_some())
    }

    /// The seed that is being set up in a session; the same until it is confirmed or forgotten.
    pub(crate) fn set_up(&self, account: &Account, session: &SessionId) -> SetUp {
        let now = self.clock.now();
        let seed = self.set_ups.look(session, now).unwrap_or_else(|| {
            let mut seed = Zeroizing::new(vec![0; SEED]);
            self.chance.fill(&mut seed);
            seed
        });
        // Whoever looks at it has the whole time before them.
        self.set_ups.put(session.clone(), seed.clone(), now);
        let address = self.totp(&seed, account).to_url();
        SetUp {
            seed: Zeroizing::new(BASE32_NOPAD.encode(&seed)),
            address: Zeroizing::new(address.expect("the name has no colon and is not empty")),
        }
    }

    /// From now on codes are asked for. Gives the recovery codes, to be shown once.
    pub(crate) async fn confirm(
        &self,
        account: &Account,
        session: &SessionId,
        code: &str,
    ) -> Result<Vec<RecoveryCode>, CodeError> {
        let now = self.clock.now();
        let counted = self.guesses.count(&account.id, now);
        counted.map_err(CodeError::TooMany)?;
        let seed = self.set_ups.look(session, now).ok_or(CodeError::Wrong)?;
        let step = self.step(&seed, account, code, now);
        let last_step = step.ok_or(CodeError::Wrong)?;
        self.guesses.take_back(&account.id);
        let codes = self.make_recovery_codes();
        let generator = CodeGenerator {
            sealed_seed: self.sealing.seal(&seed, account.id.as_str(), &*self.chance),
            created: now,
            last_step,
        };
        let hashes = self.hashes(&account.id, &codes);
        let added = self.store.second_factors();
        match added.add(&account.id, &generator, &hashes).await {
            Ok(()) => {}
            Err(StoreError::Conflict) => return Err(CodeError::Already),
            Err(error) => return Err(error.into()),
        }
        self.set_ups.take(session, now);
        tracing::info!(account.id = %account.id, "codes are asked for from now on");
        Ok(codes)
    }

    /// Whether a text is a code that counts now, or a recovery code. Either counts once. Wrong ones
    /// are counted before anything is looked at: many at once learn no more than one by one.
    pub(crate) async fn prove(&self, account: &Account, text: &str) -> Result<Proof, CodeError> {
        let now = self.clock.now();
        let counted = self.guesses.count(&account.id, now);
        counted.map_err(CodeError::TooMany)?;
        let proved = self.check(account, text, now).await;
        if !matches!(proved, Err(CodeError::Wrong)) {
            self.guesses.take_back(&account.id);
        }
        proved
    }

    async fn check(
        &self,
        account: &Account,
        text: &str,
        now: Timestamp,
    ) -> Result<Proof, CodeError> {
        let factors = self.store.second_factors();
        if let Ok(code) = RecoveryCode::parse(text) {
            let hash = self.hash(&account.id, &code);
            let left = factors.take_recovery_code(&account.id, &hash).await?;
            let left = left.ok_or(CodeError::Wrong)?;
            tracing::info!(account.id = %account.id, left, "a recovery code was used");
            return Ok(Proof::Recovery { left });
        }
        let kept = factors.find(&account.id).await?;
        let kept = kept.ok_or(CodeError::Wrong)?;
        let id = account.id.as_str();
        let seed = self.sealing.open(&kept.sealed_seed, id);
        let seed = seed.map_err(|_| CodeError::Sealed)?;
        let step = self.step(&seed, account, text, now);
        let step = step.ok_or(CodeError::Wrong)?;
        if factors.take_step(&account.id, step).await? {
            Ok(Proof::Code)
        } else {
            Err(CodeError::Wrong)
        }
    }

    /// Which step's code a text is, of this one and its two neighbours.
    fn step(&self, seed: &[u8], account: &Account, text: &str, now: Timestamp) -> Option<i64> {
        let digits: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        if digits.len() != 6 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
            return None;
        }
        let seconds = u64::try_from(now.millis() / 1000).ok()?;
        let step = self.totp(seed, account).check(&digits, seconds)?;
        i64::try_from(step).ok()
    }

    fn totp(&self, seed: &[u8], account: &Account) -> Totp {
        let built = Builder::new()
            .with_secret(Secret::from(seed.to_vec()))
            .with_issuer(Some(self.issuer.as_str()))
            .with_account_name(plain(account.email.as_str()))
            .build();
        built.expect("seed and names are fit")
    }

    /// New recovery codes in place of all earlier ones; nothing if no codes are asked for.
    pub(crate) async fn new_recovery_codes(
        &self,
        account: &AccountId,
    ) -> Result<Option<Vec<RecoveryCode>>, StoreError> {
        let codes = self.make_recovery_codes();
        let hashes = self.hashes(account, &codes);
        let factors = self.store.second_factors();
        let replaced = factors.replace_recovery_codes(account, &hashes).await?;
        Ok(replaced.then_some(codes))
    }

    /// No codes are asked for any more. False if none were.
    pub(crate) async fn remove(&self, account: &AccountId) -> Result<bool, StoreError> {
        let removed = self.store.second_factors().remove(account).await?;
        if removed {
            tracing::info!(account.id = %account, "no codes are asked for any more");
        }
        Ok(removed)
    }

    fn make_recovery_codes(&self) -> Vec<RecoveryCode> {
        let chance = &*self.chance;
        let code = || RecoveryCode::generate(chance);
        std::iter::repeat_with(code).take(RECOVERY_CODES).collect()
    }

    fn hashes(&self, account: &AccountId, codes: &[RecoveryCode]) -> Vec<RecoveryCodeHash> {
        let hashes = codes.iter().map(|code| self.hash(account, code));
        hashes.collect()
    }

    fn hash(&self, account: &AccountId, code: &RecoveryCode) -> RecoveryCodeHash {
        let text = Zeroizing::new(format!("{account} {}", code.expose()));
        RecoveryCodeHash::from_bytes(self.hashing.sign(&text))
    }
}

/// A name without what separates names in an `otpauth` address.
fn plain(name: &str) -> String {
    name.replace(':', " ")
}
