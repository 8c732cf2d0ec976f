//! The patch format, version 2: its head. `docs/reference/patch-format.md` tells the whole format byte by byte.
//!
//! In: the head of a patch. Out: its bytes, and the way back. Refuses: another magic, another version, unknown profiles,
//! sizes that this version does not know, numbers spelled longer than needed.

use warden_model::{ByteCount, Sha256Digest};
use warden_patch::chart::{Copy, Lesson};
use warden_patch::flash::workspace::STACK_BYTES;
use warden_patch::mixing::{Seen, Shape};

/// The first bytes of each patch.
pub const MAGIC: [u8; 7] = *b"FWDELTA";

/// The version of the format that this crate writes and reads.
pub const VERSION: u8 = 2;

/// Longest spelling of a number, in bytes: 64 bits in groups of seven.
const NUMBER_BYTES_MAX: u32 = 10;

/// The largest table that a patch may name, as a power of two: 2^22 slots are far beyond what any device lends.
const LOG_MAX: u8 = 22;

/// The smallest and the largest window, as powers of two: a flash page, and the largest image by far.
const WINDOW_LOG: (u8, u8) = (12, 32);

/// How many windows a patch may have: 64 GiB of images in windows of 1 MiB.
pub const WINDOWS_MAX: u64 = 1 << 16;

/// How many copies a part may have: their order is kept in 16 bits each.
pub const COPIES_MAX: u32 = 1 << 16;

/// The longest table of packed stretches that is read, in bytes: what [`crate::layers`] allows, generously spelled.
pub const LAYERS_BYTES_MAX: u64 = 4 << 20;

/// How what is not predicted is coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// Context mixing in large tables: the smallest patches.
    Linux,
    /// Context mixing in tables for a microcontroller: at most 64 KiB of memory, no layers.
    Mcu,
    /// Zstandard: somewhat larger patches for weak processors.
    Fast,
}

impl Profile {
    /// Returns its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Linux => "linux",
            Self::Mcu => "mcu",
            Self::Fast => "fast",
        }
    }
}

/// The sizes of the tables that a decoder keeps, as powers of two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sizes {
    pub(crate) shape: Shape,
    /// Lessons in all tables.
    pub(crate) lessons_log: u32,
    /// The window of the profile `fast`.
    pub(crate) frame_log: u32,
    /// How much of the new plain image makes a window.
    pub(crate) window_log: u32,
}

/// What a patch says of itself before anything is decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// How it is coded.
    pub profile: Profile,
    /// The digest of the image that the patch applies to.
    pub base: Sha256Digest,
    /// The digest of the image that it makes.
    pub result: Sha256Digest,
    /// The size of the image that the patch applies to.
    pub base_size: ByteCount,
    /// The size of the image that it makes.
    pub result_size: ByteCount,
    /// The size of the image that it applies to, unpacked.
    pub base_plain_size: ByteCount,
    /// The size of the image that it makes, unpacked.
    pub result_plain_size: ByteCount,
    /// How many layers are unpacked: 0 to 3.
    pub layers: u8,
    /// How much storage unpacking takes beside memory.
    pub scratch: ByteCount,
    /// How much memory the packers and unpackers of its layers take.
    pub layers_memory: ByteCount,
    /// The most copies that a part has.
    pub copies_max: u32,
    /// How many windows it has.
    pub windows: u32,
    pub(crate) sizes: Sizes,
    pub(crate) layers_len: u64,
}

/// What a decoder needs besides its tables: buffers of images and patch, stack.
const FIXED_MEMORY: u64 = 256 << 10;

impl Header {
    /// Returns how much memory applying takes here: other than a microcontroller, which writes its flash as it goes, we keep
    /// each window until it is checked.
    pub(crate) fn host_memory(&self) -> ByteCount {
        let window = match self.profile {
            Profile::Mcu => FIXED_MEMORY + self.window_bytes(),
            Profile::Linux | Profile::Fast => 0,
        };
        ByteCount(self.memory().0.saturating_add(window))
    }

    /// Returns how long a window is at most, in bytes.
    fn window_bytes(&self) -> u64 {
        self.result_plain_size.0.min(1 << self.sizes.window_log)
    }

    /// Returns how much memory applying takes on the device for which the patch was made.
    pub fn memory(&self) -> ByteCount {
        let Sizes { shape, lessons_log, frame_log, .. } = self.sizes;
        let size = |count: usize, of: usize| (count as u64).saturating_mul(of as u64);
        let slot = if self.profile == Profile::Mcu { 2 } else { 4 };
        let tables = match self.profile {
            Profile::Fast => (1 << frame_log) + FIXED_MEMORY,
            Profile::Linux | Profile::Mcu => {
                size(shape.slots(), slot)
                    + size(shape.seen(), size_of::<Seen>())
                    + shape.history() as u64
                    + size(shape.index(), 4)
            }
        };
        let copies = u64::from(self.copies_max) * (size_of::<Copy>() as u64 + 2);
        let lessons = size(1 << lessons_log, size_of::<Lesson>());
        let rest = if self.profile == Profile::Mcu {
            // A microcontroller writes its flash as it goes; block, view and weights live on its stack.
            STACK_BYTES as u64
        } else {
            FIXED_MEMORY + self.window_bytes()
        };
        // The last one is what a stranger says: it may be anything.
        ByteCount((tables + copies + lessons + rest).saturating_add(self.layers_memory.0))
    }
}

/// A window as the head tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WindowHead {
    /// How many coded bytes it has.
    pub(crate) coded_len: u64,
    /// The first bytes of the SHA-256 of what it stands for.
    pub(crate) check: Option<[u8; 8]>,
}

/// Why bytes are no head that this version reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeadProblem {
    Magic,
    Version(u8),
    Corrupt(&'static str),
}

/// Writes the head of a patch.
pub(crate) fn write_head(header: &Header, windows: &[WindowHead]) -> Vec<u8> {
    let Sizes { shape, lessons_log, frame_log, window_log } = header.sizes;
    let profile = match header.profile {
        Profile::Linux => 1,
        Profile::Mcu => 2,
        Profile::Fast => 3,
    };
    let mut out = [&MAGIC[..], &[VERSION, profile, header.layers]].concat();
    let logs =
        [shape.log, shape.small_log, shape.seen_log, shape.history_log, lessons_log, frame_log, window_log];
    out.extend(logs.map(|log| u8::try_from(log).unwrap_or(u8::MAX)));
    out.extend(header.base.0);
    out.extend(header.result.0);
    write_number(header.base_size.0, &mut out);
    write_number(header.result_size.0, &mut out);
    write_number(u64::from(header.copies_max), &mut out);
    if header.layers > 0 {
        let numbers = [
            header.base_plain_size.0,
            header.result_plain_size.0,
            header.scratch.0,
            header.layers_memory.0,
            header.layers_len,
        ];
        for number in numbers {
            write_number(number, &mut out);
        }
    }
    write_number(windows.len() as u64, &mut out);
    for window in windows {
        write_number(window.coded_len, &mut out);
        out.extend(window.check.iter().flatten());
    }
    out
}

/// Takes bytes from somewhere: the start of a patch.
pub(crate) trait Take {
    type Error: From<HeadProblem>;

    fn take(&mut self, into: &mut [u8]) -> Result<(), Self::Error>;
}

pub(crate) fn bytes<const N: usize, T: Take>(from: &mut T) -> Result<[u8; N], T::Error> {
    let mut bytes = [0; N];
    from.take(&mut bytes)?;
    Ok(bytes)
}

/// Reads the head of a patch up to the list of its windows.
pub(crate) fn read_header<T: Take>(from: &mut T) -> Result<Header, T::Error> {
    if bytes::<7, T>(from)? != MAGIC {
        return Err(HeadProblem::Magic.into());
    }
    let [version] = bytes(from)?;
    if version != VERSION {
        return Err(HeadProblem::Version(version).into());
    }
    let [profile, layers] = bytes(from)?;
    let profile = match profile {
        1 => Profile::Linux,
        2 => Profile::Mcu,
        3 => Profile::Fast,
        warden_patch::flash::head::PROFILE => {
            return Err(HeadProblem::Corrupt("it was made for an update in place, for one slot").into());
        }
        _ => return Err(HeadProblem::Corrupt("the header names an unknown profile").into()),
    };
    let sizes = read_sizes(from)?;
    let base = Sha256Digest(bytes(from)?);
    let result = Sha256Digest(bytes(from)?);
    let base_size = ByteCount(number(from)?);
    let result_size = ByteCount(number(from)?);
    let copies_max = number(from)?;
    let copies_max = u32::try_from(copies_max).ok().filter(|count| *count <= COPIES_MAX);
    let copies_max = copies_max.ok_or(HeadProblem::Corrupt("the header names too many copies"))?;
    let mut header = Header {
        profile,
        base,
        result,
        base_size,
        result_size,
        base_plain_size: base_size,
        result_plain_size: result_size,
        layers,
        scratch: ByteCount(0),
        layers_memory: ByteCount(0),
        copies_max,
        windows: 0,
        sizes,
        layers_len: 0,
    };
    if layers > 0 {
        read_layers_head(from, &mut header)?;
    }
    let windows = number(from)?;
    if windows == 0 || windows > WINDOWS_MAX {
        return Err(HeadProblem::Corrupt("the header names no windows, or too many").into());
    }
    header.windows = u32::try_from(windows).unwrap_or(u32::MAX);
    Ok(header)
}

fn read_sizes<T: Take>(from: &mut T) -> Result<Sizes, T::Error> {
    let logs: [u8; 7] = bytes(from)?;
    let [log, small_log, seen_log, history_log, lessons_log, frame_log, window_log] = logs.map(u32::from);
    let tables = [log, small_log, seen_log, history_log, lessons_log];
    if tables.iter().any(|log| *log > u32::from(LOG_MAX)) || frame_log > 27 {
        return Err(HeadProblem::Corrupt("the header names a table that is too large").into());
    }
    if !(u32::from(WINDOW_LOG.0)..=u32::from(WINDOW_LOG.1)).contains(&window_log) {
        return Err(HeadProblem::Corrupt("the header names a window that cannot be").into());
    }
    let shape = Shape { log, small_log, seen_log, history_log };
    Ok(Sizes { shape, lessons_log, frame_log, window_log })
}

fn read_layers_head<T: Take>(from: &mut T, header: &mut Header) -> Result<(), T::Error> {
    if usize::from(header.layers) > crate::layers::LAYERS_MAX {
        return Err(HeadProblem::Corrupt("the header names too many layers").into());
    }
    header.base_plain_size = ByteCount(number(from)?);
    header.result_plain_size = ByteCount(number(from)?);
    header.scratch = ByteCount(number(from)?);
    header.layers_memory = ByteCount(number(from)?);
    header.layers_len = number(from)?;
    if header.layers_len > LAYERS_BYTES_MAX {
        return Err(HeadProblem::Corrupt("the table of packed stretches is too long").into());
    }
    Ok(())
}

/// Reads the list of windows, which follows the header.
pub(crate) fn read_windows<T: Take>(from: &mut T, header: &Header) -> Result<Vec<WindowHead>, T::Error> {
    let mut windows = Vec::new();
    for index in 1..=header.windows {
        let coded_len = number(from)?;
        // Without layers, the last window is checked by the digest of the result.
        let check = if index < header.windows || header.layers > 0 { Some(bytes(from)?) } else { None };
        windows.push(WindowHead { coded_len, check });
    }
    Ok(windows)
}

/// Writes a number: LEB128, seven bits a byte, the lowest first.
pub(crate) fn write_number(mut value: u64, out: &mut Vec<u8>) {
    loop {
        let [low, ..] = value.to_le_bytes();
        value >>= 7;
        if value == 0 {
            out.push(low & 0x7f);
            return;
        }
        out.push(low | 0x80);
    }
}

/// Reads a number. One number has one spelling: no last byte is 0 but the only one.
pub(crate) fn number<T: Take>(from: &mut T) -> Result<u64, T::Error> {
    let misspelled = || T::Error::from(HeadProblem::Corrupt("a number of the header is misspelled"));
    let mut value = 0_u64;
    for group in 0..NUMBER_BYTES_MAX {
        let [byte] = bytes(from)?;
        let bits = u64::from(byte & 0x7f);
        let shifted = bits << (group * 7);
        if shifted >> (group * 7) != bits || (byte == 0 && group > 0) {
            return Err(misspelled());
        }
        value |= shifted;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(misspelled())
}
