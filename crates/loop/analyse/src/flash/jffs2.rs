//! JFFS2, of both byte orders.
//!
//! In: an image. Out: its tree as the newest nodes say. Refuses nodes with wrong checksums, and the codecs rubin and
//! dynrubin, which nobody used.
//!
//! Layout as in "include/uapi/linux/jffs2.h". A file is a log: each node overwrites what older ones said of its bytes.

use std::collections::BTreeMap;

use crate::bytes::{Bytes, Endian, Fields};
use crate::decode::lzma::{self, Header};
use crate::decode::{crc, lzo, rtime};
use crate::door::{Content, Door, Found, FoundKind, TARGET_BYTES_MAX};
use crate::error::{Halt, bad};
use crate::format::{Carve, Claim, Format, Unpack};
use crate::limits::LimitReached;
use crate::report::Owner;
use crate::tree::{Names, Offered};

pub(crate) static FORMAT: Format = Format {
    name: "JFFS2",
    extension: "jffs2",
    magics: &[
        (0, b"\x85\x19\x03\x20"),
        (0, b"\x85\x19\x01\xe0"),
        (0, b"\x85\x19\x02\xe0"),
        (0, b"\x19\x85\x20\x03"),
        (0, b"\x19\x85\xe0\x01"),
        (0, b"\x19\x85\xe0\x02"),
    ],
    carve: Carve::Anywhere,
    claim,
    unpack: Unpack::Tree(walk),
};

const DIRENT: u16 = 0xe001;
const INODE: u16 = 0xe002;

/// Bytes without a node behind which the file system has ended: the largest erase blocks of NOR flash.
const GAP_BYTES_MAX: u64 = 256 * 1024;

/// The inode of the root.
const ROOT: u64 = 1;

struct Node {
    at: u64,
    kind: u16,
    length: u64,
}

fn endian(bytes: &Bytes<'_>) -> Endian {
    if bytes.has(0, b"\x85") { Endian::Little } else { Endian::Big }
}

/// Reads the header of a node at `at`, if there is one.
fn node(window: &[u8], endian: Endian, at: u64) -> Option<Node> {
    let fields = Fields { bytes: window.get(..12)?, endian };
    let is_node = fields.u16(0) == 0x1985 && crc::raw(0, fields.slice(0, 8)) == fields.u32(8);
    let length = u64::from(fields.u32(4));
    (is_node && length >= 12).then(|| Node { at, kind: fields.u16(2), length })
}

fn claim(bytes: &Bytes<'_>) -> Option<Claim> {
    let endian = endian(bytes);
    node(&bytes.head(0, 12), endian, 0)?;
    let mut end = 0;
    scan(bytes, endian, &mut |node| {
        end = node.at.saturating_add(node.length);
        Ok(())
    })
    .ok()?;
    // Erased flash behind the last node belongs to it, up to the end of a block.
    let block_end = end.next_multiple_of(64 * 1024).min(bytes.length());
    let rest = bytes.head(end, block_end.saturating_sub(end));
    let is_erased = rest.iter().all(|byte| *byte == 0xff);
    let label = if endian == Endian::Little { "JFFS2" } else { "JFFS2 (big-endian)" };
    Some(Claim::new(label, if is_erased { block_end } else { end.min(bytes.length()) }))
}

/// Calls for each node.
fn scan(
    bytes: &Bytes<'_>,
    endian: Endian,
    call: &mut dyn FnMut(Node) -> Result<(), Halt>,
) -> Result<(), Halt> {
    let mut buffer = vec![0; 64 * 1024];
    let (mut at, mut last_end) = (0_u64, 0_u64);
    while at < bytes.length() && at.saturating_sub(last_end) <= GAP_BYTES_MAX {
        let count = bytes.read_some(at, &mut buffer)?;
        let window = buffer.get(..count).unwrap_or_default();
        let mut step = 0;
        while let Some(rest) = window.get(step..).filter(|rest| rest.len() >= 12) {
            let place = at.saturating_add(step as u64);
            if let Some(node) = node(rest, endian, place) {
                let length = node.length.next_multiple_of(4);
                last_end = place.saturating_add(length);
                call(node)?;
                let Ok(length) = usize::try_from(length) else { return Ok(()) };
                step = step.saturating_add(length);
            } else {
                step += 4;
            }
        }
        if count < buffer.len() && step >= window.len().saturating_sub(12) {
            return Ok(());
        }
        at = at.saturating_add(step.max(4) as u64);
    }
    Ok(())
}

/// What the newest entry of a name says; node 0 means that the name is gone.
struct Entry {
    version: u32,
    node: u64,
}

/// A piece of a file.
struct Piece {
    version: u32,
    at: u64,
}

#[derive(Default)]
struct Log {
    entries: BTreeMap<(u64, Vec<u8>), Entry>,
    pieces: BTreeMap<u64, Vec<Piece>>,
}

fn walk(bytes: &Bytes<'_>, door: &mut Door<'_, '_>) -> Result<(), Halt> {
    let endian = endian(bytes);
    let mut log = Log::default();
    scan(bytes, endian, &mut |node| {
        door.step()?;
        match node.kind {
            DIRENT => log.take_entry(bytes, endian, &node),
            INODE => log.take_piece(bytes, endian, &node),
            _ => {}
        }
        Ok(())
    })?;
    if log.entries.is_empty() && log.pieces.is_empty() {
        return Err(bad("it holds no valid nodes"));
    }
    let mut names = Names::default();
    for ((parent, name), entry) in log.entries {
        if entry.node != 0 {
            names.insert(parent, name, entry.node);
        }
    }
    for pieces in log.pieces.values_mut() {
        pieces.sort_by_key(|piece| piece.version);
    }
    let pieces = log.pieces;
    names.walk(ROOT, door, &mut |path, node, door| {
        let Some(pieces) = pieces.get(&node) else {
            return Err(bad("an entry names a file without content"));
        };
        offer(bytes, endian, path, pieces, door)
    })
}

impl Log {
    fn take_entry(&mut self, bytes: &Bytes<'_>, endian: Endian, node: &Node) {
        let Ok(whole) = bytes.vec(node.at, node.length.min(40 + 256)) else { return };
        let fields = Fields { bytes: &whole, endian };
        let name = fields.slice(40, usize::from(fields.u8(28)));
        let is_whole =
            crc::raw(0, fields.slice(0, 32)) == fields.u32(32) && crc::raw(0, name) == fields.u32(36);
        if !is_whole || name.is_empty() {
            return;
        }
        let (version, node) = (fields.u32(16), u64::from(fields.u32(20)));
        let key = (u64::from(fields.u32(12)), name.to_vec());
        let entry = self.entries.entry(key).or_insert(Entry { version, node });
        if version > entry.version {
            *entry = Entry { version, node };
        }
    }

    fn take_piece(&mut self, bytes: &Bytes<'_>, endian: Endian, node: &Node) {
        let Ok(head) = bytes.vec(node.at, 68) else { return };
        let fields = Fields { bytes: &head, endian };
        if crc::raw(0, fields.slice(0, 60)) == fields.u32(64) {
            let piece = Piece { version: fields.u32(16), at: node.at };
            self.pieces.entry(u64::from(fields.u32(12))).or_default().push(piece);
        }
    }
}

fn offer(
    bytes: &Bytes<'_>,
    endian: Endian,
    path: &[u8],
    pieces: &[Piece],
    door: &mut Door<'_, '_>,
) -> Result<Offered, Halt> {
    let newest = pieces.last().map_or(0, |piece| piece.at);
    let head = bytes.vec(newest, 68)?;
    let fields = Fields { bytes: &head, endian };
    let (mode, size) = (fields.u32(20), u64::from(fields.u32(28)));
    let owner = Owner { user: u32::from(fields.u16(24)), group: u32::from(fields.u16(26)) };
    let found = |kind| Found { path: path.to_vec(), mode, owner: Some(owner), kind };
    match mode & 0o170_000 {
        0o040_000 => {
            door.offer_bare(found(FoundKind::Directory))?;
            return Ok(Offered::Directory);
        }
        0o120_000 => {
            let target = content(bytes, endian, pieces, size.min(TARGET_BYTES_MAX), door)?;
            door.offer_bare(found(FoundKind::Symlink { target }))?;
        }
        0o100_000 => {
            let limit = door.budget.limits.file_bytes_max;
            if size > limit.0 {
                return door
                    .offer_bare(found(FoundKind::Special))
                    .and(Err(LimitReached::FileBytes(limit).into()));
            }
            let content = content(bytes, endian, pieces, size, door)?;
            door.offer(found(FoundKind::File { size }), Content::Stream(&mut content.as_slice()))?;
        }
        _ => door.offer_bare(found(FoundKind::Special))?,
    }
    Ok(Offered::Other)
}

/// Puts a file together, older pieces first.
fn content(
    bytes: &Bytes<'_>,
    endian: Endian,
    pieces: &[Piece],
    size: u64,
    door: &mut Door<'_, '_>,
) -> Result<Vec<u8>, Halt> {
    let mut content = Vec::new();
    for piece in pieces {
        let head = bytes.vec(piece.at, 68)?;
        let fields = Fields { bytes: &head, endian };
        let unpacked = u64::from(fields.u32(52));
        // A whole erase block is the most that a node can hold.
        if unpacked > GAP_BYTES_MAX {
            return Err(bad("a node holds more than an erase block"));
        }
        door.steps(1 + unpacked / 4096)?;
        let packed = bytes.vec(piece.at + 68, u64::from(fields.u32(48)))?;
        let unpacked = usize::try_from(unpacked).unwrap_or(0);
        let block = unpack(fields.u8(56), &packed, unpacked).map_err(bad)?;
        let start = u64::from(fields.u32(44)).min(size);
        let start = usize::try_from(start).unwrap_or(usize::MAX);
        let most = usize::try_from(size).unwrap_or(usize::MAX).saturating_sub(start).min(block.len());
        if content.len() < start + most {
            door.budget.charge((start + most - content.len()) as u64)?;
            content.resize(start + most, 0);
        }
        if let (Some(to), Some(from)) = (content.get_mut(start..start + most), block.get(..most)) {
            to.copy_from_slice(from);
        }
    }
    let whole = usize::try_from(size).unwrap_or(usize::MAX);
    if content.len() < whole {
        door.budget.charge((whole - content.len()) as u64)?;
    }
    content.resize(whole, 0);
    Ok(content)
}

fn unpack(codec: u8, packed: &[u8], size: usize) -> Result<Vec<u8>, &'static str> {
    let block = match codec {
        0 => packed.to_vec(),
        1 => vec![0; size],
        2 => rtime::unpack(packed, size)?,
        6 => super::zlib(packed, size)?,
        7 => {
            let mut out = Vec::new();
            lzo::unpack(packed, &mut out, size)?;
            out
        }
        // OpenWrt's patch of Linux: no header, and all properties zero.
        8 => lzma::unpack(Header::Nothing { lc: 0, lp: 0, pb: 0 }, packed, size)?,
        _ => return Err("a node is packed with a codec that is not read"),
    };
    if block.len() == size { Ok(block) } else { Err("a node holds less than it says") }
}
