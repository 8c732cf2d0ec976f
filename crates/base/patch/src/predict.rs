//! What copied bytes become when the code around them has moved.
//!
//! In: a block of the old file, what it is, and an [`Atlas`]. Out: the block as it probably stands in the new file, one
//! instruction or word after the other. Refuses nothing.
//!
//! A block is predicted step by step, never in one go: what a decoded word has taught holds from the next step on.

mod a64;
mod arm;
mod data;
mod fields;
mod frame;
#[cfg(test)]
mod plan;
mod pool;
mod riscv;
#[cfg(test)]
mod testing;
mod thumb;
mod words;
pub mod x86;
mod xtensa;

use crate::atlas::Atlas;

/// The processor for which a file holds code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Arch {
    /// No code, or code of an unknown processor.
    #[default]
    None,
    /// 64-bit Arm.
    A64,
    /// 32-bit Arm, mostly 16-bit instructions: microcontrollers, and Linux user land.
    Thumb,
    /// 32-bit Arm, 32-bit instructions.
    Arm,
    /// RISC-V, 32 bits, with or without compressed instructions.
    Rv32,
    /// RISC-V, 64 bits, with or without compressed instructions.
    Rv64,
    /// 64-bit x86.
    X86,
    /// Xtensa, little endian: ESP8266, ESP32.
    Xtensa,
}

impl Arch {
    /// Returns the processor with a number, if there is one.
    pub fn from_number(number: u64) -> Option<Self> {
        let all =
            [Self::None, Self::A64, Self::Thumb, Self::Arm, Self::Rv32, Self::Rv64, Self::X86, Self::Xtensa];
        usize::try_from(number).ok().and_then(|number| all.get(number)).copied()
    }
}

/// How a block is predicted. The encoder chooses, block by block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// As it was.
    #[default]
    Same,
    /// Instructions of the file's [`Arch`], with the pointers between them.
    Code,
    /// 32-bit addresses.
    Pointers32,
    /// 64-bit addresses.
    Pointers64,
    /// 32-bit offsets into the file.
    Offsets32,
    /// 32-bit distances from the place where they stand.
    Relative32,
    /// The rows of `.eh_frame_hdr`.
    FrameIndex,
    /// The descriptions in `.eh_frame`.
    Frames,
    /// The table of functions of a Go program ([`GoTables`]).
    GoFunctions,
    /// What a Go program knows of its types: 64-bit addresses and 32-bit distances from the start of all types.
    GoTypes,
    /// Tables of an ELF file that hold small indices beside addresses: symbols, relocations.
    Symbols,
}

impl Mode {
    /// How many bits tell a mode.
    pub const BITS: u32 = 4;

    /// All modes.
    pub const ALL: [Self; 11] = [
        Self::Same,
        Self::Code,
        Self::Pointers32,
        Self::Pointers64,
        Self::Offsets32,
        Self::Relative32,
        Self::FrameIndex,
        Self::Frames,
        Self::GoFunctions,
        Self::GoTypes,
        Self::Symbols,
    ];

    /// Returns the mode with a number; an unknown one is [`Mode::Same`].
    pub fn from_number(number: u32) -> Self {
        usize::try_from(number).ok().and_then(|number| Self::ALL.get(number)).copied().unwrap_or_default()
    }
}

/// What lies under a block of the new file.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// The old bytes: those under the block, and up to [`LOOK_AHEAD_BYTES`] that follow them.
    pub old: &'a [u8],
    /// Where `old` starts in the old file, in bytes.
    pub old_offset: u32,
    /// Where the block starts in the new file, in bytes.
    pub new_offset: u32,
    /// The address of `.eh_frame_hdr` in the old and in the new file; 0 where there is none.
    pub frame_index: (u64, u64),
    /// The tables of a Go program in the old and in the new file; the default where there are none.
    pub go: (GoTables, GoTables),
}

/// From where the numbers count that Go programs keep of their functions and types (Go, src/internal/abi/symtab.go and
/// src/runtime/symtab.go).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GoTables {
    /// The address of the first function.
    pub text: u64,
    /// The address of the first type.
    pub types: u64,
    /// The address behind the last type.
    pub types_end: u64,
    /// The address of what the garbage collector knows of functions.
    pub data: u64,
    /// Where the names of the functions start in the file.
    pub names: u32,
    /// Where the list of source files by compilation unit starts in the file.
    pub units: u32,
    /// Where the tables by instruction start in the file: lines, files, stack.
    pub lines: u32,
    /// Where the list of functions starts in the file.
    pub functions: u32,
    /// How many functions there are.
    pub count: u32,
}

/// How many old bytes behind the block a predictor may see: two dozen instructions.
pub const LOOK_AHEAD_BYTES: usize = 96;

/// What a predictor remembers within a block. It starts afresh with each block.
#[derive(Debug, Clone, Copy, Default)]
pub struct Memory {
    /// A value per register, for instance the page that an ADRP loaded; the predictor says what it means.
    pub values: [u64; 32],
    /// A second value per register, for instance the one in the new file.
    pub others: [u64; 32],
    /// Which registers hold a value, a bit each.
    pub held: u32,
    /// Offsets from the stack pointer in the function at hand, in bytes: in the old and in the new file.
    pub slots: [(i16, i16); 32],
    /// How many of them were stored; the newest ones take the places of the oldest.
    pub slots_seen: u32,
}

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// How many bytes it went on: at least 1.
    pub len: usize,
    /// Whether [`learn`] should be told when the true bytes are known.
    pub teaches: bool,
}

/// Predicts the instruction or word that starts at `at`, into `out` (which holds the old bytes of the block, so that a
/// step that has nothing to say writes nothing). A field that would reach behind the end of `out` is left alone.
pub fn step<A: Atlas>(
    (arch, mode): (Arch, Mode),
    view: &View<'_>,
    at: usize,
    memory: &mut Memory,
    atlas: &A,
    out: &mut [u8],
) -> Step {
    match (mode, arch) {
        (Mode::Same, _) | (Mode::Code, Arch::None) => {
            Step { len: out.len().saturating_sub(at).max(1), teaches: false }
        }
        (Mode::Code, Arch::A64) => a64::step(view, at, memory, atlas, out),
        (Mode::Code, Arch::Thumb) => thumb::step(view, at, memory, atlas, out),
        (Mode::Code, Arch::Arm) => arm::step(view, at, memory, atlas, out),
        (Mode::Code, Arch::Rv32 | Arch::Rv64) => riscv::step(arch, view, at, memory, atlas, out),
        (Mode::Code, Arch::X86) => x86::step(view, at, memory, atlas, out),
        (Mode::Code, Arch::Xtensa) => xtensa::step(view, at, memory, atlas, out),
        (mode, _) => data::step(mode, view, at, memory, atlas, out),
    }
}

/// Tells the atlas what the true bytes at `at` teach; `new` holds the true bytes of the block up to the step's end.
pub fn learn<A: Atlas>(
    (arch, mode): (Arch, Mode),
    view: &View<'_>,
    at: usize,
    memory: &mut Memory,
    new: &[u8],
    atlas: &mut A,
) {
    match (mode, arch) {
        (Mode::Same, _) | (Mode::Code, Arch::None) => {}
        (Mode::Code, Arch::A64) => a64::learn(view, at, memory, new, atlas),
        (Mode::Code, Arch::Thumb) => thumb::learn(view, at, memory, new, atlas),
        (Mode::Code, Arch::Arm) => arm::learn(view, at, memory, new, atlas),
        (Mode::Code, Arch::Rv32 | Arch::Rv64) => riscv::learn(view, at, new, atlas),
        (Mode::Code, Arch::X86) => x86::learn(view, at, new, atlas),
        (Mode::Code, Arch::Xtensa) => xtensa::learn(view, at, new, atlas),
        (mode, _) => data::learn(mode, view, at, new, atlas),
    }
}
