//! Where applying goes on after a cut: a record of 64 bytes.
//!
//! In: a place that applying has reached. Out: its bytes, and the way back. Refuses: bytes of another length, form or
//! version, and bytes of which one has changed; places that the patch in hand does not have.
//!
//! The statistics of the decoder do not fit into a record. They come back by decoding again what stands in front of the
//! place; nothing of that is packed or written a second time. A record is a hint and nothing more: whatever it says, the
//! digest of the result covers every byte, those from before the cut as they are read back.

use sha2::{Digest, Sha256};
use warden_model::ByteCount;

use crate::format::Header;
use crate::layers::{LAYERS_MAX, Layers, SinkPlace, can_resume};

/// How long a record is, in bytes.
pub const PLACE_BYTES: usize = 64;

/// The first bytes of each record: its name and its version.
const MAGIC: [u8; 4] = *b"FWR\x01";

/// How long a position is, in bytes: 2^48 is beyond any image.
const POSITION_BYTES: usize = 6;

/// How much of the digest that binds a record to patch and slot is kept: chance never makes two alike.
pub(crate) const BINDING_BYTES: usize = 12;

/// How much of the digest of what is written is kept.
const WRITTEN_BYTES: usize = 10;

/// How much of the digest of the record itself is kept.
const CHECK_BYTES: usize = 8;

/// A place from which applying can go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The start of the digest of the patch's head and of what the caller says about patch and slot.
    pub(crate) binding: [u8; BINDING_BYTES],
    /// How much of the result is there, and durable once the caller has made it so.
    pub(crate) durable: u64,
    /// The last place between packed stretches: packing starts there, and what it makes again is not written again.
    pub(crate) sink: SinkPlace,
    /// The start of the digest of what is there.
    pub(crate) written: [u8; WRITTEN_BYTES],
}

/// Why applying started at the beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anew {
    /// There was no record.
    NoRecord,
    /// The record is no record of this version, or was damaged.
    Damaged,
    /// The record is about another patch, or about another slot.
    Foreign,
    /// The record names a place that the patch does not have.
    Impossible,
    /// The slot does not hold what the record says.
    SlotDiffers,
}

impl Anew {
    /// Returns the reason in words.
    pub fn reason(self) -> &'static str {
        match self {
            Self::NoRecord => "there is no record",
            Self::Damaged => "the record is damaged",
            Self::Foreign => "the record is about another patch or slot",
            Self::Impossible => "the record names a place that the patch does not have",
            Self::SlotDiffers => "the slot does not hold what the record says",
        }
    }
}

impl Place {
    /// Returns how much of the result is there, from its start.
    pub fn durable(&self) -> ByteCount {
        ByteCount(self.durable)
    }

    /// Writes the record.
    pub fn to_bytes(&self) -> [u8; PLACE_BYTES] {
        let positions = [self.durable, self.sink.written].into_iter().chain(self.sink.plain);
        let positions = positions.flat_map(|at| at.to_le_bytes().into_iter().take(POSITION_BYTES));
        let said = MAGIC.into_iter().chain(self.binding).chain(positions).chain(self.written);
        let mut bytes = [0; PLACE_BYTES];
        bytes.iter_mut().zip(said).for_each(|(byte, said)| *byte = said);
        let check = check_of(&bytes);
        bytes.iter_mut().skip(PLACE_BYTES - CHECK_BYTES).zip(check).for_each(|(byte, check)| *byte = check);
        bytes
    }

    /// Reads a record; nothing when it is none, or was changed.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; PLACE_BYTES] = bytes.try_into().ok()?;
        let mut rest = bytes.strip_prefix(&MAGIC)?;
        let binding = taken(&mut rest)?;
        let durable = position(&mut rest)?;
        let mut sink = SinkPlace { written: position(&mut rest)?, plain: [0; LAYERS_MAX] };
        for plain in &mut sink.plain {
            *plain = position(&mut rest)?;
        }
        let written = taken(&mut rest)?;
        (check_of(bytes) == taken::<CHECK_BYTES>(&mut rest)?).then_some(Self {
            binding,
            durable,
            sink,
            written,
        })
    }

    /// Says whether a patch has this place.
    pub(crate) fn fits(&self, header: &Header, layers: &Layers) -> bool {
        let within = self.sink.written <= self.durable && self.durable <= header.result_size.0;
        // Without layers, every place is one between stretches.
        let whole = header.layers > 0 || self.sink.written == self.durable;
        within && whole && can_resume(layers, &self.sink)
    }

    /// Returns how many plain bytes in front of the place need not be packed again.
    pub(crate) fn plain(&self, layers: &Layers) -> u64 {
        match layers.layers().len().checked_sub(1) {
            Some(top) => self.sink.plain.get(top).copied().unwrap_or(0),
            None => self.sink.written,
        }
    }
}

/// Returns the start of the digest of a head and of what the caller says about patch and slot.
pub(crate) fn bind(head: &[u8; 32], purpose: &[u8]) -> [u8; BINDING_BYTES] {
    start_of(Sha256::new().chain_update(head).chain_update(purpose))
}

/// Returns the first bytes of a digest.
pub(crate) fn start_of<const N: usize>(hash: Sha256) -> [u8; N] {
    let mut start = [0; N];
    start.iter_mut().zip(hash.finalize()).for_each(|(start, byte)| *start = byte);
    start
}

fn check_of(bytes: &[u8; PLACE_BYTES]) -> [u8; CHECK_BYTES] {
    let (said, _) = bytes.split_at(PLACE_BYTES - CHECK_BYTES);
    start_of(Sha256::new_with_prefix(said))
}

fn taken<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, behind) = rest.split_first_chunk()?;
    *rest = behind;
    Some(*taken)
}

fn position(rest: &mut &[u8]) -> Option<u64> {
    let taken: [u8; POSITION_BYTES] = taken(rest)?;
    let mut wide = [0; 8];
    wide.iter_mut().zip(taken).for_each(|(wide, byte)| *wide = byte);
    Some(u64::from_le_bytes(wide))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        let sink = SinkPlace { written: 0x0102_0304_0506, plain: [7, 0xffff_ffff_ffff, 9] };
        Place { binding: [3; 12], durable: 0x0102_0304_0507, sink, written: [5; 10] }
    }

    #[test]
    fn a_record_is_64_bytes_and_comes_back() {
        let bytes = place().to_bytes();
        assert_eq!(Place::from_bytes(&bytes), Some(place()));
        assert_eq!(bytes[..4], *b"FWR\x01");
        assert_eq!(bytes[4..16], [3; 12]);
        assert_eq!(bytes[16..22], [7, 5, 4, 3, 2, 1]);
        assert_eq!(bytes[22..28], [6, 5, 4, 3, 2, 1]);
        assert_eq!(bytes[28..46], [7, 0, 0, 0, 0, 0, 255, 255, 255, 255, 255, 255, 9, 0, 0, 0, 0, 0]);
        assert_eq!(bytes[46..56], [5; 10]);
    }

    #[test]
    fn a_record_with_a_changed_bit_or_another_length_is_none() {
        let bytes = place().to_bytes();
        for bit in 0..PLACE_BYTES * 8 {
            let mut changed = bytes;
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Place::from_bytes(&changed), None, "bit {bit}");
        }
        for len in 0..PLACE_BYTES {
            assert_eq!(Place::from_bytes(&bytes[..len]), None);
        }
        assert_eq!(Place::from_bytes(&[&bytes[..], &[0]].concat()), None);
    }
}
