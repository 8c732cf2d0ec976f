//! Signed statements: DSSE v1 envelopes (github.com/secure-systems-lab/dsse, `envelope.md` and `protocol.md`).
//!
//! In: a payload, its type and a signer; or an envelope, the type that is expected and a key. Out: an envelope; or a
//! payload marked [`Verified`]. Refuses other types, other keys, and envelopes without end. What a device reports
//! about itself travels this way.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use warden_model::ByteCount;

use crate::sign::{PublicKey, SignError, Signer};
pub use crate::verified::Verified;

/// Largest payload. A state report takes 1 KiB; 256 KiB leaves room for lists of components and is nothing to a server.
pub const PAYLOAD_BYTES_MAX: ByteCount = ByteCount::kib(256);

/// Most signatures that are looked at: each costs a verification, and nobody has more than a handful of keys.
pub const SIGNATURES_MAX: usize = 8;

/// An envelope as it travels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Envelope {
    /// What the payload is: a media type.
    pub payload_type: String,
    /// The payload in base64.
    pub payload: String,
    /// The signatures.
    pub signatures: Vec<EnvelopeSignature>,
}

/// One signature of an envelope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvelopeSignature {
    /// A hint to the key; nothing is decided by it.
    #[serde(default)]
    pub keyid: String,
    /// The signature in base64.
    pub sig: String,
}

/// An envelope that is not believed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EnvelopeError {
    /// The payload is something else than expected: a statement taken out of its context.
    #[error("the envelope holds {found:?}, not {expected:?}")]
    OtherType {
        /// What was expected.
        expected: String,
        /// What came, cut to 80 characters.
        found: String,
    },
    /// The payload is too large.
    #[error("the payload is larger than {PAYLOAD_BYTES_MAX}")]
    TooLarge,
    /// There are too many signatures.
    #[error("the envelope has {found} signatures, more than {SIGNATURES_MAX}")]
    TooManySignatures {
        /// How many came.
        found: usize,
    },
    /// The payload is no base64.
    #[error("the payload is no base64")]
    Payload,
    /// No signature is by the key that was expected.
    #[error("no signature of the envelope is by the key {key_id}")]
    WrongSignature {
        /// The key.
        key_id: String,
    },
}

/// Returns the bytes that are signed: DSSE's pre-authentication encoding.
pub fn pae(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

/// Signs a payload.
pub fn seal(payload_type: &str, payload: &[u8], signer: &dyn Signer) -> Result<Envelope, SignError> {
    let signature = signer.sign(&pae(payload_type, payload))?;
    Ok(Envelope {
        payload_type: payload_type.to_owned(),
        payload: STANDARD.encode(payload),
        signatures: vec![EnvelopeSignature {
            keyid: signer.public_key().key_id(),
            sig: STANDARD.encode(signature),
        }],
    })
}

/// Opens an envelope: returns its payload when it is of the type and signed by the key.
pub fn open(
    envelope: &Envelope,
    payload_type: &str,
    key: &PublicKey,
) -> Result<Verified<Vec<u8>>, EnvelopeError> {
    if envelope.payload_type != payload_type {
        return Err(EnvelopeError::OtherType {
            expected: payload_type.to_owned(),
            found: envelope.payload_type.chars().take(80).collect(),
        });
    }
    if envelope.signatures.len() > SIGNATURES_MAX {
        return Err(EnvelopeError::TooManySignatures { found: envelope.signatures.len() });
    }
    // Three bytes of payload are four characters; the limit holds before anything is decoded.
    if u64::try_from(envelope.payload.len()).is_ok_and(|length| length / 4 > PAYLOAD_BYTES_MAX.0 / 3) {
        return Err(EnvelopeError::TooLarge);
    }
    let payload = decode(&envelope.payload).ok_or(EnvelopeError::Payload)?;
    let message = pae(payload_type, &payload);
    let signed = envelope
        .signatures
        .iter()
        .filter_map(|signature| decode(&signature.sig))
        .any(|signature| key.verify(&message, &signature).is_ok());
    if signed {
        Ok(Verified::new(payload))
    } else {
        Err(EnvelopeError::WrongSignature { key_id: key.key_id() })
    }
}

/// DSSE: a producer may take either alphabet of RFC 4648, a consumer takes both.
fn decode(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).or_else(|_| URL_SAFE.decode(text)).ok()
}

#[cfg(test)]
mod tests {
    use super::{Envelope, EnvelopeError, EnvelopeSignature, open, pae, seal};
    use crate::sign::Signer as _;
    use crate::testing::TestKey;

    const TYPE: &str = "application/vnd.test+json";

    fn sealed() -> Envelope {
        seal(TYPE, b"{\"a\":1}", &TestKey::new(1)).unwrap()
    }

    fn check(change: impl Fn(&mut Envelope), expected: Result<(), EnvelopeError>) {
        let mut envelope = sealed();
        change(&mut envelope);
        let opened = open(&envelope, TYPE, &TestKey::new(1).public_key());
        assert_eq!(opened.err(), expected.err());
    }

    fn wrong_signature() -> Result<(), EnvelopeError> {
        Err(EnvelopeError::WrongSignature { key_id: TestKey::new(1).public_key().key_id() })
    }

    #[test]
    fn the_encoding_is_the_one_of_the_specification() {
        // The test vector of DSSE's protocol.md.
        assert_eq!(
            pae("http://example.com/HelloWorld", b"hello world"),
            b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
        );
    }

    #[test]
    fn an_envelope_survives_json_and_opens() {
        let text = serde_json::to_string(&sealed()).unwrap();
        assert!(text.starts_with("{\"payloadType\":"), "{text}");
        let envelope: Envelope = serde_json::from_str(&text).unwrap();
        let payload = open(&envelope, TYPE, &TestKey::new(1).public_key()).unwrap();
        assert_eq!(payload.into_inner(), b"{\"a\":1}");
    }

    #[test]
    fn a_changed_envelope_does_not_open() {
        check(|_| (), Ok(()));
        check(|e| e.signatures[0].keyid.clear(), Ok(()));
        check(
            |e| e.signatures.insert(0, EnvelopeSignature { keyid: "x".into(), sig: "AAAA".into() }),
            Ok(()),
        );
        check(|e| e.payload = "eyJhIjoyfQ==".into(), wrong_signature());
        check(|e| e.signatures.clear(), wrong_signature());
        check(|e| e.signatures[0].sig = "!".into(), wrong_signature());
        check(
            |e| e.signatures = seal(TYPE, b"{\"a\":1}", &TestKey::new(2)).unwrap().signatures,
            wrong_signature(),
        );
        check(
            |e| e.signatures = seal("other", b"{\"a\":1}", &TestKey::new(1)).unwrap().signatures,
            wrong_signature(),
        );
        check(|e| e.payload = "no base64!".into(), Err(EnvelopeError::Payload));
        check(|e| e.payload = "A".repeat(400_000), Err(EnvelopeError::TooLarge));
        check(
            |e| e.signatures = vec![e.signatures[0].clone(); 9],
            Err(EnvelopeError::TooManySignatures { found: 9 }),
        );
        check(
            |e| e.payload_type = "other".into(),
            Err(EnvelopeError::OtherType { expected: TYPE.into(), found: "other".into() }),
        );
    }
}
