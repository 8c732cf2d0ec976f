//! Secrets for people and devices: tokens and session names.
//!
//! In: nothing. Out: 256 random bits as text that fits into URLs, headers and cookies. Refuses to go on without chance.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::{SecureRandom as _, SystemRandom};
use thiserror::Error;

/// The system gave no random bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the system gave no random bytes")]
pub struct NoChance;

/// Returns a new secret of 256 random bits in base64url: 43 characters. Its plain SHA-256 digest may be kept: nobody
/// guesses 256 bits.
pub fn random_secret() -> Result<String, NoChance> {
    let mut bytes = [0; 32];
    SystemRandom::new().fill(&mut bytes).map_err(|_| NoChance)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::random_secret;

    #[test]
    fn no_two_are_alike() {
        let (one, other) = (random_secret().unwrap(), random_secret().unwrap());
        assert_eq!(one.len(), 43);
        assert_ne!(one, other);
    }
}
