//! YAFFS2, of both byte orders, as images with spare areas.
//!
//! In: an image. Out: its tree as the newest chunks say. Refuses images without spare areas, and chunks whose tags make no
//! sense, one by one. An image does not say how large its pages are: the likely sizes are tried.
//!
//! Layout as in `yaffs_guts.h` and `yaffs_packedtags2.h`: an object's header is chunk 0, its content follows from 1.

use std::collections::BTreeMap;
use std::io::{self, Read};

use crate::bytes::{Bytes, Endian, Fields};
use crate::door::{Content, Door, Found, FoundKind};
use crate::error::{Halt, bad};
use crate::format::{Carve, Claim, Format, Unpack};
use crate::report::Owner;
use crate::tree::{Names, Offered};

pub(crate) static FORMAT: Format = Format {
    name: "YAFFS2",
    extension: "yaffs2",
    // The type of the first object, its parent (the root), and a sum that is no longer used.
    magics: &[
        (0, b"\x01\0\0\0\x01\0\0\0\xff\xff"),
        (0, b"\x03\0\0\0\x01\0\0\0\xff\xff"),
        (0, b"\x02\0\0\0\x01\0\0\0\xff\xff"),
        (0, b"\0\0\0\x01\0\0\0\x01\xff\xff"),
        (0, b"\0\0\0\x03\0\0\0\x01\xff\xff"),
        (0, b"\0\0\0\x02\0\0\0\x01\xff\xff"),
    ],
    carve: Carve::Anywhere,
    claim: |bytes| {
        let geometry = Geometry::guess(bytes)?;
        let order = if geometry.endian == Endian::Little { "" } else { ", big-endian" };
        let label = format!("YAFFS2 (pages of {} + {} bytes{order})", geometry.page, geometry.spare);
        Some(Claim::new(label, geometry.length(bytes)))
    },
    unpack: Unpack::Tree(walk),
};

/// The number of the root.
const ROOT: u64 = 1;

/// Pages and spare areas of real chips.
const GEOMETRIES: [(u64, u64); 12] = [
    (2048, 64),
    (4096, 128),
    (512, 16),
    (4096, 224),
    (4096, 256),
    (8192, 256),
    (8192, 448),
    (16384, 512),
    (1024, 32),
    (2048, 128),
    (4096, 64),
    (8192, 512),
];

/// Where in a spare area the tags may begin: behind the mark of a bad block, or not.
const TAGS_AT: [u64; 4] = [0, 2, 1, 4];

/// Chunks that are looked at to find the sizes.
const TRIED_CHUNKS: u64 = 8;

#[derive(Debug, Clone, Copy)]
struct Geometry {
    endian: Endian,
    page: u64,
    spare: u64,
    tags_at: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Tags {
    sequence: u32,
    object: u64,
    chunk: u32,
    bytes: u32,
}

impl Geometry {
    fn guess(bytes: &Bytes<'_>) -> Option<Self> {
        let endian = if bytes.u8(0)? == 0 { Endian::Big } else { Endian::Little };
        let all = GEOMETRIES.iter().flat_map(|(page, spare)| {
            TAGS_AT.iter().map(move |tags_at| Self { endian, page: *page, spare: *spare, tags_at: *tags_at })
        });
        all.filter(|geometry| bytes.length() >= geometry.page + geometry.spare)
            .map(|geometry| (geometry.score(bytes), geometry))
            .filter(|(score, _)| *score > 0)
            .fold(None, |best: Option<(u64, Self)>, one| match best {
                Some(best) if best.0 >= one.0 => Some(best),
                _ => Some(one),
            })
            .map(|(_, geometry)| geometry)
    }

    /// Says how many of the first chunks make sense; zero where one does not.
    fn score(self, bytes: &Bytes<'_>) -> u64 {
        let mut score = 0;
        for index in 0..TRIED_CHUNKS {
            let Some((tags, at)) = self.chunk(bytes, index) else { break };
            if tags.sequence == u32::MAX {
                break;
            }
            let is_header =
                matches!(bytes.u32(self.endian, at), Some(1..=5)) && bytes.has(at + 8, b"\xff\xff");
            let is_sane = match tags.chunk {
                0 => is_header,
                _ => (1..=self.page).contains(&u64::from(tags.bytes)) && tags.chunk < 1 << 20,
            };
            if !is_sane
                || tags.object == 0
                || tags.object >= 1 << 18
                || !(0x1000..0xefff_ff00).contains(&tags.sequence)
            {
                return 0;
            }
            score += 1;
        }
        score
    }

    fn chunks(self, bytes: &Bytes<'_>) -> u64 {
        bytes.length() / (self.page + self.spare)
    }

    /// The length of what belongs together: up to the first chunk whose tags are neither written nor erased.
    fn length(self, bytes: &Bytes<'_>) -> u64 {
        let is_over = |index: u64| match self.chunk(bytes, index) {
            Some((tags, _)) => tags.sequence != u32::MAX && !(0x1000..0xefff_ff00).contains(&tags.sequence),
            None => true,
        };
        let chunks = (0..self.chunks(bytes)).find(|index| is_over(*index)).unwrap_or(self.chunks(bytes));
        chunks * (self.page + self.spare)
    }

    /// Reads the tags of a chunk, and says where its page is.
    fn chunk(self, bytes: &Bytes<'_>, index: u64) -> Option<(Tags, u64)> {
        let at = index.checked_mul(self.page + self.spare)?;
        let spare = bytes.array::<16>(at + self.page + self.tags_at)?;
        let fields = Fields { bytes: &spare, endian: self.endian };
        let (mut object, mut chunk) = (fields.u32(4), fields.u32(8));
        // A header may carry more in its tags: the highest bits say so.
        if chunk & 0x8000_0000 != 0 && chunk != u32::MAX {
            (object, chunk) = (object & 0x0fff_ffff, 0);
        }
        Some((Tags { sequence: fields.u32(0), object: u64::from(object), chunk, bytes: fields.u32(12) }, at))
    }
}

/// What the newest chunks say of an object.
#[derive(Default)]
struct Object {
    header: Option<(u32, u64)>,
    /// The place and the length of each piece of the content.
    pieces: BTreeMap<u32, (u32, u64, u32)>,
}

fn walk(bytes: &Bytes<'_>, door: &mut Door<'_, '_>) -> Result<(), Halt> {
    let geometry = Geometry::guess(bytes).ok_or_else(|| bad("no size of pages fits"))?;
    let mut objects: BTreeMap<u64, Object> = BTreeMap::new();
    for index in 0..geometry.chunks(bytes) {
        door.step()?;
        let Some((tags, at)) = geometry.chunk(bytes, index) else { break };
        if tags.sequence == u32::MAX || tags.object == 0 {
            continue;
        }
        let object = objects.entry(tags.object).or_default();
        // Of two chunks with the same number the one that was written later counts: in a block of a higher sequence, or
        // behind the other.
        if tags.chunk == 0 {
            if object.header.is_none_or(|(sequence, _)| sequence <= tags.sequence) {
                object.header = Some((tags.sequence, at));
            }
        } else if object.pieces.get(&tags.chunk).is_none_or(|(sequence, ..)| *sequence <= tags.sequence) {
            object.pieces.insert(tags.chunk, (tags.sequence, at, tags.bytes));
        }
    }
    let mut names = Names::default();
    for (number, object) in &objects {
        let Some((_, at)) = object.header else { continue };
        let head = bytes.head(at, 512);
        let fields = Fields { bytes: &head, endian: geometry.endian };
        let (parent, name) = (u64::from(fields.u32(4)), fields.text(10, 255));
        // 3 and 4 stand for what is deleted and for what is not linked.
        if !name.is_empty() && *number != ROOT && !matches!(parent, 3 | 4) {
            names.insert(parent, name.to_vec(), *number);
        }
    }
    names.walk(ROOT, door, &mut |path, node, door| {
        let object = objects.get(&node).ok_or_else(|| bad("an entry names an object that is not there"))?;
        offer(bytes, geometry, path, object, door)
    })
}

fn offer(
    bytes: &Bytes<'_>,
    geometry: Geometry,
    path: &[u8],
    object: &Object,
    door: &mut Door<'_, '_>,
) -> Result<Offered, Halt> {
    let at = object.header.map_or(0, |(_, at)| at);
    let head = bytes.head(at, 512);
    let fields = Fields { bytes: &head, endian: geometry.endian };
    let owner = Owner { user: fields.u32(272), group: fields.u32(276) };
    let found = |kind| Found { path: path.to_vec(), mode: fields.u32(268), owner: Some(owner), kind };
    match fields.u32(0) {
        1 => {
            let size = u64::from(fields.u32(292));
            let mut content = Chunks { bytes, geometry, object, size, position: 0 };
            door.offer(found(FoundKind::File { size }), Content::Stream(&mut content))?;
        }
        2 => door.offer_bare(found(FoundKind::Symlink { target: fields.text(300, 160).to_vec() }))?,
        3 => {
            door.offer_bare(found(FoundKind::Directory))?;
            return Ok(Offered::Directory);
        }
        // A hard link names an object, not a path.
        _ => door.offer_bare(found(FoundKind::Special))?,
    }
    Ok(Offered::Other)
}

/// The content of a file, a chunk at a time.
struct Chunks<'c, 'a> {
    bytes: &'c Bytes<'a>,
    geometry: Geometry,
    object: &'c Object,
    size: u64,
    position: u64,
}

impl Read for Chunks<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let offset = self.position % self.geometry.page;
        let index = u32::try_from(self.position / self.geometry.page + 1).unwrap_or(u32::MAX);
        let left = self.size.saturating_sub(self.position).min(self.geometry.page - offset);
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let Some(buffer) = buffer.get_mut(..most) else { return Ok(0) };
        let piece = self.object.pieces.get(&index).map(|(_, at, bytes)| (*at, u64::from(*bytes)));
        // What was never written reads as zero, and so does the rest of a chunk that is not full.
        buffer.fill(0);
        if let Some((at, _)) = piece.filter(|(_, bytes)| *bytes > offset) {
            self.bytes.read_exact(at + offset, buffer)?;
        }
        self.position += buffer.len() as u64;
        Ok(buffer.len())
    }
}
