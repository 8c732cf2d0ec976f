//! A part of a patch: one new file, told by what it takes over from an old one.
//!
//! In: for the decoder, a [`Coder`] and the old file; for the encoder, the new file and its copies too. Out: the new
//! file, in pieces of at most [`BLOCK_BYTES`]. Refuses: copies that leave the old or the new file, and more of them than
//! the lent memory holds.
//!
//! Encoder and decoder are the same code, so they cannot disagree: an encoder's [`Io`] knows the bytes that are wanted,
//! a decoder's learns them.

use core::ops::Range;

use crate::atlas::Space;
use crate::chart::{Chart, ChartMemory, Copy, Lesson};
use crate::coder::{Coder, Kind, Word, unzigzag, zigzag};
use crate::predict::{Arch, GoTables, LOOK_AHEAD_BYTES, Memory, Mode, View, learn, step};

/// The size of a block: predicted in one mode, and handed on in one piece.
pub const BLOCK_BYTES: usize = 1024;

/// The same, as lengths of copies are counted.
const BLOCK_LEN: u32 = 1024;

/// A new file and the old one that it is told by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Part {
    /// How long the new file is, in bytes.
    pub new_len: u32,
    /// Where the old file starts in the old image, in bytes.
    pub old_start: u64,
    /// How long the old file is, in bytes; 0 if there is none.
    pub old_len: u32,
    /// What kind of code both hold.
    pub arch: Arch,
    /// Where both are loaded: the old file, the new file.
    pub spaces: (Space, Space),
    /// The addresses of `.eh_frame_hdr` in both, 0 where there is none.
    pub frame_index: (u64, u64),
    /// The tables of a Go program in both, the default where there are none.
    pub go: (GoTables, GoTables),
}

/// What a part breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    /// A copy leaves the old file.
    CopyOutsideOld,
    /// Literals or a copy go on behind the end of the new file.
    BeyondNew,
    /// A part goes on behind the end of the new image.
    BeyondImage,
    /// The old file of a part leaves the old image.
    OldOutsideImage,
    /// There are more copies than the header said.
    TooManyCopies,
    /// The head of a part makes no sense.
    Head,
}

/// The two images.
pub trait Io {
    /// Why an image could not be read or written.
    type Error: From<Broken>;

    /// Whether the new image is known: true in an encoder.
    const KNOWS: bool;

    /// Reads from the old image. Never beyond its end.
    fn old(&mut self, at: u64, into: &mut [u8]) -> Result<(), Self::Error>;
    /// In an encoder: reads what comes next in the new image.
    fn wanted(&mut self, into: &mut [u8]);
    /// Adds to the new image.
    fn put(&mut self, bytes: &[u8]) -> Result<(), Self::Error>;
    /// A window ends: what was put since the last one can be checked and written.
    fn turn(&mut self) -> Result<(), Self::Error>;
}

/// The memory that coding a part takes.
#[derive(Debug)]
pub struct PartMemory<'m> {
    /// Room for the copies.
    pub copies: &'m mut [Copy],
    /// Room for their order.
    pub order: &'m mut [u16],
    /// Room for lessons.
    pub lessons: &'m mut [Lesson],
}

/// How far a patch has come in the new image, and where its windows end.
#[derive(Debug, Clone, Copy)]
pub struct Windows {
    /// How many bytes of the new image are done.
    pub done: u64,
    /// How long the new image is, in bytes.
    pub total: u64,
    /// After how many bytes a window ends, at the end of the next piece.
    pub len: u64,
    /// How many bytes were done when the window started.
    pub started: u64,
}

impl Windows {
    /// Starts in front of the first byte.
    pub fn new(total: u64, len: u64) -> Self {
        Self { done: 0, total, len, started: 0 }
    }

    /// Hands a piece on.
    fn put<C: Coder, I: Io>(&mut self, coder: &mut C, io: &mut I, bytes: &[u8]) -> Result<(), I::Error>
    where
        I::Error: From<C::Error>,
    {
        io.put(bytes)?;
        self.done += bytes.len() as u64;
        if self.done - self.started >= self.len && self.done < self.total {
            self.started = self.done;
            io.turn()?;
            coder.turn()?;
        }
        Ok(())
    }
}

/// Codes a part. An encoder's `memory.copies` starts with the `count` wanted ones; a decoder fills it.
pub fn code<C: Coder, I: Io>(
    coder: &mut C,
    io: &mut I,
    part: &Part,
    count: usize,
    memory: PartMemory<'_>,
    windows: &mut Windows,
) -> Result<(), I::Error>
where
    I::Error: From<C::Error>,
{
    let PartMemory { copies, order, lessons } = memory;
    let count = control::<C, I::Error>(coder, part, copies, count)?;
    let copies = copies.get(..count).unwrap_or_default();
    stretch(coder, io, part, copies, ChartMemory { order, lessons }, (0..part.new_len, windows))
}

/// Codes the bytes of a stretch of the new file, by copies that may reach beyond it.
pub(crate) fn stretch<C: Coder, I: Io>(
    coder: &mut C,
    io: &mut I,
    part: &Part,
    copies: &[Copy],
    memory: ChartMemory<'_>,
    (new, windows): (Range<u32>, &mut Windows),
) -> Result<(), I::Error>
where
    I::Error: From<C::Error>,
{
    let chart = Chart::new(part.spaces, part.old_len, copies, memory);
    let mut body = Body { coder, io, part, chart, windows, last: Mode::Same, memory: Memory::default() };
    let mut at = new.start;
    for copy in copies {
        let start = copy.new.clamp(new.start, new.end);
        let end = copy.new.saturating_add(copy.len).clamp(new.start, new.end);
        if start < end {
            body.literals(start.saturating_sub(at))?;
            let old = copy.old.saturating_add(start - copy.new);
            body.copy(&Copy { new: start, old, len: end - start })?;
            at = end;
        }
    }
    body.literals(new.end.saturating_sub(at))
}

/// Codes the copies of a part; returns how many there are.
pub(crate) fn control<C: Coder, E>(
    coder: &mut C,
    part: &Part,
    copies: &mut [Copy],
    wanted: usize,
) -> Result<usize, E>
where
    E: From<C::Error> + From<Broken>,
{
    if part.old_len == 0 {
        return Ok(0);
    }
    let count = coder.number(Kind::Copies, wanted as u64)?;
    let count = usize::try_from(count).ok().filter(|count| *count <= copies.len());
    let count = count.ok_or(Broken::TooManyCopies)?;
    let (mut new, mut old) = (0_u32, 0_u32);
    for copy in copies.iter_mut().take(count) {
        let literals = coder.number(Kind::Literals, u64::from(copy.new.wrapping_sub(new)))?;
        let (len, seek) =
            if literals == 0 { (Kind::LenAtOnce, Kind::SeekAtOnce) } else { (Kind::Len, Kind::Seek) };
        let len = coder.number(len, u64::from(copy.len))?;
        let seek = coder.number(seek, zigzag(i64::from(copy.old) - i64::from(old)))?;
        *copy = checked_copy(part, (new, old), (literals, len, unzigzag(seek)))?;
        (new, old) = (copy.new.saturating_add(copy.len), copy.old.saturating_add(copy.len));
    }
    Ok(count)
}

/// Places a copy, if it stays within both files.
fn checked_copy(part: &Part, (new, old): (u32, u32), said: (u64, u64, i64)) -> Result<Copy, Broken> {
    let (literals, len, seek) = said;
    let start = u64::from(new).checked_add(literals);
    let end = start.and_then(|start| start.checked_add(len)).filter(|end| *end <= u64::from(part.new_len));
    let (Some(start), Some(_)) = (start, end) else { return Err(Broken::BeyondNew) };
    let from = i64::from(old).checked_add(seek).and_then(|from| u64::try_from(from).ok());
    let until = from.and_then(|from| from.checked_add(len)).filter(|until| *until <= u64::from(part.old_len));
    let (Some(from), Some(_)) = (from, until) else { return Err(Broken::CopyOutsideOld) };
    let narrow = |value: u64| u32::try_from(value).map_err(|_| Broken::BeyondNew);
    Ok(Copy { new: narrow(start)?, old: narrow(from)?, len: narrow(len)? })
}

/// The bytes of a part.
struct Body<'b, 'm, C, I> {
    coder: &'b mut C,
    io: &'b mut I,
    part: &'b Part,
    chart: Chart<'m>,
    windows: &'b mut Windows,
    last: Mode,
    /// What the predictor remembers of the copy so far.
    memory: Memory,
}

/// A block on its way.
struct Block<'a> {
    view: View<'a>,
    mode: Mode,
    len: usize,
    wanted: [u8; BLOCK_BYTES],
}

/// How many steps may wait for their true bytes: a word is four bytes, and a step reaches ahead by less than sixteen.
const WAITING_MAX: usize = 8;

impl<C: Coder, I: Io> Body<'_, '_, C, I>
where
    I::Error: From<C::Error>,
{
    fn literals(&mut self, count: u32) -> Result<(), I::Error> {
        let mut left = count as usize;
        let mut bytes = [0; BLOCK_BYTES];
        while left > 0 {
            let piece = bytes.get_mut(..left.min(BLOCK_BYTES)).unwrap_or_default();
            self.io.wanted(piece);
            for byte in piece.iter_mut() {
                *byte = self.coder.literal(*byte)?;
            }
            left -= piece.len();
            self.windows.put(self.coder, self.io, piece)?;
        }
        Ok(())
    }

    fn copy(&mut self, copy: &Copy) -> Result<(), I::Error> {
        let mut done = 0;
        self.memory = Memory::default();
        while done < copy.len {
            let len = (copy.len - done).min(BLOCK_LEN);
            self.block(copy.new + done, copy.old + done, len as usize)?;
            done += len;
        }
        Ok(())
    }

    fn block(&mut self, new_offset: u32, old_offset: u32, len: usize) -> Result<(), I::Error> {
        let mut old = [0; BLOCK_BYTES + LOOK_AHEAD_BYTES];
        let seen = (self.part.old_len - old_offset) as usize;
        let old = old.get_mut(..seen.min(len + LOOK_AHEAD_BYTES)).unwrap_or_default();
        self.io.old(self.part.old_start + u64::from(old_offset), old)?;
        let (frame_index, go) = (self.part.frame_index, self.part.go);
        let view = View { old, old_offset, new_offset, frame_index, go };
        let mut block = Block { view, mode: self.last, len, wanted: [0; BLOCK_BYTES] };
        self.io.wanted(block.wanted.get_mut(..len).unwrap_or_default());
        let mut out = [0; BLOCK_BYTES];
        let mut wrong = 0;
        if I::KNOWS {
            (block.mode, wrong) = self.choose(&block);
        }
        if self.part.arch != Arch::None {
            block.mode = self.coder.mode(block.mode)?;
        }
        self.last = block.mode;
        let out = out.get_mut(..len).unwrap_or_default();
        if self.coder.quiet(block.mode, wrong == 0)? {
            self.predict(&block, block.mode, out);
            self.coder.pass(out);
            self.teach(&block, out);
        } else {
            self.words(&block, out)?;
        }
        self.windows.put(self.coder, self.io, out)
    }

    /// Predicts a whole block with what is known in front of it.
    fn predict(&self, block: &Block<'_>, mode: Mode, out: &mut [u8]) {
        out.iter_mut().zip(block.view.old).for_each(|(out, old)| *out = *old);
        if mode == Mode::Same {
            return;
        }
        let mut memory = self.memory;
        let mut at = 0;
        while at < out.len() {
            at += step((self.part.arch, mode), &block.view, at, &mut memory, &self.chart, out).len.max(1);
        }
    }

    /// Learns from a block that came out as predicted.
    fn teach(&mut self, block: &Block<'_>, new: &[u8]) {
        if block.mode == Mode::Same {
            return;
        }
        let kind = (self.part.arch, block.mode);
        let mut scratch = [0; BLOCK_BYTES];
        let scratch = scratch.get_mut(..new.len()).unwrap_or_default();
        scratch.iter_mut().zip(block.view.old).for_each(|(out, old)| *out = *old);
        let mut at = 0;
        while at < new.len() {
            let done = step(kind, &block.view, at, &mut self.memory, &self.chart, scratch);
            if done.teaches && at + done.len <= new.len() {
                learn(kind, &block.view, at, &mut self.memory, new, &mut self.chart);
            }
            at += done.len.max(1);
        }
    }

    /// In an encoder: returns the mode that predicts a block best, and how many bytes it gets wrong.
    fn choose(&self, block: &Block<'_>) -> (Mode, usize) {
        let mut best = (self.last, usize::MAX);
        let mut scratch = [0; BLOCK_BYTES];
        let out = scratch.get_mut(..block.len).unwrap_or_default();
        let modes = if self.part.arch == Arch::None { &[Mode::Same][..] } else { &Mode::ALL[..] };
        for mode in core::iter::once(&self.last).chain(modes) {
            self.predict(block, *mode, out);
            let wrong = out.iter().zip(&block.wanted).filter(|(a, b)| a != b).count();
            // A change of mode costs about as much as two bytes.
            let cost = wrong + if *mode == self.last { 0 } else { 2 };
            if best.1 == usize::MAX || cost < best.1 + if best.0 == self.last { 0 } else { 2 } {
                best = (*mode, wrong);
            }
            if wrong == 0 {
                break;
            }
        }
        best
    }

    /// Codes a block word by word; each word's lesson counts for the next.
    fn words(&mut self, block: &Block<'_>, out: &mut [u8]) -> Result<(), I::Error> {
        let kind = (self.part.arch, block.mode);
        let mut predicted = [0; BLOCK_BYTES];
        let predicted = predicted.get_mut(..out.len()).unwrap_or_default();
        predicted.iter_mut().zip(block.view.old).for_each(|(out, old)| *out = *old);
        let mut waiting = [(0_usize, 0_usize); WAITING_MAX];
        let mut waiting_count = 0;
        let (mut at, mut ahead) = (0, 0);
        while at < out.len() {
            let phase = (block.view.new_offset.wrapping_add(u32::try_from(at).unwrap_or(0))) & 7;
            let len = (4 - (phase & 3) as usize).min(out.len() - at);
            while ahead < at + len {
                let done = step(kind, &block.view, ahead, &mut self.memory, &self.chart, predicted);
                if done.teaches
                    && let Some(place) = waiting.get_mut(waiting_count)
                {
                    *place = (ahead, ahead + done.len);
                    waiting_count += 1;
                }
                ahead += done.len.max(1);
            }
            let old = four(block.view.old, at, len);
            let word = Word { old, predicted: four(predicted, at, len), len, phase, mode: block.mode };
            let new = self.coder.word(&word, four(&block.wanted, at, len))?;
            out.iter_mut().skip(at).zip(new).take(len).for_each(|(out, new)| *out = new);
            // Predictors look back at what stands in front of them: from now on at the truth.
            predicted.iter_mut().skip(at).zip(new).take(len).for_each(|(out, new)| *out = new);
            at += len;
            let known = out.get(..at).unwrap_or_default();
            let mut kept = 0;
            for index in 0..waiting_count {
                let Some((start, end)) = waiting.get(index).copied() else { break };
                if end <= at {
                    learn(kind, &block.view, start, &mut self.memory, known, &mut self.chart);
                } else if let Some(place) = waiting.get_mut(kept) {
                    *place = (start, end);
                    kept += 1;
                }
            }
            waiting_count = kept;
        }
        Ok(())
    }
}

/// Returns `len` bytes from `at` on, filled up with zeros to four.
#[inline]
fn four(bytes: &[u8], at: usize, len: usize) -> [u8; 4] {
    let mut word = [0; 4];
    let found = bytes.get(at..at + len).unwrap_or_default();
    word.iter_mut().zip(found).for_each(|(word, byte)| *word = *byte);
    word
}
