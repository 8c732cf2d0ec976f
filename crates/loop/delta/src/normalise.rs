//! Masks the address fields of code, so that moved code still matches.
//!
//! In: a file, the processor for which it holds code, and where it is loaded. Out: as many bytes, in which the fields
//! that change when code moves are zero. Refuses nothing: what is no code is masked by chance here and there, in old
//! and new file alike, and copies are compared on the true bytes in the end.

mod a64;
mod arm;
mod pool;
mod riscv;
mod thumb;
mod x86;
mod xtensa;

use warden_patch::atlas::Space;
use warden_patch::predict::Arch;

/// Returns the bytes with masked address fields.
pub(crate) fn normalise(arch: Arch, bytes: &[u8], space: &Space) -> Vec<u8> {
    let mut out = bytes.to_vec();
    match arch {
        Arch::A64 => a64::mask(&mut out),
        Arch::Thumb => thumb::mask(&mut out, space),
        Arch::Arm => arm::mask(&mut out, space),
        Arch::Rv32 | Arch::Rv64 => riscv::mask(bytes, space, &mut out),
        Arch::X86 => x86::mask(bytes, space, &mut out),
        Arch::Xtensa => xtensa::mask(bytes, space, &mut out),
        Arch::None => {}
    }
    out
}

#[cfg(test)]
mod tests;
