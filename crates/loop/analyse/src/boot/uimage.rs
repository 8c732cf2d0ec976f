//! U-Boot's legacy images (uImage), single and multi-file.
//!
//! In: an image. Out: its parts. Refuses headers with a wrong checksum.
//!
//! Layout as in U-Boot's "include/image.h": 64 bytes, numbers are big-endian.

use crate::bytes::{Bytes, Endian, Fields};
use crate::decode::crc;
use crate::door::Door;
use crate::error::{Halt, early};
use crate::format::{Carve, Claim, Format, Unpack};

pub(crate) static FORMAT: Format = Format {
    name: "uImage",
    extension: "uimage",
    magics: &[(0, b"\x27\x05\x19\x56")],
    carve: Carve::Anywhere,
    claim: |bytes| {
        let mut head = bytes.array::<HEAD>(0)?;
        let said = Fields::big(&head).u32(4);
        head.get_mut(4..8)?.fill(0);
        let fields = Fields::big(&head);
        if crc::ethernet(&head) != said {
            return None;
        }
        let codec = CODECS.get(usize::from(fields.u8(31))).unwrap_or(&"unknown codec");
        let name = crate::path::shown(fields.text(32, 32));
        Some(Claim::new(format!("uImage ({codec}, {name:?})"), HEAD as u64 + u64::from(fields.u32(12))))
    },
    unpack: Unpack::Tree(walk),
};

/// Bytes of the header.
const HEAD: usize = 64;

/// `IH_COMP_NONE` and the others.
const CODECS: [&str; 7] = ["not packed", "gzip", "bzip2", "lzma", "lzo", "lz4", "zstd"];

/// `IH_TYPE_MULTI` and `IH_TYPE_SCRIPT`: a list of sizes stands before the parts.
const MULTI: u8 = 4;
const SCRIPT: u8 = 6;

/// Most parts of one image.
const PARTS_MAX: u64 = 64;

fn walk(bytes: &Bytes<'_>, door: &mut Door<'_, '_>) -> Result<(), Halt> {
    let kind = bytes.u8(30).ok_or_else(early)?;
    let data = bytes.from(HEAD as u64);
    if !matches!(kind, MULTI | SCRIPT) {
        return door.offer_part(part_name(kind), data);
    }
    let size = |index: u64| data.u32(Endian::Big, index * 4).map(u64::from);
    let sizes: Vec<u64> = (0..PARTS_MAX).map_while(|index| size(index).filter(|size| *size > 0)).collect();
    let mut at = (sizes.len() as u64 + 1) * 4;
    for (index, size) in sizes.into_iter().enumerate() {
        door.offer_part(&format!("part-{index}"), data.slice(at, size))?;
        at = at.saturating_add(size).next_multiple_of(4);
    }
    Ok(())
}

/// What the types of a single part stand for.
fn part_name(kind: u8) -> &'static str {
    match kind {
        1 => "standalone",
        2 => "kernel",
        3 => "ramdisk",
        5 => "firmware",
        7 => "filesystem",
        8 => "flat-device-tree",
        _ => "data",
    }
}
