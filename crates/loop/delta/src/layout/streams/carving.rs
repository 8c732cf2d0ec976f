//! Finds streams and containers in bytes of which nothing is known: flat firmware, NAND dumps, unpacked layers.
//!
//! In: an image and a range of it. Out: everything in that range whose header is strict enough to tell it from an
//! accident, and that is worth the trouble. Refuses streams that unpack to less than 1 KiB.

use super::super::Layout;
use super::bytes::{begins, byte, head, le16, length, slice};
use super::{LookOther, Scan};

/// What a found stream must unpack to: less is an accident, or not worth a second coding.
const PLAIN_BYTES_MIN: u64 = 1 << 10;

/// How often a file system may be suspected in vain, so that magics strewn over an image cost nothing.
const SUSPICIONS_MAX: u32 = 4_096;

/// Superblocks of EROFS and ext are sought at this step: the smallest block that both allow on a partition.
const BLOCK_BYTES: u64 = 4 << 10;

/// Says whether a byte begins a magic: one look at a byte rules out nearly all places.
fn begins_magic(byte: u8) -> bool {
    matches!(
        byte,
        0x1f | 0xfd
            | 0x28
            | 0x5d
            | 0x6d
            | 0x04
            | 0x02
            | 0x27
            | 0xd0
            | 0x3a
            | 0x7f
            | b'0'
            | b'h'
            | b'U'
            | b'A'
    )
}

/// What is sought.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Streams only: inside a kernel.
    Streams,
    /// Containers and file systems, too: in an image.
    Everything,
}

/// Finds what starts between `from` and `to`, and adds it to a layout; what starts exactly at `from` is also tried
/// against formats without a strict magic. Nothing that is found starts inside another find.
pub(crate) fn carve(image: &[u8], from: u64, to: u64, out: &mut Layout, other: LookOther<'_>) {
    let mut scan = Scan::new(out, other);
    let image = head(image, to);
    let from = scan.run(image, from).unwrap_or(from);
    scan.carve(image, from, Wanted::Everything);
}

impl Scan<'_> {
    /// Finds what starts at `from` or later.
    pub(super) fn carve(&mut self, image: &[u8], from: u64, wanted: Wanted) {
        let (mut at, mut suspicions) = (from, SUSPICIONS_MAX);
        while at < length(image) {
            let block_end = (at / BLOCK_BYTES + 1) * BLOCK_BYTES;
            let found = self.suspect(image, at, wanted, &mut suspicions);
            at = match found {
                Some(end) => end,
                None => self.carve_block(image, at, block_end, wanted, &mut suspicions),
            };
        }
    }

    /// Tries the start of a block for a superblock that lies behind it.
    fn suspect(&mut self, image: &[u8], at: u64, wanted: Wanted, suspicions: &mut u32) -> Option<u64> {
        let aligned = at.is_multiple_of(BLOCK_BYTES) && wanted == Wanted::Everything;
        let erofs = || begins(image, at + 1024, &[0xe2, 0xe1, 0xf5, 0xe0]);
        let ext = || begins(image, at + 1080, &[0x53, 0xef]);
        if aligned && *suspicions > 0 && (erofs() || ext()) {
            *suspicions -= 1;
            return self.container(image, at);
        }
        None
    }

    /// Seeks up to the end of a block; returns the end of what was found, or of the block.
    fn carve_block(&mut self, image: &[u8], from: u64, to: u64, wanted: Wanted, suspicions: &mut u32) -> u64 {
        let mut at = from;
        let to = to.min(length(image));
        while at < to {
            let rest = slice(image, at, to - at).unwrap_or_default();
            let Some(next) = rest.iter().position(|byte| begins_magic(*byte)) else {
                return to;
            };
            at += u64::try_from(next).unwrap_or_default();
            if let Some(end) = self.try_at(image, at, wanted, suspicions).filter(|end| *end > at) {
                return end;
            }
            at += 1;
        }
        to
    }

    fn try_at(&mut self, image: &[u8], at: u64, wanted: Wanted, suspicions: &mut u32) -> Option<u64> {
        // The second and third byte rule out most of what is left before anything is set up. Those of LZMA: a dictionary
        // of a multiple of 64 KiB.
        let stream = matches!(
            (byte(image, at)?, le16(image, at + 1)?),
            (0x1f, 0x088b)
                | (0xfd, 0x7a37)
                | (0x28, 0x2fb5)
                | (0x04, 0x4d22)
                | (0x02, 0x4c21)
                | (0x5d | 0x6d, 0)
        );
        if stream {
            return self.stream(image, at, PLAIN_BYTES_MIN);
        }
        let other = [b"hsqs".as_slice(), b"UBI#"];
        let own = [
            b"070701".as_slice(),
            b"070702",
            b"ANDROID!",
            b"\x7fELF",
            &[0x27, 0x05, 0x19, 0x56],
            &[0xd0, 0x0d, 0xfe, 0xed],
            &[0x3a, 0xff, 0x26, 0xed],
        ];
        let container = wanted == Wanted::Everything
            && other.iter().chain(&own).any(|magic| begins(image, at, magic))
            && *suspicions > 0;
        if !container {
            return None;
        }
        let end = self.container(image, at);
        if end.is_none() {
            *suspicions -= 1;
        }
        end
    }
}
