//! SquashFS 4.0, little endian: its blocks and its files.
//!
//! In: an image, and where in it the file system starts. Out: every data, fragment and metadata block that is packed,
//! the files with their paths, and the tables as files of their own (`<squashfs inodes>`). Refuses other versions, and
//! superblocks whose numbers contradict each other; what is damaged behind that is not listed. Blocks packed with LZO are
//! only found when metadata blocks packed with it can be unpacked.

mod table;
mod tree;

use super::draft::Draft;
use super::fields::{from, get, u16_le, u32_le, u64_le};
use super::{Layout, Packed};
use crate::codec::Hint;

/// The first bytes of a little-endian file system.
pub(crate) const MAGIC: [u8; 4] = *b"hsqs";

/// Size of the superblock, in bytes.
const SUPERBLOCK_BYTES: u64 = 96;

/// The format allows blocks of 4 KiB to 1 MiB; these are their exponents.
const BLOCK_LOGS: std::ops::RangeInclusive<u16> = 12..=20;

/// Unpacked size of a full metadata block, by the format.
const METADATA_BYTES: u64 = 8192;

/// The dictionary that `mksquashfs` gives to XZ for them.
const METADATA_DICTIONARY_BYTES: u32 = 8192;

/// The flag of a superblock that says that the packer's options follow it.
const HAS_OPTIONS: u16 = 0x400;

/// The flag in the size of a data block that says that it stands as it is.
const NOT_PACKED: u32 = 1 << 24;

/// Stands for a table that is not there.
const NO_TABLE: u64 = u64::MAX;

/// The numbers of a superblock that say where things are.
struct Superblock {
    block_size: u32,
    fragments: u32,
    inodes: u32,
    ids: u16,
    root: u64,
    bytes_used: u64,
    id_table: u64,
    xattr_table: u64,
    inode_table: u64,
    directory_table: u64,
    fragment_table: u64,
    export_table: u64,
    /// How data and fragment blocks are packed; nothing where that is not known.
    data: Option<Hint>,
    /// How metadata blocks are packed.
    metadata: Option<Hint>,
}

/// Describes the file system at `start`; returns where it ends.
pub(crate) fn look(image: &[u8], start: u64, out: &mut Layout) -> Option<u64> {
    let fs = from(image, start)?;
    let superblock = read_superblock(fs)?;
    let fs = get(fs, 0, superblock.bytes_used)?;
    let mut draft = Draft::default();
    // A damaged table ends the walk; what was found before is worth having.
    let _found: Option<()> = describe(fs, &superblock, &mut draft);
    draft.settle_into(out, start, image.len() as u64);
    start.checked_add(superblock.bytes_used)
}

fn describe(fs: &[u8], superblock: &Superblock, draft: &mut Draft) -> Option<()> {
    let tables = table::read(fs, superblock, draft)?;
    tree::walk(superblock, &tables, draft)
}

fn read_superblock(fs: &[u8]) -> Option<Superblock> {
    let is_ours = fs.starts_with(&MAGIC) && u16_le(fs, 28)? == 4 && u16_le(fs, 30)? == 0;
    let block_size = u32_le(fs, 12)?;
    let block_log = u16_le(fs, 22)?;
    if !is_ours || !BLOCK_LOGS.contains(&block_log) || block_size != 1 << block_log {
        return None;
    }
    let (data, metadata) = hints(fs, block_size)?;
    let superblock = Superblock {
        block_size,
        fragments: u32_le(fs, 16)?,
        inodes: u32_le(fs, 4)?,
        ids: u16_le(fs, 26)?,
        root: u64_le(fs, 32)?,
        bytes_used: u64_le(fs, 40)?,
        id_table: u64_le(fs, 48)?,
        xattr_table: u64_le(fs, 56)?,
        inode_table: u64_le(fs, 64)?,
        directory_table: u64_le(fs, 72)?,
        fragment_table: u64_le(fs, 80)?,
        export_table: u64_le(fs, 88)?,
        data,
        metadata,
    };
    let in_order = SUPERBLOCK_BYTES <= superblock.inode_table
        && superblock.inode_table < superblock.directory_table
        && superblock.directory_table <= superblock.bytes_used
        && superblock.bytes_used <= fs.len() as u64;
    in_order.then_some(superblock)
}

/// Returns how data blocks and metadata blocks are packed.
fn hints(fs: &[u8], block_size: u32) -> Option<(Option<Hint>, Option<Hint>)> {
    let same = |hint| Some((Some(hint), Some(hint)));
    match u16_le(fs, 20)? {
        1 => same(Hint::Zlib),
        2 => same(Hint::Lzma),
        3 => same(Hint::Lzo),
        // The dictionary of metadata blocks is as large as they are; that of data blocks is an option.
        4 => {
            let has_options = u16_le(fs, 24)? & HAS_OPTIONS != 0;
            // The options are a metadata block that is not packed: its length with the top bit set, dictionary, filters.
            let option = has_options.then(|| u32_le(fs, SUPERBLOCK_BYTES + 2)).flatten();
            let dictionary = option.filter(|bytes| *bytes > 0).unwrap_or(block_size);
            Some((Some(Hint::Xz(Some(dictionary))), Some(Hint::Xz(Some(METADATA_DICTIONARY_BYTES)))))
        }
        5 => same(Hint::Lz4Block),
        6 => same(Hint::Zstd),
        _ => None,
    }
}

/// A block as it is stored.
#[derive(Debug, Clone, Copy)]
enum Stored {
    /// It is packed: its index in the draft.
    Packed(usize),
    /// It stands as it is.
    Raw { start: u64, len: u64 },
    /// It is all zeros, and not stored.
    Hole,
}

/// Takes a data or fragment block: `word` holds its stored size and, in bit 24, whether it stands as it is. Refuses
/// blocks that are larger stored than the format allows them to be unpacked.
fn take_block(
    superblock: &Superblock,
    draft: &mut Draft,
    start: u64,
    word: u32,
    plain_len: u64,
) -> Option<Stored> {
    let len = u64::from(stored_bytes(word));
    if len > u64::from(superblock.block_size) || plain_len > u64::from(superblock.block_size) {
        return None;
    }
    if len == 0 {
        return Some(Stored::Hole);
    }
    if word & NOT_PACKED != 0 {
        return (len >= plain_len).then_some(Stored::Raw { start, len });
    }
    let hint = superblock.data?;
    draft.pack(Packed { start, len, plain_len_max: plain_len, hint }).map(Stored::Packed)
}

/// Returns the stored size that the word of a data block names.
fn stored_bytes(word: u32) -> u32 {
    word & 0x00ff_ffff
}

#[cfg(test)]
mod tests;
