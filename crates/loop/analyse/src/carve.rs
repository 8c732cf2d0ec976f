//! Searches unknown bytes for the marks of formats.
//!
//! In: bytes that no format claims. Out: a layer with what was found, each piece called by its offset, and what lies
//! between, with its entropy. Refuses marks whose format, looked at closely, is not there; pieces never overlap.

use std::collections::BTreeMap;
use std::io;

use warden_model::ByteCount;

use crate::bytes::Bytes;
use crate::door::{Content, Door, Passed, Sink};
use crate::error::Halt;
use crate::format::{Carve, Claim, Format, Unpack};
use crate::limits::LimitReached;
use crate::report::{Unknown, Why};
use crate::stream;
use crate::walk::Walk;

/// What is shorter is not searched: the smallest file systems of any use have a block or two.
const SEARCHED_BYTES_MIN: u64 = 256;

/// A whole file of no format that is shorter is not listed: every root file system has hundreds of small tables.
const LISTED_BYTES_MIN: u64 = 4096;

/// Bytes that are searched at once.
const WINDOW_BYTES: usize = 256 * 1024;

/// Longest magic number.
const MAGIC_BYTES_MAX: usize = 16;

/// Most marks that are looked at closely in one search. 1 million: a mark of two bytes stands in random data every
/// 64 KiB, so that is more than 1 GiB of noise for every such mark.
const MARKS_MAX: u64 = 1_000_000;

/// Bytes of an unknown part that its entropy is measured on, from its start.
const ENTROPY_BYTES_MAX: u64 = 1 << 20;

/// A piece of a known format.
struct Piece {
    offset: u64,
    length: u64,
    format: &'static Format,
}

/// Searches all of it; says whether anything was found.
pub(crate) fn unknown(walk: &Walk<'_>, bytes: &Bytes<'_>, sink: &mut dyn Sink) -> Result<bool, Halt> {
    if bytes.length() < SEARCHED_BYTES_MIN {
        return Ok(false);
    }
    let pieces = search(walk, bytes)?;
    if pieces.is_empty() {
        if bytes.length() >= LISTED_BYTES_MIN {
            let looks_like = format!("searched for {} formats, none found", searched(walk).count());
            gap(bytes, 0, bytes.length(), &looks_like, sink)?;
        }
        return Ok(false);
    }
    tell(walk, bytes, 0, &pieces, sink)?;
    Ok(true)
}

/// Searches what lies behind a format's end.
pub(crate) fn tail(walk: &Walk<'_>, bytes: &Bytes<'_>, at: u64, sink: &mut dyn Sink) -> Result<(), Halt> {
    let rest = bytes.from(at);
    if is_padding(&rest)? {
        return Ok(());
    }
    let pieces = if rest.length() < SEARCHED_BYTES_MIN { Vec::new() } else { search(walk, &rest)? };
    if pieces.is_empty() {
        return gap(&rest, at, rest.length(), "behind the end of what is known", sink);
    }
    tell(walk, &rest, at, &pieces, sink)
}

/// Hands on the pieces in a layer of their own; their names count from the start of the whole.
fn tell(
    walk: &Walk<'_>,
    bytes: &Bytes<'_>,
    base: u64,
    pieces: &[Piece],
    sink: &mut dyn Sink,
) -> Result<(), Halt> {
    let label = "carved by marks";
    sink.enter(label.to_owned(), None);
    let mut door = Door::new(label, walk.budget, sink);
    let mut end = Ok(());
    let mut position = 0;
    for piece in pieces {
        end = tell_gap(bytes, base, position, piece.offset, &mut door);
        position = piece.offset.saturating_add(piece.length);
        if end.is_ok() {
            let name = format!("0x{:x}.{}", base.saturating_add(piece.offset), piece.format.extension);
            end = door.offer_part(&name, bytes.slice(piece.offset, piece.length));
        }
        if end.is_err() {
            break;
        }
    }
    let end = end.and_then(|()| tell_gap(bytes, base, position, bytes.length(), &mut door));
    sink.leave(None, None);
    end
}

/// Lists what lies between two pieces, and hands it on: texts of a boot loader stand there.
fn tell_gap(bytes: &Bytes<'_>, base: u64, from: u64, to: u64, door: &mut Door<'_, '_>) -> Result<(), Halt> {
    let part = bytes.slice(from, to.saturating_sub(from));
    if to <= from || is_padding(&part)? {
        return Ok(());
    }
    let offset = base.saturating_add(from);
    gap(&part, offset, part.length(), "between or behind what is known", door.sink)?;
    if part.length() < SEARCHED_BYTES_MIN {
        return Ok(());
    }
    door.offer_raw(&format!("0x{offset:x}.unknown"), part)
}

fn gap(part: &Bytes<'_>, offset: u64, length: u64, what: &str, sink: &mut dyn Sink) -> Result<(), Halt> {
    let entropy_millibits = entropy_millibits(&part.head(0, ENTROPY_BYTES_MAX));
    let kind = match entropy_millibits {
        7_900.. => "compressed or encrypted by its entropy",
        6_500.. => "packed or mixed by its entropy",
        _ => "code or data by its entropy",
    };
    let looks_like = format!("{what}; {kind}");
    sink.unknown(Unknown { offset, length, entropy_millibits, looks_like })
}

/// Says whether bytes are all the same: what a flash chip or a builder fills space with.
fn is_padding(bytes: &Bytes<'_>) -> io::Result<bool> {
    let Some(first) = bytes.u8(0) else { return Ok(true) };
    let mut at = 0;
    let mut buffer = vec![0; WINDOW_BYTES];
    loop {
        let count = bytes.read_some(at, &mut buffer)?;
        let block = buffer.get(..count).unwrap_or_default();
        if count == 0 || block.iter().any(|byte| *byte != first) {
            return Ok(count == 0);
        }
        at = at.saturating_add(count as u64);
    }
}

fn searched(walk: &Walk<'_>) -> impl Iterator<Item = &'static Format> {
    walk.formats.list().iter().copied().filter(|format| format.carve == Carve::Anywhere)
}

/// What marks start with a pair of bytes.
type Marks = BTreeMap<u16, Vec<(&'static [u8], u64, &'static Format)>>;

/// The marks of all formats, and a bit for each pair of bytes that starts one.
fn marks(walk: &Walk<'_>) -> (Marks, Box<[u64; 1024]>) {
    let mut marks = Marks::new();
    let mut pairs = Box::new([0_u64; 1024]);
    for format in searched(walk) {
        for (at, magic) in format.magics {
            let Some(pair) = magic.first_chunk::<2>().map(|pair| u16::from_be_bytes(*pair)) else { continue };
            if let Some(word) = pairs.get_mut(usize::from(pair >> 6)) {
                *word |= 1 << (pair & 63);
            }
            marks.entry(pair).or_default().push((magic, *at, format));
        }
    }
    (marks, pairs)
}

/// Finds pieces that do not overlap, the first one first.
fn search(walk: &Walk<'_>, bytes: &Bytes<'_>) -> Result<Vec<Piece>, Halt> {
    let (marks, pairs) = marks(walk);
    let mut pieces: Vec<Piece> = Vec::new();
    let mut buffer = vec![0; WINDOW_BYTES + MAGIC_BYTES_MAX];
    let (mut position, mut looked_at) = (0_u64, 0_u64);
    while position < bytes.length() {
        let count = bytes.read_some(position, &mut buffer)?;
        let window = buffer.get(..count).unwrap_or_default();
        let mut next = position.saturating_add(WINDOW_BYTES as u64);
        for (index, pair) in window.windows(2).enumerate().take(WINDOW_BYTES) {
            let pair = pair.first_chunk::<2>().map_or(0, |pair| u16::from_be_bytes(*pair));
            if pairs.get(usize::from(pair >> 6)).copied().unwrap_or(0) >> (pair & 63) & 1 == 0 {
                continue;
            }
            let rest = window.get(index..).unwrap_or_default();
            let at = position.saturating_add(index as u64);
            let done = pieces.last().map_or(0, |piece| piece.offset.saturating_add(piece.length));
            let fits = marks.get(&pair).into_iter().flatten().filter(|(magic, ..)| rest.starts_with(magic));
            let starts = fits.filter_map(|(_, back, format)| {
                at.checked_sub(*back).filter(|start| *start >= done).map(|start| (start, *format))
            });
            let mut found = None;
            for (start, format) in starts {
                looked_at += 1;
                if looked_at > MARKS_MAX {
                    return Err(LimitReached::Marks(MARKS_MAX).into());
                }
                found = found.or(check(walk, bytes, start, format));
            }
            let Some(piece) = found else { continue };
            let end = piece.offset.saturating_add(piece.length);
            pieces.push(piece);
            if end > at {
                next = end;
                break;
            }
        }
        position = next;
    }
    Ok(pieces)
}

/// Looks at a mark closely.
fn check(walk: &Walk<'_>, bytes: &Bytes<'_>, start: u64, format: &'static Format) -> Option<Piece> {
    let rest = bytes.from(start);
    let Claim { length, .. } = (format.claim)(&rest)?;
    let length = match (length, &format.unpack) {
        // What claims more than there is may be cut off, but is more likely a mark by chance.
        (Some(length), _) if length > rest.length() || length == 0 => return None,
        (Some(length), _) => length,
        (None, Unpack::Stream(codec)) => stream::measure(*codec, &rest, walk.budget)?,
        (None, Unpack::Archive(walk_archive)) => {
            let mut reader = rest.reader();
            let mut blind = Blind;
            let end = walk_archive(&mut reader, &mut Door::new(format.name, walk.budget, &mut blind));
            walk.budget.take_reached();
            end.ok().map(|()| reader.position())?
        }
        (None, Unpack::Tree(_) | Unpack::Not) => rest.length(),
    };
    Some(Piece { offset: start, length, format })
}

/// Takes what an archive holds and looks at nothing: only its end is wanted.
struct Blind;

impl Sink for Blind {
    fn enter(&mut self, _: String, _: Option<ByteCount>) {}

    fn leave(&mut self, _: Option<ByteCount>, _: Option<ByteCount>) {}

    fn entry(&mut self, _: Passed, _: Content<'_>) -> Result<(), Halt> {
        Ok(())
    }

    fn skip(&mut self, _: String, _: Why) -> Result<(), Halt> {
        Ok(())
    }

    fn loose(&mut self, _: &mut dyn io::Read) -> Result<(), Halt> {
        Ok(())
    }

    fn foreign(&mut self, _: String, _: &mut dyn io::Read) -> Result<(), Halt> {
        Ok(())
    }

    fn unknown(&mut self, _: Unknown) -> Result<(), Halt> {
        Ok(())
    }
}

/// Measures the entropy in thousandths of a bit a byte: log2(n) - sum(c log2(c)) / n, in fixed point.
pub(crate) fn entropy_millibits(bytes: &[u8]) -> u32 {
    let mut counts = [0_u64; 256];
    for byte in bytes {
        if let Some(count) = counts.get_mut(usize::from(*byte)) {
            *count += 1;
        }
    }
    let total = bytes.len() as u64;
    let Some(whole) = log2_fixed(total) else { return 0 };
    let sum: u64 = counts.iter().filter_map(|count| Some(count.saturating_mul(log2_fixed(*count)?))).sum();
    let bits = whole.saturating_sub(sum / total);
    u32::try_from(bits.saturating_mul(1000) >> 16).unwrap_or(8000).min(8000)
}

/// The logarithm to base 2 with 16 fractional bits, by squaring; `None` of zero.
fn log2_fixed(value: u64) -> Option<u64> {
    let whole = value.checked_ilog2()?;
    // The mantissa, between 1 and 2, with 31 fractional bits.
    let mut mantissa = if whole >= 31 { value >> (whole - 31) } else { value << (31 - whole) };
    let mut log = u64::from(whole) << 16;
    for bit in (0..16).rev() {
        mantissa = (mantissa * mantissa) >> 31;
        if mantissa >= 2 << 31 {
            mantissa >>= 1;
            log |= 1 << bit;
        }
    }
    Some(log)
}

#[cfg(test)]
mod tests {
    use super::entropy_millibits;

    #[test]
    fn entropy_tells_noise_from_nothing() {
        assert_eq!(entropy_millibits(b""), 0);
        assert_eq!(entropy_millibits(&[7; 4096]), 0);
        assert_eq!(entropy_millibits(&[0, 1].repeat(100)), 1000);
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(entropy_millibits(&all), 8000);
        let text = entropy_millibits(b"the quick brown fox jumps over the lazy dog");
        assert!((4_000..4_600).contains(&text), "{text}");
    }
}
