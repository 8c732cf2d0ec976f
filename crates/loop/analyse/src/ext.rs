//! ext2, ext3 and ext4.
//!
//! In: an image. Out: its tree through the door; files are windows on the image, nothing is held. Refuses superblocks
//! whose numbers do not fit the image, encrypted files, and maps with more pieces than the image has blocks. Journals
//! are not replayed: an image that was built is clean.
//!
//! Layouts as in "ext4 Data Structures and Algorithms" of the Linux documentation.

mod map;

use crate::bytes::{Bytes, Fields};
use crate::door::Content;
use crate::door::{Door, Found, FoundKind, TARGET_BYTES_MAX};
use crate::error::{Halt, bad, early};
use crate::format::{Carve, Claim, Format, Unpack};
use crate::path::{PATH_DEPTH_MAX, PathError};
use crate::report::{Owner, Why};
use map::Shape;

pub(crate) static FORMAT: Format = Format {
    name: "ext2/3/4",
    extension: "ext",
    magics: &[(1080, b"\x53\xef")],
    carve: Carve::Anywhere,
    claim: |bytes| {
        let superblock = Superblock::read(bytes)?;
        Some(Claim::new("ext2/3/4", superblock.length))
    },
    unpack: Unpack::Tree(walk),
};

/// Largest block, as its exponent above 1 KiB: 64 KiB is what Linux can mount.
const BLOCK_LOG_MAX: u32 = 6;

/// The inode of the root.
const ROOT: u32 = 2;

// Features that a reader must know (`s_feature_incompat`).
const FILE_TYPE: u32 = 0x2;
const META_BG: u32 = 0x10;
const WIDE: u32 = 0x80;

// Flags of an inode.
const ENCRYPTED: u32 = 0x800;
const EXTENTS: u32 = 0x8_0000;
const INLINE: u32 = 0x1000_0000;

#[derive(Debug, Clone)]
struct Superblock {
    /// What the superblock says of the length, in bytes.
    length: u64,
    block_bytes: u64,
    first_block: u64,
    inodes: u32,
    inodes_per_group: u32,
    inode_bytes: u64,
    descriptor_bytes: u64,
    features: u32,
}

impl Superblock {
    fn read(bytes: &Bytes<'_>) -> Option<Self> {
        let head = bytes.vec(1024, 1024).ok()?;
        let fields = Fields::little(&head);
        let log = fields.u32(0x18);
        let features = fields.u32(0x60);
        let is_old = fields.u32(0x4c) == 0;
        let block_bytes = 1024_u64 << log.min(BLOCK_LOG_MAX);
        let high = if features & WIDE == 0 { 0 } else { u64::from(fields.u32(0x150)) };
        let blocks = high << 32 | u64::from(fields.u32(0x4));
        let superblock = Self {
            length: blocks.checked_mul(block_bytes)?,
            block_bytes,
            first_block: u64::from(fields.u32(0x14)),
            inodes: fields.u32(0),
            inodes_per_group: fields.u32(0x28),
            inode_bytes: if is_old { 128 } else { u64::from(fields.u16(0x58)) },
            descriptor_bytes: if features & WIDE == 0 { 32 } else { u64::from(fields.u16(0xfe)).max(32) },
            features,
        };
        let fits = log <= BLOCK_LOG_MAX
            && fields.u16(0x38) == 0xef53
            && blocks > 0
            && superblock.first_block <= 1
            && superblock.inodes_per_group > 0
            && superblock.inodes >= ROOT
            && (128..=block_bytes).contains(&superblock.inode_bytes)
            && fields.u32(0x20) > 0;
        fits.then_some(superblock)
    }
}

struct Tree<'a> {
    image: Bytes<'a>,
    superblock: Superblock,
}

struct Inode {
    mode: u32,
    owner: Owner,
    size: u64,
    flags: u32,
    /// The whole inode, for data that stands in it.
    bytes: Vec<u8>,
}

impl Inode {
    fn kind(&self) -> u32 {
        self.mode & 0o170_000
    }

    /// The map of blocks, or a short content.
    fn block(&self) -> &[u8] {
        self.bytes.get(0x28..0x64).unwrap_or_default()
    }
}

impl<'a> Tree<'a> {
    fn inode(&self, number: u32) -> Result<Inode, Halt> {
        let superblock = &self.superblock;
        let index = number.checked_sub(1).filter(|_| number <= superblock.inodes);
        let index = index.ok_or_else(|| bad("an entry names an inode that is not there"))?;
        let group = u64::from(index / superblock.inodes_per_group);
        let descriptors = (superblock.first_block + 1).saturating_mul(superblock.block_bytes);
        let descriptor = self.image.vec(
            descriptors.saturating_add(group.saturating_mul(superblock.descriptor_bytes)),
            superblock.descriptor_bytes,
        )?;
        let fields = Fields::little(&descriptor);
        let high = if superblock.descriptor_bytes >= 64 { u64::from(fields.u32(0x28)) } else { 0 };
        let table = high << 32 | u64::from(fields.u32(8));
        let at = u64::from(index % superblock.inodes_per_group) * superblock.inode_bytes;
        let start = table.saturating_mul(superblock.block_bytes).saturating_add(at);
        let bytes = self.image.vec(start, superblock.inode_bytes)?;
        let fields = Fields::little(&bytes);
        let wide = |low: usize, high: usize| u32::from(fields.u16(high)) << 16 | u32::from(fields.u16(low));
        Ok(Inode {
            mode: u32::from(fields.u16(0)),
            owner: Owner { user: wide(2, 0x78), group: wide(0x18, 0x7a) },
            size: u64::from(fields.u32(0x6c)) << 32 | u64::from(fields.u32(4)),
            flags: fields.u32(0x20),
            bytes,
        })
    }

    /// The content of a file, directory or link.
    fn content(&self, inode: &Inode, door: &mut Door<'_, '_>) -> Result<Bytes<'a>, Halt> {
        if inode.flags & ENCRYPTED != 0 {
            return Err(bad("it is encrypted"));
        }
        if inode.flags & INLINE != 0 {
            let mut bytes = inode.block().to_vec();
            bytes.extend_from_slice(inline_rest(&inode.bytes));
            bytes.truncate(usize::try_from(inode.size).unwrap_or(usize::MAX));
            return Ok(Bytes::of(bytes));
        }
        let is_short = inode.kind() == 0o120_000 && inode.size < 60 && inode.flags & EXTENTS == 0;
        if is_short {
            let length = usize::try_from(inode.size).unwrap_or(0);
            return Ok(Bytes::of(inode.block().get(..length).unwrap_or_default().to_vec()));
        }
        let shape = if inode.flags & EXTENTS == 0 { Shape::Numbers } else { Shape::Extents };
        map::content(&self.image, self.superblock.block_bytes, inode.block(), shape, inode.size, door)
    }
}

/// The part of an inline content that stands behind the inode: the value of the attribute `system.data`.
fn inline_rest(inode: &[u8]) -> &[u8] {
    let fields = Fields::little(inode);
    let start = 128 + usize::from(fields.u16(0x80));
    if fields.u32(start) != 0xea02_0000 {
        return &[];
    }
    let first = start + 4;
    let mut at = first;
    while fields.u32(at) != 0 && at < inode.len() {
        let name_bytes = usize::from(fields.u8(at));
        if fields.u8(at + 1) == 7 && fields.slice(at + 16, name_bytes) == b"data" {
            let size = usize::try_from(fields.u32(at + 8)).unwrap_or(0);
            return fields.slice(first + usize::from(fields.u16(at + 2)), size);
        }
        at += (16 + name_bytes).next_multiple_of(4);
    }
    &[]
}

/// Walks a file system.
fn walk(bytes: &Bytes<'_>, door: &mut Door<'_, '_>) -> Result<(), Halt> {
    let superblock = Superblock::read(bytes).ok_or_else(|| bad("its superblock makes no sense"))?;
    // The last blocks of an image may be cut off where they are empty.
    if superblock.length > bytes.length().saturating_add(64 * 1024) {
        let what = format!("it ends early: {} of {} bytes are there", bytes.length(), superblock.length);
        return Err(bad(what));
    }
    if superblock.features & META_BG != 0 {
        return Err(bad("its group descriptors are spread over the image (meta_bg), which is not read"));
    }
    let tree = Tree { image: bytes.clone(), superblock };
    let mut directories = vec![(Vec::new(), 0, ROOT)];
    while let Some((path, depth, number)) = directories.pop() {
        let mut below = Vec::new();
        let end = walk_directory(&tree, &path, number, door, &mut below);
        // One unreadable directory does not hide the others, but a root that cannot be read is the end.
        if depth == 0 {
            end?;
        } else {
            door.tolerate(&path, end)?;
        }
        below.sort_by(|(a, _), (b, _)| b.cmp(a));
        for (path, number) in below {
            if depth >= PATH_DEPTH_MAX {
                // A directory that contains itself ends here.
                door.skip(&path, Why::Path(PathError::TooDeep))?;
                continue;
            }
            directories.push((path, depth + 1, number));
        }
    }
    Ok(())
}

fn walk_directory(
    tree: &Tree<'_>,
    path: &[u8],
    number: u32,
    door: &mut Door<'_, '_>,
    below: &mut Vec<(Vec<u8>, u32)>,
) -> Result<(), Halt> {
    let inode = tree.inode(number)?;
    if inode.kind() != 0o040_000 {
        return Err(bad("a directory is none"));
    }
    let content = tree.content(&inode, door)?;
    // An inline directory begins with the number of the one above.
    let mut at = if inode.flags & INLINE == 0 { 0 } else { 4 };
    while at < content.length() {
        door.step()?;
        let head = content.head(at, 8);
        let fields = Fields::little(&head);
        let (inode, length) = (fields.u32(0), u64::from(fields.u16(4)));
        let length = if matches!(length, 0 | 0xffff) { tree.superblock.block_bytes } else { length };
        let name_bytes =
            if tree.superblock.features & FILE_TYPE == 0 { fields.u16(6) } else { u16::from(fields.u8(6)) };
        if length < 8 || head.len() < 8 {
            return Err(bad("a directory ends in the middle of an entry"));
        }
        let name = content.head(at + 8, u64::from(name_bytes).min(length - 8));
        at += length;
        if inode == 0 || name.is_empty() || matches!(name.as_slice(), b"." | b"..") {
            continue;
        }
        let mut full = path.to_vec();
        if !full.is_empty() {
            full.push(b'/');
        }
        full.extend_from_slice(&name);
        if name.contains(&b'/') {
            door.skip(&full, Why::Path(PathError::Climbs))?;
            continue;
        }
        let end = offer(tree, &full, inode, door, below);
        door.tolerate(&full, end)?;
    }
    Ok(())
}

fn offer(
    tree: &Tree<'_>,
    path: &[u8],
    number: u32,
    door: &mut Door<'_, '_>,
    below: &mut Vec<(Vec<u8>, u32)>,
) -> Result<(), Halt> {
    let inode = tree.inode(number)?;
    let found =
        |kind: FoundKind| Found { path: path.to_vec(), mode: inode.mode, owner: Some(inode.owner), kind };
    match inode.kind() {
        0o040_000 => {
            below.push((path.to_vec(), number));
            door.offer_bare(found(FoundKind::Directory))
        }
        0o100_000 => {
            let content = tree.content(&inode, door)?;
            door.offer(found(FoundKind::File { size: inode.size }), Content::Window(content))
        }
        0o120_000 if inode.size > TARGET_BYTES_MAX => door.skip(path, Why::Path(PathError::TooLong)),
        0o120_000 => {
            let content = tree.content(&inode, door)?;
            let target = content.vec(0, inode.size).map_err(|_| early())?;
            door.offer_bare(found(FoundKind::Symlink { target }))
        }
        _ => door.offer_bare(found(FoundKind::Special)),
    }
}
