//! The metadata tables of a SquashFS: chains of blocks of 8 KiB, each behind a header of two bytes.
//!
//! In: the file system and its superblock. Out: the blocks of all tables in the draft, and those tables unpacked that the
//! walk needs. Refuses blocks that are larger than the format allows; a chain ends at the first damaged block.

use super::super::draft::{Draft, Pieces};
use super::super::fields::{get, u16_le, u32_le, u64_le};
use super::super::unpack::unpack_metadata;
use super::super::{Packed, Piece};
use super::{METADATA_BYTES, NO_TABLE, NOT_PACKED, Stored, Superblock, stored_bytes, take_block};

/// Unpacked metadata of one file system, in bytes: that of a million files is about 100 MiB.
const TABLES_BYTES_MAX: u64 = 128 << 20;

/// Size of an entry of the fragment table, in bytes.
const FRAGMENT_BYTES: usize = 16;

/// What the walk needs.
pub(super) struct Tables {
    pub(super) inodes: Table,
    pub(super) directories: Table,
    /// By index; nothing where an entry makes no sense.
    pub(super) fragments: Vec<Option<Stored>>,
}

/// An unpacked table.
#[derive(Default)]
pub(super) struct Table {
    pub(super) plain: Vec<u8>,
    /// Where each block begins, from the start of the table: packed and unpacked.
    blocks: Vec<(u64, u64)>,
}

impl Table {
    /// Returns the place in the unpacked table of an offset in a block.
    pub(super) fn place(&self, block: u64, offset: u64) -> Option<u64> {
        let index = self.blocks.binary_search_by_key(&block, |(packed, _)| *packed).ok()?;
        self.blocks.get(index)?.1.checked_add(offset)
    }
}

/// A table that is reached through an array of places of its blocks.
struct Indexed {
    name: &'static str,
    first_block: u64,
    /// Where the array begins; the blocks end there.
    array: u64,
}

struct Reader<'a> {
    fs: &'a [u8],
    superblock: &'a Superblock,
    draft: &'a mut Draft,
    bytes_left: u64,
}

/// Reads all tables.
pub(super) fn read(fs: &[u8], superblock: &Superblock, draft: &mut Draft) -> Option<Tables> {
    let indexed = indexed_tables(fs, superblock);
    let listings_end = indexed
        .iter()
        .map(|table| table.first_block)
        .filter(|first| *first > superblock.directory_table)
        .min()
        .unwrap_or(superblock.bytes_used);
    let mut reader = Reader { fs, superblock, draft, bytes_left: TABLES_BYTES_MAX };
    let inodes = reader.table("<squashfs inodes>", superblock.inode_table, superblock.directory_table)?;
    let directories = reader.table("<squashfs directories>", superblock.directory_table, listings_end)?;
    let mut fragments = Vec::new();
    for one in indexed {
        let table = reader.table(one.name, one.first_block, one.array)?;
        if one.array == superblock.fragment_table {
            fragments = take_fragments(superblock, &table, reader.draft);
        }
    }
    Some(Tables { inodes, directories, fragments })
}

/// Lists the tables behind the directories that are there, in the order of the image.
fn indexed_tables(fs: &[u8], superblock: &Superblock) -> Vec<Indexed> {
    let mut found = Vec::new();
    let mut add = |name, array: u64, count: u32, first_block: Option<u64>| {
        let first_block = first_block.or_else(|| u64_le(fs, array));
        if let Some(first_block) =
            first_block.filter(|first| count > 0 && array != NO_TABLE && *first < array)
        {
            found.push(Indexed { name, first_block, array });
        }
    };
    add("<squashfs fragments>", superblock.fragment_table, superblock.fragments, None);
    add("<squashfs export>", superblock.export_table, superblock.inodes, None);
    add("<squashfs ids>", superblock.id_table, u32::from(superblock.ids), None);
    // A header of 16 bytes stands before this array: where the values begin, and how many there are.
    let xattrs = superblock.xattr_table;
    let array = xattrs.checked_add(16).filter(|_| xattrs != NO_TABLE);
    if let (Some(array), Some(values), Some(count)) =
        (array, u64_le(fs, xattrs), u32_le(fs, xattrs.saturating_add(8)))
    {
        let first_id_block = u64_le(fs, array);
        if let Some(ids) = first_id_block {
            add("<squashfs attributes>", ids, count, Some(values));
        }
        add("<squashfs attribute ids>", xattrs, count, first_id_block);
    }
    found.sort_by_key(|table| table.first_block);
    found
}

impl Reader<'_> {
    /// Reads the blocks from `start` to `end`; `None` when there is more than the limits allow.
    fn table(&mut self, name: &str, start: u64, end: u64) -> Option<Table> {
        let mut table = Table::default();
        let mut pieces = Pieces::default();
        let mut at = start;
        while at < end {
            let Some(header) = u16_le(self.fs, at) else { break };
            let (body, len) = (at.checked_add(2)?, u64::from(header & 0x7fff));
            let Some(stored) = get(self.fs, body, len).filter(|_| (1..=METADATA_BYTES).contains(&len)) else {
                break;
            };
            let plain_at = table.plain.len() as u64;
            let piece = if header & 0x8000 == 0 {
                self.packed_block(body, stored, &mut table.plain)
            } else {
                table.plain.extend_from_slice(stored);
                Some(Piece::Raw { start: body, len })
            };
            let Some(piece) = piece else { break };
            table.blocks.push((at - start, plain_at));
            pieces.push(piece);
            self.bytes_left = self.bytes_left.checked_sub(table.plain.len() as u64 - plain_at)?;
            at = body.checked_add(len)?;
        }
        self.draft.file(name, pieces)?;
        Some(table)
    }

    /// Appends what a block holds; `None` when it is damaged.
    fn packed_block(&mut self, start: u64, stored: &[u8], plain: &mut Vec<u8>) -> Option<Piece> {
        let hint = self.superblock.metadata?;
        let block = unpack_metadata(hint, stored, METADATA_BYTES)?;
        plain.extend_from_slice(&block);
        let (len, plain_len_max) = (stored.len() as u64, block.len() as u64);
        let index = self.draft.pack(Packed { start, len, plain_len_max, hint })?;
        Some(Piece::InPacked { index, skip: 0, len: plain_len_max })
    }
}

/// Takes the fragment blocks: entries of eight bytes for where a block starts, four for its size, four unused.
fn take_fragments(superblock: &Superblock, table: &Table, draft: &mut Draft) -> Vec<Option<Stored>> {
    let (entries, _) = table.plain.as_chunks::<FRAGMENT_BYTES>();
    let count = usize::try_from(superblock.fragments).unwrap_or(usize::MAX);
    let take = |entry: &[u8; FRAGMENT_BYTES]| {
        let (start, word) = (u64_le(entry, 0)?, u32_le(entry, 8)?);
        // How full a fragment is stands nowhere. One that stands as it is shows it.
        let is_raw = word & NOT_PACKED != 0;
        let plain_len = if is_raw { stored_bytes(word) } else { superblock.block_size };
        take_block(superblock, draft, start, word, u64::from(plain_len))
    };
    entries.iter().take(count).map(take).collect()
}
