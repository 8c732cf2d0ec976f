//! What a file contains, in 256 bytes.
//!
//! In: a file, piece by piece. Out: a sketch whose likeness to another tells how much both files share. Refuses nothing.
//!
//! The shingles of a file are its stretches of 16 bytes. Each has a hash; its upper bits choose one of 64 fields, and
//! the field keeps the smallest hash (min-hash with one permutation). Two files have the same hash in a field about as
//! often as a shingle of either stands in both. One pass, integers only, no state but the sketch.

/// The fields of a sketch.
const FIELDS: usize = 64;

/// The bits of a hash that choose its field.
const FIELD_BITS: u32 = FIELDS.trailing_zeros();

/// How far the rolling hash moves for a byte: after 64/4 = 16 bytes a byte is forgotten. Short enough to stand between
/// two changed addresses in code, long enough that instructions alone do not look alike.
const ROLL_BITS: u32 = 4;

/// The shingle, in bytes.
const SHINGLE_BYTES: u32 = u64::BITS / ROLL_BITS;

/// The field that no shingle has chosen.
const EMPTY: u32 = u32::MAX;

/// Odd constants from the fraction of the golden ratio: they spread bytes and hashes over all bits.
const SPREAD_BYTE: u64 = 0x9e37_79b9_7f4a_7c15;
const SPREAD_HASH: u64 = 0xd6e8_feb8_6659_fd93;

/// A sketch of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sketch {
    fields: [u32; FIELDS],
}

impl Sketch {
    /// The likeness of two files that share all their shingles.
    pub(crate) const SIMILARITY_MAX: u32 = 64;

    #[cfg(test)]
    /// Sketches a file that comes in pieces; how it is cut makes no difference.
    pub(crate) fn of<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut sketcher = Sketcher::new();
        for piece in pieces {
            sketcher.update(piece);
        }
        sketcher.finish()
    }

    /// Returns how much two files share: 0 (nothing) to [`Self::SIMILARITY_MAX`] (all).
    pub(crate) fn similarity(&self, other: &Self) -> u32 {
        let (mut equal, mut used) = (0, 0_u32);
        for (a, b) in self.fields.iter().zip(&other.fields) {
            used += u32::from(*a != EMPTY || *b != EMPTY);
            equal += u32::from(*a == *b && *a != EMPTY);
        }
        (equal * Self::SIMILARITY_MAX).checked_div(used).unwrap_or(0)
    }

    /// Returns the shingles that were kept, each with its field.
    pub(super) fn shingles(&self) -> impl Iterator<Item = (usize, u32)> {
        self.fields.iter().copied().enumerate().filter(|(_, hash)| *hash != EMPTY)
    }
}

/// A sketch on its way.
#[derive(Debug)]
pub(crate) struct Sketcher {
    fields: [u32; FIELDS],
    hash: u64,
    /// How many bytes are missing before the hash covers a whole shingle.
    missing: u32,
}

impl Sketcher {
    /// Starts a file.
    pub(crate) fn new() -> Self {
        Self { fields: [EMPTY; FIELDS], hash: 0, missing: SHINGLE_BYTES - 1 }
    }

    /// Takes the next bytes.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        for byte in bytes {
            let spread = u64::from(*byte).wrapping_add(1).wrapping_mul(SPREAD_BYTE);
            self.hash = (self.hash << ROLL_BITS).wrapping_add(spread ^ spread >> 29);
            if self.missing > 0 {
                self.missing -= 1;
                continue;
            }
            let mixed = (self.hash ^ self.hash >> 32).wrapping_mul(SPREAD_HASH);
            let [_, _, _, _, a, b, c, d] = (mixed << FIELD_BITS).to_le_bytes();
            let value = u32::from_le_bytes([a, b, c, d]);
            let field = usize::try_from(mixed >> (u64::BITS - FIELD_BITS)).unwrap_or_default();
            if let Some(least) = self.fields.get_mut(field) {
                *least = value.min(*least);
            }
        }
    }

    /// Ends the file.
    pub(crate) fn finish(self) -> Sketch {
        Sketch { fields: self.fields }
    }
}
