//! cramfs, of both byte orders.
//!
//! In: an image. Out: its tree. Refuses directories that lead outside, and blocks that are longer than a page.
//!
//! Layout as in `include/uapi/linux/cramfs_fs.h`: three words an inode, whose bit fields go by the byte order.

use std::io::{self, Read};

use crate::bytes::{Bytes, Endian, Fields};
use crate::door::{Content, Door, Found, FoundKind, TARGET_BYTES_MAX};
use crate::error::{Halt, bad};
use crate::format::{Carve, Claim, Format, Unpack};
use crate::report::Owner;

pub(crate) static FORMAT: Format = Format {
    name: "cramfs",
    extension: "cramfs",
    magics: &[(0, b"\x45\x3d\xcd\x28"), (0, b"\x28\xcd\x3d\x45")],
    carve: Carve::Anywhere,
    claim: |bytes| {
        let size = bytes.u32(endian(bytes), 4)?;
        bytes.has(16, b"Compressed ROMFS").then(|| Claim::new("cramfs", u64::from(size).max(76)))
    },
    unpack: Unpack::Tree(walk),
};

/// Bytes of a page, unpacked.
const PAGE_BYTES: u64 = 4096;

/// Deepest tree that is walked.
const DEPTH_MAX: usize = 64;

fn endian(bytes: &Bytes<'_>) -> Endian {
    if bytes.has(0, b"\x45") { Endian::Little } else { Endian::Big }
}

#[derive(Clone, Copy)]
struct Inode {
    mode: u32,
    owner: Owner,
    size: u64,
    name_bytes: u64,
    /// Where the content, the first entry or the table of blocks is.
    at: u64,
}

fn inode(bytes: &Bytes<'_>, endian: Endian, at: u64) -> Result<Inode, Halt> {
    let words = bytes.vec(at, 12)?;
    let fields = Fields { bytes: &words, endian };
    let (size, last) = (fields.u32(4), fields.u32(8));
    let (size, group, name, offset) = match endian {
        Endian::Little => (size & 0x00ff_ffff, size >> 24, last & 0x3f, last >> 6),
        Endian::Big => (size >> 8, size & 0xff, last >> 26, last & 0x03ff_ffff),
    };
    Ok(Inode {
        mode: u32::from(fields.u16(0)),
        owner: Owner { user: u32::from(fields.u16(2)), group },
        size: u64::from(size),
        name_bytes: u64::from(name) * 4,
        at: u64::from(offset) * 4,
    })
}

fn walk(bytes: &Bytes<'_>, door: &mut Door<'_, '_>) -> Result<(), Halt> {
    let endian = endian(bytes);
    let root = inode(bytes, endian, 64)?;
    let mut directories = vec![(Vec::new(), 0, root)];
    while let Some((path, depth, directory)) = directories.pop() {
        let mut at = directory.at;
        let end = directory.at.saturating_add(directory.size);
        let mut below = Vec::new();
        while at < end {
            door.step()?;
            let entry = inode(bytes, endian, at)?;
            let name = bytes.vec(at + 12, entry.name_bytes)?;
            at += 12 + entry.name_bytes;
            let mut full: Vec<u8> = path.clone();
            if !full.is_empty() {
                full.push(b'/');
            }
            full.extend(name.split(|byte| *byte == 0).next().unwrap_or_default());
            let is_directory = entry.mode & 0o170_000 == 0o040_000;
            let end = offer(bytes, endian, &full, entry, door);
            door.tolerate(&full, end)?;
            if is_directory && depth >= DEPTH_MAX {
                return Err(bad("its directories are nested too deep"));
            }
            if is_directory {
                below.push((full, depth + 1, entry));
            }
        }
        below.reverse();
        directories.extend(below);
    }
    Ok(())
}

fn offer(
    bytes: &Bytes<'_>,
    endian: Endian,
    path: &[u8],
    entry: Inode,
    door: &mut Door<'_, '_>,
) -> Result<(), Halt> {
    let found = |kind| Found { path: path.to_vec(), mode: entry.mode, owner: Some(entry.owner), kind };
    let mut content =
        Pages { bytes: bytes.clone(), endian, inode: entry, index: 0, page: Vec::new(), taken: 0 };
    match entry.mode & 0o170_000 {
        0o040_000 => door.offer_bare(found(FoundKind::Directory)),
        0o100_000 => door.offer(found(FoundKind::File { size: entry.size }), Content::Stream(&mut content)),
        0o120_000 => {
            let mut target = Vec::new();
            content.take(TARGET_BYTES_MAX + 1).read_to_end(&mut target)?;
            door.offer_bare(found(FoundKind::Symlink { target }))
        }
        _ => door.offer_bare(found(FoundKind::Special)),
    }
}

/// The content of a file: behind a table of where each page ends stand the pages, packed with zlib.
struct Pages<'a> {
    bytes: Bytes<'a>,
    endian: Endian,
    inode: Inode,
    index: u64,
    page: Vec<u8>,
    taken: usize,
}

impl Pages<'_> {
    fn next(&mut self) -> io::Result<()> {
        let pages = self.inode.size.div_ceil(PAGE_BYTES);
        let pointer = |index: u64| {
            let word = self.bytes.u32(self.endian, self.inode.at + index * 4);
            word.map(u64::from).ok_or(io::ErrorKind::UnexpectedEof)
        };
        let start = if self.index == 0 { self.inode.at + pages * 4 } else { pointer(self.index - 1)? };
        let end = pointer(self.index)?;
        let wanted = PAGE_BYTES.min(self.inode.size - self.index * PAGE_BYTES);
        let wanted = usize::try_from(wanted).unwrap_or(0);
        let length = end.checked_sub(start).filter(|length| *length <= PAGE_BYTES * 2);
        let length =
            length.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "a page has no length"))?;
        self.page = if length == 0 {
            vec![0; wanted]
        } else {
            let packed = self.bytes.vec(start, length)?;
            super::zlib(&packed, wanted).map_err(|what| io::Error::new(io::ErrorKind::InvalidData, what))?
        };
        if self.page.len() != wanted {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a page is shorter than its file says"));
        }
        self.index += 1;
        self.taken = 0;
        Ok(())
    }
}

impl Read for Pages<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.taken >= self.page.len() {
            if self.index.saturating_mul(PAGE_BYTES) >= self.inode.size {
                return Ok(0);
            }
            self.next()?;
        }
        let count = self.page.get(self.taken..).unwrap_or_default().read(buffer)?;
        self.taken += count;
        Ok(count)
    }
}
