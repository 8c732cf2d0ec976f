//! Cuts plain bytes into chunks by their content.
//!
//! In: plain bytes, in pieces of any size, and the places where files begin and end. Out: chunks, each with its checks. The
//! same bytes of a file give the same chunks wherever they lie, and code that has only moved gives the same bodies: a border
//! depends on the 64 bytes in front of it, on the chunk's start, and on nothing else. Refuses nothing.
//!
//! The rolling hash is a gear hash, and two masks keep lengths near their mean, as in `FastCDC` (Xia et al., USENIX ATC 2016,
//! sections 3.2 to 3.5).

use sha2::{Digest, Sha256};

use super::code::{Code, WORD_BYTES, take_fields};

/// The longest chunk, in bytes.
pub(super) const CHUNK_BYTES_MAX: usize = 16 << 10;

/// The lengths of chunks, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Lengths {
    /// The shortest; shorter are only those that end with a file.
    min: usize,
    /// The length at which chunks should end.
    mean: usize,
    max: usize,
    /// Bits that are zero at a border before the mean, and behind it: by a factor of four rarer, and more frequent.
    masks: (u64, u64),
}

/// Data: a chunk costs 17 bytes.
const DATA: Lengths =
    Lengths { min: 1 << 10, mean: 4 << 10, max: CHUNK_BYTES_MAX, masks: (0x3fff << 50, 0x03ff << 54) };

/// Code: half of that, since a change spoils more of a body than of data.
const CODE: Lengths = Lengths { min: 512, mean: 2 << 10, max: 8 << 10, masks: (0x1fff << 51, 0x01ff << 55) };

/// The shortest chunk of data that ends with a file, in bytes: many small files share one.
const BORDER_BYTES_MIN: usize = 512;

/// How far the rolling hash looks back, in bytes.
const HASHED_BYTES: usize = 64;

/// A number for each byte, without any structure: the stream of `SplitMix64` from seed 0.
const GEAR: [u64; 256] = gear();

#[expect(clippy::indexing_slicing, reason = "the index ends where the table does")]
const fn gear() -> [u64; 256] {
    let mut gear = [0; 256];
    let mut state = 0_u64;
    let mut at = 0;
    while at < 256 {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        gear[at] = z ^ (z >> 31);
        at += 1;
    }
    gear
}

/// The start of a SHA-256. Sixteen bytes: no two chunks of all devices meet by accident, and whoever wants two to meet, so
/// that an update by index fails and the whole image is loaded, has 2^64 work.
pub(super) type Check = [u8; 16];

/// The start of a SHA-256 that tells chunks of the same body from each other: a handful, so that eight bytes do.
pub(super) type WholeCheck = [u8; 8];

/// Returns the check of some bytes.
pub(super) fn check_of<const N: usize>(parts: &[&[u8]]) -> [u8; N] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    let digest: [u8; 32] = hash.finalize().into();
    let mut check = [0; N];
    for (to, from) in check.iter_mut().zip(digest) {
        *to = from;
    }
    check
}

/// A file, or a stretch of one, until the next begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    /// Where it begins in the plain bytes.
    pub(super) start: u64,
    /// What code it holds.
    pub(super) code: Option<Code>,
}

/// A chunk that was cut.
#[derive(Debug)]
pub(super) struct Cut<'c> {
    /// Where it starts.
    pub(super) start: u64,
    /// Its bytes: for code, without its fields.
    pub(super) body: &'c [u8],
    /// Its code; `None` when it has no fields.
    pub(super) code: Option<Code>,
    /// Its fields.
    pub(super) fields: &'c [u8],
    /// The check of the body, and of which code it is.
    pub(super) check: Check,
    /// The check of the bytes as they were; zero without fields.
    pub(super) whole: WholeCheck,
    /// Whether a file ends with it.
    pub(super) ends_file: bool,
}

/// Is told each chunk.
pub(super) type Visit<'v> = &'v mut dyn FnMut(&Cut<'_>);

/// Cuts an image from its front to its end.
#[derive(Debug)]
pub(super) struct Walk<'b> {
    /// Files, by start.
    spans: std::iter::Peekable<std::slice::Iter<'b, Span>>,
    /// The code of the file in hand.
    code: Option<Code>,
    at: u64,
    /// The bytes of the chunk in hand.
    chunk: Vec<u8>,
    /// How many of them the hash has seen: all, or of code all whole instructions.
    seen: usize,
    hash: u64,
}

impl<'b> Walk<'b> {
    /// Starts at the front of an image with these files.
    pub(super) fn new(spans: &'b [Span]) -> Self {
        let chunk = Vec::with_capacity(CHUNK_BYTES_MAX);
        Self { spans: spans.iter().peekable(), code: None, at: 0, chunk, seen: 0, hash: 0 }
    }

    /// Takes the next bytes.
    pub(super) fn push(&mut self, mut bytes: &[u8], visit: Visit<'_>) {
        while !bytes.is_empty() {
            while let Some(span) = self.spans.next_if(|span| span.start <= self.at) {
                // Chunks of code begin with a file, those of data may hold the ends of several.
                let is_data = span.code.is_none() && self.code.is_none();
                if !is_data || self.chunk.len() >= BORDER_BYTES_MIN {
                    self.end(true, visit);
                }
                self.code = span.code;
            }
            let left = self.spans.peek().map_or(u64::MAX, |span| span.start.saturating_sub(self.at));
            let len = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
            let taken = self.take(bytes.get(..len).unwrap_or_default());
            bytes = bytes.get(taken.len..).unwrap_or_default();
            self.at = self.at.saturating_add(taken.len as u64);
            if taken.ends {
                let ends_file = self.spans.peek().is_some_and(|span| span.start == self.at);
                self.end(ends_file, visit);
            }
        }
    }

    /// Ends the image.
    pub(super) fn finish(mut self, visit: Visit<'_>) {
        self.end(true, visit);
    }

    /// Takes bytes of one file, up to the end of the chunk if it ends in them.
    fn take(&mut self, bytes: &[u8]) -> Taken {
        let before = self.chunk.len();
        let (lengths, step) = match self.code {
            None => (DATA, 1),
            Some(_) => (CODE, WORD_BYTES),
        };
        let room = lengths.max.saturating_sub(before).min(bytes.len());
        self.chunk.extend_from_slice(bytes.get(..room).unwrap_or_default());
        let border = match self.code {
            None => self.border_of_data(lengths),
            Some(code) => self.border_of_code(code, lengths),
        };
        let is_full = self.chunk.len() >= lengths.max;
        let end = border.or(is_full.then_some(self.chunk.len() / step * step));
        match end {
            None => Taken { len: room, ends: false },
            Some(end) => {
                self.chunk.truncate(end);
                Taken { len: end.saturating_sub(before), ends: true }
            }
        }
    }

    fn border_of_data(&mut self, lengths: Lengths) -> Option<usize> {
        let first = self.seen.max(lengths.min.saturating_sub(HASHED_BYTES));
        let fresh = self.chunk.get(first..).unwrap_or_default();
        let mut hash = self.hash;
        for (len, byte) in (first + 1..).zip(fresh) {
            hash = rolled(hash, *byte);
            if lengths.is_border(hash, len) {
                return Some(len);
            }
        }
        (self.hash, self.seen) = (hash, self.chunk.len());
        None
    }

    /// As for data, but over the body, and only behind whole instructions.
    fn border_of_code(&mut self, code: Code, lengths: Lengths) -> Option<usize> {
        // What makes the body is one instruction after the other from the chunk's start: all of it is looked at again when
        // more bytes come, which they do in pieces that are longer than chunks.
        let whole = self.chunk.len() / WORD_BYTES * WORD_BYTES;
        let mut body = self.chunk.get(..whole).unwrap_or_default().to_vec();
        take_fields(code, &mut body, 0);
        let first = lengths.min.saturating_sub(HASHED_BYTES);
        let mut hash = 0;
        for (len, byte) in (first + 1..).zip(body.get(first..).unwrap_or_default()) {
            hash = rolled(hash, *byte);
            if len % WORD_BYTES == 0 && lengths.is_border(hash, len) {
                return Some(len);
            }
        }
        None
    }

    fn end(&mut self, ends_file: bool, visit: Visit<'_>) {
        if self.chunk.is_empty() {
            return;
        }
        let start = self.at.saturating_sub(self.chunk.len() as u64);
        let mut whole = [0; 8];
        let mut fields = Vec::new();
        let mut check = None;
        if let Some(code) = self.code {
            let as_it_was = check_of(&[&self.chunk]);
            fields = take_fields(code, &mut self.chunk, start);
            if !fields.is_empty() {
                whole = as_it_was;
                check = Some((code, check_of(&[&[Code::number(Some(code))], &self.chunk])));
            }
        }
        visit(&Cut {
            start,
            body: &self.chunk,
            code: check.map(|(code, _)| code),
            fields: &fields,
            check: check.map_or_else(|| check_of(&[&self.chunk]), |(_, check)| check),
            whole,
            ends_file,
        });
        self.chunk.clear();
        (self.seen, self.hash) = (0, 0);
    }
}

/// How many bytes were taken, and whether the chunk ends with them.
#[derive(Debug, Clone, Copy)]
struct Taken {
    len: usize,
    ends: bool,
}

impl Lengths {
    fn is_border(&self, hash: u64, len: usize) -> bool {
        let mask = if len < self.mean { self.masks.0 } else { self.masks.1 };
        len >= self.min && hash & mask == 0
    }
}

fn rolled(hash: u64, byte: u8) -> u64 {
    (hash << 1).wrapping_add(GEAR.get(usize::from(byte)).copied().unwrap_or(0))
}
