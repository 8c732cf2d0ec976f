//! The messages of EST (RFC 7030): certificates in, a certificates-only CMS message in base64 out, and back; refuses
//! messages that are large, cut off, or hold something other than certificates.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use thiserror::Error;
use warden_model::ByteCount;

use crate::der::{self, CONTEXT_0, CONTEXT_1, INTEGER, OBJECT_ID, SEQUENCE, SET};

/// Largest EST message, before base64. A chain of ten certificates takes 10 KiB.
pub const MESSAGE_BYTES_MAX: ByteCount = ByteCount::kib(64);

/// Most certificates in one message: a chain with its roots before and after a change is six.
pub const CERTIFICATES_MAX: usize = 16;

/// id-signedData, 1.2.840.113549.1.7.2 (RFC 5652 §5.1).
const SIGNED_DATA: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];
/// id-data, 1.2.840.113549.1.7.1 (RFC 5652 §4).
const DATA: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01];

/// A message that is not understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum EstError {
    /// The message is too large.
    #[error("the message is larger than {MESSAGE_BYTES_MAX}")]
    TooLarge,
    /// The text is no base64.
    #[error("the message is no base64")]
    Base64,
    /// The bytes are no certificates-only message.
    #[error("the message is no certificates-only CMS message in DER")]
    Malformed,
    /// There are too many certificates.
    #[error("the message has more than {CERTIFICATES_MAX} certificates")]
    TooMany,
}

/// Writes certificates as a degenerate `SignedData` (RFC 7030 §4.1.3, RFC 5652 §5.1): no content, no signers.
pub fn certs_only<C: AsRef<[u8]>>(certificates: &[C]) -> Vec<u8> {
    let certificates: Vec<u8> = certificates.iter().flat_map(AsRef::as_ref).copied().collect();
    let signed_data = [
        // Version 1: no certificate but X.509, no signer.
        der::write(INTEGER, &[1]),
        der::write(SET, &[]),
        der::write(SEQUENCE, &der::write(OBJECT_ID, &DATA)),
        der::write(CONTEXT_0, &certificates),
        der::write(SET, &[]),
    ]
    .concat();
    let content = der::write(CONTEXT_0, &der::write(SEQUENCE, &signed_data));
    der::write(SEQUENCE, &[der::write(OBJECT_ID, &SIGNED_DATA), content].concat())
}

/// Reads the certificates of a certificates-only message, each in DER. Nothing is verified: the message carries no
/// signature, whoever reads it knows the authority by other means.
pub fn read_certs_only(bytes: &[u8]) -> Result<Vec<Vec<u8>>, EstError> {
    check_size(bytes.len())?;
    let mut rest = certificate_set(bytes).ok_or(EstError::Malformed)?;
    let mut certificates = Vec::new();
    while !rest.is_empty() {
        let certificate = der::read(rest).filter(|value| value.tag == SEQUENCE).ok_or(EstError::Malformed)?;
        if certificates.len() == CERTIFICATES_MAX {
            return Err(EstError::TooMany);
        }
        certificates.push(certificate.whole.to_vec());
        rest = certificate.rest;
    }
    Ok(certificates)
}

fn certificate_set(bytes: &[u8]) -> Option<&[u8]> {
    let ends = |rest: &[u8]| rest.is_empty().then_some(());
    let (message, rest) = der::expect(SEQUENCE, bytes)?;
    ends(rest)?;
    let (kind, rest) = der::expect(OBJECT_ID, message)?;
    (kind == SIGNED_DATA).then_some(())?;
    let (content, rest) = der::expect(CONTEXT_0, rest)?;
    ends(rest)?;
    let (signed_data, rest) = der::expect(SEQUENCE, content)?;
    ends(rest)?;
    let (_version, rest) = der::expect(INTEGER, signed_data)?;
    let (_digests, rest) = der::expect(SET, rest)?;
    let (inner, rest) = der::expect(SEQUENCE, rest)?;
    // No content: the object id stands alone.
    let (kind, after) = der::expect(OBJECT_ID, inner)?;
    ends(after)?;
    (kind == DATA).then_some(())?;
    let (certificates, rest) = der::expect(CONTEXT_0, rest)?;
    // Some writers add an empty set of revocation lists.
    let rest = der::expect(CONTEXT_1, rest).map_or(rest, |(_lists, rest)| rest);
    let (signers, rest) = der::expect(SET, rest)?;
    ends(signers)?;
    ends(rest)?;
    Some(certificates)
}

/// Puts bytes into base64 as EST sends them: lines of 76 characters (RFC 7030 §4, RFC 2045 §6.8).
pub fn to_base64(bytes: &[u8]) -> String {
    let text = STANDARD.encode(bytes);
    let mut framed = String::with_capacity(text.len() + text.len() / 38 + 2);
    for (place, character) in text.chars().enumerate() {
        if place > 0 && place % 76 == 0 {
            framed.push_str("\r\n");
        }
        framed.push(character);
    }
    framed.push_str("\r\n");
    framed
}

/// Reads base64 with white space anywhere: clients break lines as they like, or not at all (RFC 8951 §3.1).
pub fn from_base64(text: &[u8]) -> Result<Vec<u8>, EstError> {
    // Base64 is a third longer than what it holds; line breaks add a little. Twice is enough for both.
    check_size(text.len() / 2)?;
    let text: Vec<u8> = text.iter().filter(|byte| !byte.is_ascii_whitespace()).copied().collect();
    let bytes = STANDARD.decode(text).map_err(|_| EstError::Base64)?;
    check_size(bytes.len())?;
    Ok(bytes)
}

fn check_size(length: usize) -> Result<(), EstError> {
    match u64::try_from(length) {
        Ok(length) if length <= MESSAGE_BYTES_MAX.0 => Ok(()),
        Ok(_) | Err(_) => Err(EstError::TooLarge),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{EstError, certs_only, from_base64, read_certs_only, to_base64};
    use crate::der;

    fn certificates() -> Vec<Vec<u8>> {
        vec![der::write(der::SEQUENCE, &[1; 300]), der::write(der::SEQUENCE, &[2; 3])]
    }

    #[test]
    fn certificates_survive_the_message_and_its_framing() {
        let text = to_base64(&certs_only(&certificates()));
        assert!(text.lines().all(|line| line.len() <= 76), "{text}");
        let bytes = from_base64(text.as_bytes()).unwrap();
        assert_eq!(read_certs_only(&bytes), Ok(certificates()));
        assert_eq!(read_certs_only(&certs_only::<Vec<u8>>(&[])), Ok(vec![]));
    }

    #[test]
    fn other_messages_are_refused() {
        let good = certs_only(&certificates());
        for cut in 0..good.len() {
            assert_eq!(read_certs_only(&good[..cut]), Err(EstError::Malformed), "cut after {cut} bytes");
        }
        assert_eq!(read_certs_only(&[good.as_slice(), &[0]].concat()), Err(EstError::Malformed));
        let many = vec![certificates()[1].clone(); 17];
        assert_eq!(read_certs_only(&certs_only(&many)), Err(EstError::TooMany));
        assert_eq!(read_certs_only(&vec![0; 70_000]), Err(EstError::TooLarge));
        assert_eq!(from_base64(&vec![b'A'; 200_000]), Err(EstError::TooLarge));
        assert_eq!(from_base64(b"-----BEGIN"), Err(EstError::Base64));
        assert_eq!(from_base64(b" A A\r\nA\n="), Ok(vec![0, 0]));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            read_certs_only(&bytes).ok();
            from_base64(&bytes).ok();
        }
    }
}
