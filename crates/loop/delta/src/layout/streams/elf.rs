//! ELF files, which are to stay whole.
//!
//! In: an image and a place. Out: the file. Refuses what has no header, or whose tables do not lie inside the image.
//!
//! Streams inside a program are left as they are: unpacked, they would move everything behind them, and its own tables
//! would no longer say where things lie. Only where they make up most of the file it is a mere wrapper, and they are listed.

use super::bytes::{array, begins, byte, head, length};
use super::carving::Wanted;
use super::{Piece, Scan};

/// The most sections that are looked at: kernels have some hundred, what is built with a section a function 65,535.
const ENTRIES_MAX: u64 = 1 << 16;

/// How the numbers of a file are written.
#[derive(Clone, Copy)]
struct Form {
    wide: bool,
    big: bool,
}

impl Form {
    /// Reads a number of two bytes.
    fn half(self, image: &[u8], at: u64) -> Option<u64> {
        let bytes = array(image, at)?;
        Some(u64::from(if self.big { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) }))
    }

    /// Reads an offset or a length: four or eight bytes.
    fn word(self, image: &[u8], at: u64) -> Option<u64> {
        if self.wide {
            let bytes = array(image, at)?;
            Some(if self.big { u64::from_be_bytes(bytes) } else { u64::from_le_bytes(bytes) })
        } else {
            let bytes = array(image, at)?;
            Some(u64::from(if self.big { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }))
        }
    }
}

/// Looks for an ELF file (System V ABI, chapters 4 and 5); returns where it ends.
pub(super) fn look(scan: &mut Scan<'_>, image: &[u8], start: u64) -> Option<u64> {
    if !begins(image, start, b"\x7fELF") {
        return None;
    }
    let [class, data, version] = array(image, start + 4)?;
    if !matches!((class, data, version), (1 | 2, 1 | 2, 1)) {
        return None;
    }
    let form = Form { wide: class == 2, big: data == 2 };
    let len = file_len(scan, image, start, form)?;
    let end = start.checked_add(len).filter(|end| *end <= length(image))?;
    let mark = scan.mark();
    scan.carve(head(image, end), start, Wanted::Streams);
    let packed = scan.out.packed.get(mark.packed..).unwrap_or_default();
    let packed_len = packed.iter().map(|packed| packed.len).sum::<u64>();
    if packed_len < len / 2 {
        scan.turn_back(mark);
        if scan.members == 0 {
            scan.add("<elf>".to_owned(), vec![Piece::Raw { start, len }])?;
        }
    }
    Some(end)
}

/// Returns how long a file is: up to the end of its last segment, section or table.
fn file_len(scan: &mut Scan<'_>, image: &[u8], start: u64, form: Form) -> Option<u64> {
    // e_phoff, e_shoff; then e_ehsize, e_phentsize, e_phnum, e_shentsize, e_shnum.
    let word_len = if form.wide { 8 } else { 4 };
    let tables = start + 24 + word_len;
    let sizes = tables + 2 * word_len + 4;
    let half = |index: u64| form.half(image, sizes + 2 * index);
    let mut len = half(0)?;
    let segments = (form.word(image, tables)?, half(1)?, half(2)?);
    // p_offset and p_filesz; sh_offset and sh_size.
    let (offset, size) = if form.wide { (8, 32) } else { (4, 16) };
    len = len.max(table_end(scan, image, start, segments, |at| {
        Some((form.word(image, at + offset)?, form.word(image, at + size)?))
    })?);
    let sections = (form.word(image, tables + word_len)?, half(3)?, half(4)?);
    let (kind, offset, size) = if form.wide { (4, 24, 32) } else { (4, 16, 20) };
    len = len.max(table_end(scan, image, start, sections, |at| {
        // SHT_NOBITS takes no room, whatever its size.
        let kind = byte(image, at + if form.big { kind + 3 } else { kind })?;
        let size = if kind == 8 { 0 } else { form.word(image, at + size)? };
        Some((form.word(image, at + offset)?, size))
    })?);
    (len > 0).then_some(len)
}

/// Returns where a table and all that it names ends, counted from the start of the file.
fn table_end(
    scan: &mut Scan<'_>,
    image: &[u8],
    start: u64,
    (offset, entry_len, count): (u64, u64, u64),
    entry: impl Fn(u64) -> Option<(u64, u64)>,
) -> Option<u64> {
    if count == 0 || offset == 0 {
        return Some(0);
    }
    let table = start.checked_add(offset).filter(|table| *table < length(image))?;
    let mut end = offset + entry_len * count;
    for index in 0..count.min(ENTRIES_MAX) {
        scan.meter.step()?;
        let (offset, len) = entry(table + index * entry_len)?;
        end = end.max(if len == 0 { 0 } else { offset.checked_add(len)? });
    }
    Some(end)
}
