//! The file system of Minix, versions 1 and 2, as small Linux systems had it.
//!
//! In: an image. Out: its tree; contents are windows. Refuses zones that do not exist.
//!
//! Layout as in `include/uapi/linux/minix_fs.h`; blocks have 1,024 bytes.

use crate::bytes::{Bytes, Fields, Pieces};
use crate::door::{Content, Door, Found, FoundKind, TARGET_BYTES_MAX};
use crate::error::{Halt, bad};
use crate::format::{Carve, Claim, Format, Unpack};
use crate::report::Owner;
use crate::tree::{Names, Offered};

pub(crate) static FORMAT: Format = Format {
    name: "Minix",
    extension: "minix",
    magics: &[(1040, b"\x7f\x13"), (1040, b"\x8f\x13"), (1040, b"\x68\x24"), (1040, b"\x78\x24")],
    carve: Carve::AtStart,
    claim: |bytes| {
        let volume = Volume::read(bytes)?;
        Some(Claim::new(format!("Minix, version {}", volume.version), volume.zones * BLOCK))
    },
    unpack: Unpack::Tree(walk),
};

const BLOCK: u64 = 1024;

/// The inode of the root.
const ROOT: u64 = 1;

struct Volume<'a> {
    bytes: Bytes<'a>,
    version: u32,
    name_bytes: u64,
    inodes: u64,
    zones: u64,
    table: u64,
}

struct Inode {
    mode: u32,
    owner: Owner,
    size: u64,
    zones: Vec<u64>,
}

impl<'a> Volume<'a> {
    fn read(bytes: &Bytes<'a>) -> Option<Self> {
        let head = bytes.array::<32>(BLOCK)?;
        let fields = Fields::little(&head);
        let (version, name_bytes) = match fields.u16(16) {
            0x137f => (1, 14),
            0x138f => (1, 30),
            0x2468 => (2, 14),
            0x2478 => (2, 30),
            _ => return None,
        };
        let zones = if version == 1 { u64::from(fields.u16(2)) } else { u64::from(fields.u32(20)) };
        let maps = u64::from(fields.u16(4)) + u64::from(fields.u16(6));
        let inodes = u64::from(fields.u16(0));
        let first = u64::from(fields.u16(8));
        let table = (2 + maps) * BLOCK;
        let is_sane = fields.u16(10) == 0 && inodes > 0 && zones > first && first > 2 + maps;
        is_sane.then(|| Self { bytes: bytes.clone(), version, name_bytes, inodes, zones, table })
    }

    fn inode(&self, number: u64) -> Result<Inode, Halt> {
        if number == 0 || number > self.inodes {
            return Err(bad("an entry names an inode that is not there"));
        }
        let size = if self.version == 1 { 32 } else { 64 };
        let inode = self.bytes.vec(self.table + (number - 1) * size, size)?;
        let fields = Fields::little(&inode);
        Ok(if self.version == 1 {
            Inode {
                mode: u32::from(fields.u16(0)),
                owner: Owner { user: u32::from(fields.u16(2)), group: u32::from(fields.u8(12)) },
                size: u64::from(fields.u32(4)),
                zones: (0..9).map(|index| u64::from(fields.u16(14 + index * 2))).collect(),
            }
        } else {
            Inode {
                mode: u32::from(fields.u16(0)),
                owner: Owner { user: u32::from(fields.u16(4)), group: u32::from(fields.u16(6)) },
                size: u64::from(fields.u32(8)),
                zones: (0..10).map(|index| u64::from(fields.u32(24 + index * 4))).collect(),
            }
        })
    }

    /// Puts a content together: seven zones, then one, two and three levels of zones of numbers.
    fn content(&self, inode: &Inode, door: &mut Door<'_, '_>) -> Result<Bytes<'a>, Halt> {
        let mut pieces = Vec::new();
        let mut at = 0;
        for (index, zone) in inode.zones.iter().enumerate() {
            let level = u32::try_from(index.saturating_sub(6)).unwrap_or(0);
            self.zone(*zone, level, inode.size, &mut at, &mut pieces, door)?;
        }
        Ok(Pieces::joined(inode.size, 0, pieces))
    }

    fn zone(
        &self,
        zone: u64,
        level: u32,
        size: u64,
        at: &mut u64,
        pieces: &mut Vec<(u64, Bytes<'a>)>,
        door: &mut Door<'_, '_>,
    ) -> Result<(), Halt> {
        if *at >= size {
            return Ok(());
        }
        door.step()?;
        let width = if self.version == 1 { 2 } else { 4 };
        if zone == 0 {
            *at = at.saturating_add(BLOCK.saturating_mul((BLOCK / width).saturating_pow(level)));
            return Ok(());
        }
        if zone >= self.zones || pieces.len() as u64 > self.zones {
            return Err(bad("a file names a zone that does not exist, or too many"));
        }
        if level == 0 {
            pieces.push((*at, self.bytes.slice(zone * BLOCK, BLOCK)));
            *at += BLOCK;
            return Ok(());
        }
        let block = self.bytes.vec(zone * BLOCK, BLOCK)?;
        for entry in block.chunks_exact(usize::try_from(width).unwrap_or(4)) {
            let fields = Fields::little(entry);
            let zone = if width == 2 { u64::from(fields.u16(0)) } else { u64::from(fields.u32(0)) };
            self.zone(zone, level - 1, size, at, pieces, door)?;
        }
        Ok(())
    }
}

fn walk(bytes: &Bytes<'_>, door: &mut Door<'_, '_>) -> Result<(), Halt> {
    let volume = Volume::read(bytes).ok_or_else(|| bad("its superblock makes no sense"))?;
    let mut names = Names::default();
    for number in 1..=volume.inodes {
        door.step()?;
        let Ok(inode) = volume.inode(number) else { break };
        if inode.mode & 0o170_000 != 0o040_000 {
            continue;
        }
        let end = list(&volume, number, &inode, &mut names, door);
        if number == ROOT { end? } else { door.tolerate(format!("inode-{number}").as_bytes(), end)? }
    }
    names.walk(ROOT, door, &mut |path, number, door| {
        let inode = volume.inode(number)?;
        let found = |kind| Found { path: path.to_vec(), mode: inode.mode, owner: Some(inode.owner), kind };
        match inode.mode & 0o170_000 {
            0o040_000 => {
                door.offer_bare(found(FoundKind::Directory))?;
                return Ok(Offered::Directory);
            }
            0o100_000 => {
                let content = volume.content(&inode, door)?;
                door.offer(found(FoundKind::File { size: inode.size }), Content::Window(content))?;
            }
            0o120_000 => {
                let content = volume.content(&inode, door)?;
                let target = content.vec(0, inode.size.min(TARGET_BYTES_MAX))?;
                door.offer_bare(found(FoundKind::Symlink { target }))?;
            }
            _ => door.offer_bare(found(FoundKind::Special))?,
        }
        Ok(Offered::Other)
    })
}

/// Reads the names in a directory.
fn list(
    volume: &Volume<'_>,
    number: u64,
    inode: &Inode,
    names: &mut Names,
    door: &mut Door<'_, '_>,
) -> Result<(), Halt> {
    let content = volume.content(inode, door)?;
    let entry_bytes = volume.name_bytes + 2;
    for index in 0..content.length() / entry_bytes {
        door.step()?;
        let entry = content.vec(index * entry_bytes, entry_bytes)?;
        let fields = Fields::little(&entry);
        let name = fields.text(2, usize::try_from(volume.name_bytes).unwrap_or(0));
        let node = u64::from(fields.u16(0));
        if node != 0 && !matches!(name, b"" | b"." | b"..") {
            names.insert(number, name.to_vec(), node);
        }
    }
    Ok(())
}
