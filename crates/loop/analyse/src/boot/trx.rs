//! TRX images of Broadcom's routers, versions 1 and 2.
//!
//! In: an image. Out: its parts. Refuses offsets that do not grow, and lengths that no flash has.
//!
//! Layout as in OpenWrt's "trx.c": a magic number, the length, a checksum, a version, and where three or four parts begin.

use crate::bytes::{Bytes, Fields};
use crate::door::Door;
use crate::error::{Halt, bad};
use crate::format::{Carve, Claim, Format, Unpack};

pub(crate) static FORMAT: Format = Format {
    name: "TRX",
    extension: "trx",
    magics: &[(0, b"HDR0")],
    carve: Carve::Anywhere,
    claim: |bytes| {
        let trx = Trx::read(bytes)?;
        Some(Claim::new(format!("TRX, version {}", trx.version), trx.length))
    },
    unpack: Unpack::Tree(walk),
};

struct Trx {
    version: u16,
    length: u64,
    offsets: Vec<u64>,
}

impl Trx {
    fn read(bytes: &Bytes<'_>) -> Option<Self> {
        let head = bytes.array::<32>(0)?;
        let fields = Fields::little(&head);
        let (length, version) = (u64::from(fields.u32(4)), fields.u16(14));
        let count = match version {
            1 => 3,
            2 => 4,
            _ => return None,
        };
        let header = 16 + count * 4;
        let offsets: Vec<u64> = (0..count)
            .map(|index| u64::from(fields.u32(16 + index * 4)))
            .filter(|offset| *offset > 0)
            .collect();
        let grows = offsets.windows(2).all(|pair| pair.first() < pair.last());
        let is_inside = offsets.iter().all(|offset| *offset >= header as u64 && *offset < length);
        (grows && is_inside && !offsets.is_empty()).then_some(Self { version, length, offsets })
    }
}

fn walk(bytes: &Bytes<'_>, door: &mut Door<'_, '_>) -> Result<(), Halt> {
    let trx = Trx::read(bytes).ok_or_else(|| bad("its header makes no sense"))?;
    let ends = trx.offsets.iter().skip(1).copied().chain([trx.length]);
    for (index, (start, end)) in trx.offsets.iter().zip(ends).enumerate() {
        door.offer_part(&format!("part-{index}"), bytes.slice(*start, end.saturating_sub(*start)))?;
    }
    Ok(())
}
