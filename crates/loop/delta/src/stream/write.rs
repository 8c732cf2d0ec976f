//! Writes the stream of a patch.
//!
//! In: both plain images, parts and their copies. Out: windows: coded bytes, and the digest of what they stand for.
//! Refuses nothing.

use core::convert::Infallible;
use std::io;

use sha2::{Digest, Sha256};
use warden_patch::chart::{Copy, Lesson};
use warden_patch::coder::Coder;
use warden_patch::coin::{Coin, Encoder, Target};
use warden_patch::head::{Room, head};
use warden_patch::mixing::{Mixing, Shape};
use warden_patch::model::{Slot, Wide};
use warden_patch::part::{Broken, Io, Part, PartMemory, Windows, code};

use warden_patch::plain::Plain;

use super::Tables;
use super::frame::Framing;
use crate::format::Header;

/// A part and its copies, sorted by their place in the new file.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) part: Part,
    pub(crate) copies: Vec<Copy>,
}

/// A finished window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Window {
    /// The coded bytes.
    pub(crate) coded: Vec<u8>,
    /// The first bytes of the SHA-256 of the plain bytes.
    pub(crate) check: [u8; 8],
}

/// Why nothing was written.
#[derive(Debug)]
pub(crate) enum WriteError {
    /// The copies that were handed in do not fit their part.
    Broken(Broken),
    /// The compressor failed.
    Compress(io::Error),
}

impl From<Infallible> for WriteError {
    fn from(value: Infallible) -> Self {
        match value {}
    }
}

impl From<Broken> for WriteError {
    fn from(value: Broken) -> Self {
        Self::Broken(value)
    }
}

/// Bytes of the windows so far.
#[derive(Default)]
struct Coded {
    done: Vec<Vec<u8>>,
    open: Vec<u8>,
}

impl Target for Coded {
    fn push(&mut self, byte: u8) {
        self.open.push(byte);
    }

    fn turn(&mut self) {
        self.done.push(core::mem::take(&mut self.open));
    }
}

/// Both images, known.
struct Images<'a> {
    old: &'a [u8],
    new: &'a [u8],
    /// How much of `new` has been asked for, and how much of it has been handed back.
    asked: usize,
    checked: Sha256,
    checks: Vec<[u8; 8]>,
}

impl Io for Images<'_> {
    type Error = WriteError;

    const KNOWS: bool = true;

    fn old(&mut self, at: u64, into: &mut [u8]) -> Result<(), WriteError> {
        let start = usize::try_from(at).unwrap_or(usize::MAX);
        let found = self.old.get(start..).unwrap_or_default();
        into.iter_mut().zip(found).for_each(|(into, found)| *into = *found);
        Ok(())
    }

    fn wanted(&mut self, into: &mut [u8]) {
        let found = self.new.get(self.asked..).unwrap_or_default();
        into.iter_mut().zip(found).for_each(|(into, found)| *into = *found);
        self.asked += into.len();
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        self.checked.update(bytes);
        Ok(())
    }

    fn turn(&mut self) -> Result<(), WriteError> {
        let digest: [u8; 32] = self.checked.finalize_reset().into();
        let mut check = [0; 8];
        check.iter_mut().zip(digest).for_each(|(check, byte)| *check = byte);
        self.checks.push(check);
        Ok(())
    }
}

/// Writes the windows of all parts, which must cover `new` from front to back, by context mixing.
pub(crate) fn write_mixed<S: Slot>(
    old: &[u8],
    new: &[u8],
    parts: &mut [Told],
    header: &Header,
) -> Result<Vec<Window>, WriteError> {
    let mut tables = Tables::<S>::new(header.sizes.shape);
    let mut coder = Mixing::new(Encoder::new(Coded::default()), tables.shape, tables.memory());
    let checks = write(old, new, parts, (header.sizes.window_log, header.sizes.lessons_log), &mut coder)?;
    let mut coin = coder.into_coin();
    coin.turn()?;
    Ok(together(core::mem::take(&mut coin.target().done), checks))
}

/// Writes the windows of all parts in the way of the profile `fast`.
pub(crate) fn write_fast(
    old: &[u8],
    new: &[u8],
    parts: &mut [Told],
    header: &Header,
    level: u8,
) -> Result<Vec<Window>, WriteError> {
    let framing = Framing::new(i32::from(level), header.sizes.frame_log).map_err(WriteError::Compress)?;
    let mut coder = Plain::new(framing);
    let checks = write(old, new, parts, (header.sizes.window_log, header.sizes.lessons_log), &mut coder)?;
    let bytes = coder.into_bytes().finish().map_err(WriteError::Compress)?;
    Ok(together(bytes, checks))
}

/// Returns how many bytes a part takes on its own.
pub(crate) fn price(old: &[u8], new: &[u8], told: &Told) -> usize {
    let shape = Shape { log: 14, small_log: 12, seen_log: 12, history_log: 0 };
    let mut tables = Tables::<Wide>::new(shape);
    let mut mixing = Mixing::new(Encoder::new(Coded::default()), shape, tables.memory());
    let mut told = told.clone();
    let written = write(old, new, core::slice::from_mut(&mut told), (32, 12), &mut mixing);
    let mut coin = mixing.into_coin();
    let Ok(()) = coin.turn();
    if written.is_err() {
        return usize::MAX;
    }
    coin.target().done.iter().map(Vec::len).sum()
}

fn together(coded: Vec<Vec<u8>>, checks: Vec<[u8; 8]>) -> Vec<Window> {
    coded.into_iter().zip(checks).map(|(coded, check)| Window { coded, check }).collect()
}

fn write<C: Coder<Error = Infallible>>(
    old: &[u8],
    new: &[u8],
    parts: &mut [Told],
    (window_log, lessons_log): (u32, u32),
    coder: &mut C,
) -> Result<Vec<[u8; 8]>, WriteError> {
    let mut images = Images { old, new, asked: 0, checked: Sha256::new(), checks: Vec::new() };
    let mut windows = Windows::new(new.len() as u64, 1 << window_log);
    let mut order = vec![0; parts.iter().map(|told| told.copies.len()).max().unwrap_or(0)];
    let mut lessons = vec![Lesson::default(); 1 << lessons_log];
    let mut old_expected = 0;
    for told in parts {
        let room = Room { new_left: windows.total - windows.done, old_len: old.len() as u64, old_expected };
        let part = head::<_, WriteError>(coder, &told.part, room)?;
        old_expected = part.old_start + u64::from(part.old_len);
        let count = told.copies.len();
        let memory = PartMemory { copies: &mut told.copies, order: &mut order, lessons: &mut lessons };
        code(coder, &mut images, &part, count, memory, &mut windows)?;
    }
    images.turn()?;
    Ok(images.checks)
}
