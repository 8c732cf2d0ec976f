//! What may be believed, and why.
//!
//! In: bytes from anywhere, keys, and `now`. Out: signed metadata (TUF 1.0.34), verified statements, identities, or an
//! error that names the attack. Refuses: clocks, chance, files and networks; private keys live behind
//! [`sign::Signer`], which other crates implement.

mod der;
mod hex;
mod json;

pub mod canonical;
pub mod envelope;
pub mod est;
pub mod identity;
pub mod repository;
pub mod role;
pub mod sign;
pub mod verified;
pub mod verify;

#[cfg(test)]
mod testing;

pub use envelope::Envelope;
pub use identity::TrustDomain;
pub use role::Role;
pub use sign::{KeyScheme, PublicKey, Signer};
pub use verified::Verified;
pub use verify::{TrustError, Trusted};

use warden_model::Sha256Digest;

/// Returns the SHA-256 digest of bytes.
pub fn sha256(bytes: &[u8]) -> Sha256Digest {
    let mut digest = [0; 32];
    // The algorithm fixes the length: 32 bytes (FIPS 180-4), so the zip fills all of them.
    let computed = ring::digest::digest(&ring::digest::SHA256, bytes);
    digest.iter_mut().zip(computed.as_ref()).for_each(|(to, from)| *to = *from);
    Sha256Digest(digest)
}
