//! Packages of RPM.
//!
//! In: a package. Out: its payload, a packed cpio, as a window. Refuses headers without a mark.
//!
//! Layout as in the LSB Core Specification 5.0, chapter 22.

use crate::bytes::{Bytes, Endian};
use crate::error::bad;
use crate::format::{Carve, Claim, Format, Unpack};

pub(crate) static FORMAT: Format = Format {
    name: "RPM package",
    extension: "rpm",
    magics: &[(0, b"\xed\xab\xee\xdb")],
    carve: Carve::AtStart,
    claim: |bytes| payload(bytes).map(|_| Claim::new("RPM package", bytes.length())),
    unpack: Unpack::Tree(|bytes, door| {
        let at = payload(bytes).ok_or_else(|| bad("its headers make no sense"))?;
        door.offer_part("payload", bytes.from(at))
    }),
};

/// Bytes of the lead, which nobody reads any more.
const LEAD: u64 = 96;

/// Where the header ends that begins at `at`: a mark, the number of entries of sixteen bytes, and the size of what they
/// point to.
fn header_end(bytes: &Bytes<'_>, at: u64) -> Option<u64> {
    let entries = u64::from(bytes.u32(Endian::Big, at + 8)?);
    let data = u64::from(bytes.u32(Endian::Big, at + 12)?);
    bytes.has(at, b"\x8e\xad\xe8").then_some(at + 16 + entries * 16 + data)
}

fn payload(bytes: &Bytes<'_>) -> Option<u64> {
    let signature = header_end(bytes, LEAD)?.next_multiple_of(8);
    header_end(bytes, signature).filter(|at| *at < bytes.length())
}
