//! UBI: volumes over the erase blocks of a flash chip.
//!
//! In: an image. Out: its volumes, as windows. Refuses blocks whose headers have wrong checksums.
//!
//! Layout as in "drivers/mtd/ubi/ubi-media.h": numbers are big-endian.

use std::collections::BTreeMap;

use crate::bytes::{Bytes, Fields, Pieces};
use crate::decode::crc;
use crate::door::Content;
use crate::door::{Door, Found};
use crate::error::{Halt, bad};
use crate::format::{Carve, Claim, Format, Unpack};

pub(crate) static FORMAT: Format = Format {
    name: "UBI",
    extension: "ubi",
    magics: &[(0, b"UBI#\x01")],
    carve: Carve::Anywhere,
    claim: |bytes| {
        let block = block_bytes(bytes)?;
        let label = format!("UBI (erase blocks of {} KiB)", block / 1024);
        let is_ours = |index: &u64| {
            let head = bytes.head(index * block, 64);
            head.starts_with(b"UBI#") || (!head.is_empty() && head.iter().all(|byte| *byte == 0xff))
        };
        let blocks = (0..bytes.length().div_ceil(block)).take_while(is_ours).count() as u64;
        Some(Claim::new(label, (blocks * block).min(bytes.length())))
    },
    unpack: Unpack::Tree(walk),
};

/// The volume that holds the table of volumes.
const TABLE: u32 = 0x7fff_efff;

/// Bytes of an entry of that table.
const RECORD_BYTES: u64 = 172;

/// Sizes that erase blocks have.
const BLOCK_BYTES: [u64; 12] = [
    16 << 10,
    64 << 10,
    128 << 10,
    256 << 10,
    512 << 10,
    1 << 20,
    2 << 20,
    4 << 20,
    8 << 10,
    4 << 10,
    32 << 10,
    8 << 20,
];

/// Most logical blocks of a volume: 64 Ki blocks of 128 KiB are 8 GiB.
const LOGICAL_MAX: u32 = 64 * 1024;

/// The header of an erase block: where the header of the volume and the data are.
fn erase_header(bytes: &Bytes<'_>, at: u64) -> Option<(u64, u64)> {
    let head = bytes.array::<64>(at)?;
    let fields = Fields::big(&head);
    let is_valid = head.starts_with(b"UBI#") && crc::raw(u32::MAX, fields.slice(0, 60)) == fields.u32(60);
    is_valid.then(|| (u64::from(fields.u32(16)), u64::from(fields.u32(20))))
}

/// Finds the size of an erase block: the smallest at which the next header stands.
fn block_bytes(bytes: &Bytes<'_>) -> Option<u64> {
    let (header, data) = erase_header(bytes, 0)?;
    let mut sizes = BLOCK_BYTES;
    sizes.sort_unstable();
    let fits = |size: &u64| header >= 64 && header < data && data < *size;
    let next =
        sizes.iter().copied().filter(fits).find(|size| erase_header(bytes, *size) == Some((header, data)));
    // An image of one block is as long as that.
    next.or_else(|| sizes.iter().copied().filter(fits).find(|size| *size == bytes.length()))
}

#[derive(Default)]
struct Volume {
    /// For each logical block: its sequence number, where its data is, and how long.
    blocks: BTreeMap<u32, (u64, Place)>,
}

#[derive(Clone, Copy)]
struct Place {
    at: u64,
    length: u64,
}

fn walk(bytes: &Bytes<'_>, door: &mut Door<'_, '_>) -> Result<(), Halt> {
    let block = block_bytes(bytes).ok_or_else(|| bad("its erase blocks have no size"))?;
    let mut volumes: BTreeMap<u32, Volume> = BTreeMap::new();
    let mut room = 0;
    for index in 0..bytes.length() / block {
        door.step()?;
        let start = index * block;
        let Some((header, data)) = erase_header(bytes, start) else { continue };
        let Some(head) = bytes.array::<64>(start.saturating_add(header)) else { continue };
        let fields = Fields::big(&head);
        let is_valid = head.starts_with(b"UBI!") && crc::raw(u32::MAX, fields.slice(0, 60)) == fields.u32(60);
        if !is_valid || data >= block {
            continue;
        }
        room = block - data;
        let (is_static, used) = (fields.u8(5) == 2, u64::from(fields.u32(20)));
        let padding = u64::from(fields.u32(28));
        let length = if is_static { used.min(room) } else { room.saturating_sub(padding) };
        let (volume, logical, sequence) = (fields.u32(8), fields.u32(12), fields.u64(40));
        if logical >= LOGICAL_MAX {
            continue;
        }
        let place = Place { at: start + data, length };
        let blocks = &mut volumes.entry(volume).or_default().blocks;
        if blocks.get(&logical).is_none_or(|(other, _)| *other <= sequence) {
            blocks.insert(logical, (sequence, place));
        }
    }
    let table = volumes.remove(&TABLE);
    if table.is_none() && volumes.is_empty() {
        return Err(bad("it holds no volumes"));
    }
    let names = table.map(|table| names(bytes, &table)).unwrap_or_default();
    for (number, volume) in volumes {
        let name = names.get(&number).cloned().unwrap_or_else(|| format!("volume-{number}").into_bytes());
        let content = content(bytes, &volume, room);
        door.offer(Found::part(name, content.length()), Content::Window(content))?;
    }
    Ok(())
}

/// Reads the names of the volumes.
fn names(bytes: &Bytes<'_>, table: &Volume) -> BTreeMap<u32, Vec<u8>> {
    let Some((_, place)) = table.blocks.values().next() else { return BTreeMap::new() };
    let record = |number: u32| {
        let record = bytes.vec(place.at + u64::from(number) * RECORD_BYTES, RECORD_BYTES).ok()?;
        let fields = Fields::big(&record);
        let is_valid = crc::raw(u32::MAX, fields.slice(0, 168)) == fields.u32(168) && fields.u32(0) > 0;
        let name = fields.text(16, usize::from(fields.u16(14)).min(127));
        (is_valid && !name.is_empty()).then(|| (number, name.to_vec()))
    };
    (0..128).filter_map(record).collect()
}

/// Puts a volume together; what was never written reads as erased.
fn content<'a>(bytes: &Bytes<'a>, volume: &Volume, room: u64) -> Bytes<'a> {
    let room = volume.blocks.values().map(|(_, place)| place.length).max().unwrap_or(room);
    let piece = |(logical, (_, place)): (&u32, &(u64, Place))| {
        (u64::from(*logical) * room, bytes.slice(place.at, place.length))
    };
    let length = volume
        .blocks
        .iter()
        .next_back()
        .map_or(0, |(logical, (_, place))| u64::from(*logical) * room + place.length);
    Pieces::joined(length, 0xff, volume.blocks.iter().map(piece).collect())
}
