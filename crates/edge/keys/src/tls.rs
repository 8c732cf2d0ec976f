//! TLS as the house wants it: identities in, `rustls` configurations out; refuses everything below TLS 1.3 and every
//! kind of resumption.
//!
//! **No resumption, and why.** A resumed TLS 1.3 connection skips the check of the client's certificate: with the
//! defaults of `rustls`, a device whose certificate was revoked reconnects with the ticket that it got before. So the
//! server keeps no sessions and sends no tickets, and the client asks for none.
//!
//! The provider is always `ring`, handed over explicitly: nothing is installed for the whole process.

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, ring};
use rustls::server::{NoServerSessionStorage, VerifierBuilderError, WebPkiClientVerifier};
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use thiserror::Error;

/// The only application protocol that is spoken.
const ALPN: &[u8] = b"http/1.1";

/// What a server shows.
#[derive(Debug)]
pub struct ServerIdentity {
    /// Its certificate, then its authority's.
    pub chain: Vec<CertificateDer<'static>>,
    /// The private key of the first certificate.
    pub key: PrivateKeyDer<'static>,
}

/// What a client shows: a device, mostly.
#[derive(Debug)]
pub struct ClientIdentity {
    /// Its certificate.
    pub chain: Vec<CertificateDer<'static>>,
    /// The private key of the first certificate.
    pub key: PrivateKeyDer<'static>,
}

/// Whether a server asks its clients for certificates.
#[derive(Debug, Clone)]
pub enum DeviceCertificates {
    /// It does not ask.
    NotAsked,
    /// It asks, and lets clients without one in: a device that enrols has none, people never have one. Who may do
    /// what without a certificate is decided with each request.
    Optional {
        /// The authority that must have signed the certificate, where one is shown.
        ca: CertificateDer<'static>,
    },
}

/// An identity or an authority that TLS cannot use.
#[derive(Debug, Error)]
pub enum TlsError {
    /// `ring` lacks what TLS 1.3 needs.
    #[error("set up TLS 1.3")]
    Provider {
        /// Why not.
        source: rustls::Error,
    },
    /// The bytes are no certificate of an authority.
    #[error("trust the certificate authority")]
    Authority {
        /// Why not.
        source: rustls::Error,
    },
    /// The clients' authority cannot be used.
    #[error("set up the check of device certificates")]
    Devices {
        /// Why not.
        source: VerifierBuilderError,
    },
    /// The key and the certificate do not fit together, or are of a kind that is not known.
    #[error("use the certificate and its key")]
    Identity {
        /// Why not.
        source: rustls::Error,
    },
}

/// Makes the configuration of a server.
pub fn server_config(
    identity: ServerIdentity,
    devices: DeviceCertificates,
) -> Result<ServerConfig, TlsError> {
    let provider = provider();
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&TLS13])
        .map_err(|source| TlsError::Provider { source })?;
    let builder = match devices {
        DeviceCertificates::NotAsked => builder.with_no_client_auth(),
        DeviceCertificates::Optional { ca } => {
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots(ca)?), provider)
                .allow_unauthenticated()
                .build()
                .map_err(|source| TlsError::Devices { source })?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder
        .with_single_cert(identity.chain, identity.key)
        .map_err(|source| TlsError::Identity { source })?;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(config)
}

/// Makes the configuration of a client that trusts one authority, and shows an identity where it has one.
pub fn client_config(ca_der: &[u8], identity: Option<ClientIdentity>) -> Result<ClientConfig, TlsError> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .map_err(|source| TlsError::Provider { source })?
        .with_root_certificates(roots(CertificateDer::from(ca_der.to_vec()))?);
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some(ClientIdentity { chain, key }) => {
            builder.with_client_auth_cert(chain, key).map_err(|source| TlsError::Identity { source })?
        }
    };
    config.resumption = Resumption::disabled();
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(config)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn roots(ca: CertificateDer<'static>) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    roots.add(ca).map_err(|source| TlsError::Authority { source })?;
    Ok(roots)
}
