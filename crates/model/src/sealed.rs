//! Sealing: what must be shown again, kept so that the database alone does not tell it.

use std::fmt;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::chance::Chance;
use crate::id::AppKeyId;
use crate::secret::{AppKeyText, Secret};

const NONCE: usize = 24;

/// What a key file outside the database holds, and what is derived from it (RFC 5869).
#[derive(Clone)]
pub struct MasterKey(Zeroizing<[u8; 32]>);

/// Seals app keys (XChaCha20-Poly1305).
#[derive(Clone)]
pub struct SealingKey(Zeroizing<[u8; 32]>);

/// Seals what is kept for one purpose: addresses, pictures (XChaCha20-Poly1305).
#[derive(Clone)]
pub struct Vault(Zeroizing<[u8; 32]>);

/// Signs values that a caller keeps for us (HMAC-SHA-256, RFC 2104).
#[derive(Clone)]
pub struct SigningKey(Zeroizing<[u8; 32]>);

/// A sealed text does not open: another key file, or other bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it was sealed with another key")]
pub struct UnsealError;

impl MasterKey {
    /// How many bytes a key file holds.
    pub const LENGTH: usize = 32;

    /// Makes a new one.
    pub fn generate(chance: &dyn Chance) -> Self {
        let mut bytes = Zeroizing::new([0; Self::LENGTH]);
        chance.fill(&mut *bytes);
        Self(bytes)
    }

    /// The key as it was kept.
    pub fn from_bytes(bytes: [u8; Self::LENGTH]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes to keep.
    pub fn expose(&self) -> &[u8; Self::LENGTH] {
        &self.0
    }

    /// The key that app keys are sealed with.
    pub fn sealing(&self) -> SealingKey {
        SealingKey(self.derive(b"latchkey app keys 1"))
    }

    /// The key that seals for one purpose.
    pub fn vault(&self, purpose: &'static str) -> Vault {
        Vault(self.derive(purpose.as_bytes()))
    }

    /// The key that signs for one purpose.
    pub fn signing(&self, purpose: &'static str) -> SigningKey {
        SigningKey(self.derive(purpose.as_bytes()))
    }

    fn derive(&self, purpose: &[u8]) -> Zeroizing<[u8; 32]> {
        let mut derived = Zeroizing::new([0; 32]);
        Hkdf::<Sha256>::new(None, &*self.0)
            .expand(purpose, &mut *derived)
            .expect("32 bytes can be derived");
        derived
    }
}

impl SealingKey {
    /// The key's text, to be kept with the row `id` and no other.
    pub fn seal(&self, key: &AppKeyText, id: &AppKeyId, chance: &dyn Chance) -> Vec<u8> {
        seal(&self.0, key.expose().as_bytes(), id.as_str(), chance)
    }

    /// The text of the key that was kept with the row `id`.
    pub fn open(&self, sealed: &[u8], id: &AppKeyId) -> Result<AppKeyText, UnsealError> {
        let text = open(&self.0, sealed, id.as_str())?;
        let text = std::str::from_utf8(&text).map_err(|_| UnsealError)?;
        Secret::parse(text).map_err(|_| UnsealError)
    }
}

impl Vault {
    /// Seals bytes, to be kept with the row `id` and no other.
    pub fn seal(&self, plain: &[u8], id: &str, chance: &dyn Chance) -> Vec<u8> {
        seal(&self.0, plain, id, chance)
    }

    /// The bytes that were kept with the row `id`.
    pub fn open(&self, sealed: &[u8], id: &str) -> Result<Zeroizing<Vec<u8>>, UnsealError> {
        open(&self.0, sealed, id)
    }
}

fn seal(key: &[u8; 32], plain: &[u8], id: &str, chance: &dyn Chance) -> Vec<u8> {
    let mut nonce = [0; NONCE];
    chance.fill(&mut nonce);
    let payload = Payload {
        msg: plain,
        aad: id.as_bytes(),
    };
    let sealed = XChaCha20Poly1305::new(key.into())
        .encrypt(&XNonce::from(nonce), payload)
        .expect("what is kept is not too long to be sealed");
    [nonce.as_slice(), &sealed].concat()
}

fn open(key: &[u8; 32], sealed: &[u8], id: &str) -> Result<Zeroizing<Vec<u8>>, UnsealError> {
    let (nonce, sealed) = sealed.split_first_chunk::<NONCE>().ok_or(UnsealError)?;
    let payload = Payload {
        msg: sealed,
        aad: id.as_bytes(),
    };
    let opened = XChaCha20Poly1305::new(key.into()).decrypt(&XNonce::from(*nonce), payload);
    opened.map(Zeroizing::new).map_err(|_| UnsealError)
}

impl SigningKey {
    /// The signature of a text.
    pub fn sign(&self, text: &str) -> [u8; 32] {
        self.mac(text).finalize().into_bytes().into()
    }

    /// Whether a signature is the text's, in constant time.
    pub fn verify(&self, text: &str, signature: &[u8]) -> bool {
        self.mac(text).verify_slice(signature).is_ok()
    }

    fn mac(&self, text: &str) -> Hmac<Sha256> {
        let mut mac =
            <Hmac<Sha256> as KeyInit>::new_from_slice(&*self.0).expect("a key may have any length");
        mac.update(text.as_bytes());
        mac
    }
}

macro_rules! unprinted {
    ($($key:ident),*) => {$(
        impl fmt::Debug for $key {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($key), "(…)"))
            }
        }
    )*};
}

unprinted!(MasterKey, SealingKey, SigningKey, Vault);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chance::SeededChance;

    #[test]
    fn a_sealed_key_opens_in_its_row_only() {
        let chance = SeededChance::new(1);
        let sealing = MasterKey::generate(&chance).sealing();
        let key = AppKeyText::generate(&chance);
        let (row, other) = (AppKeyId::generate(&chance), AppKeyId::generate(&chance));
        let sealed = sealing.seal(&key, &row, &chance);
        assert_eq!(sealing.open(&sealed, &row).unwrap().hash(), key.hash());
        assert_eq!(sealing.open(&sealed, &other).unwrap_err(), UnsealError);
        let another = MasterKey::generate(&chance).sealing();
        assert_eq!(another.open(&sealed, &row).unwrap_err(), UnsealError);
        for index in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[index] ^= 1;
            assert!(sealing.open(&changed, &row).is_err(), "byte {index}");
        }
        assert!(sealing.open(&sealed[..10], &row).is_err());
        let again = sealing.seal(&key, &row, &chance);
        assert_ne!(again, sealed, "each sealing has its own nonce");
        let text = key.expose().as_bytes();
        assert!(!sealed.windows(text.len()).any(|part| part == text));
    }

    #[test]
    fn a_vault_opens_what_was_sealed_for_its_purpose_and_row() {
        let chance = SeededChance::new(1);
        let master = MasterKey::from_bytes([7; 32]);
        let vault = master.vault("a");
        let sealed = vault.seal(b"https://a.example/?key=b", "row", &chance);
        assert!(!sealed.windows(3).any(|part| part == b"key"));
        let opened = vault.open(&sealed, "row").unwrap();
        assert_eq!(opened.as_slice(), b"https://a.example/?key=b");
        assert!(vault.open(&sealed, "another row").is_err());
        assert!(master.vault("b").open(&sealed, "row").is_err());
    }

    #[test]
    fn a_signature_is_of_one_text_and_one_purpose() {
        let master = MasterKey::from_bytes([7; 32]);
        let signing = master.signing("a");
        let signature = signing.sign("text");
        assert!(signing.verify("text", &signature));
        assert!(!signing.verify("texts", &signature));
        assert!(!signing.verify("text", &signature[..31]));
        assert!(!master.signing("b").verify("text", &signature));
    }

    #[test]
    fn keys_are_not_printed() {
        let master = MasterKey::from_bytes([7; 32]);
        let shown = format!(
            "{master:?} {:?} {:?} {:?}",
            master.sealing(),
            master.signing("a"),
            master.vault("a")
        );
        assert_eq!(shown, "MasterKey(…) SealingKey(…) SigningKey(…) Vault(…)");
    }
}
