//! Apps that may get session keys: by which name, with which public key, and how far.

use std::fmt;

use sha2::{Digest as _, Sha256};

use super::public_key::{PublicKey, PublicKeyError};
use super::{ANY_VERSION, SessionScope};
use crate::text::{NameError, name};

/// Keys below this are too short to be safe; 512 bits are broken in hours for the price of a coffee.
pub const STRONG_BITS: usize = 2048;

/// Longest name with its version.
const LONGEST: usize = 200;

/// An app and its version as one text, `com.example.app:1.0`: what a registration is found by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionAppName(String);

/// A text is not an app with its version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SessionAppNameError {
    /// It has no colon with something on both sides.
    #[error("it needs the form id:version, as in com.example.app:1.0, or com.example.app:any")]
    Shape,
    /// It cannot be shown, or is too long.
    #[error(transparent)]
    Name(#[from] NameError),
}

impl SessionAppName {
    /// Reads a name as a registration writes it.
    pub fn parse(text: &str) -> Result<Self, SessionAppNameError> {
        let text = name(text, LONGEST)?;
        match text.rsplit_once(':') {
            Some((id, version)) if !id.is_empty() && !version.is_empty() => Ok(Self(text)),
            _ => Err(SessionAppNameError::Shape),
        }
    }

    /// The name under which an app asks; without a version the word `any` stands in its place.
    /// Whatever it says: it is only compared.
    pub fn asked(id: &str, version: Option<&str>) -> Self {
        Self(format!("{id}:{}", version.unwrap_or(ANY_VERSION)))
    }

    /// The app, such as `com.example.app`.
    pub fn id(&self) -> &str {
        self.parts().0
    }

    /// Its version, such as `1.0`.
    pub fn version(&self) -> &str {
        self.parts().1
    }

    /// The whole text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn parts(&self) -> (&str, &str) {
        self.0.rsplit_once(':').unwrap_or((&self.0, ""))
    }
}

impl fmt::Display for SessionAppName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An entry as somebody wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// The app and its version.
    pub name: SessionAppName,
    /// PKCS#1 `RSAPublicKey` in BASE64 (RFC 8017 appendix A.1.1); some entries have none.
    pub pubkey: Option<String>,
    /// Whether it counts.
    pub enabled: bool,
    /// Whether a key below 2048 bits is accepted.
    pub allow_weak_keys: bool,
    /// How far its keys go.
    pub scope: SessionScope,
}

/// Why an app can get no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// Its entry is switched off.
    #[error("it is switched off")]
    Disabled,
    /// Its entry has no public key.
    #[error("it has no public key")]
    NoKey,
    /// The public key cannot be read.
    #[error("its public key cannot be used: {0}")]
    Unreadable(#[from] PublicKeyError),
    /// The key is too short and the entry does not allow that.
    #[error(
        "its public key has {0} bits, which somebody else can break; use one of 2048 bits or more, \
         or set `allow_weak_keys: true` if you accept that"
    )]
    Weak(usize),
    /// Administering needs a key that nobody can break, whatever the entry allows.
    #[error("scope admin needs a public key of 2048 bits or more, and this one has {0}")]
    WeakAdmin(usize),
}

/// A registration, with what follows from it.
#[derive(Debug, Clone)]
pub struct SessionApp {
    registration: Registration,
    key: Result<PublicKey, Unusable>,
    wording: [u8; 32],
}

impl SessionApp {
    /// Judges an entry.
    pub fn new(registration: Registration) -> Self {
        let key = match registration.pubkey.as_deref() {
            Some(text) => PublicKey::parse(text).map_err(Unusable::from),
            None => Err(Unusable::NoKey),
        };
        Self {
            wording: wording(&registration),
            key,
            registration,
        }
    }

    /// The same entry, switched on or off.
    #[must_use]
    pub fn switched(self, enabled: bool) -> Self {
        let registration = Registration {
            enabled,
            ..self.registration
        };
        Self {
            wording: wording(&registration),
            registration,
            ..self
        }
    }

    /// What was written.
    pub const fn registration(&self) -> &Registration {
        &self.registration
    }

    /// The app and its version.
    pub const fn name(&self) -> &SessionAppName {
        &self.registration.name
    }

    /// How far its keys go.
    pub const fn scope(&self) -> SessionScope {
        self.registration.scope
    }

    /// The key to verify with, if the app may have session keys.
    pub fn usable(&self) -> Result<&PublicKey, Unusable> {
        // Said first: whoever switched it off need not hear of its key.
        if !self.registration.enabled {
            return Err(Unusable::Disabled);
        }
        match self.fault() {
            Some(why) => Err(why),
            None => self.key.as_ref().map_err(|why| *why),
        }
    }

    /// What is wrong with its key, switched on or not.
    pub fn fault(&self) -> Option<Unusable> {
        let bits = match &self.key {
            Ok(key) => key.bits(),
            Err(why) => return Some(*why),
        };
        let Registration {
            allow_weak_keys,
            scope,
            ..
        } = self.registration;
        if bits >= STRONG_BITS {
            None
        } else if !allow_weak_keys {
            Some(Unusable::Weak(bits))
        } else {
            (scope == SessionScope::Admin).then_some(Unusable::WeakAdmin(bits))
        }
    }

    /// How long its key is, if that can be read.
    pub fn bits(&self) -> Option<usize> {
        self.key.as_ref().ok().map(PublicKey::bits)
    }

    /// Whether its key is one that somebody else can break.
    pub fn is_weak(&self) -> bool {
        self.bits().is_some_and(|bits| bits < STRONG_BITS)
    }

    /// The SHA-256 of its public key, if that can be read.
    pub fn fingerprint(&self) -> Option<String> {
        self.key.as_ref().ok().map(PublicKey::fingerprint)
    }

    /// Tells two wordings of one name apart: changes with everything that an entry says.
    pub const fn wording(&self) -> &[u8; 32] {
        &self.wording
    }
}

fn wording(registration: &Registration) -> [u8; 32] {
    let Registration {
        name,
        pubkey,
        enabled,
        allow_weak_keys,
        scope,
    } = registration;
    let pubkey = pubkey.as_deref().unwrap_or_default();
    let text = format!("{name}\n{pubkey}\n{enabled}\n{allow_weak_keys}\n{scope}");
    Sha256::digest(text).into()
}
