//! FAT12, FAT16 and FAT32, with long names.
//!
//! In: an image. Out: its tree; contents are windows. Refuses chains of clusters that come back to themselves, and
//! clusters that do not exist.
//!
//! Microsoft's "FAT: General Overview of On-Disk Format", version 1.03.

use crate::bytes::{Bytes, Endian, Fields, Pieces};
use crate::door::{Content, Door, Found, FoundKind};
use crate::error::{Halt, bad, early};
use crate::format::{Carve, Claim, Format, Unpack};
use crate::path::{PATH_DEPTH_MAX, PathError};
use crate::report::Why;

pub(crate) static FORMAT: Format = Format {
    name: "FAT",
    extension: "fat",
    magics: &[(510, b"\x55\xaa")],
    carve: Carve::AtStart,
    claim: |bytes| {
        let volume = Volume::read(bytes)?;
        let name = match volume.width {
            Width::Twelve => "FAT12",
            Width::Sixteen => "FAT16",
            Width::ThirtyTwo => "FAT32",
        };
        Some(Claim::new(name, volume.length))
    },
    unpack: Unpack::Tree(walk),
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Width {
    Twelve,
    Sixteen,
    ThirtyTwo,
}

struct Volume {
    width: Width,
    length: u64,
    table: u64,
    /// Where the root stands, and how long it is; of FAT32 its cluster instead.
    root: Root,
    data: u64,
    cluster_bytes: u64,
    clusters: u64,
}

#[derive(Clone, Copy)]
enum Root {
    Fixed { at: u64, length: u64 },
    Cluster(u64),
}

impl Volume {
    fn read(bytes: &Bytes<'_>) -> Option<Self> {
        let head = bytes.array::<512>(0)?;
        let fields = Fields::little(&head);
        let sector = u64::from(fields.u16(11));
        let per_cluster = u64::from(fields.u8(13));
        let (reserved, tables) = (u64::from(fields.u16(14)), u64::from(fields.u8(16)));
        let root_entries = u64::from(fields.u16(17));
        let pick = |small: usize, large: usize| match fields.u16(small) {
            0 => u64::from(fields.u32(large)),
            small => u64::from(small),
        };
        let (sectors, table_sectors) = (pick(19, 32), pick(22, 36));
        let is_sane = matches!(sector, 512 | 1024 | 2048 | 4096)
            && per_cluster.is_power_of_two()
            && (1..=4).contains(&tables)
            && reserved > 0
            && table_sectors > 0
            && matches!(fields.u8(21), 0xf0 | 0xf8..=0xff)
            && matches!(fields.u8(0), 0xeb | 0xe9);
        if !is_sane {
            return None;
        }
        let root_at = (reserved + tables * table_sectors) * sector;
        let root_bytes = (root_entries * 32).next_multiple_of(sector);
        let data = root_at + root_bytes;
        let clusters = (sectors * sector).checked_sub(data)? / (sector * per_cluster);
        let width = match clusters {
            0..4085 if root_entries > 0 => Width::Twelve,
            4085..65_525 if root_entries > 0 => Width::Sixteen,
            _ => Width::ThirtyTwo,
        };
        let root = match width {
            Width::ThirtyTwo => Root::Cluster(u64::from(fields.u32(44))),
            Width::Twelve | Width::Sixteen => Root::Fixed { at: root_at, length: root_entries * 32 },
        };
        Some(Self {
            width,
            length: sectors * sector,
            table: reserved * sector,
            root,
            data,
            cluster_bytes: sector * per_cluster,
            clusters,
        })
    }

    /// The cluster behind one in its chain; `None` at the end.
    fn next(&self, bytes: &Bytes<'_>, cluster: u64) -> Result<Option<u64>, Halt> {
        let (value, end) = match self.width {
            Width::Twelve => {
                let at = self.table + cluster + cluster / 2;
                let word = u64::from(bytes.u16(Endian::Little, at).ok_or_else(early)?);
                (if cluster & 1 == 1 { word >> 4 } else { word & 0xfff }, 0xff8)
            }
            Width::Sixteen => {
                let word = bytes.u16(Endian::Little, self.table + cluster * 2).ok_or_else(early)?;
                (u64::from(word), 0xfff8)
            }
            Width::ThirtyTwo => {
                let word = bytes.u32(Endian::Little, self.table + cluster * 4).ok_or_else(early)?;
                (u64::from(word & 0x0fff_ffff), 0x0fff_fff8)
            }
        };
        Ok((value < end).then_some(value))
    }

    /// The content of a chain of clusters, at most `size` bytes.
    fn chain<'a>(
        &self,
        bytes: &Bytes<'a>,
        first: u64,
        size: u64,
        door: &mut Door<'_, '_>,
    ) -> Result<Bytes<'a>, Halt> {
        let mut runs: Vec<(u64, u64, u64)> = Vec::new();
        let (mut at, mut length) = (Some(first).filter(|first| *first >= 2), 0_u64);
        let mut clusters = 0;
        while let Some(cluster) = at.filter(|_| length < size) {
            door.step()?;
            clusters += 1;
            if cluster < 2 || cluster >= self.clusters + 2 {
                return Err(bad("a chain leads to a cluster that does not exist"));
            }
            if clusters > self.clusters {
                return Err(bad("a chain of clusters comes back to itself"));
            }
            let place = self.data + (cluster - 2) * self.cluster_bytes;
            match runs.last_mut() {
                Some((_, start, run)) if *start + *run == place => *run += self.cluster_bytes,
                _ => runs.push((length, place, self.cluster_bytes)),
            }
            length += self.cluster_bytes;
            at = self.next(bytes, cluster)?;
        }
        let pieces = runs.into_iter().map(|(at, start, run)| (at, bytes.slice(start, run))).collect();
        Ok(Pieces::joined(length.min(size), 0, pieces))
    }
}

fn walk(bytes: &Bytes<'_>, door: &mut Door<'_, '_>) -> Result<(), Halt> {
    let volume = Volume::read(bytes).ok_or_else(|| bad("its first sector makes no sense"))?;
    let root = match volume.root {
        Root::Fixed { at, length } => bytes.slice(at, length),
        Root::Cluster(cluster) => volume.chain(bytes, cluster, bytes.length(), door)?,
    };
    let mut directories = vec![(Vec::new(), 0, root)];
    while let Some((path, depth, directory)) = directories.pop() {
        let mut below = Vec::new();
        let mut long = Vec::new();
        for index in 0..directory.length() / 32 {
            door.step()?;
            let entry = directory.vec(index * 32, 32)?;
            let fields = Fields::little(&entry);
            match (fields.u8(0), fields.u8(11)) {
                (0, _) => break,
                (0xe5, _) => long.clear(),
                (_, 0x0f) => take_long(fields, &mut long),
                // The label of the volume.
                (_, kind) if kind & 8 != 0 => long.clear(),
                (first, _) => {
                    let name = name(fields, first, &mut long);
                    if name == "." || name == ".." {
                        continue;
                    }
                    let mut full: Vec<u8> = path.clone();
                    if !full.is_empty() {
                        full.push(b'/');
                    }
                    full.extend(name.bytes());
                    let end = offer(&volume, bytes, fields, &full, door);
                    match end {
                        Ok(Some(_)) if depth >= PATH_DEPTH_MAX => {
                            door.skip(&full, Why::Path(PathError::TooDeep))?;
                        }
                        Ok(Some(content)) => below.push((full, depth + 1, content)),
                        end => door.tolerate(&full, end.map(drop))?,
                    }
                }
            }
        }
        below.reverse();
        directories.extend(below);
    }
    Ok(())
}

/// Hands an entry on; returns the content of a directory.
fn offer<'a>(
    volume: &Volume,
    bytes: &Bytes<'a>,
    fields: Fields<'_>,
    path: &[u8],
    door: &mut Door<'_, '_>,
) -> Result<Option<Bytes<'a>>, Halt> {
    let first = u64::from(fields.u16(20)) << 16 | u64::from(fields.u16(26));
    let first = if volume.width == Width::ThirtyTwo { first } else { first & 0xffff };
    let found = |kind| Found { path: path.to_vec(), mode: 0o755, owner: None, kind };
    if fields.u8(11) & 0x10 != 0 {
        let content = volume.chain(bytes, first, bytes.length(), door)?;
        door.offer_bare(found(FoundKind::Directory))?;
        return Ok(Some(content));
    }
    let size = u64::from(fields.u32(28));
    let content = volume.chain(bytes, first, size, door)?;
    if content.length() < size {
        return Err(bad("a chain of clusters is shorter than its file"));
    }
    door.offer(found(FoundKind::File { size }), Content::Window(content))?;
    Ok(None)
}

/// Takes a part of a long name; the last part comes first.
fn take_long(fields: Fields<'_>, long: &mut Vec<u16>) {
    if fields.u8(0) & 0x40 != 0 || long.len() > 260 {
        long.clear();
    }
    let places = (1..11).step_by(2).chain((14..26).step_by(2)).chain([28, 30]);
    let mut part: Vec<u16> = places.map(|at| fields.u16(at)).take_while(|unit| *unit != 0).collect();
    part.append(long);
    *long = part;
}

/// The name of an entry: the long one before it, else the eight and three letters.
fn name(fields: Fields<'_>, first: u8, long: &mut Vec<u16>) -> String {
    let units: Vec<u16> = std::mem::take(long).into_iter().filter(|unit| *unit != 0xffff).collect();
    if !units.is_empty() {
        return String::from_utf16_lossy(&units);
    }
    // Windows says in a reserved byte which half is in small letters.
    let text = |at: usize, length: usize, small: u8| -> String {
        let letters = fields.slice(at, length).iter().map(|byte| char::from(*byte));
        let text: String = letters.collect();
        let text = text.trim_end();
        if fields.u8(12) & small != 0 { text.to_ascii_lowercase() } else { text.to_owned() }
    };
    let mut stem = text(0, 8, 8);
    if first == 5 {
        stem.replace_range(0..1, "\u{e5}");
    }
    match text(8, 3, 16).as_str() {
        "" => stem,
        extension => format!("{stem}.{extension}"),
    }
}
