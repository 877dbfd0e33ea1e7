//! TLS in front of a relay's plain listener, for hosts only.
//!
//! A relay listens with TLS or without, and callers are to be measured without, as with every other tunnel here, and
//! hosts with. What this costs, a further copy of every byte included, counts as the relay's: Latchkey is measured as
//! slower than it is when the relay ends TLS itself.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use latchkey_net::tunnel::tune_socket;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::copy_bidirectional_with_sizes;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::task::TaskTracker;

/// A record of TLS.
const BUFFER: usize = 16 * 1024;

/// Makes `ca.pem`, and `tls.pem` and `tls.key` for these names and addresses, in `folder`.
pub fn certify(folder: &Path, names: &[&str]) -> anyhow::Result<()> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let name = &mut params.distinguished_name;
    name.push(DnType::CommonName, "Latchkey bench");
    let key = KeyPair::generate()?;
    let certificate = params.clone().self_signed(&key)?;
    std::fs::write(folder.join("ca.pem"), certificate.pem())?;
    let issuer = Issuer::new(params, key);
    let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new(names)?.signed_by(&key, &issuer)?;
    std::fs::write(folder.join("tls.pem"), certificate.pem())?;
    std::fs::write(folder.join("tls.key"), key.serialize_pem())?;
    Ok(())
}

/// Ends TLS at `listen`, and goes on without to `target`, until it is dropped.
pub async fn run(listen: SocketAddr, target: SocketAddr, folder: &Path) -> anyhow::Result<()> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let certificate = CertificateDer::from_pem_file(folder.join("tls.pem"))?;
    let key = PrivateKeyDer::from_pem_file(folder.join("tls.key"))?;
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)?;
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind(listen).await.context("listening")?;
    let tracker = TaskTracker::new();
    loop {
        let Ok((socket, _)) = listener.accept().await else {
            sleep(Duration::from_millis(20)).await;
            continue;
        };
        // As a relay does with the connections of hosts.
        tune_socket(&socket);
        let accepting = acceptor.accept(socket);
        tracker.spawn(async move {
            let Ok(Ok(mut outside)) = timeout(Duration::from_secs(10), accepting).await else {
                return;
            };
            let Ok(mut inside) = TcpStream::connect(target).await else {
                return;
            };
            let _ = inside.set_nodelay(true);
            let _ = copy_bidirectional_with_sizes(&mut outside, &mut inside, BUFFER, BUFFER).await;
        });
    }
}
