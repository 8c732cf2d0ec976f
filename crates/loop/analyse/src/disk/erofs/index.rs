//! The indices of a packed file of an EROFS: which cluster holds which bytes.
//!
//! In: an inode of a packed file. Out: its stretches, in order. A file is cut into logical clusters of equal size, each of
//! which has an index in eight, four or two bytes: a head says that a packed cluster begins at an offset in it, the others
//! how far it is to their head. Refuses indices that contradict each other.

use super::{Inode, Volume};
use crate::budget::Budget;
use crate::bytes::{Endian, Fields};
use crate::error::{Halt, bad, early};

// What the header before the indices may say (`Z_EROFS_ADVISE_...`).
const TWO_BYTES: u16 = 0x01;
const LARGE: u16 = 0x06;
const INLINE_TAIL: u16 = 0x08;
const INTERLACED: u16 = 0x10;
const FRAGMENT_TAIL: u16 = 0x20;

/// The flag of an index behind a head that says that it holds the number of packed blocks, not a distance.
const COUNTS_BLOCKS: u32 = 0x800;

/// Most packed bytes of a cluster, by the format.
const CLUSTER_BYTES_MAX: u64 = 1 << 20;

/// A stretch of a file, and what holds it.
#[derive(Debug, Clone)]
pub(super) struct Extent {
    pub(super) at: u64,
    pub(super) length: u64,
    pub(super) start: u64,
    pub(super) stored: u64,
    pub(super) skip: usize,
    /// Nothing where it stands as it is.
    pub(super) codec: Option<u8>,
    /// Where it stands in the inode of fragments.
    pub(super) fragment: Option<u64>,
    block: u32,
    blocks: Option<u64>,
}

/// What an index says.
enum Index {
    Head { offset: u64, block: u32, kind: u16 },
    GoesOn { blocks: Option<u64> },
}

struct Indices<'v, 'a> {
    volume: &'v Volume<'a>,
    is_full: bool,
    cluster_log: u32,
    advice: u16,
    total: u64,
    /// Where they begin, behind the header.
    at: u64,
}

pub(super) fn extents(volume: &Volume<'_>, inode: &Inode, budget: &Budget) -> Result<Vec<Extent>, Halt> {
    let at = inode.body.next_multiple_of(8);
    let head = volume.bytes.vec(at, 8)?;
    let fields = Fields::little(&head);
    let bits = fields.u8(7);
    let whole = |place: u64| Extent {
        at: 0,
        length: inode.size,
        start: 0,
        stored: 0,
        skip: 0,
        codec: None,
        fragment: Some(place),
        block: 0,
        blocks: None,
    };
    if bits & 0x80 != 0 {
        // The whole file is a fragment; the header is its place.
        return Ok(vec![whole(fields.u64(0) & !(1 << 63))]);
    }
    let indices = Indices {
        volume,
        is_full: inode.storage == 1,
        cluster_log: volume.block_log + u32::from(bits & 7),
        advice: fields.u16(4),
        total: inode.size.div_ceil(1 << (volume.block_log + u32::from(bits & 7))),
        at: at + 8,
    };
    let codecs = [fields.u8(6) & 15, fields.u8(6) >> 4];
    let (mut found, end) = indices.heads(inode.size, codecs, budget)?;
    let ends: Vec<u64> = found.iter().skip(1).map(|extent| extent.at).chain([inode.size]).collect();
    let count = found.len();
    for (number, (extent, end_at)) in found.iter_mut().zip(ends).enumerate() {
        extent.length =
            end_at.checked_sub(extent.at).ok_or_else(|| bad("its indices contradict each other"))?;
        let is_last = number + 1 == count;
        if is_last && indices.advice & FRAGMENT_TAIL != 0 {
            let high = if indices.is_full { u64::from(extent.block) << 32 } else { 0 };
            extent.fragment = Some(u64::from(fields.u32(0)) | high);
        } else if is_last && indices.advice & INLINE_TAIL != 0 {
            (extent.start, extent.stored) = (end, u64::from(fields.u16(2)));
        } else {
            extent.start = u64::from(extent.block) << volume.block_log;
            extent.stored =
                extent.blocks.map_or(1 << indices.cluster_log, |blocks| blocks << volume.block_log);
        }
        if extent.stored > CLUSTER_BYTES_MAX {
            return Err(bad("a cluster is too long"));
        }
        if extent.codec.is_none() && indices.advice & INTERLACED != 0 {
            extent.skip = usize::try_from(extent.at % volume.block()).unwrap_or(0);
        }
    }
    Ok(found)
}

impl Indices<'_, '_> {
    /// Lists the clusters of a file, and where its indices end.
    fn heads(&self, size: u64, codecs: [u8; 2], budget: &Budget) -> Result<(Vec<Extent>, u64), Halt> {
        let mut found: Vec<Extent> = Vec::new();
        let mut end = self.at;
        budget.check_steps(self.total)?;
        for number in 0..self.total {
            let index;
            (index, end) =
                if self.is_full { self.full(number) } else { self.compact(number) }.ok_or_else(early)?;
            let (offset, block, kind) = match index {
                Index::Head { offset, block, kind } => (offset, block, kind),
                Index::GoesOn { blocks } => {
                    if let Some(extent) = found.last_mut().filter(|_| blocks.is_some()) {
                        extent.blocks = blocks;
                    }
                    continue;
                }
            };
            let at = (number << self.cluster_log) + offset;
            // A head at the end of the file says where the last cluster ends.
            if at < size {
                let codec = match kind {
                    0 => None,
                    1 => codecs.first().copied(),
                    _ => codecs.last().copied(),
                };
                let (length, start, stored, skip) = (0, 0, 0, 0);
                found.push(Extent {
                    at,
                    length,
                    start,
                    stored,
                    skip,
                    codec,
                    fragment: None,
                    block,
                    blocks: None,
                });
            }
        }
        if self.total > 0 && found.first().is_none_or(|first| first.at != 0) {
            return Err(bad("its indices do not cover the file"));
        }
        Ok((found, end))
    }

    /// Reads an index of eight bytes, and says where it ends.
    fn full(&self, number: u64) -> Option<(Index, u64)> {
        let at = number.checked_mul(8)?.checked_add(self.at + 8)?;
        let bytes = self.volume.bytes.array::<8>(at)?;
        let fields = Fields::little(&bytes);
        let head = (u64::from(fields.u16(2)), fields.u32(4));
        Some((self.index(fields.u16(0) & 3, u32::from(fields.u16(4)), Some(head))?, at + 8))
    }

    fn index(&self, kind: u16, number: u32, head: Option<(u64, u32)>) -> Option<Index> {
        if kind == 2 {
            let counts = number & COUNTS_BLOCKS != 0 && self.advice & LARGE != 0;
            return Some(Index::GoesOn { blocks: counts.then_some(u64::from(number & !COUNTS_BLOCKS)) });
        }
        let (offset, block) = head.filter(|(offset, _)| *offset < 1 << self.cluster_log)?;
        Some(Index::Head { offset, block, kind })
    }

    /// Reads an index out of a pack of 2 in eight bytes, or of 16 in 32, and says where the pack ends. Packs of 16 are
    /// aligned to their size; before and behind them stand packs of 2.
    fn compact(&self, number: u64) -> Option<(Index, u64)> {
        let before = ((32 - self.at % 32) / 4 % 8).min(self.total);
        let short = if self.advice & TWO_BYTES == 0 { 0 } else { (self.total - before) / 16 * 16 };
        let (at, shift) = if number < before {
            (number * 4, 2)
        } else if number < before + short {
            (before * 4 + (number - before) * 2, 1)
        } else {
            (before * 4 + short * 2 + (number - before - short) * 4, 2)
        };
        let at = at.checked_add(self.at)?;
        let (pack_bytes, entry_bits) = if shift == 2 { (8, 16) } else { (32, 14) };
        let start = at - at % pack_bytes;
        let bytes = self.volume.bytes.vec(start, pack_bytes).ok()?;
        let pack = Pack { bytes: &bytes, entry_bits, number_bits: self.cluster_log.max(12) };
        let entry = (at - start) >> shift;
        let (kind, low) = pack.entry(entry)?;
        let head = if kind == 2 { None } else { Some((u64::from(low), self.block(&pack, entry)?)) };
        Some((self.index(kind, low, head)?, start + pack_bytes))
    }

    /// The block of a head: a pack holds one block address, from which its heads count on.
    fn block(&self, pack: &Pack<'_>, entry: u64) -> Option<u32> {
        let has_large = self.advice & LARGE != 0;
        let mut at = entry;
        let mut blocks = u32::from(!has_large);
        while at > 0 {
            at -= 1;
            let (kind, low) = pack.entry(at)?;
            if kind != 2 {
                blocks = blocks.checked_add(1)?;
            } else if !has_large {
                // The head that this one belongs to is counted where it stands in the pack.
                let Some(before) = at.checked_sub(u64::from(low)) else { break };
                at = before;
                blocks = blocks.checked_add(1)?;
            } else if low & COUNTS_BLOCKS != 0 {
                // It stands right behind its head.
                at = at.saturating_sub(1);
                blocks = blocks.checked_add(low & !COUNTS_BLOCKS)?;
            } else {
                at = at.saturating_sub(u64::from(low.checked_sub(2)?));
            }
        }
        let first =
            Fields { bytes: pack.bytes, endian: Endian::Little }.u32(pack.bytes.len().checked_sub(4)?);
        first.checked_add(blocks)
    }
}

/// Indices that share a block address, which stands in the last four bytes.
struct Pack<'p> {
    bytes: &'p [u8],
    entry_bits: u64,
    number_bits: u32,
}

impl Pack<'_> {
    /// The kind and the number of an entry.
    fn entry(&self, entry: u64) -> Option<(u16, u32)> {
        let bit = entry * self.entry_bits;
        let at = usize::try_from(bit / 8).ok()?;
        let word = Fields::little(self.bytes.get(at..at + 4)?).u32(0) >> (bit % 8);
        let kind = u16::try_from(word.checked_shr(self.number_bits)? & 3).ok()?;
        Some((kind, word & ((1 << self.number_bits.min(31)) - 1)))
    }
}
