//! UBIFS, as the content of a UBI volume.
//!
//! In: an image. Out: its tree as the newest nodes say. Refuses nodes with wrong checksums, and codecs that do not exist.
//!
//! Layout as in "fs/ubifs/ubifs-media.h". The index is not followed: all nodes carry a sequence number that only grows,
//! so the newest node of each key is what counts, journal or not.

use std::collections::BTreeMap;
use std::io::{self, Read};

use crate::bytes::{Bytes, Fields};
use crate::decode::{crc, lzo};
use crate::door::{Content, Door, Found, FoundKind};
use crate::error::{Halt, bad};
use crate::format::{Carve, Claim, Format, Unpack};
use crate::report::Owner;
use crate::tree::{Names, Offered};

pub(crate) static FORMAT: Format = Format {
    name: "UBIFS",
    extension: "ubifs",
    magics: &[(0, b"\x31\x18\x10\x06")],
    carve: Carve::Anywhere,
    claim: |bytes| {
        let superblock = Superblock::read(bytes)?;
        // An image ends where its builder stopped writing, long before the volume does.
        let length = superblock.block_bytes.checked_mul(superblock.blocks)?;
        Some(Claim::new("UBIFS", length.min(bytes.length())))
    },
    unpack: Unpack::Tree(walk),
};

const MAGIC: u32 = 0x0610_1831;

/// Bytes of a block of a file (`UBIFS_BLOCK_SIZE`).
const BLOCK_BYTES: u64 = 4096;

/// The inode of the root.
const ROOT: u64 = 1;

/// Bytes of the head of all nodes.
const HEAD_BYTES: u64 = 24;

// Types of nodes.
const INODE: u8 = 0;
const DATA: u8 = 1;
const ENTRY: u8 = 2;
const TRUNCATION: u8 = 4;
const PADDING: u8 = 5;
const SUPERBLOCK: u8 = 6;

struct Superblock {
    block_bytes: u64,
    blocks: u64,
}

impl Superblock {
    fn read(bytes: &Bytes<'_>) -> Option<Self> {
        let node = bytes.vec(0, 96).ok()?;
        let fields = Fields::little(&node);
        let (block_bytes, blocks) = (u64::from(fields.u32(36)), u64::from(fields.u32(40)));
        let fits = fields.u32(0) == MAGIC && fields.u8(20) == SUPERBLOCK && block_bytes >= 4096 && blocks > 0;
        fits.then_some(Self { block_bytes, blocks })
    }
}

/// Where the newest node of a key is, and its sequence number.
type Newest = (u64, u64);

#[derive(Default)]
struct Nodes {
    inodes: BTreeMap<u64, Newest>,
    entries: BTreeMap<(u64, Vec<u8>), (u64, u64)>,
    data: BTreeMap<(u64, u32), Newest>,
    /// Of each file that was cut: when, and to how many blocks.
    cuts: BTreeMap<u64, (u64, u64)>,
}

impl Nodes {
    fn take(&mut self, kind: u8, at: u64, node: &[u8]) {
        let fields = Fields::little(node);
        let (sequence, inode) = (fields.u64(8), u64::from(fields.u32(24)));
        let newer = |old: &mut Newest| {
            if sequence > old.1 {
                *old = (at, sequence);
            }
        };
        match kind {
            INODE => newer(self.inodes.entry(inode).or_default()),
            DATA => newer(self.data.entry((inode, fields.u32(28) & 0x1fff_ffff)).or_default()),
            ENTRY => {
                let name = fields.slice(56, usize::from(fields.u16(50)));
                let entry = self.entries.entry((inode, name.to_vec())).or_default();
                if sequence > entry.1 {
                    *entry = (fields.u64(40), sequence);
                }
            }
            TRUNCATION => {
                let cut = self.cuts.entry(u64::from(fields.u32(24))).or_default();
                if sequence > cut.0 {
                    *cut = (sequence, fields.u64(48).div_ceil(BLOCK_BYTES));
                }
            }
            _ => {}
        }
    }
}

fn walk(bytes: &Bytes<'_>, door: &mut Door<'_, '_>) -> Result<(), Halt> {
    let superblock = Superblock::read(bytes).ok_or_else(|| bad("its superblock makes no sense"))?;
    let mut nodes = Nodes::default();
    let mut block = 0;
    while block < bytes.length() {
        scan(bytes, block, superblock.block_bytes, &mut nodes, door)?;
        block = block.saturating_add(superblock.block_bytes);
    }
    if nodes.entries.is_empty() && nodes.inodes.is_empty() {
        return Err(bad("it holds no valid nodes"));
    }
    let mut names = Names::default();
    for ((parent, name), (inode, _)) in std::mem::take(&mut nodes.entries) {
        // An entry of inode zero says that the name is gone.
        if inode != 0 {
            names.insert(parent, name, inode);
        }
    }
    names.walk(ROOT, door, &mut |path, inode, door| offer(bytes, &nodes, path, inode, door))
}

/// Reads the nodes of one logical block.
fn scan(
    bytes: &Bytes<'_>,
    start: u64,
    block_bytes: u64,
    nodes: &mut Nodes,
    door: &mut Door<'_, '_>,
) -> Result<(), Halt> {
    let block = bytes.slice(start, block_bytes);
    let mut at = 0;
    while at + HEAD_BYTES <= block.length() {
        door.step()?;
        let head = block.vec(at, HEAD_BYTES)?;
        let fields = Fields::little(&head);
        let (length, kind) = (u64::from(fields.u32(16)), fields.u8(20));
        if fields.u32(0) != MAGIC || length < HEAD_BYTES || at.saturating_add(length) > block.length() {
            // Erased flash up to the end, or the rest of a write that failed.
            if fields.u32(0) == u32::MAX && is_erased(&block, at) {
                return Ok(());
            }
            at += 8;
            continue;
        }
        let node = block.vec(at, length)?;
        if crc::raw(u32::MAX, node.get(8..).unwrap_or_default()) != fields.u32(4) {
            at += 8;
            continue;
        }
        if matches!(kind, INODE | DATA | ENTRY | TRUNCATION) {
            nodes.take(kind, start + at, &node);
        }
        let padding = if kind == PADDING { u64::from(Fields::little(&node).u32(24)) } else { 0 };
        at = at.saturating_add(length).saturating_add(padding).next_multiple_of(8);
    }
    Ok(())
}

fn is_erased(block: &Bytes<'_>, at: u64) -> bool {
    let mut reader = block.from(at).reader();
    let mut buffer = [0; 4096];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return true,
            Ok(count) if buffer.iter().take(count).all(|byte| *byte == 0xff) => {}
            _ => return false,
        }
    }
}

fn offer(
    bytes: &Bytes<'_>,
    nodes: &Nodes,
    path: &[u8],
    inode: u64,
    door: &mut Door<'_, '_>,
) -> Result<Offered, Halt> {
    let (at, _) = nodes.inodes.get(&inode).ok_or_else(|| bad("an entry names an inode that is not there"))?;
    let node = bytes.vec(*at, 160)?;
    let fields = Fields::little(&node);
    let (size, mode) = (fields.u64(48), fields.u32(104));
    let owner = Owner { user: fields.u32(96), group: fields.u32(100) };
    let found = |kind| Found { path: path.to_vec(), mode, owner: Some(owner), kind };
    match mode & 0o170_000 {
        0o040_000 => {
            door.offer_bare(found(FoundKind::Directory))?;
            return Ok(Offered::Directory);
        }
        0o100_000 => {
            let mut content = Blocks { bytes, nodes, inode, size, index: 0, block: Vec::new(), taken: 0 };
            door.offer(found(FoundKind::File { size }), Content::Stream(&mut content))?;
        }
        0o120_000 => {
            let target = bytes.vec(at + 160, u64::from(fields.u32(112)).min(4096))?;
            door.offer_bare(found(FoundKind::Symlink { target }))?;
        }
        _ => door.offer_bare(found(FoundKind::Special))?,
    }
    Ok(Offered::Other)
}

/// The content of a file, a block at a time.
struct Blocks<'c, 'a> {
    bytes: &'c Bytes<'a>,
    nodes: &'c Nodes,
    inode: u64,
    size: u64,
    index: u32,
    block: Vec<u8>,
    taken: usize,
}

impl Blocks<'_, '_> {
    fn next(&mut self) -> io::Result<()> {
        let damaged = |what: &'static str| io::Error::new(io::ErrorKind::InvalidData, what);
        let start = u64::from(self.index) * BLOCK_BYTES;
        let wanted = usize::try_from(BLOCK_BYTES.min(self.size.saturating_sub(start))).unwrap_or(0);
        let node = self.nodes.data.get(&(self.inode, self.index)).filter(|(_, sequence)| {
            // What is older than a cut and lies behind it is gone.
            let cut = self.nodes.cuts.get(&self.inode);
            cut.is_none_or(|(when, blocks)| sequence > when || u64::from(self.index) < *blocks)
        });
        self.block = match node {
            // A hole.
            None => Vec::new(),
            Some((at, _)) => {
                let head = self.bytes.vec(*at, 48)?;
                let fields = Fields::little(&head);
                let length = u64::from(fields.u32(16)).saturating_sub(48);
                let packed = self.bytes.vec(at + 48, length)?;
                let size = usize::try_from(fields.u32(40)).unwrap_or(0).min(4096);
                unpack(fields.u16(44), &packed, size).map_err(damaged)?
            }
        };
        self.block.resize(wanted, 0);
        self.index = self.index.checked_add(1).ok_or_else(|| damaged("a file has too many blocks"))?;
        self.taken = 0;
        Ok(())
    }
}

impl Read for Blocks<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.taken >= self.block.len() {
            if u64::from(self.index) * BLOCK_BYTES >= self.size {
                return Ok(0);
            }
            self.next()?;
        }
        let count = self.block.get(self.taken..).unwrap_or_default().read(buffer)?;
        self.taken += count;
        Ok(count)
    }
}

fn unpack(codec: u16, packed: &[u8], size: usize) -> Result<Vec<u8>, &'static str> {
    match codec {
        0 => Ok(packed.to_vec()),
        1 => {
            let mut out = Vec::new();
            lzo::unpack(packed, &mut out, size).map(|()| out)
        }
        2 => super::inflate(flate2::bufread::DeflateDecoder::new(packed), size),
        3 => zstd::bulk::decompress(packed, size).map_err(|_| "a block cannot be unpacked"),
        _ => Err("a block is packed with a codec that does not exist"),
    }
}
