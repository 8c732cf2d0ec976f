//! Android: sparse images, boot images (versions 0 to 4), and vendor boot images.
//!
//! In: an image. Out: its parts. Refuses chunks and sizes that lead outside, and sparse images beyond `file_bytes_max`
//! times the number of chunks.
//!
//! Layouts as in AOSP's `sparse_format.h` and "bootimg.h": numbers are little-endian.

use std::io;
use std::rc::Rc;

use crate::bytes::{Bytes, Endian, Fields, Pieces, ReadAt};
use crate::door::Door;
use crate::error::{Halt, bad, early};
use crate::format::{Carve, Claim, Format, Unpack};

pub(crate) static SPARSE: Format = Format {
    name: "Android sparse image",
    extension: "simg",
    magics: &[(0, b"\x3a\xff\x26\xed\x01\0")],
    carve: Carve::Anywhere,
    claim: |bytes| {
        let sparse = Sparse::read(bytes)?;
        let mut end = sparse.header_bytes;
        for _ in 0..sparse.chunks {
            let Some(total) = bytes.u32(Endian::Little, end + 8) else { break };
            end = end.saturating_add(u64::from(total.max(12)));
        }
        Some(Claim::new("Android sparse image", end))
    },
    unpack: Unpack::Tree(walk_sparse),
};

pub(crate) static BOOT: Format = Format {
    name: "Android boot image",
    extension: "boot",
    magics: &[(0, b"ANDROID!"), (0, b"VNDRBOOT")],
    carve: Carve::Anywhere,
    claim: |bytes| {
        let (label, parts) = boot_parts(bytes)?;
        let end = parts.iter().map(|(_, at, size)| at.saturating_add(*size)).max()?;
        Some(Claim::new(label, end))
    },
    unpack: Unpack::Tree(|bytes, door| {
        let (_, parts) = boot_parts(bytes).ok_or_else(|| bad("its header makes no sense"))?;
        parts.into_iter().try_for_each(|(name, at, size)| door.offer_part(name, bytes.slice(at, size)))
    }),
};

/// Most chunks of a sparse image: a chunk for each of 4 Ki blocks of a 16 GiB image.
const CHUNKS_MAX: u32 = 4 << 20;

struct Sparse {
    header_bytes: u64,
    chunk_header_bytes: u64,
    block_bytes: u64,
    blocks: u64,
    chunks: u32,
}

impl Sparse {
    fn read(bytes: &Bytes<'_>) -> Option<Self> {
        let head = bytes.array::<28>(0)?;
        let fields = Fields::little(&head);
        let sparse = Self {
            header_bytes: u64::from(fields.u16(8)),
            chunk_header_bytes: u64::from(fields.u16(10)),
            block_bytes: u64::from(fields.u32(12)),
            blocks: u64::from(fields.u32(16)),
            chunks: fields.u32(20),
        };
        let fits = sparse.header_bytes >= 28
            && sparse.chunk_header_bytes >= 12
            && sparse.block_bytes.is_multiple_of(4)
            && (1024..=1 << 26).contains(&sparse.block_bytes)
            && sparse.chunks <= CHUNKS_MAX;
        fits.then_some(sparse)
    }
}

/// Four bytes again and again.
struct Fill {
    word: [u8; 4],
    length: u64,
}

impl ReadAt for Fill {
    fn length(&self) -> u64 {
        self.length
    }

    fn read_at(&self, at: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let skipped = usize::try_from(at % 4).unwrap_or(0);
        for (to, from) in buffer.iter_mut().zip(self.word.iter().cycle().skip(skipped)) {
            *to = *from;
        }
        Ok(buffer.len())
    }
}

fn walk_sparse(bytes: &Bytes<'_>, door: &mut Door<'_, '_>) -> Result<(), Halt> {
    let sparse = Sparse::read(bytes).ok_or_else(|| bad("its header makes no sense"))?;
    let mut pieces = Vec::new();
    let (mut at, mut block) = (sparse.header_bytes, 0_u64);
    for _ in 0..sparse.chunks {
        door.step()?;
        let head = bytes.vec(at, 12)?;
        let fields = Fields::little(&head);
        let (kind, blocks, total) = (fields.u16(0), u64::from(fields.u32(4)), u64::from(fields.u32(8)));
        let start = block.saturating_mul(sparse.block_bytes);
        let length = blocks.saturating_mul(sparse.block_bytes);
        let data = at + sparse.chunk_header_bytes;
        match kind {
            0xcac1 => pieces.push((start, bytes.slice(data, length))),
            0xcac2 => {
                let word = bytes.array(data).ok_or_else(early)?;
                if word != [0; 4] {
                    pieces.push((start, Bytes::new(Rc::new(Fill { word, length }))));
                }
            }
            0xcac3 => {}
            0xcac4 => block = block.saturating_sub(blocks),
            _ => return Err(bad("a chunk has an unknown type")),
        }
        block = block.saturating_add(blocks);
        if total < sparse.chunk_header_bytes || block > sparse.blocks {
            return Err(bad("a chunk leads outside of the image"));
        }
        at = at.saturating_add(total);
    }
    let length = sparse.blocks.saturating_mul(sparse.block_bytes);
    door.offer_part("image", Pieces::joined(length, 0, pieces))
}

/// A part of a boot image: its name, where it is, and how long.
type Part = (&'static str, u64, u64);

fn boot_parts(bytes: &Bytes<'_>) -> Option<(String, Vec<Part>)> {
    let head = bytes.head(0, 2128);
    let fields = Fields::little(&head);
    if head.len() < 1024 {
        return None;
    }
    if head.starts_with(b"VNDRBOOT") {
        let version = fields.u32(8);
        let parts = [("ramdisk", fields.u32(24)), ("dtb", fields.u32(2100))];
        let label = format!("Android vendor boot image, version {version}");
        return Some((label, place(fields.u32(12), fields.u32(2096), &parts)?));
    }
    let version = fields.u32(40);
    let label = format!("Android boot image, version {version}");
    let parts = match version {
        0..=2 => {
            let mut parts =
                vec![("kernel", fields.u32(8)), ("ramdisk", fields.u32(16)), ("second", fields.u32(24))];
            if version >= 1 {
                parts.push(("recovery-dtbo", fields.u32(1632)));
            }
            if version == 2 {
                parts.push(("dtb", fields.u32(1648)));
            }
            place(fields.u32(36), 1, &parts)?
        }
        3 | 4 => place(4096, 1, &[("kernel", fields.u32(8)), ("ramdisk", fields.u32(12))])?,
        // Before there were versions, the size of a device tree stood here.
        _ => {
            let parts = [
                ("kernel", fields.u32(8)),
                ("ramdisk", fields.u32(16)),
                ("second", fields.u32(24)),
                ("dt", version),
            ];
            place(fields.u32(36), 1, &parts)?
        }
    };
    Some((label, parts))
}

/// Parts follow the header and each other, each on a page of its own.
fn place(page: u32, header_bytes: u32, parts: &[(&'static str, u32)]) -> Option<Vec<Part>> {
    let page = u64::from(page);
    if !page.is_power_of_two() || !(512..=1 << 17).contains(&page) {
        return None;
    }
    let mut at = u64::from(header_bytes).next_multiple_of(page);
    let mut placed = Vec::new();
    for (name, size) in parts {
        let size = u64::from(*size);
        if size > 0 {
            placed.push((*name, at, size));
        }
        at = at.saturating_add(size).next_multiple_of(page);
    }
    (!placed.is_empty()).then_some(placed)
}
