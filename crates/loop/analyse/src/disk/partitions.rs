//! Tables of partitions: GPT and MBR.
//!
//! In: a disk. Out: its partitions, as windows. Refuses partitions that begin behind the end, and chains of extended
//! partitions that come back to themselves.
//!
//! UEFI Specification 2.10, chapter 5; the MBR as every BIOS reads it.

use std::collections::BTreeSet;

use crate::bytes::{Bytes, Fields};
use crate::door::Door;
use crate::error::{Halt, bad};
use crate::format::{Carve, Claim, Format, Unpack};

pub(crate) static GPT: Format = Format {
    name: "disk with GPT partitions",
    extension: "disk",
    magics: &[(512, b"EFI PART"), (4096, b"EFI PART")],
    carve: Carve::AtStart,
    claim: |bytes| Some(Claim::new("disk with GPT partitions", bytes.length())),
    unpack: Unpack::Tree(walk_gpt),
};

pub(crate) static MBR: Format = Format {
    name: "disk with MBR partitions",
    extension: "disk",
    magics: &[(510, b"\x55\xaa")],
    carve: Carve::AtStart,
    claim: |bytes| {
        let entries = entries(bytes, 0)?;
        let is_sane = entries.iter().any(|entry| entry.kind != 0)
            && entries.iter().all(|entry| matches!(entry.flag, 0 | 0x80) && entry.fits(bytes));
        is_sane.then(|| Claim::new("disk with MBR partitions", bytes.length()))
    },
    unpack: Unpack::Tree(walk_mbr),
};

/// Bytes of a sector.
const SECTOR: u64 = 512;

/// Most entries of a GPT that are read; the specification asks for room for 128.
const ENTRIES_MAX: u64 = 512;

/// Kinds of MBR partitions that hold others.
const EXTENDED: [u8; 3] = [0x05, 0x0f, 0x85];

#[derive(Debug, Clone, Copy)]
struct Entry {
    flag: u8,
    kind: u8,
    start: u64,
    sectors: u64,
}

impl Entry {
    fn fits(self, bytes: &Bytes<'_>) -> bool {
        self.kind == 0 || (self.start > 0 && self.sectors > 0 && self.start * SECTOR < bytes.length())
    }
}

fn entries(bytes: &Bytes<'_>, sector: u64) -> Option<[Entry; 4]> {
    let table = bytes.array::<66>(sector.checked_mul(SECTOR)?.checked_add(446)?)?;
    if !table.ends_with(b"\x55\xaa") {
        return None;
    }
    let fields = Fields::little(&table);
    Some(std::array::from_fn(|index| {
        let at = index * 16;
        Entry {
            flag: fields.u8(at),
            kind: fields.u8(at + 4),
            start: u64::from(fields.u32(at + 8)),
            sectors: u64::from(fields.u32(at + 12)),
        }
    }))
}

fn walk_mbr(bytes: &Bytes<'_>, door: &mut Door<'_, '_>) -> Result<(), Halt> {
    let table = entries(bytes, 0).ok_or_else(|| bad("its table makes no sense"))?;
    let mut number = 0;
    for entry in table.into_iter().filter(|entry| entry.kind != 0) {
        if EXTENDED.contains(&entry.kind) {
            walk_extended(bytes, entry.start, door)?;
            continue;
        }
        number += 1;
        let window = bytes.slice(entry.start * SECTOR, entry.sectors * SECTOR);
        door.offer_part(&format!("partition-{number}"), window)?;
    }
    Ok(())
}

/// Each logical partition has a table of its own, which names the next one, counted from the first.
fn walk_extended(bytes: &Bytes<'_>, first: u64, door: &mut Door<'_, '_>) -> Result<(), Halt> {
    let mut seen = BTreeSet::new();
    let mut at = first;
    for number in 5.. {
        door.step()?;
        if !seen.insert(at) {
            return Err(bad("its extended partitions form a ring"));
        }
        let Some([part, next, ..]) = entries(bytes, at) else { return Ok(()) };
        if part.kind != 0 {
            let window = bytes.slice((at + part.start) * SECTOR, part.sectors * SECTOR);
            door.offer_part(&format!("partition-{number}"), window)?;
        }
        if !EXTENDED.contains(&next.kind) {
            return Ok(());
        }
        at = first + next.start;
    }
    Ok(())
}

fn walk_gpt(bytes: &Bytes<'_>, door: &mut Door<'_, '_>) -> Result<(), Halt> {
    let sector = if bytes.has(SECTOR, b"EFI PART") { SECTOR } else { 4096 };
    let head = bytes.vec(sector, 92)?;
    let fields = Fields::little(&head);
    let (table, count, size) = (fields.u64(72), u64::from(fields.u32(80)), u64::from(fields.u32(84)));
    if !(128..=4096).contains(&size) {
        return Err(bad("the entries of its table have no size"));
    }
    for index in 0..count.min(ENTRIES_MAX) {
        door.step()?;
        let at = table.saturating_mul(sector).saturating_add(index * size);
        let Ok(entry) = bytes.vec(at, 128) else { break };
        let fields = Fields::little(&entry);
        if fields.slice(0, 16).iter().all(|byte| *byte == 0) {
            continue;
        }
        let (first, last) = (fields.u64(32), fields.u64(40));
        let Some(sectors) = last.checked_sub(first).and_then(|sectors| sectors.checked_add(1)) else {
            continue;
        };
        let units: Vec<u16> =
            (0..36).map(|index| fields.u16(56 + index * 2)).take_while(|unit| *unit != 0).collect();
        let name: String =
            String::from_utf16_lossy(&units).chars().filter(|c| *c != '/' && !c.is_control()).collect();
        let name = match name.as_str() {
            "" => format!("partition-{}", index + 1),
            name => format!("partition-{}-{name}", index + 1),
        };
        let window = bytes.slice(first.saturating_mul(sector), sectors.saturating_mul(sector));
        door.offer_part(&name, window)?;
    }
    Ok(())
}
