//! UEFI firmware: volumes, files and sections.
//!
//! In: a volume. Out: its files, each section of theirs called by its number and kind. Refuses sections that nest too
//! deep, and lengths that lead outside.
//!
//! UEFI Platform Initialization Specification 1.8, volume 3: numbers are little-endian.

use crate::bytes::{Bytes, Endian, Fields};
use crate::decode::lzma::{self, Header};
use crate::decode::tiano;
use crate::door::Door;
use crate::error::{Halt, bad, early};
use crate::format::{Carve, Claim, Format, Unpack};

pub(crate) static FORMAT: Format = Format {
    name: "UEFI volume",
    extension: "fv",
    magics: &[(40, b"_FVH")],
    carve: Carve::Anywhere,
    claim: |bytes| {
        let head = bytes.head(0, 56);
        let fields = Fields::little(&head);
        let (length, header) = (fields.u64(32), u64::from(fields.u16(48)));
        // The sum of all words of the header is zero (section 3.2.1).
        let whole = bytes.vec(0, header).ok()?;
        let words = whole.chunks_exact(2).map(|word| Fields::little(word).u16(0));
        let sum = words.fold(0_u16, u16::wrapping_add);
        (header >= 56 && length > header && sum == 0).then(|| Claim::new("UEFI volume", length))
    },
    unpack: Unpack::Tree(walk),
};

/// Deepest nesting of sections.
const DEPTH_MAX: u32 = 8;

/// Most bytes that one section may unpack to. 64 MiB: larger flash chips are not built in.
const SECTION_BYTES_MAX: usize = 64 << 20;

/// Packed with LZMA (`EFI_CUSTOMIZED_LZMA...`), by the first bytes of its name.
const LZMA: &[u8] = b"\x98\x58\x4e\xee\x14\x39\x59\x42";

fn walk(bytes: &Bytes<'_>, door: &mut Door<'_, '_>) -> Result<(), Halt> {
    let head = bytes.vec(0, 56)?;
    let fields = Fields::little(&head);
    let mut at = u64::from(fields.u16(48));
    let extended = u64::from(fields.u16(52));
    if extended != 0 {
        let size = u64::from(bytes.u32(Endian::Little, extended + 16).ok_or_else(early)?);
        at = extended.saturating_add(size).next_multiple_of(8);
    }
    while at + 24 <= bytes.length() {
        door.step()?;
        let head = bytes.vec(at, 24)?;
        if head.iter().all(|byte| matches!(byte, 0xff | 0)) {
            return Ok(());
        }
        let fields = Fields::little(&head);
        let kind = fields.u8(18);
        // Bit 0 of the attributes: the length has eight bytes, behind the header.
        let (header, length) = if fields.u8(19) & 1 == 1 {
            (32, bytes.u64(Endian::Little, at + 24).ok_or_else(early)?)
        } else {
            (24, u64::from(fields.u32(20) & 0x00ff_ffff))
        };
        if length < header || at.saturating_add(length) > bytes.length() {
            return Err(bad("a file leads outside of its volume"));
        }
        let content = bytes.slice(at + header, length - header);
        let path = guid(&head);
        match kind {
            // Padding.
            0xf0 => {}
            // Raw content has no sections.
            1 => door.offer_raw(&path, content)?,
            _ => {
                let end = sections(&content, &path, 1, door);
                door.tolerate(path.as_bytes(), end)?;
            }
        }
        at = (at + length).next_multiple_of(8);
    }
    Ok(())
}

/// The name of a file, as people write it: three numbers, and eight bytes.
fn guid(bytes: &[u8]) -> String {
    let fields = Fields::little(bytes);
    let rest: Vec<String> = (8..16).map(|at| format!("{:02x}", fields.u8(at))).collect();
    format!("{:08x}-{:04x}-{:04x}-{}", fields.u32(0), fields.u16(4), fields.u16(6), rest.concat())
}

fn sections(bytes: &Bytes<'_>, path: &str, depth: u32, door: &mut Door<'_, '_>) -> Result<(), Halt> {
    if depth > DEPTH_MAX {
        return Err(bad("its sections are nested too deep"));
    }
    let (mut at, mut index) = (0, 0);
    while at + 4 <= bytes.length() {
        door.step()?;
        let word = bytes.u32(Endian::Little, at).ok_or_else(early)?;
        let kind = word >> 24;
        let (header, length) = match word & 0x00ff_ffff {
            0x00ff_ffff => (8, u64::from(bytes.u32(Endian::Little, at + 4).ok_or_else(early)?)),
            length => (4, u64::from(length)),
        };
        if length < header || at.saturating_add(length) > bytes.length() {
            return Err(bad("a section leads outside of its file"));
        }
        let content = bytes.slice(at + header, length - header);
        section(&content, header, kind, &format!("{path}/{index}"), depth, door)?;
        at = (at + length).next_multiple_of(4);
        index += 1;
    }
    Ok(())
}

fn section(
    content: &Bytes<'_>,
    header: u64,
    kind: u32,
    path: &str,
    depth: u32,
    door: &mut Door<'_, '_>,
) -> Result<(), Halt> {
    match kind {
        1 => {
            let length = content.u32(Endian::Little, 0).ok_or_else(early)?;
            let packed = content.vec(5, content.length().saturating_sub(5))?;
            let unpacked = match content.u8(4) {
                Some(0) => packed,
                _ => tiano::unpack(&packed, length as usize, SECTION_BYTES_MAX).map_err(bad)?,
            };
            door.budget.charge(unpacked.len() as u64)?;
            sections(&Bytes::of(unpacked), path, depth + 1, door)
        }
        // Guided: a name says how; where the data begins counts from the start of the section.
        2 => {
            let start = content.u16(Endian::Little, 16).ok_or_else(early)?;
            let data = content.from(u64::from(start).saturating_sub(header));
            if !content.has(0, LZMA) {
                return sections(&data, path, depth + 1, door);
            }
            let packed = data.vec(0, data.length())?;
            let unpacked = lzma::unpack(Header::Alone, &packed, SECTION_BYTES_MAX).map_err(bad)?;
            door.budget.charge(unpacked.len() as u64)?;
            sections(&Bytes::of(unpacked), path, depth + 1, door)
        }
        0x10 => door.offer_raw(&format!("{path}.pe"), content.clone()),
        0x12 => door.offer_raw(&format!("{path}.te"), content.clone()),
        0x17 => door.offer_part(&format!("{path}.fv"), content.clone()),
        0x18 => door.offer_raw(&format!("{path}.guid"), content.clone()),
        0x19 => door.offer_raw(&format!("{path}.raw"), content.clone()),
        _ => Ok(()),
    }
}
