//! UBI: volumes in the erase blocks of a raw flash.
//!
//! In: an image, and where in it the erase blocks start. Out: each volume in its logical order as a file
//! (`<ubi volume NAME>`), or, where UBIFS lies in it, the files of that. Refuses headers with a wrong checksum; of two
//! copies of a logical block the newer one counts. A gap in a volume begins another file.

use std::collections::BTreeMap;

use flate2::Crc;

use super::draft::{Draft, Pieces, join};
use super::fields::{byte, from, get, u16_be, u32_be, u64_be};
use super::{Layout, Piece, ubifs};

/// The first bytes of an erase block.
pub(crate) const MAGIC: [u8; 4] = *b"UBI#";

/// The first bytes of the header that says which logical block an erase block holds.
const BLOCK_MAGIC: [u8; 4] = *b"UBI!";

/// Size of either header, its checksum last, in bytes.
const HEADER_BYTES: u64 = 64;

/// Largest erase block, in bytes: four times those of the largest NAND flashes in use.
const ERASE_BLOCK_BYTES_MAX: u64 = 16 << 20;

/// Erase blocks are a multiple of this, in bytes: the least that a flash writes at once.
const ERASE_BLOCK_STEP: usize = 512;

/// The volume that holds the table of volumes, and the size of an entry of it, in bytes.
const TABLE_VOLUME: u32 = 0x7fff_efff;
const TABLE_ENTRY_BYTES: u64 = 172;

/// Volumes of users have numbers below this.
const VOLUMES_MAX: u32 = 128;

/// A volume whose blocks are full up to a size that their headers say.
const STATIC: u8 = 2;

/// Where a logical block lies.
#[derive(Debug, Clone, Copy)]
struct Block {
    /// The higher, the newer.
    sequence: u64,
    start: u64,
    len: u64,
}

/// Logical blocks by volume and number.
type Blocks = BTreeMap<(u32, u32), Block>;

/// Describes the erase blocks at `start`; returns where they end.
pub(crate) fn look(image: &[u8], start: u64, out: &mut Layout) -> Option<u64> {
    let flash = from(image, start)?;
    let erase_block = erase_block_bytes(flash)?;
    let (blocks, len) = read_blocks(flash, erase_block)?;
    let mut draft = Draft::default();
    for volume in 0..VOLUMES_MAX {
        let name = volume_name(flash, &blocks, volume);
        // The walk ends at the limits; what was found before is worth having.
        if describe_volume(flash, &blocks, volume, &name, &mut draft).is_none() {
            break;
        }
    }
    draft.settle_into(out, start, image.len() as u64);
    start.checked_add(len)
}

/// Says whether a header of 64 bytes has its magic and its checksum.
fn is_header(bytes: &[u8], at: u64, magic: [u8; 4]) -> bool {
    let Some(header) = get(bytes, at, HEADER_BYTES).filter(|header| header.starts_with(&magic)) else {
        return false;
    };
    let mut crc = Crc::new();
    crc.update(header.get(..60).unwrap_or_default());
    // UBI leaves out the last step of the usual checksum.
    u32_be(header, 60) == Some(!crc.sum())
}

/// The second header is where the second erase block begins.
fn erase_block_bytes(flash: &[u8]) -> Option<u64> {
    let mut steps = (0..ERASE_BLOCK_BYTES_MAX.min(flash.len() as u64)).step_by(ERASE_BLOCK_STEP);
    steps.next().filter(|first| is_header(flash, *first, MAGIC))?;
    steps.find(|at| is_header(flash, *at, MAGIC))
}

/// Lists the logical blocks, and returns how long the flash is.
fn read_blocks(flash: &[u8], erase_block: u64) -> Option<(Blocks, u64)> {
    let mut blocks = Blocks::new();
    let mut end = 0;
    for bytes in flash.chunks_exact(usize::try_from(erase_block).ok()?) {
        let at = end;
        if is_header(bytes, 0, MAGIC) {
            if let Some((key, block)) = read_block(bytes, at) {
                let known = blocks.entry(key).or_insert(block);
                if block.sequence > known.sequence {
                    *known = block;
                }
            }
        } else if bytes.iter().any(|byte| *byte != 0xff) {
            break;
        }
        end = end.checked_add(erase_block)?;
    }
    Some((blocks, end))
}

/// Reads the header that names the logical block of an erase block.
fn read_block(bytes: &[u8], start: u64) -> Option<((u32, u32), Block)> {
    let (header_at, data_at) = (u64::from(u32_be(bytes, 16)?), u64::from(u32_be(bytes, 20)?));
    if !is_header(bytes, header_at, BLOCK_MAGIC) {
        return None;
    }
    let header = get(bytes, header_at, HEADER_BYTES)?;
    let space = (bytes.len() as u64).checked_sub(data_at)?;
    let len = if byte(header, 5)? == STATIC {
        u64::from(u32_be(header, 20)?)
    } else {
        space.checked_sub(u64::from(u32_be(header, 28)?))?
    };
    let key = (u32_be(header, 8)?, u32_be(header, 12)?);
    let block = Block { sequence: u64_be(header, 40)?, start: start.checked_add(data_at)?, len };
    (len <= space).then_some((key, block))
}

/// Returns the name of a volume from the table, or its number.
fn volume_name(flash: &[u8], blocks: &Blocks, volume: u32) -> String {
    let named = || {
        let table = blocks.get(&(TABLE_VOLUME, 0))?;
        let table = get(flash, table.start, table.len)?;
        let entry = get(table, u64::from(volume) * TABLE_ENTRY_BYTES, TABLE_ENTRY_BYTES)?;
        join("", get(entry, 16, u64::from(u16_be(entry, 14)?.min(127)))?)
    };
    named().unwrap_or_else(|| volume.to_string())
}

fn describe_volume(flash: &[u8], blocks: &Blocks, volume: u32, name: &str, draft: &mut Draft) -> Option<()> {
    let blocks =
        || blocks.range((volume, 0)..=(volume, u32::MAX)).map(|((_, number), block)| (*number, *block));
    let is_ubifs = blocks().next().is_some_and(|(_, first)| ubifs::starts_at(flash, first.start));
    if is_ubifs {
        let places: Vec<(u64, u64)> = blocks().map(|(_, block)| (block.start, block.len)).collect();
        return ubifs::describe(flash, &places, name, draft);
    }
    let mut pieces = Pieces::default();
    let mut path = format!("<ubi volume {name}>");
    let mut expected = None;
    for (number, block) in blocks() {
        if expected.is_some_and(|expected| expected != number) {
            draft.file(&path, std::mem::take(&mut pieces))?;
            path = format!("<ubi volume {name} from block {number}>");
        }
        pieces.push(Piece::Raw { start: block.start, len: block.len });
        expected = number.checked_add(1);
    }
    draft.file(&path, pieces)
}

#[cfg(test)]
mod tests;
