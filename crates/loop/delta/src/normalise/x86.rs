//! 64-bit x86: distances of calls and jumps, RIP-relative operands and immediate addresses that stay in the file.

use warden_patch::atlas::Space;
use warden_patch::predict::x86::length::{Operand, decode};

/// Below, a number is a count or a flag rather than an address.
const ADDRESS_MIN: u64 = 0x1_0000;

/// Masks what changes when code moves; `out` holds `bytes`.
pub(super) fn mask(bytes: &[u8], space: &Space, out: &mut [u8]) {
    // In files that are loaded anywhere, addresses count from zero, and immediate numbers are none.
    let has_immediates = !space.holds(ADDRESS_MIN);
    let mut at = 0;
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        let Some(instruction) = decode(rest) else {
            at += 1;
            continue;
        };
        let end = at + instruction.len;
        match instruction.operand {
            Operand::Far(field) | Operand::Relative(field) => {
                let distance = number::<4>(rest, field).map(u32::from_le_bytes).unwrap_or_default();
                let distance = i64::from(distance.cast_signed());
                let place = u32::try_from(end).map_or(0, |end| space.address(end));
                if space.holds(place.wrapping_add_signed(distance)) {
                    clear::<4>(out, at + field);
                }
            }
            Operand::Absolute32(field) if has_immediates => {
                let value = number::<4>(rest, field).map_or(0, |bytes| u64::from(u32::from_le_bytes(bytes)));
                if value >= ADDRESS_MIN && space.holds(value) {
                    clear::<4>(out, at + field);
                }
            }
            Operand::Absolute64(field) if has_immediates => {
                let value = number::<8>(rest, field).map_or(0, u64::from_le_bytes);
                if value >= ADDRESS_MIN && space.holds(value) {
                    clear::<8>(out, at + field);
                }
            }
            Operand::None
            | Operand::Near(_)
            | Operand::Branch(_)
            | Operand::Absolute32(_)
            | Operand::Absolute64(_) => {}
        }
        at = end;
    }
}

fn number<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

fn clear<const N: usize>(out: &mut [u8], at: usize) {
    if let Some(place) = out.get_mut(at..).and_then(|rest| rest.first_chunk_mut::<N>()) {
        *place = [0; N];
    }
}
