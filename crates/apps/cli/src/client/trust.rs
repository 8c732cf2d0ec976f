//! Whom the client believes: the certificates in a PEM file, TLS 1.3, and `ring`, handed over explicitly.

use std::fs::File;
use std::io::Read as _;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use crate::failure::{Exit, Failure};
use crate::settings::Settings;

/// Largest file of certificates: the bundle of all public authorities has 220 KiB.
const CA_BYTES_MAX: u64 = 1024 * 1024;

/// Finds the file with the certificate authority.
fn path(settings: &Settings) -> Result<PathBuf, Failure> {
    let in_data = || settings.path("data-dir").map(|folder| folder.join("ca/ca.crt"));
    settings.path("ca").or_else(in_data).ok_or_else(|| {
        Failure::new(Exit::Usage, "it is not known which certificate authority to trust").hint(
            "name the fleet's device CA with --ca FILE, or the server's data directory with --data-dir DIR; \
             both can stand in fleetwarden.toml",
        )
    })
}

/// Reads the certificates that the server's may come from.
pub(crate) fn authorities(settings: &Settings) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let path = path(settings)?;
    let failed = |error| {
        Failure::file("read the certificate authority", &path, &error)
            .hint("has `fleetwarden setup` been run? --ca FILE or --data-dir DIR say where it is")
    };
    let mut bytes = Vec::new();
    File::open(&path).map_err(failed)?.take(CA_BYTES_MAX).read_to_end(&mut bytes).map_err(failed)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) | Err(_) => {
            Err(Failure::new(Exit::Invalid, format!("{} holds no certificate in PEM", path.display())))
        }
    }
}

/// Makes the TLS configuration of the client.
pub(super) fn tls_config(settings: &Settings) -> Result<TlsConfig, Failure> {
    let roots = authorities(settings)?;
    let roots = roots.iter().map(|root| Certificate::from_der(root.as_ref()).to_owned());
    let roots: Vec<Certificate<'static>> = roots.collect();
    Ok(TlsConfig::builder()
        .root_certs(RootCerts::new_with_certs(&roots))
        .unversioned_rustls_crypto_provider(Arc::new(provider()))
        .build())
}

/// Makes a TLS configuration for a look at the server's own certificate.
pub(crate) fn connect_config(settings: &Settings) -> Result<ClientConfig, Failure> {
    let roots = authorities(settings)?;
    let root =
        roots.first().ok_or_else(|| Failure::new(Exit::Invalid, "there is no certificate authority"))?;
    warden_keys::client_config(root.as_ref(), None).map_err(|error| Failure::invalid("set up TLS", &error))
}

/// `ring` with the cipher suites of TLS 1.3 only: without others, no older version can be agreed on.
fn provider() -> CryptoProvider {
    let all = ring::default_provider();
    let cipher_suites = all.cipher_suites.iter().copied().filter(|suite| suite.tls13().is_some()).collect();
    CryptoProvider { cipher_suites, ..all }
}

#[cfg(test)]
mod tests {
    use super::provider;

    #[test]
    fn nothing_below_tls_1_3_can_be_agreed_on() {
        assert!(!provider().cipher_suites.is_empty());
        assert!(
            provider()
                .cipher_suites
                .iter()
                .all(|suite| suite.version().version == rustls::ProtocolVersion::TLSv1_3)
        );
    }
}
