//! Plain bytes to a DEFLATE stream as zlib and GNU gzip make it: a sliding window, hash chains, lazy matching.
//!
//! In: plain bytes in pieces of any size. Out: the stream, whose bytes depend on the plain bytes and the tuning alone.
//! Refuses nothing. Both encoders come from the same ancestor; where they part, a comment says how. The window is kept
//! exactly as they keep it (when it slides, what lies behind its end), since that shows in the result.

use super::blocks::{Blocks, MATCH_MIN, Place, Source};
use super::{Flavour, Strategy, Tuning, at};

/// The longest match.
const MATCH_MAX: usize = 258;
/// What must be readable ahead, so that a match and the next string can be tried.
const LOOK_AHEAD_MIN: usize = MATCH_MAX + MATCH_MIN + 1;
/// Matches of three bytes that lie further back cost more than the literals.
const FAR: usize = 4096;

/// How hard a level tries.
#[derive(Debug, Clone, Copy)]
struct Effort {
    /// With a match of this length, look at a quarter of the chain only.
    good: usize,
    /// Do not look for a better match behind one of this length; on the quick levels: insert no strings of longer ones.
    lazy: usize,
    /// Stop looking at a match of this length.
    nice: usize,
    /// How many earlier strings to look at.
    chain: usize,
}

const fn effort(level: u8) -> Effort {
    let (good, lazy, nice, chain) = match level {
        0 | 1 => (4, 4, 8, 4),
        2 => (4, 5, 16, 8),
        3 => (4, 6, 32, 32),
        4 => (4, 4, 16, 16),
        5 => (8, 16, 32, 32),
        6 => (8, 16, 128, 128),
        7 => (8, 32, 128, 256),
        8 => (32, 128, 258, 1024),
        _ => (32, 258, 258, 4096),
    };
    Effort { good, lazy, nice, chain }
}

/// Up to this level matches are taken at once.
const QUICK_LEVEL_MAX: u8 = 3;

/// Whether more plain bytes will come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Input {
    MoreFollows,
    Ended,
}

/// Whether the window could be filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fill {
    Done,
    NeedsInput,
}

/// A DEFLATE encoder.
#[derive(Debug)]
pub(super) struct Engine {
    tuning: Tuning,
    effort: Effort,
    size: usize,
    hash_shift: u32,
    hash_mask: usize,
    window: Vec<u8>,
    heads: Vec<u16>,
    previous: Vec<u16>,
    /// Bytes that wait for a place in the window; those before `taken` have one.
    input: Vec<u8>,
    taken: usize,
    /// GNU gzip: the end of the input has been seen.
    end_seen: bool,
    position: usize,
    ahead: usize,
    /// Where the block begins; below zero when that has left the window.
    block_start: i64,
    match_start: usize,
    match_len: usize,
    literal_waits: bool,
    blocks: Blocks,
}

impl Engine {
    pub(super) fn new(tuning: Tuning) -> Self {
        let size = 1_usize << tuning.window_bits;
        let hash_bits = u32::from(tuning.memory_level) + 7;
        let symbols_max = match tuning.flavour {
            Flavour::Zlib => 1_usize << (tuning.memory_level + 6),
            Flavour::Gnu => 1 << 15,
        };
        Self {
            tuning,
            effort: effort(tuning.level),
            size,
            hash_shift: hash_bits.div_ceil(3),
            hash_mask: (1_usize << hash_bits) - 1,
            // A match is compared in full length even where the input has ended.
            window: vec![0; 2 * size + MATCH_MAX],
            heads: vec![0; 1 << hash_bits],
            previous: vec![0; size],
            input: Vec::new(),
            taken: 0,
            end_seen: false,
            position: 0,
            ahead: 0,
            block_start: 0,
            match_start: 0,
            match_len: MATCH_MIN - 1,
            literal_waits: false,
            blocks: Blocks::new(tuning.flavour, tuning.strategy, tuning.level, symbols_max - 1),
        }
    }

    /// Adds plain bytes.
    pub(super) fn push(&mut self, plain: &[u8], out: &mut Vec<u8>) {
        for piece in plain.chunks(self.size) {
            self.input.extend_from_slice(piece);
            self.run(Input::MoreFollows, out);
        }
    }

    /// Ends the stream.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        self.run(Input::Ended, out);
        if self.literal_waits {
            let byte = at(&self.window, self.position.wrapping_sub(1));
            self.blocks.literal(byte, self.block_len());
            self.literal_waits = false;
        }
        self.end_block(Place::Last, out);
    }

    fn run(&mut self, input: Input, out: &mut Vec<u8>) {
        loop {
            while self.ahead < LOOK_AHEAD_MIN && !self.end_seen {
                let before = self.ahead;
                if self.fill(input) == Fill::NeedsInput {
                    return;
                }
                // zlib asks again and again when nothing is left; it may slide the window once more.
                if self.ahead == before && self.blocks.flavour() == Flavour::Zlib {
                    break;
                }
            }
            if self.ahead == 0 {
                return;
            }
            match self.tuning.strategy {
                Strategy::HuffmanOnly => self.step_literal(out),
                Strategy::RunLength => self.step_run(out),
                Strategy::Default | Strategy::Filtered | Strategy::Fixed => {
                    if self.tuning.level <= QUICK_LEVEL_MAX {
                        self.step_quick(out);
                    } else {
                        self.step_lazy(out);
                    }
                }
            }
        }
    }

    /// The farthest that a match may lie back.
    const fn distance_max(&self) -> usize {
        self.size - LOOK_AHEAD_MIN
    }

    /// Slides the window when its upper half is used up, and fills it. Both encoders read as much as fits.
    fn fill(&mut self, input: Input) -> Fill {
        let slides = self.position >= self.size + self.distance_max();
        let mut space = (2 * self.size).saturating_sub(self.ahead).saturating_sub(self.position);
        if slides {
            space += self.size;
        }
        let waiting = self.input.len().saturating_sub(self.taken);
        if waiting < space && input == Input::MoreFollows {
            return Fill::NeedsInput;
        }
        if slides {
            self.slide();
        }
        let count = space.min(waiting);
        let target_start = self.position + self.ahead;
        let source = self.input.get(self.taken..self.taken + count);
        let target = self.window.get_mut(target_start..target_start + count);
        if let (Some(source), Some(target)) = (source, target) {
            target.copy_from_slice(source);
        }
        self.taken += count;
        self.ahead += count;
        if self.taken >= self.size {
            self.input.drain(..self.taken);
            self.taken = 0;
        }
        if count == 0 && self.tuning.flavour == Flavour::Gnu {
            // GNU gzip clears two bytes behind the end, and leaves what else lies there; matches may run into it.
            self.end_seen = true;
            if let Some(rest) = self.window.get_mut(target_start..target_start + MATCH_MIN - 1) {
                rest.fill(0);
            }
        }
        Fill::Done
    }

    #[expect(clippy::cast_possible_truncation, reason = "a window has at most 32,768 bytes")]
    fn slide(&mut self) {
        let size = self.size;
        self.window.copy_within(size..2 * size, 0);
        self.match_start = self.match_start.saturating_sub(size);
        self.position -= size;
        self.block_start -= i64::try_from(size).unwrap_or(i64::MAX);
        let by = size as u16;
        for place in self.heads.iter_mut().chain(&mut self.previous) {
            *place = place.saturating_sub(by);
        }
    }

    /// Bytes between the start of the block and the reading position.
    fn block_len(&self) -> usize {
        let position = i64::try_from(self.position).unwrap_or(i64::MAX);
        usize::try_from(position - self.block_start).unwrap_or_default()
    }

    fn end_block(&mut self, place: Place, out: &mut Vec<u8>) {
        let len = self.block_len();
        let start = usize::try_from(self.block_start).ok();
        let bytes = start.and_then(|start| self.window.get(start..self.position));
        self.blocks.end(Source { bytes, len }, place, out);
        self.block_start = i64::try_from(self.position).unwrap_or(i64::MAX);
    }

    /// Enters the string at `position` and gives the last one with its hash; 0 for none.
    #[expect(clippy::cast_possible_truncation, reason = "a window has at most 65,536 places")]
    fn insert(&mut self, position: usize) -> usize {
        let Some(&[a, b, c]) = self.window.get(position..position + 3).and_then(|s| s.first_chunk()) else {
            return 0;
        };
        let shift = self.hash_shift;
        let hash =
            ((usize::from(a) << (2 * shift)) ^ (usize::from(b) << shift) ^ usize::from(c)) & self.hash_mask;
        let Some(head) = self.heads.get_mut(hash) else { return 0 };
        let found = *head;
        *head = position as u16;
        if let Some(place) = self.previous.get_mut(position & (self.size - 1)) {
            *place = found;
        }
        usize::from(found)
    }

    /// GNU gzip enters strings up to the end; zlib only those that the input holds in full.
    fn insert_if_whole(&mut self, position: usize, ahead: usize) -> usize {
        if ahead >= MATCH_MIN || self.tuning.flavour == Flavour::Gnu { self.insert(position) } else { 0 }
    }

    /// Whether a search may start: not too far back, and for GNU gzip not at the very end of the window.
    fn in_reach(&self, head: usize) -> bool {
        head != 0
            && self.position - head <= self.distance_max()
            && (self.tuning.flavour == Flavour::Zlib || self.position <= 2 * self.size - LOOK_AHEAD_MIN)
    }

    /// Looks for a match longer than `longer_than`; its length, cut to the input, with the start in `match_start`.
    fn longest_match(&mut self, head: usize, longer_than: usize) -> usize {
        let mut chain = self.effort.chain;
        if longer_than >= self.effort.good {
            chain >>= 2;
        }
        // GNU gzip does not know that the input ends, and may prefer an earlier match that runs on behind the end.
        let nice = match self.tuning.flavour {
            Flavour::Zlib => self.effort.nice.min(self.ahead),
            Flavour::Gnu => self.effort.nice,
        };
        let limit = self.position.saturating_sub(self.distance_max());
        let mut best = longer_than;
        let Some(scan) = chunk(&self.window, self.position) else { return 0 };
        let mut ends = pair(scan, best);
        let mut current = head;
        while let Some(other) = chunk(&self.window, current) {
            if pair(other, best) == ends {
                let len = common(scan, other);
                if len > best {
                    self.match_start = current;
                    best = len;
                    if len >= nice {
                        break;
                    }
                    ends = pair(scan, best);
                }
            }
            current = usize::from(at(&self.previous, current & (self.size - 1)));
            chain -= 1;
            if current <= limit || chain == 0 {
                break;
            }
        }
        best.min(self.ahead)
    }

    fn literal(&mut self, position: usize) -> bool {
        let byte = at(&self.window, position);
        self.blocks.literal(byte, self.block_len())
    }

    /// Takes each match at once.
    fn step_quick(&mut self, out: &mut Vec<u8>) {
        let head = self.insert_if_whole(self.position, self.ahead);
        let len = if self.in_reach(head) { self.longest_match(head, MATCH_MIN - 1) } else { 0 };
        let full = if len >= MATCH_MIN {
            let full = self.blocks.copy(self.position - self.match_start, len, self.block_len());
            self.ahead -= len;
            let inserts = self.tuning.flavour == Flavour::Gnu || self.ahead >= MATCH_MIN;
            if len <= self.effort.lazy && inserts {
                for offset in 1..len {
                    self.insert(self.position + offset);
                }
            }
            self.position += len;
            full
        } else {
            let full = self.literal(self.position);
            self.position += 1;
            self.ahead -= 1;
            full
        };
        if full {
            self.end_block(Place::Inside, out);
        }
    }

    /// Looks one byte further before it takes a match.
    fn step_lazy(&mut self, out: &mut Vec<u8>) {
        let head = self.insert_if_whole(self.position, self.ahead);
        let (last_len, last_start) = (self.match_len, self.match_start);
        self.match_len = MATCH_MIN - 1;
        if last_len < self.effort.lazy && self.in_reach(head) {
            self.match_len = self.longest_match(head, last_len);
            if self.is_poor() {
                self.match_len = MATCH_MIN - 1;
            }
        }
        if last_len >= MATCH_MIN && self.match_len <= last_len {
            self.take_last(last_len, last_start, out);
        } else if self.literal_waits {
            if self.literal(self.position - 1) {
                self.end_block(Place::Inside, out);
            }
            self.position += 1;
            self.ahead -= 1;
        } else {
            self.literal_waits = true;
            self.position += 1;
            self.ahead -= 1;
        }
    }

    fn is_poor(&self) -> bool {
        let far = self.match_len == MATCH_MIN && self.position - self.match_start > FAR;
        far || (self.match_len <= 5 && self.tuning.strategy == Strategy::Filtered)
    }

    /// Takes the match that begins one byte before the position.
    fn take_last(&mut self, len: usize, start: usize, out: &mut Vec<u8>) {
        let full = self.blocks.copy(self.position - 1 - start, len, self.block_len());
        let end = self.position + self.ahead;
        for offset in 1..len - 1 {
            let position = self.position + offset;
            self.insert_if_whole(position, end - position);
        }
        self.position += len - 1;
        self.ahead -= len - 1;
        self.literal_waits = false;
        self.match_len = MATCH_MIN - 1;
        if full {
            self.end_block(Place::Inside, out);
        }
    }

    fn step_literal(&mut self, out: &mut Vec<u8>) {
        let full = self.literal(self.position);
        self.position += 1;
        self.ahead -= 1;
        if full {
            self.end_block(Place::Inside, out);
        }
    }

    /// Matches runs of one byte only.
    fn step_run(&mut self, out: &mut Vec<u8>) {
        let mut len = 0;
        if self.ahead >= MATCH_MIN && self.position > 0 {
            let byte = at(&self.window, self.position - 1);
            let ahead = self.window.get(self.position..self.position + self.ahead.min(MATCH_MAX));
            len = ahead.unwrap_or_default().iter().take_while(|&&next| next == byte).count();
        }
        if len < MATCH_MIN {
            self.step_literal(out);
            return;
        }
        let full = self.blocks.copy(1, len, self.block_len());
        self.position += len;
        self.ahead -= len;
        if full {
            self.end_block(Place::Inside, out);
        }
    }
}

fn chunk(window: &[u8], start: usize) -> Option<&[u8; MATCH_MAX]> {
    window.get(start..)?.first_chunk()
}

/// The bytes that decide whether a match is longer than `best`.
fn pair(bytes: &[u8; MATCH_MAX], best: usize) -> (u8, u8) {
    (at(bytes, best.wrapping_sub(1)), at(bytes, best))
}

/// How many bytes are equal from the start.
fn common(a: &[u8; MATCH_MAX], b: &[u8; MATCH_MAX]) -> usize {
    let (left, left_rest) = a.as_chunks::<8>();
    let (right, right_rest) = b.as_chunks::<8>();
    let mut len = 0;
    for (x, y) in left.iter().zip(right) {
        let different = u64::from_le_bytes(*x) ^ u64::from_le_bytes(*y);
        if different != 0 {
            return len + different.trailing_zeros() as usize / 8;
        }
        len += 8;
    }
    len + left_rest.iter().zip(right_rest).take_while(|(x, y)| x == y).count()
}
