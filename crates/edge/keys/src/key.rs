//! A private key in memory: PKCS#8 in, signatures out; refuses schemes other than Ed25519 and ECDSA P-256.

use std::path::Path;

use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use warden_trust::sign::{KeyScheme, PublicKey, SignError, Signer};

use crate::file::{self, KeyFileError, Readers};

/// A private key; never shown.
pub(crate) struct Key {
    pair: Pair,
    public: PublicKey,
    pkcs8: PrivatePkcs8KeyDer<'static>,
}

enum Pair {
    Ed25519(Ed25519KeyPair),
    EcdsaP256(EcdsaKeyPair),
}

impl Key {
    /// Makes a new key.
    pub(crate) fn generate(scheme: KeyScheme) -> Option<Self> {
        let random = SystemRandom::new();
        let pkcs8 = match scheme {
            KeyScheme::Ed25519 => Ed25519KeyPair::generate_pkcs8(&random),
            KeyScheme::EcdsaP256 => EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random),
        };
        Self::from_pkcs8(PrivatePkcs8KeyDer::from(pkcs8.ok()?.as_ref().to_vec()))
    }

    fn from_pkcs8(pkcs8: PrivatePkcs8KeyDer<'static>) -> Option<Self> {
        let der = pkcs8.secret_pkcs8_der();
        // OpenSSL writes Ed25519 keys without their public half (RFC 8410 §7); `maybe_unchecked` takes both forms.
        let (pair, public) = if let Ok(pair) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der) {
            let public = PublicKey::new(KeyScheme::Ed25519, pair.public_key().as_ref());
            (Pair::Ed25519(pair), public)
        } else {
            let pair =
                EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, der, &SystemRandom::new()).ok()?;
            let public = PublicKey::new(KeyScheme::EcdsaP256, pair.public_key().as_ref());
            (Pair::EcdsaP256(pair), public)
        };
        Some(Self { pair, public: public.ok()?, pkcs8 })
    }

    /// Makes a new key and writes it to a file that was not there before.
    pub(crate) fn create(path: &Path, scheme: KeyScheme) -> Result<Self, KeyFileError> {
        let key = Self::generate(scheme).ok_or_else(|| KeyFileError::Generate { path: path.to_owned() })?;
        file::write_new(path, "PRIVATE KEY", key.pkcs8.secret_pkcs8_der(), Readers::Owner)?;
        Ok(key)
    }

    /// Reads a key from its file.
    pub(crate) fn open(path: &Path) -> Result<Self, KeyFileError> {
        Self::from_pkcs8(file::read_private_key(path)?).ok_or_else(|| KeyFileError::Content {
            path: path.to_owned(),
            what: "Ed25519 or ECDSA P-256 key",
        })
    }

    pub(crate) fn public_key(&self) -> &PublicKey {
        &self.public
    }

    pub(crate) fn sign(&self, message: &[u8], origin: &str) -> Result<Vec<u8>, SignError> {
        match &self.pair {
            Pair::Ed25519(pair) => Ok(pair.sign(message).as_ref().to_vec()),
            Pair::EcdsaP256(pair) => pair
                .sign(&SystemRandom::new(), message)
                .map(|signature| signature.as_ref().to_vec())
                .map_err(|_| SignError { origin: origin.to_owned(), detail: "no random bytes".to_owned() }),
        }
    }

    /// Returns the key in the form that TLS wants.
    pub(crate) fn to_tls(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(self.pkcs8.clone_key())
    }
}

/// Lets `rcgen` sign with any of our signers, whatever holds the key.
pub(crate) struct CertificateSigner<'a> {
    signer: &'a dyn Signer,
    public_key: PublicKey,
}

impl<'a> CertificateSigner<'a> {
    pub(crate) fn new(signer: &'a dyn Signer) -> Self {
        Self { signer, public_key: signer.public_key() }
    }
}

impl rcgen::PublicKeyData for CertificateSigner<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.public_key.bytes()
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        match self.public_key.scheme() {
            KeyScheme::Ed25519 => &rcgen::PKCS_ED25519,
            KeyScheme::EcdsaP256 => &rcgen::PKCS_ECDSA_P256_SHA256,
        }
    }
}

impl rcgen::SigningKey for CertificateSigner<'_> {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        self.signer.sign(message).map_err(|_| rcgen::Error::RemoteKeyError)
    }
}
