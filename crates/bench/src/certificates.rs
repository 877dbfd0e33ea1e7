//! A private authority and a certificate of it, for those that speak TLS.

use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

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
