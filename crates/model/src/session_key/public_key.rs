//! RSA public keys of apps, and the one question that is asked of them.
//!
//! The arithmetic is the crate `rsa`'s: `docs/decisions/2026-11-25-rsa.md`.

use std::fmt;

use data_encoding::{BASE64, BASE64_NOPAD};
use rsa::pkcs1::DecodeRsaPublicKey as _;
use rsa::sha2::{Digest, Sha256, Sha512};
use rsa::traits::PublicKeyParts as _;
use rsa::{BigUint, RsaPublicKey};
use sha1::Sha1;

/// The shortest key that is looked at at all. Its only use is old registrations.
const FEWEST_BITS: usize = 512;
/// Longer ones take longer to verify than a stranger's request may cost.
const MOST_BITS: usize = 4096;
/// The same in DER and BASE64, generously.
const LONGEST_TEXT: usize = 2048;

/// Which digest it is, as it stands before the digest (RFC 8017 section 9.2 note 1).
const SHA1: [u8; 15] = [
    0x30, 0x21, 0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a, 0x05, 0x00, 0x04, 0x14,
];
const SHA256: [u8; 19] = [
    0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05,
    0x00, 0x04, 0x20,
];
const SHA512: [u8; 19] = [
    0x30, 0x51, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03, 0x05,
    0x00, 0x04, 0x40,
];

/// An app's RSA public key.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    key: RsaPublicKey,
    der: Vec<u8>,
}

/// Why a text is not a public key that can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PublicKeyError {
    /// Not BASE64 of one line, or far too long.
    #[error("it is not BASE64 on one line")]
    Base64,
    /// A PEM file, with its armour.
    #[error("it has lines such as BEGIN PUBLIC KEY; leave those out, and the line breaks")]
    Armour,
    /// BASE64, and not PKCS#1.
    #[error(
        "it is not an RSAPublicKey (PKCS#1) in DER; `openssl rsa -RSAPublicKey_out -outform DER` \
         makes one of a private key"
    )]
    Der,
    /// Fewer than 512 or more than 4096 bits.
    #[error("it has {0} bits, and needs 512 to 4096")]
    Size(usize),
    /// An exponent that no maker of keys chooses: even, 1, or above 2^33 - 1.
    #[error("its exponent is none that a key has")]
    Exponent,
    /// An even modulus, which is no product of two primes.
    #[error("its modulus is even")]
    Modulus,
}

/// A signature does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature is wrong")]
pub struct Reject;

impl PublicKey {
    /// Reads PKCS#1 `RSAPublicKey` DER in BASE64, without armour and line breaks.
    pub fn parse(text: &str) -> Result<Self, PublicKeyError> {
        if text.contains("-----") {
            return Err(PublicKeyError::Armour);
        }
        if text.len() > LONGEST_TEXT {
            return Err(PublicKeyError::Base64);
        }
        let der = BASE64.decode(text.as_bytes());
        let der = der.map_err(|_| PublicKeyError::Base64)?;
        Self::from_der(&der)
    }

    /// Reads PKCS#1 `RSAPublicKey` DER (RFC 8017 appendix A.1.1).
    pub fn from_der(der: &[u8]) -> Result<Self, PublicKeyError> {
        let parts = rsa::pkcs1::RsaPublicKey::try_from(der).map_err(|_| PublicKeyError::Der)?;
        let modulus = BigUint::from_bytes_be(parts.modulus.as_bytes());
        let exponent = BigUint::from_bytes_be(parts.public_exponent.as_bytes());
        let bits = modulus.bits();
        if !(FEWEST_BITS..=MOST_BITS).contains(&bits) {
            return Err(PublicKeyError::Size(bits));
        }
        if !is_odd(&modulus) {
            return Err(PublicKeyError::Modulus);
        }
        // The crate draws the other bounds: up to 2^33 - 1, and smaller than the modulus.
        if !is_odd(&exponent) || exponent < BigUint::from(3_u8) {
            return Err(PublicKeyError::Exponent);
        }
        let key = RsaPublicKey::from_pkcs1_der(der).map_err(|_| PublicKeyError::Exponent)?;
        Ok(Self {
            key,
            der: der.to_owned(),
        })
    }

    /// The length of the modulus.
    pub fn bits(&self) -> usize {
        self.key.n().bits()
    }

    /// As a registration has it.
    pub fn to_base64(&self) -> String {
        BASE64.encode(&self.der)
    }

    /// SHA-256 of the DER, as people compare it: `SHA256:` and BASE64.
    pub fn fingerprint(&self) -> String {
        let digest = Sha256::digest(&self.der);
        format!("SHA256:{}", BASE64_NOPAD.encode(&digest))
    }

    /// Whether a signature over a message is one of this key's: RSASSA-PKCS1-v1_5 (RFC 8017
    /// section 8.2.2) with SHA-1, as documented, or SHA-256 or SHA-512.
    ///
    /// What the signature hides is compared as a whole with what it has to hide; nothing in it is
    /// parsed. A length other than the modulus's is refused.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), Reject> {
        let signed = BigUint::from_bytes_be(signature);
        if signature.len() != self.key.size() || signed >= *self.key.n() {
            return Err(Reject);
        }
        // Once for all three: it is what takes the time.
        let hidden = signed.modpow(self.key.e(), self.key.n()).to_bytes_be();
        let fits = |algorithm: &[u8], digest: &[u8]| {
            encoded(self.key.size(), algorithm, digest).is_some_and(|block| block == hidden)
        };
        let fits = fits(&SHA1, &Sha1::digest(message))
            || fits(&SHA256, &Sha256::digest(message))
            || fits(&SHA512, &Sha512::digest(message));
        if fits { Ok(()) } else { Err(Reject) }
    }
}

/// What is hidden in a signature (EMSA-PKCS1-v1_5, RFC 8017 section 9.2), without the zero that it
/// begins with: a number has none. `None` for a key that is too short for the digest.
fn encoded(size: usize, algorithm: &[u8], digest: &[u8]) -> Option<Vec<u8>> {
    let padding = size.checked_sub(3 + algorithm.len() + digest.len())?;
    let padding = (padding >= 8).then(|| vec![0xff; padding])?;
    Some([&[1], &*padding, &[0], algorithm, digest].concat())
}

fn is_odd(number: &BigUint) -> bool {
    number
        .to_bytes_le()
        .first()
        .is_some_and(|byte| byte & 1 == 1)
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({} bits, {})", self.bits(), self.fingerprint())
    }
}
