//! The cryptography that `sigstore-tuf` asks for, done by `ring`; refuses schemes that `ring` does not know (ML-DSA).

use ring::{digest, signature};
use sigstore_crypto::{CryptoProvider, Error, HashContext, SigningScheme, install_default_provider};
use sigstore_types::HashAlgorithm;

/// Makes `ring` the provider.
///
/// `sigstore-crypto` knows one provider a process and no other way to hand it one. Nobody else in this program uses
/// that crate, so a second call, or a provider that is there already, changes nothing and is no error.
pub(crate) fn install() {
    let (Ok(()) | Err(_)) = install_default_provider(&Ring);
}

#[derive(Debug)]
struct Ring;

struct Hash(digest::Context);

impl HashContext for Hash {
    fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    fn finalize(self: Box<Self>) -> Vec<u8> {
        self.0.finish().as_ref().to_vec()
    }
}

impl CryptoProvider for Ring {
    fn hash(&self, algorithm: HashAlgorithm) -> Result<Box<dyn HashContext>, Error> {
        let algorithm = match algorithm {
            HashAlgorithm::Sha2256 => &digest::SHA256,
            HashAlgorithm::Sha2384 => &digest::SHA384,
            HashAlgorithm::Sha2512 => &digest::SHA512,
            other => return Err(Error::UnsupportedAlgorithm(format!("{other:?}"))),
        };
        Ok(Box::new(Hash(digest::Context::new(algorithm))))
    }

    fn verify_raw(&self, scheme: SigningScheme, key: &[u8], data: &[u8], signed: &[u8]) -> Result<(), Error> {
        let algorithm: &dyn signature::VerificationAlgorithm = match scheme {
            SigningScheme::Ed25519 => &signature::ED25519,
            SigningScheme::EcdsaP256Sha256 => &signature::ECDSA_P256_SHA256_ASN1,
            SigningScheme::EcdsaP384Sha384 => &signature::ECDSA_P384_SHA384_ASN1,
            SigningScheme::RsaPssSha256 => &signature::RSA_PSS_2048_8192_SHA256,
            SigningScheme::RsaPssSha384 => &signature::RSA_PSS_2048_8192_SHA384,
            SigningScheme::RsaPssSha512 => &signature::RSA_PSS_2048_8192_SHA512,
            other => return Err(Error::UnsupportedAlgorithm(other.name().to_owned())),
        };
        signature::UnparsedPublicKey::new(algorithm, key)
            .verify(data, signed)
            .map_err(|_| Error::Verification(format!("{} signature invalid", scheme.name())))
    }

    fn verify_prehashed(&self, scheme: SigningScheme, _: &[u8], _: &[u8], _: &[u8]) -> Result<(), Error> {
        // TUF signs messages, never digests.
        Err(Error::UnsupportedAlgorithm(format!("{} over a digest", scheme.name())))
    }
}
