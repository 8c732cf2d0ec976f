//! Keys and signatures: a public key and a message in, "signed" or "not signed" out; refuses schemes other than
//! Ed25519 and ECDSA P-256.
//!
//! Private keys live elsewhere, behind [`Signer`]: in a file, later in a token.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ECDSA_P256_SHA256_ASN1, ED25519, UnparsedPublicKey, VerificationAlgorithm};
use serde_json::{Value, json};
use thiserror::Error;

use crate::canonical::to_canonical;
use crate::{hex, sha256};

/// The DER before a raw Ed25519 key in a `SubjectPublicKeyInfo` (RFC 8410 §4).
const SPKI_ED25519: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
/// The DER before an uncompressed P-256 point in a `SubjectPublicKeyInfo` (RFC 5480 §2).
const SPKI_P256: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
const PEM_BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
const PEM_END: &str = "-----END PUBLIC KEY-----";

/// How a key signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyScheme {
    /// Ed25519 (RFC 8032); signatures of 64 bytes.
    Ed25519,
    /// ECDSA on P-256 with SHA-256; signatures in DER (RFC 3279 §2.2.3).
    EcdsaP256,
}

impl KeyScheme {
    const fn tuf_type(self) -> &'static str {
        match self {
            Self::Ed25519 => "ed25519",
            Self::EcdsaP256 => "ecdsa",
        }
    }

    /// Returns the word that TUF uses for the scheme (TUF 1.0.34 §4.2).
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ed25519 => "ed25519",
            Self::EcdsaP256 => "ecdsa-sha2-nistp256",
        }
    }

    fn algorithm(self) -> &'static dyn VerificationAlgorithm {
        match self {
            Self::Ed25519 => &ED25519,
            Self::EcdsaP256 => &ECDSA_P256_SHA256_ASN1,
        }
    }
}

/// Bytes or JSON that are no key of a known scheme.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum KeyError {
    /// The raw key has the wrong length or form.
    #[error("{bytes} bytes are no {scheme:?} public key")]
    Raw {
        /// The scheme that was asked for.
        scheme: KeyScheme,
        /// How many bytes there are.
        bytes: usize,
    },
    /// The `SubjectPublicKeyInfo` is of another kind, or not in its one DER form.
    #[error("the public key is neither Ed25519 nor an uncompressed ECDSA P-256 point in DER")]
    Spki,
    /// The JSON is no TUF key of a known scheme.
    #[error("the JSON is no TUF key of a known scheme: {detail}")]
    Tuf {
        /// What is wrong.
        detail: &'static str,
    },
}

/// A signature that does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the signature is not by this key over these bytes")]
pub struct SignatureInvalid;

/// A public key.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey {
    scheme: KeyScheme,
    bytes: Vec<u8>,
}

impl std::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PublicKey({} {})", self.scheme.word(), hex::encode(&self.bytes))
    }
}

impl PublicKey {
    /// Checks and makes a key from its raw bytes: 32 for Ed25519, an uncompressed point of 65 for P-256.
    ///
    /// Whether the point is on the curve is checked with each signature.
    pub fn new(scheme: KeyScheme, bytes: &[u8]) -> Result<Self, KeyError> {
        let fits = match scheme {
            KeyScheme::Ed25519 => bytes.len() == 32,
            KeyScheme::EcdsaP256 => bytes.len() == 65 && bytes.first() == Some(&4),
        };
        if fits {
            Ok(Self { scheme, bytes: bytes.to_vec() })
        } else {
            Err(KeyError::Raw { scheme, bytes: bytes.len() })
        }
    }

    /// Reads a key from a `SubjectPublicKeyInfo` in DER.
    pub fn from_spki(der: &[u8]) -> Result<Self, KeyError> {
        let key = if let Some(raw) = der.strip_prefix(&SPKI_ED25519) {
            Self::new(KeyScheme::Ed25519, raw)
        } else if let Some(raw) = der.strip_prefix(&SPKI_P256) {
            Self::new(KeyScheme::EcdsaP256, raw)
        } else {
            return Err(KeyError::Spki);
        };
        key.map_err(|_| KeyError::Spki)
    }

    /// Returns the key as `SubjectPublicKeyInfo` in DER.
    pub fn to_spki(&self) -> Vec<u8> {
        match self.scheme {
            KeyScheme::Ed25519 => [SPKI_ED25519.as_slice(), &self.bytes].concat(),
            KeyScheme::EcdsaP256 => [SPKI_P256.as_slice(), &self.bytes].concat(),
        }
    }

    /// Reads a key from its TUF form (TUF 1.0.34 §4.2).
    pub fn from_tuf(value: &Value) -> Result<Self, KeyError> {
        let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str);
        let public = text("/keyval/public").ok_or(KeyError::Tuf { detail: "it has no public part" })?;
        match text("/scheme") {
            Some("ed25519") => {
                let raw = hex::decode(public)
                    .ok_or(KeyError::Tuf { detail: "the public part is not hexadecimal" })?;
                Self::new(KeyScheme::Ed25519, &raw)
            }
            Some("ecdsa-sha2-nistp256") => {
                let body = public.trim().strip_prefix(PEM_BEGIN).and_then(|rest| rest.strip_suffix(PEM_END));
                let base64: String = body.unwrap_or_default().split_whitespace().collect();
                let der = STANDARD
                    .decode(base64)
                    .map_err(|_| KeyError::Tuf { detail: "the public part is no PEM" })?;
                match Self::from_spki(&der)? {
                    key @ Self { scheme: KeyScheme::EcdsaP256, .. } => Ok(key),
                    Self { scheme: KeyScheme::Ed25519, .. } => {
                        Err(KeyError::Tuf { detail: "the public part is of another scheme" })
                    }
                }
            }
            Some(_) | None => Err(KeyError::Tuf { detail: "its scheme is unknown" }),
        }
    }

    /// Returns the key in its TUF form (TUF 1.0.34 §4.2).
    pub fn to_tuf(&self) -> Value {
        let public = match self.scheme {
            KeyScheme::Ed25519 => hex::encode(&self.bytes),
            KeyScheme::EcdsaP256 => {
                let base64 = STANDARD.encode(self.to_spki());
                let lines: Vec<String> = base64
                    .as_bytes()
                    .chunks(64)
                    .map(|line| String::from_utf8_lossy(line).into_owned())
                    .collect();
                format!("{PEM_BEGIN}\n{}\n{PEM_END}\n", lines.join("\n"))
            }
        };
        json!({
            "keytype": self.scheme.tuf_type(),
            "scheme": self.scheme.word(),
            "keyval": { "public": public },
        })
    }

    /// Returns the TUF key id: the SHA-256 digest of the canonical TUF form, in hexadecimal (TUF 1.0.34 §4.2).
    pub fn key_id(&self) -> String {
        // The TUF form holds texts only, so the canonical form always exists.
        sha256(&to_canonical(&self.to_tuf()).unwrap_or_default()).to_string()
    }

    /// Returns how the key signs.
    pub fn scheme(&self) -> KeyScheme {
        self.scheme
    }

    /// Returns the raw key: 32 bytes for Ed25519, an uncompressed point of 65 bytes for P-256.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Checks a signature over a message.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), SignatureInvalid> {
        UnparsedPublicKey::new(self.scheme.algorithm(), &self.bytes)
            .verify(message, signature)
            .map_err(|_| SignatureInvalid)
    }
}

/// A key that would not sign.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{origin} did not sign: {detail}")]
pub struct SignError {
    /// Where the key lives.
    pub origin: String,
    /// What went wrong.
    pub detail: String,
}

/// Something that signs with a private key that it keeps to itself.
pub trait Signer: Send + Sync {
    /// Returns the public part of the key.
    fn public_key(&self) -> PublicKey;

    /// Signs a message: 64 bytes for Ed25519, DER for ECDSA.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError>;

    /// Says where the key lives, for people and for logs.
    fn origin(&self) -> String;
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{KeyError, KeyScheme, PublicKey, SignatureInvalid, Signer as _};
    use crate::testing::{P256_SPKI_HEX, TestKey};
    use crate::{canonical, hex};

    fn p256() -> PublicKey {
        PublicKey::from_spki(&hex::decode(P256_SPKI_HEX).unwrap()).unwrap()
    }

    #[test]
    fn keys_survive_spki_and_tuf_forms() {
        for key in [TestKey::new(1).public_key(), p256()] {
            assert_eq!(PublicKey::from_spki(&key.to_spki()), Ok(key.clone()));
            assert_eq!(PublicKey::from_tuf(&key.to_tuf()), Ok(key.clone()));
            assert_eq!(key.key_id().len(), 64);
        }
    }

    #[test]
    fn the_key_id_is_the_one_that_an_independent_reader_computes() {
        for key in [TestKey::new(1).public_key(), p256()] {
            crate::verify::provider::install();
            let theirs: sigstore_tuf::Key = serde_json::from_value(key.to_tuf()).unwrap();
            assert_eq!(theirs.key_id().unwrap(), key.key_id());
            assert!(canonical::to_canonical(&key.to_tuf()).is_ok());
        }
    }

    #[test]
    fn other_keys_are_refused() {
        let raw = |scheme, bytes: &[u8]| PublicKey::new(scheme, bytes).err();
        assert_eq!(
            raw(KeyScheme::Ed25519, &[0; 31]),
            Some(KeyError::Raw { scheme: KeyScheme::Ed25519, bytes: 31 })
        );
        assert_eq!(
            raw(KeyScheme::EcdsaP256, &[2; 33]),
            Some(KeyError::Raw { scheme: KeyScheme::EcdsaP256, bytes: 33 })
        );
        let mut longer = p256().to_spki();
        longer.push(0);
        assert_eq!(PublicKey::from_spki(&longer), Err(KeyError::Spki));
        assert_eq!(PublicKey::from_spki(b""), Err(KeyError::Spki));
        assert!(
            PublicKey::from_tuf(&json!({"scheme": "rsassa-pss-sha256", "keyval": {"public": ""}})).is_err()
        );
        assert!(PublicKey::from_tuf(&json!({"scheme": "ed25519", "keyval": {"public": "zz"}})).is_err());
        assert!(
            PublicKey::from_tuf(&json!({"scheme": "ecdsa-sha2-nistp256", "keyval": {"public": "AAAA"}}))
                .is_err()
        );
        assert!(PublicKey::from_tuf(&json!([])).is_err());
    }

    #[test]
    fn a_signature_holds_for_its_key_and_message_only() {
        let (key, other) = (TestKey::new(1), TestKey::new(2));
        let signature = key.sign(b"message").unwrap();
        assert_eq!(key.public_key().verify(b"message", &signature), Ok(()));
        assert_eq!(key.public_key().verify(b"messagf", &signature), Err(SignatureInvalid));
        assert_eq!(other.public_key().verify(b"message", &signature), Err(SignatureInvalid));
        assert_eq!(key.public_key().verify(b"message", &signature[..63]), Err(SignatureInvalid));
        assert_eq!(p256().verify(b"message", &signature), Err(SignatureInvalid));
        assert_eq!(p256().verify(b"message", b""), Err(SignatureInvalid));
    }
}
