//! The indices of a packed file of an EROFS: which cluster holds which bytes.
//!
//! In: an inode of a packed file. Out: its pieces; its clusters go into the draft. A file is cut into logical clusters of
//! equal size; each has an index, in eight, four or two bytes. A *head* says that a packed cluster begins at an offset in
//! it; the others say how far it is to their head. Refuses indices that contradict each other.

use super::super::draft::Pieces;
use super::super::fields::{array, byte, get, u16_le, u32_le, u64_le};
use super::super::{Packed, Piece, lz4};
use super::ZERO_PADDING;
use super::inode::{Inode, Mapper};
use crate::codec::Hint;

/// What the header before the indices may say, as far as it matters here.
const TWO_BYTES: u16 = 0x01;
const LARGE_CLUSTERS: [u16; 2] = [0x02, 0x04];
const INLINE_TAIL: u16 = 0x08;
const INTERLACED: u16 = 0x10;
const TAIL_IN_FRAGMENT: u16 = 0x20;
const KNOWN: u16 = 0x3f;

/// The flag of an index behind a head that says that it holds the number of packed blocks, not a distance.
const COUNTS_BLOCKS: u32 = 0x800;

/// The header and, for indices of eight bytes, as many reserved bytes.
const HEADER_BYTES: u64 = 8;

/// The storage of a file whose indices take eight bytes each.
const FULL_INDICES: u16 = 1;

/// Most packed bytes of a cluster: 1 MiB, by the format.
const CLUSTER_BYTES_MAX: u64 = 1 << 20;

struct Header {
    advice: u16,
    /// How clusters with a first and with a second kind of head are packed.
    packers: [u8; 2],
    cluster_log: u32,
    /// Length of the inline tail, in bytes.
    tail_len: u64,
    tail_in_fragment: u64,
}

/// What an index says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Index {
    /// A cluster begins here that stands as it is.
    Plain { offset: u64, block: u32 },
    /// A packed cluster begins here; which of the two packers it is from.
    Packed { offset: u64, block: u32, packer: u8 },
    /// A cluster goes on; perhaps with how many blocks it is packed in.
    GoesOn { blocks: Option<u64> },
}

/// A stretch of a file, and the cluster that holds it.
struct Extent {
    at: u64,
    block: u32,
    blocks: Option<u64>,
    /// Nothing when it stands as it is.
    packer: Option<u8>,
}

/// Returns the pieces of a packed file.
pub(super) fn pieces(mapper: &mut Mapper<'_>, inode: &Inode) -> Option<Pieces> {
    let at = inode.body.checked_next_multiple_of(8)?;
    let bytes = array::<8>(mapper.fs, at)?;
    let cluster_bits = byte(&bytes, 7)?;
    if cluster_bits & 0x80 != 0 {
        // The whole file is a fragment; the header is its place.
        return mapper.tails.slice(u64_le(&bytes, 0)? & !(1 << 63), inode.size);
    }
    let packers = byte(&bytes, 6)?;
    let header = Header {
        advice: u16_le(&bytes, 4)?,
        packers: [packers & 15, packers >> 4],
        cluster_log: mapper.superblock.block_log + u32::from(cluster_bits & 7),
        tail_len: u64::from(u16_le(&bytes, 2)?),
        tail_in_fragment: u64::from(u32_le(&bytes, 0)?),
    };
    if header.advice & !KNOWN != 0 {
        return None;
    }
    let (extents, indices_end) = extents(mapper, inode, &header, at)?;
    let mut pieces = Pieces::default();
    for (number, extent) in extents.iter().enumerate() {
        let next = extents.get(number + 1);
        let end = next.map_or(inode.size, |next| next.at);
        let len = end.checked_sub(extent.at).filter(|len| *len > 0)?;
        let is_last = next.is_none();
        if is_last && header.advice & TAIL_IN_FRAGMENT != 0 {
            let high = if inode.storage == FULL_INDICES { u64::from(extent.block) << 32 } else { 0 };
            pieces.extend(&mapper.tails.slice(header.tail_in_fragment | high, len)?);
        } else if is_last && header.advice & INLINE_TAIL != 0 {
            add_cluster(mapper, &header, extent, len, (indices_end, header.tail_len), &mut pieces)?;
        } else {
            let cluster = stored_cluster(mapper, &header, extent)?;
            add_cluster(mapper, &header, extent, len, cluster, &mut pieces)?;
        }
    }
    Some(pieces)
}

/// Returns where a cluster is stored, and how long it is there.
fn stored_cluster(mapper: &Mapper<'_>, header: &Header, extent: &Extent) -> Option<(u64, u64)> {
    let start = mapper.superblock.block_at(extent.block);
    let len = match extent.blocks {
        Some(blocks) => blocks << mapper.superblock.block_log,
        None => 1 << header.cluster_log,
    };
    (len <= CLUSTER_BYTES_MAX).then_some((start, len))
}

/// Adds the stretch of a file that a cluster holds.
fn add_cluster(
    mapper: &mut Mapper<'_>,
    header: &Header,
    extent: &Extent,
    len: u64,
    (start, stored): (u64, u64),
    pieces: &mut Pieces,
) -> Option<()> {
    let bytes = get(mapper.fs, start, stored)?;
    let Some(packer) = extent.packer else {
        // What stands as it is fills at most its cluster. Interlaced, it lies at the place in the block where it would
        // lie in the file, and goes on at the front of the block.
        let offset = match header.advice & INTERLACED {
            0 => 0,
            _ => extent.at % mapper.superblock.block_bytes(),
        };
        let right = len.min(stored.checked_sub(offset)?);
        let left = len - right;
        pieces.push(Piece::Raw { start: start.checked_add(offset)?, len: right });
        pieces.push(Piece::Raw { start, len: left });
        return (left <= offset).then_some(());
    };
    let hint = match packer {
        0 => Hint::Lz4Block,
        2 => Hint::Deflate,
        3 => Hint::Zstd,
        _ => return None,
    };
    let (skip, packed_len) = if mapper.superblock.features & ZERO_PADDING != 0 {
        // No packer begins with a zero: LZ4 would copy from before its first byte.
        let skip = bytes.iter().position(|byte| *byte != 0)? as u64;
        (skip, stored - skip)
    } else if hint == Hint::Lz4Block {
        (0, lz4::packed_len(bytes, len)?)
    } else {
        (0, stored)
    };
    let one = Packed { start: start.checked_add(skip)?, len: packed_len, plain_len_max: len, hint };
    let index = mapper.draft.pack(one)?;
    pieces.push(Piece::InPacked { index, skip: 0, len });
    Some(())
}

/// Lists the clusters of a file, and where its indices end.
fn extents(mapper: &mut Mapper<'_>, inode: &Inode, header: &Header, at: u64) -> Option<(Vec<Extent>, u64)> {
    let total = inode.size.div_ceil(1 << header.cluster_log);
    mapper.step(total)?;
    let indices = Indices {
        fs: mapper.fs,
        cluster_log: header.cluster_log,
        has_large: header.advice & LARGE_CLUSTERS.iter().sum::<u16>() != 0,
        has_two_bytes: header.advice & TWO_BYTES != 0,
        total,
        at: at.checked_add(HEADER_BYTES)?,
    };
    let mut found: Vec<Extent> = Vec::new();
    let mut end = at;
    for number in 0..total {
        let index;
        (index, end) = match inode.storage {
            FULL_INDICES => indices.full(number)?,
            _ => indices.compact(number)?,
        };
        let (offset, block, packer) = match index {
            Index::Plain { offset, block } => (offset, block, None),
            Index::Packed { offset, block, packer } => (offset, block, Some(packer)),
            Index::GoesOn { blocks } => {
                if let Some(blocks) = blocks {
                    found.last_mut()?.blocks = Some(blocks);
                }
                continue;
            }
        };
        let packer = match packer {
            Some(which) => Some(*header.packers.get(usize::from(which))?),
            None => None,
        };
        let start = (number << header.cluster_log) + offset;
        // A head at the end of the file says where the last cluster ends.
        if start < inode.size {
            found.push(Extent { at: start, block, blocks: None, packer });
        }
    }
    let covers_all = found.first().is_some_and(|first| first.at == 0) || total == 0;
    covers_all.then_some((found, end))
}

/// The indices of a file.
struct Indices<'a> {
    fs: &'a [u8],
    cluster_log: u32,
    has_large: bool,
    has_two_bytes: bool,
    total: u64,
    /// Where they begin, behind the header.
    at: u64,
}

impl Indices<'_> {
    /// Reads an index of eight bytes and says where it ends.
    fn full(&self, number: u64) -> Option<(Index, u64)> {
        let at = number.checked_mul(8)?.checked_add(self.at + 8)?;
        let bytes = array::<8>(self.fs, at)?;
        let (kind, offset) = (u16_le(&bytes, 0)? & 3, u16_le(&bytes, 2)?);
        let head = (u64::from(offset), u32_le(&bytes, 4)?);
        let index = self.index(kind, u32::from(u16_le(&bytes, 4)?), Some(head))?;
        Some((index, at + 8))
    }

    /// Builds an index from its kind, the number of one that goes on, and the offset and block of a head.
    fn index(&self, kind: u16, number: u32, head: Option<(u64, u32)>) -> Option<Index> {
        if kind == 2 {
            let counts = number & COUNTS_BLOCKS != 0 && self.has_large;
            let blocks = counts.then_some(u64::from(number & !COUNTS_BLOCKS));
            return Some(Index::GoesOn { blocks });
        }
        let (offset, block) = head.filter(|(offset, _)| *offset < 1 << self.cluster_log)?;
        Some(match kind {
            0 => Index::Plain { offset, block },
            1 => Index::Packed { offset, block, packer: 0 },
            _ => Index::Packed { offset, block, packer: 1 },
        })
    }

    /// Reads an index out of a pack of 2 in eight bytes, or 16 in 32, and says where the pack ends. Packs of 16 are
    /// aligned to their size; before and behind them stand packs of 2.
    fn compact(&self, number: u64) -> Option<(Index, u64)> {
        let before = ((32 - self.at % 32) / 4 % 8).min(self.total);
        let short = if self.has_two_bytes { (self.total - before) / 16 * 16 } else { 0 };
        let (at, shift) = if number < before {
            (number * 4, 2)
        } else if number < before + short {
            (before * 4 + (number - before) * 2, 1)
        } else {
            (before * 4 + short * 2 + (number - before - short) * 4, 2)
        };
        let at = at.checked_add(self.at)?;
        let pack_bytes = if shift == 2 { 8 } else { 32 };
        let start = at - at % pack_bytes;
        let pack = Pack {
            bytes: get(self.fs, start, pack_bytes)?,
            entry_bits: if shift == 2 { 16 } else { 14 },
            number_bits: self.cluster_log.max(12),
        };
        let entry = (at - start) >> shift;
        let (kind, low) = pack.entry(entry)?;
        let head = if kind == 2 { None } else { Some((u64::from(low), self.block(&pack, entry)?)) };
        Some((self.index(kind, low, head)?, start + pack_bytes))
    }

    /// Returns the block of a head: a pack holds one block address, from which its heads count on.
    fn block(&self, pack: &Pack<'_>, entry: u64) -> Option<u32> {
        let mut at = entry;
        let mut blocks = u32::from(!self.has_large);
        while at > 0 {
            at -= 1;
            let (kind, low) = pack.entry(at)?;
            if kind != 2 {
                blocks = blocks.checked_add(1)?;
            } else if !self.has_large {
                // The head that this one belongs to is counted if it stands in the pack.
                let Some(before) = at.checked_sub(u64::from(low)) else { break };
                at = before;
                blocks = blocks.checked_add(1)?;
            } else if low & COUNTS_BLOCKS != 0 {
                // Stands right behind its head.
                at = at.saturating_sub(1);
                blocks = blocks.checked_add(low & !COUNTS_BLOCKS)?;
            } else {
                at = at.saturating_sub(u64::from(low.checked_sub(2)?));
            }
        }
        pack.first_block()?.checked_add(blocks)
    }
}

/// Indices that share a block address, which stands in the last four bytes.
struct Pack<'a> {
    bytes: &'a [u8],
    entry_bits: u64,
    number_bits: u32,
}

impl Pack<'_> {
    /// Returns kind and number of an entry.
    fn entry(&self, entry: u64) -> Option<(u16, u32)> {
        let bit = entry * self.entry_bits;
        let word = u32_le(self.bytes, bit / 8)? >> (bit % 8);
        let kind = u16::try_from(word >> self.number_bits & 3).ok()?;
        Some((kind, word & ((1 << self.number_bits) - 1)))
    }

    fn first_block(&self) -> Option<u32> {
        u32_le(self.bytes, self.bytes.len() as u64 - 4)
    }
}
