//! Xtensa: distances of calls and of loads of literals, and literals that are addresses.

use warden_patch::atlas::Space;

/// Masks what changes when code moves; `out` holds `bytes`.
pub(super) fn mask(bytes: &[u8], space: &Space, out: &mut [u8]) {
    let mut at = 0;
    while let Some(chunk) = bytes.get(at..).and_then(|rest| rest.first_chunk::<4>()) {
        let word = u32::from_le_bytes(*chunk);
        let is_aligned = u32::try_from(at).is_ok_and(|at| space.address(at).is_multiple_of(4));
        let (kept, len) = match word & 15 {
            _ if is_aligned && word >> 24 != 0 && space.holds(u64::from(word)) => (word & 0xff00_0000, 4),
            1 => (word & 0xff00_00ff, 3),
            5 => (word & 0xff00_003f, 3),
            0..8 => (word, 3),
            _ => (word, 2),
        };
        if let Some(place) = out.get_mut(at..).and_then(|rest| rest.first_chunk_mut::<4>()) {
            *place = kept.to_le_bytes();
        }
        at += len;
    }
}
