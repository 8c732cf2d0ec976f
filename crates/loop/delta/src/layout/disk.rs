//! Disk images: what lies in the partitions of a GPT or an MBR.
//!
//! In: an image that begins with a partition table. Out: what each partition holds, its paths below the partition's name
//! (`rootfs/bin/sh`). Refuses tables without a partition that something is known of; partitions that overlap an earlier
//! one or do not fit the image are left out.

use std::collections::BTreeSet;

use super::draft::{Draft, join};
use super::fields::{array, byte, from, get, u32_le, u64_le};
use super::{Layout, scan};

/// Sizes of the sectors that a GPT may count in, in bytes; an MBR counts in the first.
const SECTOR_BYTES: [u64; 2] = [512, 4096];

/// Partitions that are looked at: as many as a GPT has room for by default.
const PARTITIONS_MAX: u32 = 128;

/// Where the four entries of an MBR stand, and the size of one, in bytes.
const MBR_ENTRIES_AT: u64 = 446;
const MBR_ENTRY_BYTES: u64 = 16;

/// Types of an MBR's partition that hold a chain of further ones.
const EXTENDED: [u8; 3] = [0x05, 0x0f, 0x85];

/// Smallest entry of a GPT, in bytes.
const GPT_ENTRY_BYTES_MIN: u64 = 128;

struct Partition {
    name: Option<String>,
    start: u64,
    len: u64,
}

/// Describes the disk at `start`; returns where it ends.
pub(crate) fn look(image: &[u8], start: u64, out: &mut Layout) -> Option<u64> {
    let disk = from(image, start)?;
    let is_mbr = array::<2>(disk, 510)? == [0x55, 0xaa];
    let mut partitions = SECTOR_BYTES.iter().find_map(|sector| gpt(disk, *sector));
    if partitions.is_none() && is_mbr {
        partitions = mbr(disk);
    }
    let mut known = BTreeSet::new();
    let mut found = Layout::default();
    let mut end = 0;
    let mut partitions = partitions?;
    partitions.sort_by_key(|one| one.start);
    for (number, one) in partitions.into_iter().enumerate() {
        let Some(bytes) = get(disk, one.start, one.len).filter(|_| one.start >= end) else { continue };
        end = one.start.checked_add(one.len)?;
        let mut inside = Layout::default();
        if scan::look_at(bytes, 0, &mut inside).is_none() {
            continue;
        }
        let name = one.name.filter(|name| known.insert(name.clone()));
        let mut draft = Draft::from(inside);
        draft.put_below(&name.unwrap_or_else(|| format!("partition {}", number + 1)));
        draft.settle_into(&mut found, one.start, disk.len() as u64);
    }
    if found == Layout::default() {
        return None;
    }
    Draft::from(found).settle_into(out, start, image.len() as u64);
    Some(image.len() as u64)
}

/// Lists the partitions of a GPT (UEFI 2.10, section 5.3).
fn gpt(disk: &[u8], sector: u64) -> Option<Vec<Partition>> {
    let header = get(disk, sector, 92).filter(|header| header.starts_with(b"EFI PART"))?;
    let entries = u64_le(header, 72)?.checked_mul(sector)?;
    let (count, entry_bytes) = (u32_le(header, 80)?.min(PARTITIONS_MAX), u64::from(u32_le(header, 84)?));
    if entry_bytes < GPT_ENTRY_BYTES_MIN {
        return None;
    }
    let mut found = Vec::new();
    for number in 0..u64::from(count) {
        let Some(entry) = get(disk, entries.checked_add(number * entry_bytes)?, GPT_ENTRY_BYTES_MIN) else {
            break;
        };
        let (first, last) = (u64_le(entry, 32)?, u64_le(entry, 40)?);
        // An unused entry has a type of zeros.
        if array::<16>(entry, 0)? == [0; 16] || last < first {
            continue;
        }
        let Some(len) = (last - first).checked_add(1).and_then(|count| count.checked_mul(sector)) else {
            continue;
        };
        let Some(start) = first.checked_mul(sector) else { continue };
        found.push(Partition { name: gpt_name(entry), start, len });
    }
    Some(found)
}

fn gpt_name(entry: &[u8]) -> Option<String> {
    let (units, _) = get(entry, 56, 72)?.as_chunks::<2>();
    let units: Vec<u16> =
        units.iter().map(|unit| u16::from_le_bytes(*unit)).take_while(|unit| *unit != 0).collect();
    join("", String::from_utf16_lossy(&units).as_bytes())
}

/// Lists the partitions of an MBR, those in extended partitions too.
fn mbr(disk: &[u8]) -> Option<Vec<Partition>> {
    let mut found = Vec::new();
    let mut chain = None;
    for number in 0..4 {
        let (kind, start, len) = mbr_entry(disk, 0, number)?;
        if EXTENDED.contains(&kind) {
            chain = Some(start);
        } else if kind != 0 {
            found.push(Partition { name: None, start, len });
        }
    }
    // Each table of the chain names a partition, from its own place on, and the next table, from the chain's start on.
    let mut at = chain.unwrap_or(0);
    while let Some(chain) = chain.filter(|_| found.len() < PARTITIONS_MAX as usize) {
        let Some((kind, start, len)) = mbr_entry(disk, at, 0).filter(|(kind, _, _)| *kind != 0) else {
            break;
        };
        if !EXTENDED.contains(&kind) {
            found.push(Partition { name: None, start: at.checked_add(start)?, len });
        }
        let Some((_, next, _)) = mbr_entry(disk, at, 1).filter(|(kind, _, _)| EXTENDED.contains(kind)) else {
            break;
        };
        let next = chain.checked_add(next)?;
        // A chain only goes forward.
        if next <= at {
            break;
        }
        at = next;
    }
    Some(found)
}

/// Reads type, start and length of an entry; `None` where there is no table, or its flag is none.
fn mbr_entry(disk: &[u8], table: u64, number: u64) -> Option<(u8, u64, u64)> {
    let table = get(disk, table, 512).filter(|table| table.ends_with(&[0x55, 0xaa]))?;
    let entry = get(table, MBR_ENTRIES_AT + number * MBR_ENTRY_BYTES, MBR_ENTRY_BYTES)?;
    let [sector, _] = SECTOR_BYTES;
    let is_flag = matches!(byte(entry, 0)?, 0 | 0x80);
    let (start, len) = (u64::from(u32_le(entry, 8)?) * sector, u64::from(u32_le(entry, 12)?) * sector);
    is_flag.then_some((byte(entry, 4)?, start, len))
}

#[cfg(test)]
mod tests;
