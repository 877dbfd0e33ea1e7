//! TLS for both ends: which certificates are believed, and the tunnel's exporter.
//!
//! The provider is named explicitly (ring), never taken from process-wide state: two
//! providers in one graph would make rustls panic at the first connection.

mod certificate;

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::ResolvesServerCert;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use url::Host;

pub use certificate::{Certificate, Files, Shown, Stamp};

/// The protocol name a host offers for its tunnel.
pub const ALPN_TUNNEL: &[u8] = b"latchkey/1";
/// The label under which both ends derive the tunnel's exporter value (RFC 5705).
pub const EXPORTER_LABEL: &[u8] = b"EXPORTER-latchkey-tunnel-1";

/// What can be wrong with certificates and keys on disk.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A PEM file cannot be read or holds something else.
    #[error("cannot read {what} from {}: {cause}", path.display())]
    File {
        /// What was looked for in the file.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        cause: rustls::pki_types::pem::Error,
    },
    /// A PEM file is readable but has no certificate in it.
    #[error("no certificate in {}", .0.display())]
    NoCertificate(PathBuf),
    /// What should be certificates or a key in PEM is something else.
    #[error("not certificates and a key in PEM: {0}")]
    Pem(rustls::pki_types::pem::Error),
    /// There is no certificate where one should be.
    #[error("there is no certificate in it")]
    Empty,
    /// What stands in the place of a certificate is none.
    #[error("the certificate cannot be read")]
    Garbled,
    /// The certificate and key do not fit together, or rustls refuses them.
    #[error("{0}")]
    Rustls(#[from] rustls::Error),
}

/// The value both ends of one TLS connection can derive, and nobody else.
#[derive(Clone, PartialEq, Eq)]
pub struct Exporter([u8; 32]);

impl Exporter {
    /// Wraps a value that was derived with [`EXPORTER_LABEL`].
    pub fn new(value: [u8; 32]) -> Self {
        Self(value)
    }

    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl std::fmt::Debug for Exporter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Exporter(..)")
    }
}

/// Derives the exporter of an accepted TLS connection.
pub fn server_exporter<IO>(
    stream: &tokio_rustls::server::TlsStream<IO>,
) -> Result<Exporter, rustls::Error> {
    let (_, connection) = stream.get_ref();
    connection
        .export_keying_material([0; 32], EXPORTER_LABEL, None)
        .map(Exporter)
}

/// Derives the exporter of a dialled TLS connection.
pub fn client_exporter<IO>(
    stream: &tokio_rustls::client::TlsStream<IO>,
) -> Result<Exporter, rustls::Error> {
    let (_, connection) = stream.get_ref();
    connection
        .export_keying_material([0; 32], EXPORTER_LABEL, None)
        .map(Exporter)
}

/// What a host's dialler uses: TLS 1.3 only, public roots plus an own CA when given.
pub fn tunnel_client_config(extra_ca: Option<&Path>) -> Result<Arc<ClientConfig>, TlsError> {
    let protocols = vec![ALPN_TUNNEL.to_vec(), b"http/1.1".to_vec()];
    client_config(extra_ca, &[&rustls::version::TLS13], protocols)
}

/// What a caller uses who speaks HTTP/1.1: the same roots, and TLS 1.2 as well.
pub fn http_client_config(extra_ca: Option<&Path>) -> Result<Arc<ClientConfig>, TlsError> {
    let versions = &[&rustls::version::TLS13, &rustls::version::TLS12];
    client_config(extra_ca, versions, vec![b"http/1.1".to_vec()])
}

fn client_config(
    extra_ca: Option<&Path>,
    versions: &[&'static rustls::SupportedProtocolVersion],
    protocols: Vec<Vec<u8>>,
) -> Result<Arc<ClientConfig>, TlsError> {
    let mut roots = RootCertStore::empty();
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    if let Some(path) = extra_ca {
        for certificate in certificates(path)? {
            roots.add(certificate)?;
        }
    }
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(versions)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols;
    Ok(Arc::new(config))
}

/// What a relay's listener uses: TLS 1.2 and 1.3, a certificate chain and key from PEM.
///
/// [`ALPN_TUNNEL`] stands first because only hosts offer it; a browser picks `h2` or
/// `http/1.1` as if it were not there. Whichever is picked, a host speaks HTTP/1.1.
pub fn server_config(cert: &Path, key: &Path) -> Result<Arc<ServerConfig>, TlsError> {
    let files = Files {
        cert: cert.to_owned(),
        key: key.to_owned(),
    };
    Shown::new(Certificate::from_files(&files)?).server_config()
}

fn server_config_with(shown: Arc<dyn ResolvesServerCert>) -> Result<Arc<ServerConfig>, TlsError> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .with_no_client_auth()
        .with_cert_resolver(shown);
    config.alpn_protocols = vec![ALPN_TUNNEL.to_vec(), b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn file_error(what: &'static str, path: &Path, cause: rustls::pki_types::pem::Error) -> TlsError {
    TlsError::File {
        what,
        path: path.to_owned(),
        cause,
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Vec<_> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|cause| file_error("certificates", path, cause))?;
    if found.is_empty() {
        return Err(TlsError::NoCertificate(path.to_owned()));
    }
    Ok(found)
}

/// What the certificate of a host has to be for, if it can be for that.
pub fn server_name(host: &Host<String>) -> Option<ServerName<'static>> {
    match host {
        Host::Ipv4(ip) => Some(IpAddr::from(*ip).into()),
        Host::Ipv6(ip) => Some(IpAddr::from(*ip).into()),
        Host::Domain(name) => ServerName::try_from(name.clone()).ok(),
    }
}

/// Says whether a failed TLS handshake was the certificate's fault, for the sentence shown.
pub fn certificate_error(error: &io::Error) -> Option<&rustls::Error> {
    let error = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    matches!(error, rustls::Error::InvalidCertificate(_)).then_some(error)
}
