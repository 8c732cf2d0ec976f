//! Hardware addresses (EUI-48).

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// A hardware address; shown as `00:11:22:aa:bb:cc`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac(pub [u8; 6]);

/// A text that is no hardware address.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is no hardware address such as 00:11:22:aa:bb:cc")]
pub struct MacError(pub String);

impl Mac {
    /// Says whether it can name one device: not all zeros, and not a group address (IEEE 802-2014 §8.2.2).
    pub fn is_individual(self) -> bool {
        let [first, ..] = self.0;
        self.0 != [0; 6] && first & 1 == 0
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0.map(|byte| format!("{byte:02x}")).join(":"))
    }
}

impl FromStr for Mac {
    type Err = MacError;

    /// Reads `00:11:22:aa:bb:cc`, `00-11-22-AA-BB-CC`, `0011.22aa.bbcc` and `001122aabbcc`.
    fn from_str(text: &str) -> Result<Self, MacError> {
        let error = || MacError(text.chars().take(32).collect());
        let text = text.trim();
        if text.len() > 17 {
            return Err(error());
        }
        let digits: Vec<u8> = text
            .chars()
            .filter(|char| !matches!(char, ':' | '-' | '.'))
            .map(|char| char.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
            .collect::<Option<_>>()
            .ok_or_else(error)?;
        let bytes: Vec<u8> = digits
            .chunks(2)
            .map(|pair| pair.iter().fold(0_u8, |byte, digit| byte.wrapping_mul(16) | digit))
            .collect();
        if digits.len() != 12 {
            return Err(error());
        }
        bytes.try_into().map(Self).map_err(|_| error())
    }
}
