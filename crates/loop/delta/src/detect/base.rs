//! Where a flat image is loaded: whatever lies at a known place in it is pointed to by some number in it.
//!
//! In: an image, and numbers that its code loads. Out: likely bases, best first. Refuses nothing.

use warden_patch::atlas::Segment;
use warden_patch::predict::Arch;

use super::{half, long, word};

/// How many numbers and how many strings are compared: their product is what it costs.
const SAMPLES_MAX: usize = 3000;

/// Bases are multiples of this, in bytes: boot loaders and headers keep to it.
const BASE_ALIGN: u32 = 16;

/// How many bases are returned.
const BASES_MAX: usize = 3;

/// Fewest votes for a base to be counted: chance gives one or two, and there are many by chance.
const VOTES_MIN: usize = 3;

/// How far apart two pointers of one structure are at most, in words.
const NEIGHBOUR_WORDS: usize = 5;

/// Shortest run of text that counts as a string, in bytes.
const STRING_BYTES_MIN: usize = 6;

/// Granularity in which the memory beside the image is found, in bytes.
const PAGE_BYTES: u64 = 1 << 16;

/// How many numbers must point into a page before it counts as memory.
const PAGE_NUMBERS_MIN: usize = 6;

/// The smallest share of all numbers that must point into a page, as a fraction's lower part: below, it is data taken for
/// instructions.
const PAGE_SHARE_MIN: usize = 64;

/// How many stretches of memory are told beside the image; with it, a [`Space`](warden_patch::atlas::Space) has room for eight.
const MEMORIES_MAX: usize = 6;

/// Returns the numbers that code loads from beside itself or makes of two halves: addresses, mostly. Sorted, none twice.
pub(super) fn constants(arch: Arch, bytes: &[u8]) -> Vec<u32> {
    let found = |at: usize| match arch {
        Arch::Thumb => thumb_constant(bytes, at),
        Arch::Arm => arm_constant(bytes, at),
        Arch::Rv32 | Arch::Rv64 => riscv_pair(bytes, at, 0x37),
        Arch::Xtensa => xtensa_constant(bytes, at),
        Arch::None | Arch::A64 | Arch::X86 => None,
    };
    let stride = match arch {
        Arch::Xtensa => 1,
        Arch::Arm => 4,
        Arch::None | Arch::A64 | Arch::X86 | Arch::Thumb | Arch::Rv32 | Arch::Rv64 => 2,
    };
    let mut numbers: Vec<u32> = (0..bytes.len()).step_by(stride).filter_map(found).collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

/// LDR Rt, [pc, #n], 16 and 32 bits.
fn thumb_constant(bytes: &[u8], at: usize) -> Option<u32> {
    let first = half(bytes, at)?;
    let pc = (at + 4) & !3;
    if first & 0xf800 == 0x4800 {
        return word(bytes, pc + usize::from(first & 0xff) * 4);
    }
    let second = half(bytes, at + 2)?;
    if first == 0xf8df { word(bytes, pc + usize::from(second & 0xfff)) } else { None }
}

/// LDR Rt, [pc, #n].
fn arm_constant(bytes: &[u8], at: usize) -> Option<u32> {
    let distance =
        usize::try_from(word(bytes, at).filter(|word| word & 0x0fff_0000 == 0x059f_0000)? & 0xfff).ok()?;
    word(bytes, at + 8 + distance)
}

/// LUI or AUIPC, by its opcode, and the next instruction that adds to its register.
fn riscv_pair(bytes: &[u8], at: usize, opcode: u32) -> Option<u32> {
    let upper = word(bytes, at).filter(|word| word & 0x7f == opcode)?;
    let register = upper >> 7 & 31;
    let high = upper & 0xffff_f000;
    let low = (2..24).step_by(2).find_map(|skip| {
        let next = word(bytes, at + 2 + skip)?;
        let is_user = next >> 15 & 31 == register;
        match (next & 0x7f, next >> 12 & 7) {
            (0x13, 0) | (0x03, _) if is_user => Some(next.cast_signed() >> 20),
            (0x23, _) if is_user => Some((next & 0xfe00_0000 | (next >> 7 & 31) << 20).cast_signed() >> 20),
            _ => None,
        }
    });
    low.map(|low| high.wrapping_add_signed(low))
}

/// L32R.
fn xtensa_constant(bytes: &[u8], at: usize) -> Option<u32> {
    let [
        1 | 0x11 | 0x21 | 0x31 | 0x41 | 0x51 | 0x61 | 0x71 | 0x81 | 0x91 | 0xa1 | 0xb1 | 0xc1 | 0xd1 | 0xe1
        | 0xf1,
        low,
        high,
    ] = *bytes.get(at..)?.first_chunk()?
    else {
        return None;
    };
    let back = (1 << 16) - usize::from(u16::from_le_bytes([low, high]));
    word(bytes, ((at + 3) & !3).checked_sub(back * 4)?)
}

/// Returns the bases from which most numbers point to the start of a string or of a function, best first. At least one.
pub(super) fn search(arch: Arch, bytes: &[u8], constants: &[u32]) -> Vec<u64> {
    let words = neighbours(bytes);
    let (strings, functions) = (thin(&strings(bytes)), thin(&functions(arch, bytes)));
    let (constants, words) = (thin(constants), thin(&words));
    let mut votes = Votes::default();
    votes.add(&constants, &strings);
    votes.add(&constants, &functions);
    // Code that addresses relative to itself loads no addresses; its tables hold them.
    votes.add(&words, &strings);
    votes.add(&words, &functions);
    if matches!(arch, Arch::Rv32 | Arch::Rv64) {
        // Variables in RAM are addressed both ways.
        votes.add(&words, &thin(&relative(bytes)));
    }
    let mut bases = votes.best();
    if bases.is_empty() {
        bases.push(if arch == Arch::Thumb { vector_base(bytes).unwrap_or(0) } else { 0 });
    }
    bases.truncate(BASES_MAX);
    bases
}

/// Returns the words near which another one points to the same mebibyte: tables of pointers, and structures with
/// several. Sorted, none twice.
fn neighbours(bytes: &[u8]) -> Vec<u32> {
    let (words, _) = bytes.as_chunks::<4>();
    let words: Vec<u32> = words.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect();
    let mut found: Vec<u32> = Vec::new();
    for window in words.windows(NEIGHBOUR_WORDS) {
        let [first, rest @ ..] = window else { continue };
        for other in rest.iter().filter(|other| **other >> 20 == first >> 20 && first >> 20 != 0) {
            found.extend([*first, *other]);
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// How often each base was found.
#[derive(Default)]
struct Votes {
    bases: Vec<(u32, usize)>,
}

impl Votes {
    /// Adds each base from which one of the numbers points to one of the places.
    fn add(&mut self, numbers: &[u32], places: &[u32]) {
        let mut bases: Vec<u32> = Vec::new();
        for number in numbers.iter().filter(|number| **number >= 0x1000) {
            // A place may lie in front of the image, then it is negative.
            let differences = places.iter().map(|place| number.wrapping_sub(*place));
            bases.extend(differences.filter(|base| base.is_multiple_of(BASE_ALIGN)));
        }
        bases.sort_unstable();
        let runs = bases.chunk_by(|a, b| a == b).filter(|run| run.len() >= VOTES_MIN);
        self.bases.extend(runs.filter_map(|run| Some((*run.first()?, run.len()))));
    }

    /// Returns the bases that were found most often, best first, and none that has far less votes than the best.
    fn best(mut self) -> Vec<u64> {
        self.bases.sort_unstable();
        let sums = self.bases.chunk_by(|(a, _), (b, _)| a == b).filter_map(|run| {
            let (base, _) = *run.first()?;
            let count: usize = run.iter().map(|(_, count)| count).sum();
            // Linker scripts name round numbers.
            let roundness = if base.is_multiple_of(1 << 12) { 3 } else { 2 };
            Some((count * roundness, base))
        });
        let mut sums: Vec<_> = sums.collect();
        sums.sort_unstable_by(|a, b| b.cmp(a));
        let most = sums.first().map_or(0, |(count, _)| *count);
        sums.into_iter().filter(|(count, _)| count * 5 > most * 2).map(|(_, base)| u64::from(base)).collect()
    }
}

/// Returns where RISC-V code points from its own place, as if the image started at zero. Sorted, none twice.
pub(super) fn relative(bytes: &[u8]) -> Vec<u32> {
    let mut found: Vec<u32> = (0..bytes.len())
        .step_by(2)
        .filter_map(|at| Some(u32::try_from(at).ok()?.wrapping_add(riscv_pair(bytes, at, 0x17)?)))
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// Returns the offsets at which functions start; in Thumb code one more, as pointers to it say.
fn functions(arch: Arch, bytes: &[u8]) -> Vec<u32> {
    let is_start = |at: usize| match arch {
        // PUSH {.., lr}.
        Arch::Thumb => half(bytes, at).is_some_and(|half| half >> 8 == 0xb5),
        // STMDB sp!, {.., lr}.
        Arch::Arm => word(bytes, at).is_some_and(|word| word & 0xffff_4000 == 0xe92d_4000),
        // ADDI sp, sp, -n in its three lengths.
        Arch::Rv32 | Arch::Rv64 => {
            half(bytes, at).is_some_and(|half| half & 0xff83 == 0x1101 || half & 0xff83 == 0x7101)
                || word(bytes, at).is_some_and(|word| word & 0x800f_ffff == 0x8001_0113)
        }
        // ADDI a1, a1, -n; ENTRY a1.
        Arch::Xtensa => {
            let first = bytes.get(at..).and_then(|rest| rest.first_chunk::<3>());
            first.is_some_and(|first| matches!(first, [0x12, 0xc1, 0x80..=0xff] | [0x36, _, 0]))
        }
        Arch::None | Arch::A64 | Arch::X86 => false,
    };
    let (stride, bit) = match arch {
        Arch::Thumb => (2, 1),
        Arch::Rv32 | Arch::Rv64 => (2, 0),
        Arch::None | Arch::A64 | Arch::X86 | Arch::Arm | Arch::Xtensa => (4, 0),
    };
    let starts = (0..bytes.len()).step_by(stride).filter(|at| is_start(*at));
    starts.filter_map(|at| u32::try_from(at + bit).ok()).collect()
}

/// Returns the offsets at which text starts behind a zero.
fn strings(bytes: &[u8]) -> Vec<u32> {
    let is_text = |byte: &u8| matches!(byte, b' '..=b'~' | b'\n' | b'\r' | b'\t');
    let mut found = Vec::new();
    let mut at = 0;
    for run in bytes.split(|byte| *byte == 0) {
        if run.len() >= STRING_BYTES_MIN && run.iter().take(STRING_BYTES_MIN).all(is_text) {
            found.extend(u32::try_from(at));
        }
        at += run.len() + 1;
    }
    found
}

/// Takes evenly at most [`SAMPLES_MAX`].
fn thin(numbers: &[u32]) -> Vec<u32> {
    numbers.iter().copied().step_by(numbers.len() / SAMPLES_MAX + 1).collect()
}

/// A Cortex-M image starts with its stack and the places of its handlers (`ARMv7-M` Architecture Reference Manual, B1.5.3):
/// the base is the boundary below them that also reaches them all.
fn vector_base(bytes: &[u8]) -> Option<u64> {
    let stack = word(bytes, 0)?;
    let handlers = [4, 8, 12].map(|at| word(bytes, at).unwrap_or(0));
    if stack >> 28 > 3 || stack & 3 != 0 || handlers.iter().any(|handler| handler & 1 == 0) {
        return None;
    }
    let lowest = *handlers.iter().min()?;
    let len = u32::try_from(bytes.len()).ok()?;
    let base = lowest.saturating_sub(lowest % len.next_power_of_two());
    Some(u64::from(base))
}

/// Returns the memory beside the image into which numbers point: RAM, ROM, devices.
pub(super) fn memory(constants: &[u32], base: u64, bytes: &[u8]) -> Vec<Segment> {
    let end = base.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
    let pages: Vec<u64> = constants
        .iter()
        .map(|number| u64::from(*number))
        // Neither small numbers nor masks and small negative ones.
        .filter(|number| (PAGE_BYTES * 16..0xffff_0000).contains(number) && !(base..end).contains(number))
        .map(|number| number / PAGE_BYTES)
        .collect();
    let mut memory: Vec<(usize, Segment)> = Vec::new();
    let enough = PAGE_NUMBERS_MIN.max(pages.len() / PAGE_SHARE_MIN);
    for run in pages.chunk_by(|a, b| a == b).filter(|run| run.len() >= enough) {
        let address = run.first().copied().unwrap_or(0) * PAGE_BYTES;
        match memory.last_mut() {
            Some((sum, last)) if last.address + last.memory_len == address => {
                *sum += run.len();
                last.memory_len += PAGE_BYTES;
            }
            _ => {
                memory.push((run.len(), Segment { offset: 0, file_len: 0, address, memory_len: PAGE_BYTES }));
            }
        }
    }
    memory.sort_by_key(|(count, segment)| (std::cmp::Reverse(*count), segment.address));
    memory.into_iter().take(MEMORIES_MAX).map(|(_, segment)| segment).collect()
}

/// Where Linux links its kernel for 64-bit Arm, by version and by bits of addresses (arch/arm64/include/asm/memory.h).
const KERNELS: [u64; 7] = [
    0xffff_8000_0800_0000,
    0xffff_8000_8000_0000,
    0xffff_8000_1000_0000,
    0xffff_ffc0_0800_0000,
    0xffff_ffc0_8000_0000,
    0xffff_ffc0_1000_0000,
    0xffff_0000_0800_0000,
];

/// Returns the address at which a kernel is linked: that to which most of its 64-bit numbers belong.
pub(super) fn kernel(bytes: &[u8], memory_len: u64) -> u64 {
    let count = |base: u64| {
        let numbers = (0..bytes.len()).step_by(8).filter_map(|at| long(bytes, at));
        numbers.filter(|number| number.checked_sub(base).is_some_and(|far| far < memory_len)).count()
    };
    let (_, base) =
        KERNELS.map(|base| (count(base), std::cmp::Reverse(base))).into_iter().max().unwrap_or_default();
    base.0
}
