//! The bytes of a report on their way to a reader: counted, and made UTF-8.
//!
//! In: bytes. Out: UTF-8 without a byte order mark; a byte that is none is read as Latin-1, which older scanners wrote.
//! Refuses: reports and items above their limit.

use std::cell::Cell;
use std::io::{self, BufRead, Read};
use std::rc::Rc;

use super::error::ScanError;
use super::limits::ScanLimits;

/// How much is read at once, in bytes.
const CHUNK_BYTES: usize = 64 * 1024;

/// Counts what goes through a [`Text`]; shared with the reader, which says where an item begins.
#[derive(Debug, Default)]
pub(super) struct Meter {
    total: Cell<u64>,
    item: Cell<u64>,
    over: Cell<Option<Over>>,
}

/// What was too large.
#[derive(Debug, Clone, Copy)]
enum Over {
    Report,
    Item,
}

impl Meter {
    /// Says that an item begins here.
    pub(super) fn begin_item(&self) {
        self.item.set(0);
    }

    /// Returns how many bytes were read.
    pub(super) fn total(&self) -> u64 {
        self.total.get()
    }

    /// Returns the error for what was too large, where something was.
    pub(super) fn over(&self, limits: &ScanLimits) -> Option<ScanError> {
        self.over.get().map(|over| match over {
            Over::Report => ScanError::over_bytes("more bytes", limits.report),
            Over::Item => ScanError::over_bytes("an item of more bytes", limits.item),
        })
    }
}

/// UTF-8 text out of bytes.
pub(super) struct Text<'a> {
    from: &'a mut dyn Read,
    meter: Rc<Meter>,
    limits: ScanLimits,
    raw: Vec<u8>,
    clean: Vec<u8>,
    position: usize,
    at_start: bool,
    ended: bool,
}

impl<'a> Text<'a> {
    /// Reads a report from its beginning.
    pub(super) fn new(from: &'a mut dyn Read, limits: &ScanLimits) -> (Self, Rc<Meter>) {
        let meter = Rc::new(Meter::default());
        let text = Self {
            from,
            meter: Rc::clone(&meter),
            limits: *limits,
            raw: Vec::new(),
            clean: Vec::with_capacity(CHUNK_BYTES),
            position: 0,
            at_start: true,
            ended: false,
        };
        (text, meter)
    }

    fn fill(&mut self) -> io::Result<()> {
        let kept = self.raw.len();
        self.raw.resize(kept + CHUNK_BYTES, 0);
        let free = self.raw.get_mut(kept..).unwrap_or_default();
        let read = self.from.read(free)?;
        self.raw.truncate(kept + read);
        self.ended = read == 0;
        self.clean.clear();
        self.position = 0;
        let mut rest = self.raw.as_slice();
        if self.at_start && (rest.len() >= 3 || self.ended) {
            rest = rest.strip_prefix(b"\xef\xbb\xbf").unwrap_or(rest);
            self.at_start = false;
        } else if self.at_start {
            return Ok(());
        }
        let open = clean(rest, self.ended, &mut self.clean);
        let tail = rest.split_at(rest.len().saturating_sub(open)).1.to_vec();
        self.raw = tail;
        Ok(())
    }
}

/// Writes bytes as UTF-8, and returns how many at the end may be the beginning of a character.
fn clean(bytes: &[u8], is_last: bool, to: &mut Vec<u8>) -> usize {
    let mut rest = bytes;
    loop {
        match std::str::from_utf8(rest) {
            Ok(_) => {
                to.extend_from_slice(rest);
                return 0;
            }
            Err(error) => {
                let (good, bad) = rest.split_at(error.valid_up_to());
                to.extend_from_slice(good);
                if error.error_len().is_none() && !is_last {
                    return bad.len();
                }
                let Some((first, after)) = bad.split_first() else { return 0 };
                to.extend_from_slice(char::from(*first).encode_utf8(&mut [0; 4]).as_bytes());
                rest = after;
            }
        }
    }
}

impl BufRead for Text<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let over = if self.meter.total.get() > self.limits.report.0 {
            Some(Over::Report)
        } else if self.meter.item.get() > self.limits.item.0 {
            Some(Over::Item)
        } else {
            None
        };
        if over.is_some() {
            self.meter.over.set(over);
            return Err(io::Error::other("a limit was reached"));
        }
        while self.position >= self.clean.len() && !self.ended {
            self.fill()?;
        }
        Ok(self.clean.get(self.position..).unwrap_or_default())
    }

    fn consume(&mut self, bytes: usize) {
        self.position = self.position.saturating_add(bytes).min(self.clean.len());
        let more = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.meter.total.set(self.meter.total.get().saturating_add(more));
        self.meter.item.set(self.meter.item.get().saturating_add(more));
    }
}

impl Read for Text<'_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let have = self.fill_buf()?;
        let length = have.len().min(to.len());
        let (now, _) = have.split_at(length);
        for (place, byte) in to.iter_mut().zip(now) {
            *place = *byte;
        }
        self.consume(length);
        Ok(length)
    }
}
