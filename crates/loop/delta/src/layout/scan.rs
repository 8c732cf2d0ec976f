//! Finds file systems in an image, wherever they begin.
//!
//! In: an image. Out: what is in it, in the coordinates of the whole. Refuses to try more places than the limit.

use super::fields::{array, get, u16_le};
use super::{Layout, disk, erofs, ext, squashfs, ubi, ubifs};

/// Places that are tried: ten times the file systems of an image, so that one made of false beginnings costs little.
const TRIES_MAX: u32 = 64;

/// All but SquashFS begin at multiples of this, in bytes: sectors and pages of flash.
const STEP: usize = 512;

/// Finds all file systems of an image.
pub(crate) fn look(image: &[u8], out: &mut Layout) {
    if disk::look(image, 0, out).is_some() {
        return;
    }
    let mut at = 0;
    for _ in 0..TRIES_MAX {
        let Some(found) = next(image, at) else { break };
        let end = look_at(image, found, out);
        at = end.filter(|end| *end > found).unwrap_or(found + 1);
    }
}

/// Describes the file system that begins at `start`; returns where it ends.
pub(crate) fn look_at(image: &[u8], start: u64, out: &mut Layout) -> Option<u64> {
    squashfs::look(image, start, out)
        .or_else(|| erofs::look(image, start, out))
        .or_else(|| ext::look(image, start, out))
        .or_else(|| ubi::look(image, start, out))
        .or_else(|| ubifs::look(image, start, out))
}

/// Returns the next place from `at` on where one may begin.
fn next(image: &[u8], at: u64) -> Option<u64> {
    let at = usize::try_from(at).ok()?;
    let first = at / STEP * STEP;
    for sector in (first..image.len()).step_by(STEP) {
        if sector >= at && begins_at_sector(image, sector as u64) {
            return Some(sector as u64);
        }
        // A magic number may begin in the last bytes of the sector.
        let end = image.len().min(sector + STEP + squashfs::MAGIC.len() - 1);
        let from = sector.max(at);
        let window = image.get(from..end)?;
        let found = window
            .windows(squashfs::MAGIC.len())
            .enumerate()
            .filter(|(_, bytes)| *bytes == squashfs::MAGIC)
            .map(|(offset, _)| (from + offset) as u64)
            .find(|place| u16_le(image, place.saturating_add(28)) == Some(4));
        if found.is_some() {
            return found;
        }
    }
    None
}

fn begins_at_sector(image: &[u8], at: u64) -> bool {
    let magic = get(image, at, 4).unwrap_or_default();
    magic == ubi::MAGIC
        || ubifs::starts_at(image, at)
        || array(image, at.saturating_add(erofs::SUPERBLOCK_AT)) == Some(erofs::MAGIC)
        || array(image, at.saturating_add(ext::MAGIC_AT)) == Some(ext::MAGIC)
}
