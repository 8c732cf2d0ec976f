//! ELF files, 32 and 64 bits, little endian.
//!
//! Norm: System V ABI, chapters 4 (header) and 5 (program header).

use warden_patch::atlas::{SEGMENTS_MAX, Segment, Space};
use warden_patch::predict::Arch;

use super::{Detected, Kind, flat, go, half, len, long, word};

/// How many program headers are looked at: real files have about a dozen.
const HEADERS_MAX: u16 = 64;

const PT_LOAD: u32 = 1;
const PT_GNU_EH_FRAME: u32 = 0x6474_e550;

/// Returns the readings of an ELF file; none for other files.
pub(super) fn candidates(bytes: &[u8]) -> Vec<Detected> {
    let Some((first, second, space, frame_index)) = parse(bytes) else { return Vec::new() };
    let tables = go::tables(bytes, &space);
    let reading = |arch| Detected { arch, space, frame_index, go: tables, kind: Kind::Elf };
    std::iter::once(first).chain(second).map(reading).collect()
}

fn parse(bytes: &[u8]) -> Option<(Arch, Option<Arch>, Space, u64)> {
    // EI_DATA 1: little endian.
    let class = match bytes.get(..6)? {
        [0x7f, b'E', b'L', b'F', 1, 1] => Class::Bits32,
        [0x7f, b'E', b'L', b'F', 2, 1] => Class::Bits64,
        _ => return None,
    };
    let (arch, second) = match (half(bytes, 18)?, class) {
        (40, _) if flat::arm_score(bytes) > flat::thumb_score(bytes) => (Arch::Arm, Some(Arch::Thumb)),
        (40, _) => (Arch::Thumb, Some(Arch::Arm)),
        (183, _) => (Arch::A64, None),
        (62, Class::Bits64) => (Arch::X86, None),
        (243, Class::Bits32) => (Arch::Rv32, None),
        (243, Class::Bits64) => (Arch::Rv64, None),
        (94, _) => (Arch::Xtensa, None),
        _ => (Arch::None, None),
    };
    let (segments, frame_index) = headers(bytes, class).unwrap_or_default();
    // Kernel modules have no segments: they are linked when they are loaded.
    let space = if segments.is_empty() { Space::flat(0, len(bytes)) } else { Space::new(&segments) };
    Some((arch, second, space, frame_index))
}

#[derive(Clone, Copy)]
enum Class {
    Bits32,
    Bits64,
}

/// Reads the program headers: the segments that are loaded, and the address of `.eh_frame_hdr`.
fn headers(bytes: &[u8], class: Class) -> Option<(Vec<Segment>, u64)> {
    let (start, size, count) = match class {
        Class::Bits64 => (long(bytes, 32)?, half(bytes, 54)?, half(bytes, 56)?),
        Class::Bits32 => (u64::from(word(bytes, 28)?), half(bytes, 42)?, half(bytes, 44)?),
    };
    let mut segments = Vec::new();
    let mut frame_index = 0;
    for index in 0..count.min(HEADERS_MAX) {
        let skip = u64::from(size).checked_mul(u64::from(index))?;
        let at = usize::try_from(start.checked_add(skip)?).ok()?;
        let Some((kind, segment)) = header(bytes, at, class) else { continue };
        match kind {
            PT_LOAD if segments.len() < SEGMENTS_MAX => segments.push(segment),
            PT_GNU_EH_FRAME => frame_index = segment.address,
            _ => {}
        }
    }
    Some((segments, frame_index))
}

fn header(bytes: &[u8], at: usize, class: Class) -> Option<(u32, Segment)> {
    let field32 = |skip: usize| word(bytes, at.checked_add(skip)?).map(u64::from);
    let field64 = |skip: usize| long(bytes, at.checked_add(skip)?);
    let (offset, address, file_len, memory_len) = match class {
        Class::Bits64 => (field64(8)?, field64(16)?, field64(32)?, field64(40)?),
        Class::Bits32 => (field32(4)?, field32(8)?, field32(16)?, field32(20)?),
    };
    let offset = u32::try_from(offset).ok()?;
    let file_len = u32::try_from(file_len).ok()?.min(len(bytes).saturating_sub(offset));
    Some((word(bytes, at)?, Segment { offset, file_len, address, memory_len }))
}
