//! The key that a device is known by: a path in, a key, its certification request and its TLS form out; refuses keys
//! that are not ECDSA P-256, because those are the ones that a TPM can hold.

use std::path::{Path, PathBuf};

use rcgen::{CertificateParams, DistinguishedName, SanType};
use rustls_pki_types::PrivateKeyDer;
use thiserror::Error;
use warden_model::DeviceId;
use warden_trust::TrustDomain;
use warden_trust::identity::spiffe_uri;
use warden_trust::sign::{KeyScheme, PublicKey, SignError, Signer};

use crate::file::KeyFileError;
use crate::key::{CertificateSigner, Key};

/// A certification request that could not be made.
#[derive(Debug, Error)]
#[error("make a certification request for {device}")]
pub struct CsrError {
    /// The device.
    pub device: DeviceId,
    /// Why not.
    pub source: rcgen::Error,
}

/// A device's own key: ECDSA P-256, in a file.
pub struct DeviceKey {
    key: Key,
    path: PathBuf,
}

impl std::fmt::Debug for DeviceKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DeviceKey").field("path", &self.path).finish_non_exhaustive()
    }
}

impl DeviceKey {
    /// Opens the device's key, or makes one when there is none.
    pub fn load_or_create(path: &Path) -> Result<Self, KeyFileError> {
        let key = match Key::open(path) {
            Err(KeyFileError::Read { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                match Key::create(path, KeyScheme::EcdsaP256) {
                    // Another process was faster: its key is the device's key.
                    Err(KeyFileError::Exists { .. }) => Key::open(path)?,
                    outcome => outcome?,
                }
            }
            outcome => outcome?,
        };
        match key.public_key().scheme() {
            KeyScheme::EcdsaP256 => Ok(Self { key, path: path.to_owned() }),
            KeyScheme::Ed25519 => {
                Err(KeyFileError::Content { path: path.to_owned(), what: "ECDSA P-256 key" })
            }
        }
    }

    /// Makes a certification request (PKCS#10, RFC 2986) in DER: no subject, the device's URI as its only name.
    pub fn csr(&self, device: &DeviceId, trust_domain: &TrustDomain) -> Result<Vec<u8>, CsrError> {
        let failed = |source| CsrError { device: device.clone(), source };
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        let uri = spiffe_uri(trust_domain, device).try_into().map_err(failed)?;
        params.subject_alt_names = vec![SanType::URI(uri)];
        let request = params.serialize_request(&CertificateSigner::new(self)).map_err(failed)?;
        Ok(request.der().to_vec())
    }

    /// Returns the private key in the form that TLS wants.
    pub fn to_tls(&self) -> PrivateKeyDer<'static> {
        self.key.to_tls()
    }
}

impl Signer for DeviceKey {
    fn public_key(&self) -> PublicKey {
        self.key.public_key().clone()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        self.key.sign(message, &self.origin())
    }

    fn origin(&self) -> String {
        format!("device key {}", self.path.display())
    }
}
