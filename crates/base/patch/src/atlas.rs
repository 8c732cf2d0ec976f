//! Where old addresses went.
//!
//! In: the address spaces of both files, the copies of a patch, and what decoded words have taught. Out: for an old
//! address, the likely new one. Refuses nothing: a wrong guess costs bytes, never correctness.

/// A stretch of a file that is loaded somewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Segment {
    /// Where it starts in the file, in bytes.
    pub offset: u32,
    /// How much of it lies in the file, in bytes.
    pub file_len: u32,
    /// Where it is loaded.
    pub address: u64,
    /// How much room it takes there, in bytes: `.bss` makes it more than `file_len`.
    pub memory_len: u64,
}

/// How many segments a file may have: ELF files have two to six that are loaded.
pub const SEGMENTS_MAX: usize = 8;

/// The segments of a file: how its offsets and its addresses belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Space {
    segments: [Segment; SEGMENTS_MAX],
    count: usize,
}

impl Space {
    /// Takes the first [`SEGMENTS_MAX`] segments.
    pub fn new(segments: &[Segment]) -> Self {
        let mut space = Self::default();
        for (place, segment) in space.segments.iter_mut().zip(segments) {
            *place = *segment;
            space.count += 1;
        }
        space
    }

    /// A flat image of `len` bytes that is loaded at `base`.
    pub fn flat(base: u64, len: u32) -> Self {
        Self::new(&[Segment {
            offset: 0,
            file_len: len,
            address: base,
            memory_len: u64::from(len) + (1 << 20),
        }])
    }

    /// Returns the segments.
    pub fn segments(&self) -> &[Segment] {
        self.segments.get(..self.count).unwrap_or_default()
    }

    /// Returns the address at which a byte of the file is loaded; outside all segments, as if the first went on.
    pub fn address(&self, offset: u32) -> u64 {
        let inside = |s: &&Segment| offset >= s.offset && offset - s.offset < s.file_len;
        let segment = self.segments().iter().find(inside).or_else(|| self.segments().first());
        segment.map_or(u64::from(offset), |s| {
            s.address.wrapping_add(u64::from(offset)).wrapping_sub(u64::from(s.offset))
        })
    }

    /// Returns where in the file the byte lies that is loaded at an address.
    pub fn offset(&self, address: u64) -> Option<u32> {
        self.segments().iter().find_map(|s| {
            let inside = u32::try_from(address.checked_sub(s.address)?).ok()?;
            (inside < s.file_len).then(|| s.offset.checked_add(inside))?
        })
    }

    /// Says whether an address lies in a segment, in the file or behind it.
    pub fn holds(&self, address: u64) -> bool {
        self.segments().iter().any(|s| address >= s.address && address - s.address <= s.memory_len)
    }
}

/// What a predictor may ask and tell: a trait, so that predictors are tested without a patch.
pub trait Atlas {
    /// Returns the address of a byte of the old file.
    fn old_address(&self, offset: u32) -> u64;
    /// Returns the address of a byte of the new file.
    fn new_address(&self, offset: u32) -> u64;
    /// Returns where the byte at an offset of the old file probably lies in the new one (copies only, nothing learned).
    fn moved_offset(&self, old_offset: u32) -> u32;
    /// Returns the address that an old address probably has now, with what was learned; `None` for what is no address.
    fn moved(&self, old_address: u64) -> Option<u64>;
    /// Returns the address that a call's or a far branch's target probably has now. Functions move on their own: what was
    /// learned of one says little about the next, other than with data.
    fn moved_code(&self, old_address: u64) -> Option<u64> {
        self.moved(old_address)
    }
    /// Says whether a number can be an address of the old file or of its memory.
    fn is_address(&self, value: u64) -> bool;
    /// Returns the length of the old file, in bytes.
    fn old_len(&self) -> u32;
    /// Remembers that an old address is that new address.
    fn learn(&mut self, old_address: u64, new_address: u64);
}
