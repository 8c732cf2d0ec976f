//! Images of microcontrollers: `MCUboot` and ESP-IDF.
//!
//! In: an image. Out: the program of an `MCUboot` image; the segments of an ESP-IDF program, its description, and of a whole
//! flash its partitions. Refuses headers whose numbers make no sense.
//!
//! `MCUboot`'s "design.md"; Espressif's "App Image Format" and "Partition Tables".

use crate::bytes::{Bytes, Endian, Fields};
use crate::door::Door;
use crate::error::{Halt, bad};
use crate::format::{Carve, Claim, Format, Unpack};

pub(crate) static MCUBOOT: Format = Format {
    name: "MCUboot image",
    extension: "mcuboot",
    magics: &[(0, b"\x3d\xb8\xf3\x96")],
    carve: Carve::Anywhere,
    claim: |bytes| {
        let head = bytes.array::<32>(0)?;
        let fields = Fields::little(&head);
        let (header, size) = (u64::from(fields.u16(8)), u64::from(fields.u32(12)));
        let protected = u64::from(fields.u16(10));
        let mut end = header.checked_add(size)?.checked_add(protected)?;
        // Behind the program stands a list of tags: a magic number and how long it is.
        if bytes.u16(Endian::Little, end) == Some(0x6907) {
            end += u64::from(bytes.u16(Endian::Little, end + 2)?);
        }
        let version = format!("{}.{}.{}", fields.u8(20), fields.u8(21), fields.u16(22));
        let is_sane = (32..=0x10000).contains(&header) && size > 0 && fields.u32(28) == 0;
        is_sane.then(|| Claim::new(format!("MCUboot image, version {version}"), end))
    },
    unpack: Unpack::Tree(|bytes, door| {
        let head = bytes.vec(0, 32)?;
        let fields = Fields::little(&head);
        // Flags 0x4 and 0x8: encrypted with AES.
        if fields.u32(16) & 0xc != 0 {
            return Err(bad("the program in it is encrypted"));
        }
        door.offer_part("program", bytes.slice(u64::from(fields.u16(8)), u64::from(fields.u32(12))))
    }),
};

pub(crate) static ESP: Format = Format {
    name: "ESP-IDF program",
    extension: "esp",
    magics: &[(32, b"\x32\x54\xcd\xab")],
    carve: Carve::Anywhere,
    claim: |bytes| {
        let segments = segments(bytes)?;
        let end = segments.last().map(|(_, at, size)| at + size)?;
        // A checksum that ends a block of sixteen bytes, and with flag 23 a SHA-256.
        let end = (end + 1).next_multiple_of(16) + if bytes.u8(23)? == 1 { 32 } else { 0 };
        let version = crate::path::shown(&text(bytes, 32 + 16));
        let name = crate::path::shown(&text(bytes, 32 + 48));
        Some(Claim::new(format!("ESP-IDF program ({name} {version})"), end))
    },
    unpack: Unpack::Tree(|bytes, door| {
        let segments = segments(bytes).ok_or_else(|| bad("its segments lead outside"))?;
        segments.into_iter().try_for_each(|(address, at, size)| {
            door.offer_raw(&format!("0x{address:08x}.segment"), bytes.slice(at, size))
        })
    }),
};

pub(crate) static ESP_PARTITIONS: Format = Format {
    name: "ESP-IDF flash",
    extension: "espflash",
    // The table of partitions, where it stands unless somebody moves it; the first entry is data or a program.
    magics: &[(0x8000, b"\xaa\x50\x01"), (0x8000, b"\xaa\x50\x00")],
    carve: Carve::AtStart,
    claim: |bytes| partitions(bytes).first().map(|_| Claim::new("ESP-IDF flash", bytes.length())),
    unpack: Unpack::Tree(walk_flash),
};

/// Where the table of partitions stands.
const TABLE_AT: u64 = 0x8000;

fn text(bytes: &Bytes<'_>, at: u64) -> Vec<u8> {
    bytes.head(at, 32).split(|byte| *byte == 0).next().unwrap_or_default().to_vec()
}

/// The segments of a program: address, place and size.
fn segments(bytes: &Bytes<'_>) -> Option<Vec<(u32, u64, u64)>> {
    let head = bytes.array::<24>(0)?;
    let fields = Fields::little(&head);
    let count = fields.u8(1);
    if fields.u8(0) != 0xe9 || !(1..=16).contains(&count) {
        return None;
    }
    let mut at = 24_u64;
    let mut segments = Vec::new();
    for _ in 0..count {
        let (address, size) = (bytes.u32(Endian::Little, at)?, u64::from(bytes.u32(Endian::Little, at + 4)?));
        segments.push((address, at + 8, size));
        at = at.checked_add(8 + size).filter(|end| *end <= bytes.length())?;
    }
    Some(segments)
}

/// The partitions of a flash: name, place and size.
fn partitions(bytes: &Bytes<'_>) -> Vec<(Vec<u8>, u64, u64)> {
    let entry = |index: u64| {
        let entry = bytes.array::<32>(TABLE_AT + index * 32)?;
        let fields = Fields::little(&entry);
        let (at, size) = (u64::from(fields.u32(4)), u64::from(fields.u32(8)));
        let name = fields.text(12, 16).to_vec();
        let is_sane = entry.starts_with(b"\xaa\x50") && size > 0 && at >= TABLE_AT && !name.is_empty();
        is_sane.then_some((name, at, size))
    };
    (0..95).map_while(entry).collect()
}

fn walk_flash(bytes: &Bytes<'_>, door: &mut Door<'_, '_>) -> Result<(), Halt> {
    door.offer_part("bootloader", bytes.slice(0, TABLE_AT))?;
    for (name, at, size) in partitions(bytes) {
        let name = String::from_utf8_lossy(&name).into_owned();
        if at < bytes.length() {
            door.offer_part(&name, bytes.slice(at, size))?;
        }
    }
    Ok(())
}
