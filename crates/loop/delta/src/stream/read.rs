//! Reads the stream of a patch.
//!
//! In: the coded windows, the old plain image. Out: the new plain image, window by window, each checked before it is
//! handed on. Refuses: what the decoder refuses, windows that end early or late, and a window with another check value.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read};

use sha2::{Digest, Sha256};
use warden_patch::chart::{Copy, Lesson};
use warden_patch::coder::Coder;
use warden_patch::coin::{Decoder, Source, TAIL_BYTES};
use warden_patch::head::{Room, head};
use warden_patch::mixing::Mixing;
use warden_patch::model::{Narrow, Slot, Wide};
use warden_patch::part::{Broken, Io, Part, PartMemory, Windows, code};
use warden_patch::plain::Plain;

use super::Tables;
use super::frame::Unframed;
use crate::apply::{ApplyError, start_of};
use crate::format::{Header, Profile, WindowHead};

/// The old plain image.
pub(crate) trait OldBytes {
    /// Reads from it; never beyond its end.
    fn read_at(&mut self, at: u64, into: &mut [u8]) -> Result<(), ApplyError>;
}

/// The new plain image.
pub(crate) trait NewBytes {
    /// Takes what comes next: a window that was checked. `last` says whether it is the last one.
    fn window(&mut self, plain: &[u8], last: Last) -> Result<(), ApplyError>;
}

/// Whether a window is the last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Last {
    No,
    Yes,
}

/// The piece in which a patch is read: what a network read brings at once, and little memory.
const INPUT_BYTES: usize = 16 * 1024;

/// The coded bytes, window by window.
pub(crate) struct Coming<'a> {
    patch: &'a mut dyn Read,
    buffer: Vec<u8>,
    at: usize,
    end: usize,
    /// How much of the window has not been buffered, and of the windows that follow.
    left: u64,
    windows: VecDeque<u64>,
    tail: usize,
}

impl<'a> Coming<'a> {
    fn new(patch: &'a mut dyn Read, windows: &[WindowHead]) -> Self {
        let mut windows: VecDeque<u64> = windows.iter().map(|window| window.coded_len).collect();
        let left = windows.pop_front().unwrap_or(0);
        Self { patch, buffer: vec![0; INPUT_BYTES], at: 0, end: 0, left, windows, tail: 0 }
    }

    /// Reads on within the window; says whether there was anything.
    fn fill(&mut self) -> Result<bool, ApplyError> {
        let len = usize::try_from(self.left).unwrap_or(INPUT_BYTES).min(INPUT_BYTES);
        let into = self.buffer.get_mut(..len).unwrap_or_default();
        if into.is_empty() {
            return Ok(false);
        }
        let count = loop {
            match self.patch.read(into) {
                Ok(0) => return Err(ApplyError::Truncated),
                Ok(count) => break count.min(len),
                Err(source) if source.kind() == ErrorKind::Interrupted => {}
                Err(source) => return Err(ApplyError::ReadPatch { source }),
            }
        };
        (self.at, self.end) = (0, count);
        self.left -= count as u64;
        Ok(true)
    }

    /// Returns what is buffered of the window, reading on if that is nothing; nothing at the end of the window.
    pub(crate) fn buffered(&mut self) -> Result<&[u8], ApplyError> {
        if self.at == self.end {
            self.fill()?;
        }
        Ok(self.buffer.get(self.at..self.end).unwrap_or_default())
    }

    pub(crate) fn consume(&mut self, count: usize) {
        self.at = (self.at + count).min(self.end);
    }

    /// Refuses bytes that are left in the window.
    pub(crate) fn expect_window_end(&self) -> Result<(), ApplyError> {
        if self.at < self.end || self.left > 0 {
            return Err(ApplyError::Corrupt { what: "a window goes on after its bytes are complete" });
        }
        Ok(())
    }

    pub(crate) fn next_window(&mut self) -> Result<(), ApplyError> {
        self.expect_window_end()?;
        let next = self.windows.pop_front();
        self.left =
            next.ok_or(ApplyError::Corrupt { what: "the windows end before the result is complete" })?;
        (self.at, self.end, self.tail) = (0, 0, 0);
        Ok(())
    }

    /// Refuses windows and bytes that are left over.
    fn expect_end(&mut self) -> Result<(), ApplyError> {
        self.expect_window_end()?;
        if !self.windows.is_empty() {
            return Err(ApplyError::Corrupt { what: "there are windows after the result is complete" });
        }
        loop {
            match self.patch.read(&mut [0]) {
                Ok(0) => return Ok(()),
                Ok(_) => return Err(ApplyError::TrailingBytes),
                Err(source) if source.kind() == ErrorKind::Interrupted => {}
                Err(source) => return Err(ApplyError::ReadPatch { source }),
            }
        }
    }
}

impl Source for &mut Coming<'_> {
    type Error = ApplyError;

    #[inline]
    fn next(&mut self) -> Result<u8, ApplyError> {
        if let Some(byte) = self.buffer.get(self.at..self.end).and_then(<[u8]>::first) {
            self.at += 1;
            return Ok(*byte);
        }
        if self.fill()? {
            return self.next();
        }
        self.tail += 1;
        if self.tail > TAIL_BYTES {
            return Err(ApplyError::Corrupt { what: "a window ends before its bytes are complete" });
        }
        Ok(0)
    }

    fn turn(&mut self) -> Result<(), ApplyError> {
        self.next_window()
    }
}

/// The images of a decoder.
struct Images<'a> {
    old: &'a mut dyn OldBytes,
    new: &'a mut dyn NewBytes,
    window: Vec<u8>,
    /// How many windows were checked.
    checked: u32,
    checks: VecDeque<Option<[u8; 8]>>,
}

impl Images<'_> {
    /// Checks the window and hands it on.
    fn hand_on(&mut self, last: Last) -> Result<(), ApplyError> {
        self.checked = self.checked.saturating_add(1);
        if let Some(Some(wanted)) = self.checks.pop_front() {
            let found = start_of(Sha256::new_with_prefix(&self.window));
            if found != wanted {
                let (expected, found) = (u64::from_be_bytes(wanted), u64::from_be_bytes(found));
                return Err(ApplyError::Window { window: self.checked, expected, found });
            }
        }
        self.new.window(&self.window, last)?;
        self.window.clear();
        Ok(())
    }
}

impl From<Broken> for ApplyError {
    fn from(broken: Broken) -> Self {
        let what = match broken {
            Broken::CopyOutsideOld => "a copy reads from outside the base",
            Broken::BeyondNew => "a part makes more than it says",
            Broken::BeyondImage => "a part makes more than the result holds",
            Broken::OldOutsideImage => "a part is told by a file outside the base",
            Broken::TooManyCopies => "a part has more copies than the header says",
            Broken::Head => "the head of a part makes no sense",
        };
        Self::Corrupt { what }
    }
}

impl Io for Images<'_> {
    type Error = ApplyError;

    const KNOWS: bool = false;

    fn old(&mut self, at: u64, into: &mut [u8]) -> Result<(), ApplyError> {
        self.old.read_at(at, into)
    }

    fn wanted(&mut self, _into: &mut [u8]) {}

    fn put(&mut self, bytes: &[u8]) -> Result<(), ApplyError> {
        self.window.extend_from_slice(bytes);
        Ok(())
    }

    fn turn(&mut self) -> Result<(), ApplyError> {
        self.hand_on(Last::No)
    }
}

/// Reads the windows that follow the head of a patch.
pub(crate) fn read(
    header: &Header,
    windows: &[WindowHead],
    patch: &mut dyn Read,
    old: &mut dyn OldBytes,
    new: &mut dyn NewBytes,
) -> Result<(), ApplyError> {
    let mut coming = Coming::new(patch, windows);
    let checks = windows.iter().map(|window| window.check).collect();
    let mut images = Images { old, new, window: Vec::new(), checked: 0, checks };
    match header.profile {
        Profile::Linux => mixed::<Wide>(header, &mut coming, &mut images)?,
        Profile::Mcu => mixed::<Narrow>(header, &mut coming, &mut images)?,
        Profile::Fast => {
            let mut coder = Plain::new(Unframed::new(&mut coming, header.sizes.frame_log)?);
            parts(header, &mut coder, &mut images)?;
            coder.into_bytes().expect_end()?;
        }
    }
    coming.expect_end()?;
    images.hand_on(Last::Yes)
}

fn mixed<S: Slot>(
    header: &Header,
    coming: &mut Coming<'_>,
    images: &mut Images<'_>,
) -> Result<(), ApplyError> {
    let mut tables = Tables::<S>::new(header.sizes.shape);
    let mut coin = Decoder::new(coming);
    coin.start()?;
    let mut coder = Mixing::new(coin, tables.shape, tables.memory());
    parts(header, &mut coder, images)
}

fn parts<C>(header: &Header, coder: &mut C, images: &mut Images<'_>) -> Result<(), ApplyError>
where
    C: Coder<Error = ApplyError>,
{
    let copies_max = usize::try_from(header.copies_max).unwrap_or(usize::MAX);
    let mut copies = vec![Copy::default(); copies_max];
    let mut order = vec![0; copies_max];
    let mut lessons = vec![Lesson::default(); 1 << header.sizes.lessons_log];
    let mut windows = Windows::new(header.result_plain_size.0, 1 << header.sizes.window_log);
    let mut old_expected = 0;
    while windows.done < windows.total {
        let new_left = windows.total - windows.done;
        let room = Room { new_left, old_len: header.base_plain_size.0, old_expected };
        let part = head::<_, ApplyError>(coder, &Part::default(), room)?;
        if part.new_len == 0 {
            return Err(ApplyError::Corrupt { what: "a part makes nothing" });
        }
        old_expected = part.old_start + u64::from(part.old_len);
        let memory = PartMemory { copies: &mut copies, order: &mut order, lessons: &mut lessons };
        code(coder, images, &part, 0, memory, &mut windows)?;
    }
    Ok(())
}
