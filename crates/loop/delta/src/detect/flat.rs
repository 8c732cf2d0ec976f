//! Code as it lies in flash, without any head: the processor shows in what instructions are frequent.
//!
//! In: a file. Out: readings of it. Refuses, with no reading, what has too few of the instructions with which functions
//! start and end.

use warden_patch::atlas::{Segment, Space};
use warden_patch::predict::{Arch, GoTables};

use super::{Detected, Kind, base, half, len, word};

/// Shortest file that is looked at, in bytes: statistics need some hundred instructions.
const FILE_BYTES_MIN: usize = 1 << 10;

/// Longest file that is looked at, in bytes: microcontrollers run from no more flash.
const FILE_BYTES_MAX: usize = 64 << 20;

/// How much of a file is counted, in bytes, from its start and from its middle.
const SAMPLE_BYTES: usize = 256 << 10;

/// Fewest starts and ends of functions in 16 KiB of a sample. Chance gives two at most; code that shares its flash with
/// much data still has twenty.
const SCORE_MIN: usize = 12;

/// Returns the readings of a flat image, best first.
pub(super) fn candidates(bytes: &[u8]) -> Vec<Detected> {
    if !(FILE_BYTES_MIN..=FILE_BYTES_MAX).contains(&bytes.len()) {
        return Vec::new();
    }
    let scores = [
        (Arch::A64, a64_score(bytes)),
        (Arch::Thumb, thumb_score(bytes)),
        (Arch::Arm, arm_score(bytes)),
        (Arch::Rv32, riscv_score(bytes)),
        (Arch::X86, x86_score(bytes)),
        (Arch::Xtensa, xtensa_score(bytes)),
    ];
    let sample = samples(bytes).iter().map(|sample| sample.len()).sum::<usize>().max(1);
    let mut scores: Vec<_> =
        scores.into_iter().filter(|(_, score)| score * (16 << 10) / sample >= SCORE_MIN).collect();
    scores.sort_by_key(|(_, score)| std::cmp::Reverse(*score));
    let mut found: Vec<Detected> = Vec::new();
    for (index, (arch, _)) in scores.into_iter().take(2).enumerate() {
        let readings = match arch {
            Arch::A64 | Arch::X86 | Arch::Rv64 | Arch::None => vec![reading(arch, &[], 0, bytes)],
            Arch::Thumb | Arch::Arm | Arch::Rv32 | Arch::Xtensa => by_base(arch, bytes),
        };
        // The second processor is a long shot.
        let places = if index == 0 { 3 } else { 1 };
        found.extend(readings.into_iter().take(places));
    }
    found
}

fn by_base(arch: Arch, bytes: &[u8]) -> Vec<Detected> {
    let constants = base::constants(arch, bytes);
    let bases = base::search(arch, bytes, &constants);
    let relative = if arch == Arch::Rv32 { base::relative(bytes) } else { Vec::new() };
    let memory = |base| {
        let low = u32::try_from(base).unwrap_or(0);
        let mut numbers: Vec<u32> = relative.iter().map(|far| low.wrapping_add(*far)).collect();
        numbers.extend_from_slice(&constants);
        numbers.sort_unstable();
        numbers.dedup();
        base::memory(&numbers, base, bytes)
    };
    bases.iter().map(|&base| reading(arch, &memory(base), base, bytes)).collect()
}

fn reading(arch: Arch, memory: &[Segment], base: u64, bytes: &[u8]) -> Detected {
    let len = len(bytes);
    let file = Segment { offset: 0, file_len: len, address: base, memory_len: u64::from(len) };
    let segments: Vec<_> = std::iter::once(file).chain(memory.iter().copied()).collect();
    Detected { arch, space: Space::new(&segments), frame_index: 0, go: GoTables::default(), kind: Kind::Flat }
}

fn samples(bytes: &[u8]) -> [&[u8]; 2] {
    let start = bytes.get(..SAMPLE_BYTES).unwrap_or(bytes);
    let middle = (bytes.len() / 2).max(SAMPLE_BYTES) & !3;
    let end = bytes.len().min(middle.saturating_add(SAMPLE_BYTES));
    [start, bytes.get(middle..end).unwrap_or_default()]
}

fn count(bytes: &[u8], stride: usize, is_hit: impl Fn(&[u8], usize) -> bool) -> usize {
    let hits = |sample: &[u8]| (0..sample.len()).step_by(stride).filter(|at| is_hit(sample, *at)).count();
    samples(bytes).into_iter().map(hits).sum()
}

fn a64_score(bytes: &[u8]) -> usize {
    count(bytes, 4, |sample, at| {
        // RET; STP x29, x30, [sp, #n]!; LDP x29, x30, [sp], #n.
        word(sample, at).is_some_and(|word| {
            word == 0xd65f_03c0 || word & 0xffc0_7fff == 0xa980_7bfd || word & 0xffc0_7fff == 0xa8c0_7bfd
        })
    })
}

/// Counts starts and ends of functions in Thumb code.
pub(super) fn thumb_score(bytes: &[u8]) -> usize {
    count(bytes, 2, |sample, at| {
        // BX LR; PUSH {.., lr} and POP {.., pc} with the registers that compilers take.
        half(sample, at).is_some_and(|half| {
            half == 0x4770
                || matches!(half >> 8, 0xb5 | 0xbd)
                    && matches!(half & 0xff, 0x00 | 0x08 | 0x10 | 0x30 | 0x38 | 0x70 | 0xf0 | 0xf8 | 0x80)
        })
    })
}

/// Counts starts and ends of functions in Arm code.
pub(super) fn arm_score(bytes: &[u8]) -> usize {
    count(bytes, 4, |sample, at| {
        // BX LR; STMDB sp!, {.., lr}; LDMIA sp!, {.., pc}; LDR pc, [sp], #4, and its start.
        word(sample, at).is_some_and(|word| {
            matches!(word, 0xe12f_ff1e | 0xe49d_f004 | 0xe52d_e004)
                || word & 0xffff_f000 == 0xe92d_4000
                || word & 0xffff_f000 == 0xe8bd_8000
        })
    })
}

fn riscv_score(bytes: &[u8]) -> usize {
    count(bytes, 2, |sample, at| {
        // C.RET; C.ADDI sp with 16 or 32 bytes; C.ADDI16SP; RET; C.SWSP ra.
        half(sample, at).is_some_and(|half| {
            matches!(
                half,
                0x8082 | 0x1141 | 0x1101 | 0x7179 | 0x7139 | 0x715d | 0x711d | 0x7119 | 0xc606 | 0xce06
            ) || half == 0x8067 && word(sample, at) == Some(0x8067)
        })
    })
}

fn x86_score(bytes: &[u8]) -> usize {
    count(bytes, 1, |sample, at| {
        let Some(chunk) = sample.get(at..).and_then(|rest| rest.first_chunk::<4>()) else { return false };
        // PUSH rbp, MOV rbp, rsp; SUB and ADD rsp; RET and the padding behind it; ENDBR64.
        matches!(chunk, [0x55, 0x48, 0x89, 0xe5] | [0x48, 0x83, 0xec | 0xc4, _] | [0xf3, 0x0f, 0x1e, 0xfa])
            || matches!(chunk, [0xc3, 0x0f, 0x1f, _] | [0xc3, 0x66, 0x0f | 0x2e, _] | [0xc3, 0xcc, 0xcc, _])
    })
}

fn xtensa_score(bytes: &[u8]) -> usize {
    count(bytes, 1, |sample, at| {
        let Some(chunk) = sample.get(at..).and_then(|rest| rest.first_chunk::<3>()) else { return false };
        // RET.N, RETW.N; ADDI a1, a1, -n; ENTRY a1.
        matches!(
            chunk,
            [0x0d | 0x1d, 0xf0, _] | [0x12, 0xc1, 0xf0 | 0xe0 | 0xd0] | [0x36, 0x41 | 0x61 | 0x81, 0x00]
        )
    })
}
