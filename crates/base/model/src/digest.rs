//! SHA-256 digests as a type of their own: what names firmware and artifacts.

use thiserror::Error;

/// A SHA-256 digest (FIPS 180-4); shown as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sha256Digest(pub [u8; 32]);

/// A text that is no SHA-256 digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a SHA-256 digest has 64 hexadecimal digits")]
pub struct DigestError;

impl Sha256Digest {
    /// Returns the first 12 hexadecimal digits: enough for people to tell images apart.
    pub fn short(&self) -> String {
        self.to_string().chars().take(12).collect()
    }
}

impl std::fmt::Display for Sha256Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::fmt::Debug for Sha256Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for Sha256Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let nibbles: Vec<u8> = text
            .bytes()
            .map(|byte| match byte {
                b'0'..=b'9' => Ok(byte - b'0'),
                b'a'..=b'f' => Ok(byte - b'a' + 10),
                _ => Err(DigestError),
            })
            .collect::<Result<_, _>>()?;
        let bytes: Vec<u8> = nibbles
            .chunks(2)
            .map(|pair| match *pair {
                [high, low] => Ok(high << 4 | low),
                _ => Err(DigestError),
            })
            .collect::<Result<_, _>>()?;
        Ok(Self(bytes.try_into().map_err(|_| DigestError)?))
    }
}

#[cfg(test)]
mod tests {
    use super::{DigestError, Sha256Digest};

    #[test]
    fn text_and_bytes_agree() {
        let digest = Sha256Digest(std::array::from_fn(|i| u8::try_from(i * 7).unwrap()));
        assert_eq!(digest.to_string().parse(), Ok(digest));
        assert_eq!("AB".repeat(32).parse::<Sha256Digest>(), Err(DigestError), "one spelling only");
        assert_eq!("ab".parse::<Sha256Digest>(), Err(DigestError));
    }
}
