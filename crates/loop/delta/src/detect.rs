//! What a file is: its processor, and where it is loaded.
//!
//! In: a file. Out: the likely readings of it, the best one first; the encoder tries them and keeps the smallest patch.
//! Refuses nothing: what is not understood is [`Kind::Data`].

mod base;
mod elf;
mod esp;
mod flat;
mod go;

use warden_patch::atlas::{Segment, Space};
use warden_patch::predict::{Arch, GoTables};

/// How many readings of a file are worth a try: each costs the encoder a run.
pub(crate) const CANDIDATES_MAX: usize = 4;

/// What sort of file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An ELF file, little endian.
    Elf,
    /// A Linux kernel for 64-bit Arm, as it lies in memory.
    KernelImage,
    /// An image for Espressif's boot loaders.
    Esp,
    /// Code as it lies in flash.
    Flat,
    /// None of these.
    Data,
}

/// A reading of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Detected {
    /// The processor.
    pub(crate) arch: Arch,
    /// Where it is loaded.
    pub(crate) space: Space,
    /// The address of `.eh_frame_hdr`; 0 where there is none.
    pub(crate) frame_index: u64,
    /// The tables of a Go program; the default where there are none.
    pub(crate) go: GoTables,
    /// What sort of file it is.
    pub(crate) kind: Kind,
}

/// Returns up to [`CANDIDATES_MAX`] readings, the likeliest first; at least one.
pub(crate) fn candidates(bytes: &[u8]) -> Vec<Detected> {
    let mut found = elf::candidates(bytes);
    if found.is_empty() {
        found.extend(kernel_image(bytes));
    }
    if found.is_empty() {
        found.extend(esp::detect(bytes));
    }
    if found.is_empty() {
        found = flat::candidates(bytes);
    }
    if found.is_empty() {
        found.push(data(bytes));
    }
    found.truncate(CANDIDATES_MAX);
    found
}

/// Reads a file as bytes of which nothing is known.
pub(crate) fn data(bytes: &[u8]) -> Detected {
    Detected {
        arch: Arch::None,
        space: Space::flat(0, len(bytes)),
        frame_index: 0,
        go: GoTables::default(),
        kind: Kind::Data,
    }
}

/// Reads the head of a Linux kernel for 64-bit Arm (Linux, Documentation/arch/arm64/booting.rst, 4).
fn kernel_image(bytes: &[u8]) -> Option<Detected> {
    if bytes.get(56..60)? != b"ARM\x64" {
        return None;
    }
    let memory_len = long(bytes, 16)?.max(u64::from(len(bytes)));
    let address = base::kernel(bytes, memory_len);
    let segment = Segment { offset: 0, file_len: len(bytes), address, memory_len };
    Some(Detected {
        arch: Arch::A64,
        space: Space::new(&[segment]),
        frame_index: 0,
        go: GoTables::default(),
        kind: Kind::KernelImage,
    })
}

fn len(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|chunk| u16::from_le_bytes(*chunk))
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|chunk| u32::from_le_bytes(*chunk))
}

fn long(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|chunk| u64::from_le_bytes(*chunk))
}

#[cfg(test)]
mod tests;
