//! Passwords: hashed with Argon2id, checked in that form and in those that an `OctoPrint` keeps.
//!
//! | text | made by |
//! | --- | --- |
//! | `$argon2id$v=19$m=19456,t=2,p=1$…` | here; other parameters and `$argon2i$` by `OctoPrint` since 1.8 |
//! | `$pbkdf2-sha256$<rounds>$<salt>$<key>` | `OctoPrint` without an Argon2 library; base64 with `.` for `+`, no padding |
//! | `$octoprint-sha512$<salt>$<hex>` | the import, of what `OctoPrint` kept before 1.8; the salt is base64 without padding |

use std::fmt::Write as _;
use std::sync::Arc;

use argon2::password_hash::phc;
use argon2::{Algorithm, Argon2, Block, Params, Version};
use data_encoding::{BASE64_NOPAD, HEXLOWER_PERMISSIVE};
use latchkey_model::chance::{Chance, SystemChance};
use latchkey_model::secret::PasswordHash;
use sha2::{Digest, Sha256, Sha512};
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
const SALT: usize = 16;
const KEY: usize = 32;
/// At 19 MiB each.
const AT_ONCE: usize = 4;
/// Who comes while so many wait already is sent away.
const WAITING: usize = 64;

/// What an imported hash may cost: whoever wrote it chose how much memory and time we spend.
const MOST_MEMORY_KIB: u32 = 256 * 1024;
const MOST_PASSES: u32 = 16;
const MOST_LANES: u32 = 16;
const MOST_ROUNDS: u32 = 5_000_000;

const PBKDF2: &str = "$pbkdf2-sha256$";
const OCTOPRINT: &str = "$octoprint-sha512$";

/// What no password leads to: its checking costs as much as that of a hash of ours.
const NOBODYS: &str = "$argon2id$v=19$m=19456,t=2,p=1$bGF0Y2hrZXktbm9ib2R5$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// What a check found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// It is the password.
    pub ok: bool,
    /// It is, and should be hashed anew: the kept hash is not of the form we make. One form for
    /// everybody means that no answer takes longer than another.
    pub rehash: bool,
}

/// Why a password was neither hashed nor checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordsError {
    /// Too many wait already.
    #[error("too many passwords are being checked just now; try again in a moment")]
    Busy,
    /// There is no memory for it.
    #[error("there is not enough memory to hash a password")]
    Memory,
}

/// Hashes and checks passwords off the event loop, a few at a time.
#[derive(Clone)]
pub struct Passwords {
    chance: Arc<dyn Chance>,
    working: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
}

impl std::fmt::Debug for Passwords {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Passwords(…)")
    }
}

impl Default for Passwords {
    fn default() -> Self {
        Self::new(Arc::new(SystemChance))
    }
}

impl Passwords {
    /// Salts come from `chance`.
    pub fn new(chance: Arc<dyn Chance>) -> Self {
        Self {
            chance,
            working: Arc::new(Semaphore::new(AT_ONCE)),
            waiting: Arc::new(Semaphore::new(WAITING + AT_ONCE)),
        }
    }

    /// The hash to keep of a password.
    pub async fn hash(&self, password: &str) -> Result<PasswordHash, PasswordsError> {
        let mut salt = [0; SALT];
        self.chance.fill(&mut salt);
        let password = Zeroizing::new(password.to_owned());
        self.work(move || hash(&password, &salt)).await?
    }

    /// Whether `kept` is the hash of `password`. A text of no known form is nobody's hash.
    pub async fn verify(
        &self,
        password: &str,
        kept: &PasswordHash,
    ) -> Result<Verified, PasswordsError> {
        let password = Zeroizing::new(password.to_owned());
        let kept = kept.clone();
        self.work(move || verify(&password, kept.expose())).await?
    }

    /// Spends the work of [`Self::verify`], for a user who does not exist or has no password:
    /// nobody can tell by the time that it takes.
    pub async fn pretend(&self, password: &str) -> Result<(), PasswordsError> {
        let nobody = PasswordHash::new(NOBODYS.to_owned());
        self.verify(password, &nobody).await.map(|_| ())
    }

    async fn work<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PasswordsError> {
        let place = Arc::clone(&self.waiting)
            .try_acquire_owned()
            .map_err(|_| PasswordsError::Busy)?;
        let turn = Arc::clone(&self.working).acquire_owned().await;
        let turn = turn.expect("the semaphore is never closed");
        let done = tokio::task::spawn_blocking(move || {
            // Held until the work is done, even when whoever asked has left.
            let _held = (turn, place);
            job()
        });
        match done.await {
            Ok(done) => Ok(done),
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            // Only a runtime that is going away cancels blocking work.
            Err(_) => Err(PasswordsError::Busy),
        }
    }
}

/// The text form of what an `OctoPrint` before 1.8 kept: SHA-512 of the password followed by the
/// `accessControl.salt` of its configuration, in hexadecimal digits.
pub fn octoprint_sha512(salt: &str, hex: &str) -> Option<PasswordHash> {
    let digest = HEXLOWER_PERMISSIVE.decode(hex.as_bytes()).ok()?;
    if digest.len() != 64 {
        return None;
    }
    let mut text = format!("{OCTOPRINT}{}$", BASE64_NOPAD.encode(salt.as_bytes()));
    for byte in digest {
        write!(text, "{byte:02x}").ok()?;
    }
    Some(PasswordHash::new(text))
}

/// Whether passwords can be checked against this hash.
pub fn is_known_form(kept: &PasswordHash) -> bool {
    Form::of(kept.expose()).is_some()
}

enum Form {
    Argon2 {
        hash: Box<phc::PasswordHash>,
        ours: bool,
    },
    Pbkdf2 {
        rounds: u32,
        salt: Vec<u8>,
        key: Vec<u8>,
    },
    OctoPrint {
        salt: Vec<u8>,
        digest: Vec<u8>,
    },
}

impl Form {
    fn of(text: &str) -> Option<Self> {
        if let Some(rest) = text.strip_prefix(PBKDF2) {
            return pbkdf2_form(rest);
        }
        if let Some(rest) = text.strip_prefix(OCTOPRINT) {
            let (salt, hex) = rest.split_once('$')?;
            let salt = BASE64_NOPAD.decode(salt.as_bytes()).ok()?;
            let digest = HEXLOWER_PERMISSIVE.decode(hex.as_bytes()).ok()?;
            return (digest.len() == 64).then_some(Self::OctoPrint { salt, digest });
        }
        let hash = phc::PasswordHash::new(text).ok()?;
        let algorithm = Algorithm::try_from(hash.algorithm.as_str()).ok()?;
        let params = Params::try_from(&hash).ok()?;
        let affordable = params.m_cost() <= MOST_MEMORY_KIB
            && params.t_cost() <= MOST_PASSES
            && params.p_cost() <= MOST_LANES;
        if !affordable || hash.salt.is_none() || hash.hash.is_none() {
            return None;
        }
        let ours = algorithm == Algorithm::Argon2id
            && hash.version == Some(Version::V0x13.into())
            && (params.m_cost(), params.t_cost(), params.p_cost()) == (MEMORY_KIB, PASSES, LANES);
        Some(Self::Argon2 {
            hash: Box::new(hash),
            ours,
        })
    }
}

fn pbkdf2_form(rest: &str) -> Option<Form> {
    let mut parts = rest.split('$');
    let rounds = parts.next()?.parse().ok()?;
    let (salt, key) = (
        adapted_base64(parts.next()?)?,
        adapted_base64(parts.next()?)?,
    );
    let whole = parts.next().is_none() && (1..=MOST_ROUNDS).contains(&rounds) && key.len() == 32;
    whole.then_some(Form::Pbkdf2 { rounds, salt, key })
}

/// Base64 as Python's passlib writes it.
fn adapted_base64(text: &str) -> Option<Vec<u8>> {
    BASE64_NOPAD.decode(text.replace('.', "+").as_bytes()).ok()
}

fn argon2() -> Argon2<'static> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).expect("the parameters are valid");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// What a hash is computed in. glibc keeps what it was given back of up to 32 MiB, once for every
/// thread; what is larger goes back to the system. What is reserved beyond the need is never
/// touched and takes no memory.
fn blocks(params: &Params) -> Result<Vec<Block>, PasswordsError> {
    const RESERVED: usize = 33 * 1024;
    let mut blocks = Vec::new();
    let needed = params.block_count();
    let room = blocks.try_reserve_exact(needed.max(RESERVED));
    room.map_err(|_| PasswordsError::Memory)?;
    blocks.resize(needed, Block::default());
    Ok(blocks)
}

fn fill(
    argon2: &Argon2<'_>,
    password: &str,
    salt: &[u8],
    out: &mut [u8],
) -> Result<(), PasswordsError> {
    let mut blocks = blocks(argon2.params())?;
    argon2
        .hash_password_into_with_memory(password.as_bytes(), salt, out, &mut blocks)
        .map_err(|_| PasswordsError::Memory)
}

fn hash(password: &str, salt: &[u8]) -> Result<PasswordHash, PasswordsError> {
    let mut key = Zeroizing::new([0; KEY]);
    fill(&argon2(), password, salt, &mut *key)?;
    let (salt, key) = (BASE64_NOPAD.encode(salt), BASE64_NOPAD.encode(&*key));
    let text = format!("$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}${salt}${key}");
    Ok(PasswordHash::new(text))
}

/// Whether a password leads to the hash, with whatever parameters that was made.
fn is_of(password: &str, hash: &phc::PasswordHash) -> Result<bool, PasswordsError> {
    let (Some(salt), Some(kept)) = (&hash.salt, &hash.hash) else {
        return Ok(false);
    };
    let made = || {
        let algorithm = Algorithm::try_from(hash.algorithm.as_str()).ok()?;
        let version = hash
            .version
            .map_or(Ok(Version::default()), Version::try_from);
        let params = Params::try_from(hash).ok()?;
        Some(Argon2::new(algorithm, version.ok()?, params))
    };
    let Some(argon2) = made() else {
        return Ok(false);
    };
    let mut key = Zeroizing::new(vec![0; kept.as_bytes().len()]);
    fill(&argon2, password, salt.as_ref(), &mut key)?;
    Ok(bool::from(key.ct_eq(kept.as_bytes())))
}

fn verify(password: &str, kept: &str) -> Result<Verified, PasswordsError> {
    let Some(form) = Form::of(kept) else {
        let kept = phc::PasswordHash::new(NOBODYS).expect("the hash is well formed");
        is_of(password, &kept)?;
        return Ok(Verified {
            ok: false,
            rehash: false,
        });
    };
    let (ok, ours) = match form {
        Form::Argon2 { hash, ours } => (is_of(password, &hash)?, ours),
        Form::Pbkdf2 { rounds, salt, key } => {
            let mut derived = Zeroizing::new([0; 32]);
            pbkdf2::pbkdf2_hmac::<Sha256>(password.as_bytes(), &salt, rounds, &mut *derived);
            (bool::from(derived.as_slice().ct_eq(&key)), false)
        }
        Form::OctoPrint { salt, digest } => {
            let mut hasher = Sha512::new();
            hasher.update(password.as_bytes());
            hasher.update(&salt);
            (
                bool::from(hasher.finalize().as_slice().ct_eq(&digest)),
                false,
            )
        }
    };
    Ok(Verified {
        ok,
        rehash: ok && !ours,
    })
}

#[cfg(test)]
mod tests;
