//! romfs.
//!
//! In: an image. Out: its tree; contents are windows. Refuses chains of entries that come back to themselves.
//!
//! Layout as in "Documentation/filesystems/romfs.rst": numbers are big-endian, everything is padded to sixteen bytes.

use std::collections::BTreeSet;

use crate::bytes::{Bytes, Endian, Fields};
use crate::door::{Content, Door, Found, FoundKind, TARGET_BYTES_MAX};
use crate::error::{Halt, bad};
use crate::format::{Carve, Claim, Format, Unpack};

pub(crate) static FORMAT: Format = Format {
    name: "romfs",
    extension: "romfs",
    magics: &[(0, b"-rom1fs-")],
    carve: Carve::Anywhere,
    claim: |bytes| {
        let size = bytes.u32(Endian::Big, 8)?;
        // The sum of the first 512 bytes, or of all where there are fewer, is zero.
        let head = bytes.head(0, u64::from(size).min(512));
        let sum = head.chunks_exact(4).fold(0_u32, |sum, word| sum.wrapping_add(Fields::big(word).u32(0)));
        (size >= 32 && sum == 0).then(|| Claim::new("romfs", u64::from(size)))
    },
    unpack: Unpack::Tree(walk),
};

/// Longest name.
const NAME_BYTES_MAX: u64 = 256;

/// Reads a name, and says where what follows it begins.
fn name(bytes: &Bytes<'_>, at: u64) -> (Vec<u8>, u64) {
    let head = bytes.head(at, NAME_BYTES_MAX);
    let name = head.split(|byte| *byte == 0).next().unwrap_or_default().to_vec();
    let end = at.saturating_add(name.len() as u64 + 1).next_multiple_of(16);
    (name, end)
}

fn walk(bytes: &Bytes<'_>, door: &mut Door<'_, '_>) -> Result<(), Halt> {
    let (_, first) = name(bytes, 16);
    let mut seen = BTreeSet::new();
    let mut chains = vec![(Vec::new(), first)];
    while let Some((path, first)) = chains.pop() {
        let mut at = first;
        let mut below = Vec::new();
        while at != 0 {
            door.step()?;
            if !seen.insert(at) {
                return Err(bad("its entries form a ring"));
            }
            let header = bytes.vec(at, 16)?;
            let fields = Fields::big(&header);
            let (next, info, size) = (fields.u32(0), fields.u32(4), u64::from(fields.u32(8)));
            let (name, content) = name(bytes, at + 16);
            at = u64::from(next & !15);
            if matches!(name.as_slice(), b"." | b"..") {
                continue;
            }
            let mut full: Vec<u8> = path.clone();
            if !full.is_empty() {
                full.push(b'/');
            }
            full.extend(name);
            let mode = if next & 8 == 0 { 0o644 } else { 0o755 };
            let found = |kind| Found { path: full.clone(), mode, owner: None, kind };
            match next & 7 {
                1 => {
                    door.offer_bare(found(FoundKind::Directory))?;
                    below.push((full.clone(), u64::from(info & !15)));
                }
                2 => {
                    let window = bytes.slice(content, size);
                    door.offer(found(FoundKind::File { size }), Content::Window(window))?;
                }
                3 if size <= TARGET_BYTES_MAX => {
                    let target = bytes.vec(content, size)?;
                    door.offer_bare(found(FoundKind::Symlink { target }))?;
                }
                _ => door.offer_bare(found(FoundKind::Special))?,
            }
        }
        below.reverse();
        chains.extend(below);
    }
    Ok(())
}
