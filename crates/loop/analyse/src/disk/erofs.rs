//! EROFS: plain, inline and in chunks; packed with lz4, deflate or zstd.
//!
//! In: an image. Out: its tree. Refuses images over several devices, the codec LZMA, and indices that contradict each
//! other.
//!
//! Layout as in `fs/erofs/erofs_fs.h` of Linux.

mod index;

use std::cell::OnceCell;
use std::io::{self, Read};

use crate::budget::Budget;
use crate::bytes::{Bytes, Endian, Fields, Pieces};
use crate::decode::lz4::{self, Rest};
use crate::door::{Content, Door, Found, FoundKind, TARGET_BYTES_MAX};
use crate::error::{Halt, bad, early};
use crate::format::{Carve, Claim, Format, Unpack};
use crate::path::{PATH_DEPTH_MAX, PathError};
use crate::report::{Owner, Why};
use index::Extent;

pub(crate) static FORMAT: Format = Format {
    name: "EROFS",
    extension: "erofs",
    magics: &[(1024, b"\xe2\xe1\xf5\xe0")],
    carve: Carve::Anywhere,
    claim: |bytes| {
        let volume = Volume::read(bytes)?;
        Some(Claim::new("EROFS", volume.length))
    },
    unpack: Unpack::Tree(walk),
};

/// Packed clusters end at the end of their blocks (`EROFS_FEATURE_INCOMPAT_LZ4_0PADDING`).
const PADDED_IN_FRONT: u32 = 1;

/// Longest stretch of a file that one packed cluster may hold: 16 MiB, a hundred times what builders make.
const STRETCH_BYTES_MAX: u64 = 16 << 20;

struct Volume<'a> {
    bytes: Bytes<'a>,
    length: u64,
    block_log: u32,
    root: u64,
    inodes: u64,
    features: u32,
    /// The inode that holds the ends of packed files.
    fragments: u64,
    /// The stretches of that inode, once they are read.
    ends: OnceCell<Vec<Extent>>,
}

#[derive(Debug, Clone)]
struct Inode {
    storage: u16,
    mode: u32,
    owner: Owner,
    size: u64,
    word: u32,
    /// Where what follows the inode begins: a tail, or indices.
    body: u64,
}

impl<'a> Volume<'a> {
    fn read(bytes: &Bytes<'a>) -> Option<Self> {
        let head = bytes.array::<128>(1024)?;
        let fields = Fields::little(&head);
        let block_log = u32::from(fields.u8(12));
        let blocks = u64::from(fields.u32(36));
        let volume = Self {
            bytes: bytes.clone(),
            length: blocks.checked_shl(block_log)?,
            block_log,
            root: u64::from(fields.u16(14)),
            inodes: u64::from(fields.u32(40)).checked_shl(block_log)?,
            features: fields.u32(80),
            fragments: fields.u64(96),
            ends: OnceCell::new(),
        };
        ((9..=16).contains(&block_log) && blocks > 0 && volume.inodes < volume.length).then_some(volume)
    }

    fn block(&self) -> u64 {
        1 << self.block_log
    }

    fn inode(&self, number: u64) -> Result<Inode, Halt> {
        let at = number.checked_mul(32).and_then(|at| at.checked_add(self.inodes)).ok_or_else(early)?;
        let head = self.bytes.head(at, 64);
        let fields = Fields::little(&head);
        let format = fields.u16(0);
        let attributes = match u64::from(fields.u16(2)) {
            0 => 0,
            count => 12 + (count - 1) * 4,
        };
        let is_long = format & 1 == 1;
        if head.len() < if is_long { 64 } else { 32 } {
            return Err(early());
        }
        let owner = if is_long {
            Owner { user: fields.u32(24), group: fields.u32(28) }
        } else {
            Owner { user: u32::from(fields.u16(24)), group: u32::from(fields.u16(26)) }
        };
        Ok(Inode {
            storage: format >> 1 & 7,
            mode: u32::from(fields.u16(4)),
            owner,
            size: if is_long { fields.u64(8) } else { u64::from(fields.u32(8)) },
            word: fields.u32(16),
            body: at + if is_long { 64 } else { 32 } + attributes,
        })
    }

    /// The content of an inode that is not packed.
    fn plain(&self, inode: &Inode, door: &mut Door<'_, '_>) -> Result<Bytes<'a>, Halt> {
        let start = u64::from(inode.word) << self.block_log;
        match inode.storage {
            0 => Ok(self.bytes.slice(start, inode.size)),
            2 => {
                // The whole blocks stand elsewhere, the tail behind the inode.
                let whole = inode.size >> self.block_log << self.block_log;
                let tail = self.bytes.slice(inode.body, inode.size - whole);
                Ok(Pieces::joined(inode.size, 0, vec![(0, self.bytes.slice(start, whole)), (whole, tail)]))
            }
            4 => self.chunks(inode, door),
            _ => Err(bad("an inode is stored in an unknown way")),
        }
    }

    /// A file in chunks of equal size, each with an index of four or eight bytes.
    fn chunks(&self, inode: &Inode, door: &mut Door<'_, '_>) -> Result<Bytes<'a>, Halt> {
        let log = self.block_log + (inode.word & 0x1f);
        let width = if inode.word & 0x20 == 0 { 4 } else { 8 };
        let base = inode.body.next_multiple_of(width);
        let chunk = 1_u64.checked_shl(log).ok_or_else(early)?;
        let mut pieces = Vec::new();
        for index in 0..inode.size.div_ceil(chunk) {
            door.step()?;
            let at = base + index * width + if width == 8 { 4 } else { 0 };
            let block = self.bytes.u32(Endian::Little, at).ok_or_else(early)?;
            if block != u32::MAX {
                pieces.push((index * chunk, self.bytes.slice(u64::from(block) << self.block_log, chunk)));
            }
        }
        Ok(Pieces::joined(inode.size, 0, pieces))
    }

    /// Reads a stretch that one cluster holds.
    fn stretch(&self, extent: &Extent, budget: &Budget) -> io::Result<Vec<u8>> {
        let damaged = |what: &'static str| io::Error::new(io::ErrorKind::InvalidData, what);
        if extent.length > STRETCH_BYTES_MAX {
            return Err(damaged("a cluster holds too much"));
        }
        let length = usize::try_from(extent.length).unwrap_or(0);
        if let Some(place) = extent.fragment {
            return self.fragment(place, extent.length, budget).map_err(Halt::into_io);
        }
        let bytes = self.bytes.head(extent.start, extent.stored);
        let Some(codec) = extent.codec else {
            // Interlaced, the bytes lie where they would lie in the file, and go on at the front of the block.
            let mut plain = bytes.get(extent.skip..).unwrap_or_default().to_vec();
            plain.extend_from_slice(bytes.get(..extent.skip).unwrap_or_default());
            plain.truncate(length);
            return if plain.len() == length { Ok(plain) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
        };
        let skip = match self.features & PADDED_IN_FRONT {
            // No packer begins with a zero.
            1 => bytes.iter().position(|byte| *byte != 0).unwrap_or(0),
            _ => 0,
        };
        let packed = bytes.get(skip..).unwrap_or_default();
        let mut out = Vec::new();
        match codec {
            0 => lz4::unpack_some(packed, &mut out, length, Rest::Allowed).map_err(damaged)?,
            2 => {
                let decoder = flate2::bufread::DeflateDecoder::new(packed);
                decoder.take(extent.length).read_to_end(&mut out)?;
            }
            3 => {
                let decoder = zstd::stream::read::Decoder::with_buffer(packed)?;
                decoder.take(extent.length).read_to_end(&mut out)?;
            }
            _ => return Err(damaged("a cluster is packed with a codec that is not read")),
        }
        if out.len() == length { Ok(out) } else { Err(damaged("a cluster holds less than its index says")) }
    }

    /// Reads a piece of the inode that holds the ends of files.
    fn fragment(&self, place: u64, length: u64, budget: &Budget) -> Result<Vec<u8>, Halt> {
        if self.ends.get().is_none() {
            let inode = self.inode(self.fragments)?;
            let extents = if matches!(inode.storage, 1 | 3) {
                index::extents(self, &inode, budget)?
            } else {
                return Err(bad("the ends of its files are not packed, which is not read"));
            };
            if self.ends.set(extents).is_err() {
                return Err(bad("the ends of its files are read twice"));
            }
        }
        let extents = self.ends.get().map(Vec::as_slice).unwrap_or_default();
        let first = extents.partition_point(|extent| extent.at.saturating_add(extent.length) <= place);
        let mut out = Vec::new();
        for extent in extents.iter().skip(first).take_while(|extent| extent.at < place.saturating_add(length))
        {
            if extent.fragment.is_some() {
                return Err(bad("the ends of its files refer to themselves"));
            }
            let bytes = self.stretch(extent, budget)?;
            let from = usize::try_from(place.saturating_sub(extent.at)).unwrap_or(usize::MAX);
            let left = usize::try_from(length).unwrap_or(0).saturating_sub(out.len());
            let there = bytes.get(from..).unwrap_or_default();
            out.extend_from_slice(there.get(..left.min(there.len())).unwrap_or_default());
        }
        if out.len() as u64 == length { Ok(out) } else { Err(early()) }
    }
}

/// The content of a packed file, a stretch at a time.
struct Stretches<'v, 'a> {
    volume: &'v Volume<'a>,
    extents: std::vec::IntoIter<Extent>,
    block: Vec<u8>,
    taken: usize,
    budget: &'v Budget,
}

impl Read for Stretches<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.taken >= self.block.len() {
            let Some(extent) = self.extents.next() else { return Ok(0) };
            self.block = self.volume.stretch(&extent, self.budget)?;
            self.taken = 0;
        }
        let count = self.block.get(self.taken..).unwrap_or_default().read(buffer)?;
        self.taken += count;
        Ok(count)
    }
}

fn walk(bytes: &Bytes<'_>, door: &mut Door<'_, '_>) -> Result<(), Halt> {
    let volume = Volume::read(bytes).ok_or_else(|| bad("its superblock makes no sense"))?;
    if volume.length > bytes.length() {
        return Err(bad(format!("it ends early: {} of {} bytes are there", bytes.length(), volume.length)));
    }
    let mut directories = vec![(Vec::new(), 0, volume.root)];
    while let Some((path, depth, number)) = directories.pop() {
        if depth > PATH_DEPTH_MAX {
            door.skip(&path, Why::Path(PathError::TooDeep))?;
            continue;
        }
        let mut below = Vec::new();
        let end = walk_directory(&volume, &path, number, door, &mut below);
        if depth == 0 {
            end?;
        } else {
            door.tolerate(&path, end)?;
        }
        below.reverse();
        directories.extend(below.into_iter().map(|(path, number)| (path, depth + 1, number)));
    }
    Ok(())
}

fn walk_directory(
    volume: &Volume<'_>,
    path: &[u8],
    number: u64,
    door: &mut Door<'_, '_>,
    below: &mut Vec<(Vec<u8>, u64)>,
) -> Result<(), Halt> {
    let inode = volume.inode(number)?;
    if inode.mode & 0o170_000 != 0o040_000 {
        return Err(bad("a directory is none"));
    }
    let content = volume.plain(&inode, door)?;
    let mut at = 0;
    while at < content.length() {
        let block = content.head(at, volume.block());
        at += volume.block();
        let fields = Fields::little(&block);
        // Entries stand at the front of a block, their names behind them.
        let count = usize::from(fields.u16(8)) / 12;
        for entry in 0..count {
            door.step()?;
            let (number, start) = (fields.u64(entry * 12), usize::from(fields.u16(entry * 12 + 8)));
            let end = if entry + 1 < count { usize::from(fields.u16(entry * 12 + 20)) } else { block.len() };
            let name = block.get(start..end).ok_or_else(|| bad("a name leads outside of its block"))?;
            let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
            if matches!(name, b"" | b"." | b"..") {
                continue;
            }
            let mut full = path.to_vec();
            if !full.is_empty() {
                full.push(b'/');
            }
            full.extend(name);
            if name.contains(&b'/') {
                door.skip(&full, Why::Path(PathError::Climbs))?;
                continue;
            }
            let end = offer(volume, &full, number, door, below);
            door.tolerate(&full, end)?;
        }
    }
    Ok(())
}

fn offer(
    volume: &Volume<'_>,
    path: &[u8],
    number: u64,
    door: &mut Door<'_, '_>,
    below: &mut Vec<(Vec<u8>, u64)>,
) -> Result<(), Halt> {
    let inode = volume.inode(number)?;
    let found = |kind| Found { path: path.to_vec(), mode: inode.mode, owner: Some(inode.owner), kind };
    match inode.mode & 0o170_000 {
        0o040_000 => {
            below.push((path.to_vec(), number));
            door.offer_bare(found(FoundKind::Directory))
        }
        0o100_000 if matches!(inode.storage, 1 | 3) => {
            let extents = index::extents(volume, &inode, door.budget)?;
            let mut content = Stretches {
                volume,
                extents: extents.into_iter(),
                block: Vec::new(),
                taken: 0,
                budget: door.budget,
            };
            door.offer(found(FoundKind::File { size: inode.size }), Content::Stream(&mut content))
        }
        0o100_000 => {
            let content = volume.plain(&inode, door)?;
            door.offer(found(FoundKind::File { size: inode.size }), Content::Window(content))
        }
        0o120_000 => {
            let target = volume.plain(&inode, door)?.vec(0, inode.size.min(TARGET_BYTES_MAX))?;
            door.offer_bare(found(FoundKind::Symlink { target }))
        }
        _ => door.offer_bare(found(FoundKind::Special)),
    }
}
