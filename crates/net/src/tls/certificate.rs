//! The certificate that a listener shows, replaced while connections go on.
//!
//! A connection keeps what it was accepted with; the next handshake gets what is shown then.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rustls::ServerConfig;
use rustls::client::verify_server_name;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::{TlsError, provider, server_config_with};

/// A chain and its key, checked to fit together.
pub struct Certificate {
    certified: Arc<CertifiedKey>,
    begins: i64,
    ends: i64,
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificate")
            .field("begins", &self.begins)
            .field("ends", &self.ends)
            .finish_non_exhaustive()
    }
}

impl Certificate {
    /// Reads a chain, leaf first, and its key from PEM files.
    pub fn from_files(files: &Files) -> Result<Self, TlsError> {
        let chain = super::certificates(&files.cert)?;
        let key = PrivateKeyDer::from_pem_file(&files.key)
            .map_err(|cause| super::file_error("a private key", &files.key, cause))?;
        Self::new(chain, key)
    }

    /// The same, from what such files hold.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let chain: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(chain).collect();
        let key = PrivateKeyDer::from_pem_slice(key);
        Self::new(chain.map_err(TlsError::Pem)?, key.map_err(TlsError::Pem)?)
    }

    fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, TlsError> {
        let leaf = chain.first().ok_or(TlsError::Empty)?;
        let (_, read) = x509_parser::parse_x509_certificate(leaf).map_err(|_| TlsError::Garbled)?;
        let (begins, ends) = (
            read.validity().not_before.timestamp(),
            read.validity().not_after.timestamp(),
        );
        let certified = CertifiedKey::from_der(chain, key, &provider())?;
        Ok(Self {
            certified: Arc::new(certified),
            begins,
            ends,
        })
    }

    /// Since when it is good, in seconds since 1970.
    pub fn begins(&self) -> i64 {
        self.begins
    }

    /// Until when it is good, in seconds since 1970.
    pub fn ends(&self) -> i64 {
        self.ends
    }

    /// Whether it is for this host: an address, or a name, itself or by a wildcard.
    pub fn is_for(&self, host: &str) -> bool {
        let inside = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        let Ok(name) = ServerName::try_from(inside.unwrap_or(host)) else {
            return false;
        };
        let leaf = self.certified.cert.first();
        leaf.and_then(|leaf| ParsedCertificate::try_from(leaf).ok())
            .is_some_and(|parsed| verify_server_name(&parsed, &name).is_ok())
    }

    /// The leaf, as it goes over the wire.
    pub fn leaf(&self) -> &CertificateDer<'static> {
        &self.certified.cert[0]
    }
}

/// What a listener shows at the moment.
#[derive(Clone, Debug)]
pub struct Shown(Arc<RwLock<Arc<Certificate>>>);

impl Shown {
    /// Shows this one first.
    pub fn new(certificate: Certificate) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(certificate))))
    }

    /// Shows another one from the next handshake on.
    pub fn replace(&self, certificate: Certificate) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(certificate);
    }

    /// The one that is shown.
    pub fn current(&self) -> Arc<Certificate> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// What a relay's listener uses; see [`super::server_config`].
    pub fn server_config(&self) -> Result<Arc<ServerConfig>, TlsError> {
        server_config_with(Arc::new(self.clone()))
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current().certified))
    }
}

/// Where a certificate and its key are kept, in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// The chain, leaf first.
    pub cert: PathBuf,
    /// The key.
    pub key: PathBuf,
}

/// Which files stood there at some moment. Those behind symbolic links count: renewing programs
/// write files anew, or point links at others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp([FileStamp; 2]);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileStamp {
    device: u64,
    inode: u64,
    length: u64,
    /// Seconds and nanoseconds.
    written: (i64, i64),
    changed: (i64, i64),
}

impl Files {
    /// Looks at the files without reading them.
    pub fn stamp(&self) -> io::Result<Stamp> {
        Ok(Stamp([
            FileStamp::of(&self.cert)?,
            FileStamp::of(&self.key)?,
        ]))
    }
}

impl FileStamp {
    fn of(path: &Path) -> io::Result<Self> {
        let found = fs::metadata(path)?;
        Ok(Self {
            device: found.dev(),
            inode: found.ino(),
            length: found.len(),
            written: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        })
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    fn pair(names: &[&str]) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut wanted = CertificateParams::new(names).unwrap();
        wanted.not_before = rcgen::date_time_ymd(2026, 11, 1);
        wanted.not_after = rcgen::date_time_ymd(2027, 1, 30);
        let certificate = wanted.self_signed(&key).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    fn certificate(names: &[&str]) -> Certificate {
        let (chain, key) = pair(names);
        Certificate::from_pem(chain.as_bytes(), key.as_bytes()).unwrap()
    }

    #[test]
    fn a_certificate_tells_its_time_and_its_names() {
        let certificate = certificate(&["relay.example.com", "*.printers.example.net"]);
        assert_eq!(certificate.begins(), 1_793_491_200);
        assert_eq!(certificate.ends(), 1_801_267_200);
        for (name, good) in [
            ("relay.example.com", true),
            ("RELAY.example.com", true),
            ("app-x.printers.example.net", true),
            ("printers.example.net", false),
            ("a.b.printers.example.net", false),
            ("example.com", false),
            ("not a name", false),
            ("192.0.2.1", false),
        ] {
            assert_eq!(certificate.is_for(name), good, "{name}");
        }
    }

    #[test]
    fn a_certificate_for_addresses_is_for_these() {
        let certificate = certificate(&["192.0.2.1", "2001:db8::1"]);
        for (host, good) in [
            ("192.0.2.1", true),
            ("[2001:db8::1]", true),
            ("192.0.2.2", false),
            ("[2001:db8::2]", false),
            ("[]", false),
        ] {
            assert_eq!(certificate.is_for(host), good, "{host}");
        }
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        let (chain, key) = pair(&["a.example"]);
        let (_, other) = pair(&["a.example"]);
        let read = |chain: &str, key: &str| Certificate::from_pem(chain.as_bytes(), key.as_bytes());
        assert!(read(&chain, &key).is_ok());
        let mismatch = read(&chain, &other).unwrap_err();
        assert!(
            matches!(
                mismatch,
                TlsError::Rustls(rustls::Error::InconsistentKeys(_))
            ),
            "{mismatch}"
        );
        assert!(matches!(read("", &key), Err(TlsError::Empty)));
        assert!(read(&chain, "").is_err());
        let half = &chain[..chain.len() / 2];
        assert!(read(half, &key).is_err());
        let garbled = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(matches!(read(garbled, &key), Err(TlsError::Garbled)));
    }

    #[test]
    fn every_way_of_replacing_files_changes_their_stamp() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let files = Files {
            cert: at("cert.pem"),
            key: at("key.pem"),
        };
        assert!(files.stamp().is_err());
        for name in ["1.pem", "2.pem", "key.pem"] {
            fs::write(at(name), "x").unwrap();
        }
        std::os::unix::fs::symlink("1.pem", at("cert.pem")).unwrap();
        let first = files.stamp().unwrap();
        assert_eq!(files.stamp().unwrap(), first);
        // A link to another file of the same length.
        std::os::unix::fs::symlink("2.pem", at("new")).unwrap();
        fs::rename(at("new"), at("cert.pem")).unwrap();
        let second = files.stamp().unwrap();
        assert_ne!(second, first);
        fs::write(at("draft"), "x").unwrap();
        fs::rename(at("draft"), at("key.pem")).unwrap();
        let third = files.stamp().unwrap();
        assert_ne!(third, second);
        fs::write(at("key.pem"), "longer").unwrap();
        assert_ne!(files.stamp().unwrap(), third);
    }
}
