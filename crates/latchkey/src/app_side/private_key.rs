//! An app's private key: reading it from a file, making one, signing with it.
//!
//! What leaves this module is a signature, the public key, or the file that was asked for.

#![expect(
    clippy::disallowed_types,
    reason = "an app signs; this module is the app's side, and the only one that has private keys"
)]

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use latchkey_model::session_key::{PublicKey, PublicKeyError};
use rsa::pkcs1::{DecodeRsaPrivateKey as _, EncodeRsaPublicKey as _};
use rsa::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, LineEnding};
use rsa::rand_core::OsRng;
use rsa::{Pkcs1v15Sign, RsaPrivateKey};
use sha1::{Digest as _, Sha1};
use zeroize::Zeroizing;

/// A file with a key of 4096 bits has 3.3 kB; certificates may stand beside it.
const LONGEST_FILE: usize = 64 * 1024;

/// Why something is no private key to sign with. Never has any of it in it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PrivateKeyError {
    #[error("is empty")]
    Empty,
    #[error("is longer than any private key")]
    TooLong,
    #[error(
        "is not PEM, which begins with -----BEGIN; if it is DER, convert it: \
         openssl pkey -inform DER -in FILE -out FILE.pem"
    )]
    NotPem,
    #[error("has no private key in it, but {0}; name the file of the private key")]
    Another(&'static str),
    #[error(
        "is encrypted, and no password is asked for here; decrypt it first: \
         openssl pkey -in FILE -out DECRYPTED"
    )]
    Encrypted,
    #[error("is in OpenSSH's own form; convert a copy of it: ssh-keygen -p -m PEM -f COPY")]
    OpenSsh,
    #[error(
        "has no RSA key in it, but {0}; session keys need RSA: latchkey app-keygen makes a pair"
    )]
    NotRsa(&'static str),
    #[error("is cut off or damaged; restore it from a copy, or make a new pair and register that")]
    Damaged,
    #[error("has a key of {0} bits, and no host takes less than 512 or more than 4096")]
    Bits(usize),
}

/// Why a file with a private key is of no use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PrivateKeyFileError {
    #[error("cannot read the private key {0}: {1}")]
    Read(String, io::Error),
    #[error("cannot write the private key {0}: {1}")]
    Write(String, io::Error),
    #[error(
        "{0} exists, and a private key is never overwritten; name another file with \
         --private-key, or move that one away"
    )]
    Exists(String),
    #[error("the private key {0} {1}")]
    Unusable(String, PrivateKeyError),
}

/// Wiped from memory when it is dropped, and cannot be printed.
pub(crate) struct PrivateKey {
    key: RsaPrivateKey,
    /// What fits it, and may be shown to anybody.
    public: PublicKey,
}

impl PrivateKey {
    /// Makes one. Takes seconds, and more where the machine is slow.
    pub(crate) fn generate(bits: usize) -> Result<Self, rsa::Error> {
        let key = RsaPrivateKey::new(&mut OsRng, bits)?;
        Self::new(key).map_err(|_| rsa::Error::Internal)
    }

    fn new(key: RsaPrivateKey) -> Result<Self, PublicKeyError> {
        let der = key.to_public_key().to_pkcs1_der();
        let der = der.expect("two integers have a DER");
        let public = PublicKey::from_der(der.as_bytes())?;
        Ok(Self { key, public })
    }

    pub(crate) fn read(path: &Path) -> Result<Self, PrivateKeyFileError> {
        let name = || path.display().to_string();
        // As long as it can get from the start: what grows leaves copies of itself behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(LONGEST_FILE + 64));
        let read = File::open(path).and_then(|file| {
            let most = u64::try_from(LONGEST_FILE + 1).expect("it is small");
            file.take(most).read_to_end(&mut bytes)
        });
        read.map_err(|cause| PrivateKeyFileError::Read(name(), cause))?;
        Self::parse(&bytes).map_err(|why| PrivateKeyFileError::Unusable(name(), why))
    }

    /// Reads PEM: PKCS#1 or PKCS#8, with whatever stands around it.
    fn parse(bytes: &[u8]) -> Result<Self, PrivateKeyError> {
        if bytes.len() > LONGEST_FILE {
            return Err(PrivateKeyError::TooLong);
        }
        if bytes.trim_ascii().is_empty() {
            return Err(PrivateKeyError::Empty);
        }
        let text = str::from_utf8(bytes).map_err(|_| PrivateKeyError::NotPem)?;
        let block = private_block(text)?;
        let key = match block.label {
            "RSA PRIVATE KEY" => RsaPrivateKey::from_pkcs1_der(&block.der()?)
                .map_err(|_| PrivateKeyError::Damaged)?,
            "PRIVATE KEY" => from_pkcs8(&block.der()?)?,
            "ENCRYPTED PRIVATE KEY" => return Err(PrivateKeyError::Encrypted),
            "EC PRIVATE KEY" => return Err(PrivateKeyError::NotRsa("one for elliptic curves")),
            "DSA PRIVATE KEY" => return Err(PrivateKeyError::NotRsa("one for DSA")),
            "OPENSSH PRIVATE KEY" => return Err(PrivateKeyError::OpenSsh),
            _ => return Err(PrivateKeyError::NotRsa("one of another kind")),
        };
        Self::new(key).map_err(|error| match error {
            PublicKeyError::Size(bits) => PrivateKeyError::Bits(bits),
            _ => PrivateKeyError::Damaged,
        })
    }

    /// Keeps it in a new file, as PKCS#8, which its owner alone may read.
    pub(crate) fn write_new(&self, path: &Path) -> Result<(), PrivateKeyFileError> {
        let failed = |cause| PrivateKeyFileError::Write(path.display().to_string(), cause);
        let pem = self.key.to_pkcs8_pem(LineEnding::LF);
        let pem = pem.map_err(|error| failed(io::Error::other(error)))?;
        let mut options = OpenOptions::new();
        let opened = options.write(true).create_new(true).mode(0o600).open(path);
        let mut file = opened.map_err(|cause| match cause.kind() {
            io::ErrorKind::AlreadyExists => PrivateKeyFileError::Exists(path.display().to_string()),
            _ => failed(cause),
        })?;
        let written = file
            .write_all(pem.as_bytes())
            .and_then(|()| file.sync_all());
        written.map_err(|cause| {
            let _ = fs::remove_file(path);
            failed(cause)
        })
    }

    /// RSASSA-PKCS1-v1_5 with SHA-1, in BASE64. Blinds, so that its time says nothing of the key.
    pub(crate) fn sign(&self, message: &str) -> Result<String, rsa::Error> {
        let hash = Sha1::digest(message);
        let scheme = Pkcs1v15Sign::new::<Sha1>();
        let signature = self.key.sign_with_rng(&mut OsRng, scheme, &hash)?;
        Ok(STANDARD.encode(signature))
    }

    pub(crate) fn public(&self) -> &PublicKey {
        &self.public
    }
}

/// Whether others on this machine can read the file.
pub(crate) fn is_shared(path: &Path) -> bool {
    // A pipe is gone once it is read, and its mode says nothing.
    fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o077 != 0)
}

/// One block of PEM.
struct Block<'a> {
    label: &'a str,
    body: &'a str,
}

impl Block<'_> {
    /// Lines may be of any length: files get pasted and indented.
    fn der(&self) -> Result<Zeroizing<Vec<u8>>, PrivateKeyError> {
        // In a field before the BASE64, which has no comma.
        if self.body.contains("4,ENCRYPTED") {
            return Err(PrivateKeyError::Encrypted);
        }
        let mut text = Zeroizing::new(String::with_capacity(self.body.len()));
        text.extend(self.body.split_ascii_whitespace());
        let mut der = Zeroizing::new(vec![0; text.len()]);
        let length = STANDARD.decode_slice(text.as_bytes(), &mut der);
        der.truncate(length.map_err(|_| PrivateKeyError::Damaged)?);
        Ok(der)
    }
}

/// The first private key in `text`.
fn private_block(text: &str) -> Result<Block<'_>, PrivateKeyError> {
    let mut rest = text;
    let mut instead = None;
    while let Some((_, after)) = rest.split_once("-----BEGIN ") {
        let (label, after) = after.split_once("-----").ok_or(PrivateKeyError::NotPem)?;
        let (body, after) = after
            .split_once("-----END ")
            .ok_or(PrivateKeyError::Damaged)?;
        if label.ends_with("PRIVATE KEY") {
            return Ok(Block { label, body });
        }
        instead = instead.or(Some(label));
        rest = after;
    }
    Err(match instead {
        None => PrivateKeyError::NotPem,
        Some(label) if label.contains("PUBLIC KEY") => PrivateKeyError::Another("a public key"),
        Some(label) if label.contains("CERTIFICATE") => PrivateKeyError::Another("a certificate"),
        Some(_) => PrivateKeyError::Another("something else"),
    })
}

fn from_pkcs8(der: &[u8]) -> Result<RsaPrivateKey, PrivateKeyError> {
    let info = rsa::pkcs8::PrivateKeyInfo::try_from(der).map_err(|_| PrivateKeyError::Damaged)?;
    if info.algorithm.oid != rsa::pkcs1::ALGORITHM_OID {
        return Err(PrivateKeyError::NotRsa("one of another kind"));
    }
    RsaPrivateKey::from_pkcs8_der(der).map_err(|_| PrivateKeyError::Damaged)
}

#[cfg(test)]
mod tests {
    use super::*;

    // The documentation of App Session Keys publishes this pair, and what it signs.
    const DOCUMENTED: &str = include_str!("../../../model/src/session_key/documented_key.pem");
    const MESSAGE: &str = "com.example.my_octoprint_app:1.0:F43A844750F74AD080FE9F438D47B33C";
    const SIGNATURE: &str =
        "LGVCiolQWDc4AVn1DOcWljY0cFQxWF4pldVveUjjmL9JhiL0LnCKBbGwZ/CwKBWswFAxPaxQ0kDusVdOmCUa/w==";
    const PUBLIC: &str = "MEgCQQCIWfi7Nc8bcnfZJJtA6a4RyMC+sKBlMOb25OVNNB4L2v0TiGO72jVKR4osvb4oztlbRW5GkdiY0T2LJcfDYvkJAgMBAAE=";

    fn refused(text: &str) -> PrivateKeyError {
        PrivateKey::parse(text.as_bytes()).err().unwrap()
    }

    fn block(label: &str, body: &str) -> String {
        format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
    }

    #[test]
    fn the_documented_key_signs_as_documented() {
        let key = PrivateKey::parse(DOCUMENTED.as_bytes()).unwrap();
        assert_eq!(key.sign(MESSAGE).unwrap(), SIGNATURE);
        let public = key.public();
        assert_eq!(public.to_base64(), PUBLIC);
        assert_eq!(public.bits(), 512);
        assert_eq!(
            public.fingerprint(),
            "SHA256:QwQZreV/A8tLaVX6q7ojOOlgIwJ1AZMCNNdZ1mLlrCg"
        );
    }

    #[test]
    fn a_key_is_read_however_its_file_is_laid_out() {
        let key = PrivateKey::parse(DOCUMENTED.as_bytes()).unwrap();
        let pkcs8 = key.key.to_pkcs8_pem(LineEnding::LF).unwrap();
        let one_line: String = DOCUMENTED
            .lines()
            .filter(|line| !line.contains("--"))
            .collect();
        for text in [
            pkcs8.to_string(),
            DOCUMENTED.replace('\n', "\r\n"),
            DOCUMENTED.replace('\n', "\n    "),
            DOCUMENTED.trim_end().to_owned(),
            block("RSA PRIVATE KEY", &one_line),
            format!("Bag Attributes\n    friendlyName: app\n{}", *pkcs8),
            format!("{}{DOCUMENTED}", block("CERTIFICATE", "MIIB")),
        ] {
            let key = PrivateKey::parse(text.as_bytes());
            let key = key.unwrap_or_else(|error| panic!("it {error}:\n{text}"));
            assert_eq!(key.sign(MESSAGE).unwrap(), SIGNATURE);
        }
    }

    #[test]
    fn what_is_no_key_to_sign_with_is_refused_with_what_it_is() {
        use PrivateKeyError::{
            Another, Damaged, Empty, Encrypted, NotPem, NotRsa, OpenSsh, TooLong,
        };
        let elliptic = rcgen::KeyPair::generate().unwrap().serialize_pem();
        let proc_type = "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nMIIB";
        let cut = DOCUMENTED.split_at(300).0;
        for (text, why) in [
            ("", Empty),
            (" \n\n", Empty),
            ("MIIB", NotPem),
            ("-----BEGIN ", NotPem),
            (&"x".repeat(LONGEST_FILE + 1), TooLong),
            (cut, Damaged),
            (&DOCUMENTED.replace("MIIBPQ", "MIIBPR"), Damaged),
            (&DOCUMENTED.replace("hZ+Ls1z", "hZ+Ls2z"), Damaged),
            (&block("RSA PRIVATE KEY", "?"), Damaged),
            (&block("RSA PRIVATE KEY", ""), Damaged),
            (&block("PRIVATE KEY", "MIIB"), Damaged),
            (&block("ENCRYPTED PRIVATE KEY", "MIIB"), Encrypted),
            (&block("RSA PRIVATE KEY", proc_type), Encrypted),
            (&elliptic, NotRsa("one of another kind")),
            (
                &block("EC PRIVATE KEY", "MIIB"),
                NotRsa("one for elliptic curves"),
            ),
            (&block("OPENSSH PRIVATE KEY", "b3Bl"), OpenSsh),
            (&block("PUBLIC KEY", "MIIB"), Another("a public key")),
            (&block("RSA PUBLIC KEY", "MIIB"), Another("a public key")),
            (&block("CERTIFICATE", "MIIB"), Another("a certificate")),
        ] {
            assert_eq!(refused(text), why, "{text:.120}");
        }
        let bytes = [0x30, 0x82, 0xff, 0xfe];
        assert_eq!(PrivateKey::parse(&bytes).err(), Some(NotPem));
    }

    #[test]
    fn a_new_file_is_its_owners_and_never_replaces_another() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("app.pem");
        let key = PrivateKey::parse(DOCUMENTED.as_bytes()).unwrap();
        key.write_new(&path).unwrap();
        assert!(!is_shared(&path));
        let read = PrivateKey::read(&path).unwrap();
        assert_eq!(read.public(), key.public());
        let again = key.write_new(&path).unwrap_err();
        assert!(matches!(again, PrivateKeyFileError::Exists(_)), "{again}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(is_shared(&path));
        let nowhere = key
            .write_new(&folder.path().join("no/app.pem"))
            .unwrap_err();
        assert!(
            matches!(nowhere, PrivateKeyFileError::Write(..)),
            "{nowhere}"
        );
    }
}
