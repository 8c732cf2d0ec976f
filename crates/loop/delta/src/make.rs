//! Makes a patch from two images.
//!
//! In: both images in memory, limits. Out: a patch, or the news that it would not be smaller than the result itself.
//! Refuses: images above the limits, a compression level that does not exist, less memory on the device than any patch
//! takes.

use std::borrow::Cow;
use std::io;

use sha2::{Digest, Sha256};
use thiserror::Error;
use warden_model::{ByteCount, Sha256Digest};
use warden_patch::chart::Copy;
use warden_patch::mixing::Shape;
use warden_patch::model::{Narrow, Wide};

use crate::format::{COPIES_MAX, Header, Profile, Sizes, WindowHead, write_head};
use crate::matcher::FILE_BYTES_MAX;
use crate::plan::{Planned, plan};
use crate::stream::write::{Told, Window, WriteError, write_fast, write_mixed};
use crate::tell::tell_all;

/// What making a patch may cost, and what applying it may need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MakeLimits {
    /// Largest base. Sorting its suffixes takes four times its size in memory, finding matches once or twice more.
    pub base_bytes_max: ByteCount,
    /// Largest result.
    pub result_bytes_max: ByteCount,
    /// Most memory that applying the patch may take.
    pub memory_max: ByteCount,
    /// How it is coded.
    pub profile: Profile,
    /// The Zstandard level of the profile `fast`, 1 (fast) to 22 (small).
    pub level: u8,
}

impl Default for MakeLimits {
    fn default() -> Self {
        Self {
            // Root file systems of the devices that we know stay below 200 MiB; at 256 MiB the server needs some 2 GiB.
            base_bytes_max: ByteCount::mib(256),
            result_bytes_max: ByteCount::mib(256),
            // A device with 64 MiB of memory can spare a quarter while it updates.
            memory_max: ByteCount::mib(16),
            profile: Profile::Linux,
            // A patch is made once and loaded by thousands of devices; above 19 only the window would grow.
            level: 19,
        }
    }
}

/// What came of two images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Made {
    /// A patch, smaller than the result.
    Patch(Vec<u8>),
    /// The patch would not be smaller: send the full image.
    FullIsSmaller {
        /// The size that the patch would have had.
        patch: ByteCount,
        /// The size of the full image.
        full: ByteCount,
    },
}

/// Why no patch could be made.
#[derive(Debug, Error)]
pub enum MakeError {
    /// The base is too large.
    #[error("the base has {size}, more than the {limit} that a patch may be made from")]
    BaseTooLarge {
        /// Its size.
        size: ByteCount,
        /// The limit.
        limit: ByteCount,
    },
    /// The result is too large.
    #[error("the result has {size}, more than the {limit} that a patch may be made for")]
    ResultTooLarge {
        /// Its size.
        size: ByteCount,
        /// The limit.
        limit: ByteCount,
    },
    /// There is no such compression level.
    #[error("there is no compression level {level}: 1 to 22 exist")]
    Level {
        /// The level.
        level: u8,
    },
    /// No patch can be applied in so little memory.
    #[error("applying a patch of the profile {profile} takes {need} at least, the limit is {limit}")]
    Memory {
        /// The profile.
        profile: &'static str,
        /// What it takes at least.
        need: ByteCount,
        /// The limit.
        limit: ByteCount,
    },
    /// The compressor failed.
    #[error("compress the patch")]
    Compress {
        /// What it said.
        source: io::Error,
    },
}

/// Makes a patch that turns `base` into `result`, if one is worth it. The same input makes the same patch.
pub fn make(base: &[u8], result: &[u8], limits: &MakeLimits) -> Result<Made, MakeError> {
    let patch = encode(base, result, limits)?;
    if patch.len() < result.len() {
        Ok(Made::Patch(patch))
    } else {
        Ok(Made::FullIsSmaller { patch: size_of(&patch), full: size_of(result) })
    }
}

/// Makes a patch, small or not.
pub(crate) fn encode(base: &[u8], result: &[u8], limits: &MakeLimits) -> Result<Vec<u8>, MakeError> {
    check_limits(base, result, limits)?;
    let planned = match limits.profile {
        // A microcontroller has no room to unpack anything.
        Profile::Mcu => Planned::flat(base, result),
        Profile::Linux | Profile::Fast => plan(Cow::Borrowed(base), Cow::Borrowed(result)),
    };
    let mut told = tell_all(&planned);
    let copies = copies_limit(limits);
    for told in &mut told {
        keep_longest(&mut told.copies, copies);
    }
    let layers = &planned.layers;
    let mut table = Vec::new();
    if !layers.layers().is_empty() {
        layers.write(&mut table);
        table = zstd::bulk::compress(&table, TABLE_LEVEL).map_err(|source| MakeError::Compress { source })?;
    }
    let header = Header {
        profile: limits.profile,
        base: Sha256Digest(Sha256::digest(base).into()),
        result: Sha256Digest(Sha256::digest(result).into()),
        base_size: size_of(base),
        result_size: size_of(result),
        base_plain_size: size_of(&planned.old_plain),
        result_plain_size: size_of(&planned.new_plain),
        layers: u8::try_from(layers.layers().len()).unwrap_or(u8::MAX),
        scratch: layers.scratch(),
        layers_memory: if table.is_empty() { ByteCount(0) } else { layers.memory() },
        copies_max: copies_max(&told),
        windows: 0,
        sizes: sizes(limits.profile, planned.new_plain.len()),
        layers_len: table.len() as u64,
    };
    finish(header, &table, (&planned.old_plain, &planned.new_plain), told, limits)
}

/// The Zstandard level of the table of packed stretches: some kilobytes, made once.
const TABLE_LEVEL: i32 = 19;

/// What a copy takes in memory: itself, and its place in the order of old places, in bytes.
const COPY_BYTES: u64 = core::mem::size_of::<Copy>() as u64 + 2;

/// How many copies a part may have: what the format allows, and on a microcontroller a third of its memory.
fn copies_limit(limits: &MakeLimits) -> usize {
    let most = match limits.profile {
        Profile::Mcu => limits.memory_max.0 / 3 / COPY_BYTES,
        Profile::Linux | Profile::Fast => u64::from(COPIES_MAX),
    };
    usize::try_from(most).unwrap_or(usize::MAX)
}

/// Drops the shortest copies beyond `most`: their bytes become literals.
fn keep_longest(copies: &mut Vec<Copy>, most: usize) {
    if copies.len() > most {
        let mut lens: Vec<u32> = copies.iter().map(|copy| copy.len).collect();
        lens.sort_unstable_by(|a, b| b.cmp(a));
        let least = lens.get(most).copied().unwrap_or(0);
        copies.retain(|copy| copy.len > least);
    }
}

/// Codes the parts and puts the patch together.
fn finish(
    mut header: Header,
    layers: &[u8],
    (old, new): (&[u8], &[u8]),
    mut told: Vec<Told>,
    limits: &MakeLimits,
) -> Result<Vec<u8>, MakeError> {
    fit(&mut header, limits)?;
    let windows = match header.profile {
        Profile::Linux => write_mixed::<Wide>(old, new, &mut told, &header),
        Profile::Mcu => write_mixed::<Narrow>(old, new, &mut told, &header),
        Profile::Fast => write_fast(old, new, &mut told, &header, limits.level),
    };
    let windows = windows.map_err(|error| match error {
        WriteError::Compress(source) => MakeError::Compress { source },
        // Copies come from our own matcher, which keeps within both files.
        WriteError::Broken(broken) => MakeError::Compress { source: io::Error::other(format!("{broken:?}")) },
    })?;
    let count = windows.len();
    let heads: Vec<WindowHead> = windows
        .iter()
        .enumerate()
        .map(|(index, window)| WindowHead {
            coded_len: window.coded.len() as u64,
            check: (index + 1 < count || header.layers > 0).then_some(window.check),
        })
        .collect();
    let mut patch = write_head(&header, &heads);
    patch.extend_from_slice(layers);
    for Window { coded, .. } in &windows {
        patch.extend_from_slice(coded);
    }
    Ok(patch)
}

/// How large the tables are: as large as helps an image of this size.
pub(crate) fn sizes(profile: Profile, result_len: usize) -> Sizes {
    let log = result_len.max(1).ilog2();
    let (shape, lessons_log, window_log) = match profile {
        Profile::Linux => {
            let shape = Shape {
                log: log.saturating_sub(1).clamp(10, 16),
                small_log: log.saturating_sub(3).clamp(8, 14),
                seen_log: log.saturating_sub(4).clamp(8, 14),
                history_log: log.clamp(12, 20),
            };
            (shape, log.saturating_sub(6).clamp(8, 15), 20)
        }
        Profile::Mcu => (Shape { log: 10, small_log: 9, seen_log: 8, history_log: 0 }, 8, 32),
        Profile::Fast => (Shape { log: 0, small_log: 0, seen_log: 0, history_log: 0 }, 12, 20),
    };
    Sizes { shape, lessons_log, frame_log: log.clamp(10, 23), window_log }
}

/// Makes the tables smaller until the device has the memory.
fn fit(header: &mut Header, limits: &MakeLimits) -> Result<(), MakeError> {
    while header.memory() > limits.memory_max {
        let Sizes { shape, lessons_log, frame_log, window_log } = &mut header.sizes;
        let smaller = match header.profile {
            Profile::Fast if *frame_log > 16 => frame_log,
            Profile::Linux if shape.history_log > 16 => &mut shape.history_log,
            Profile::Linux if *window_log > 16 => window_log,
            Profile::Linux if shape.small_log > shape.log.max(8) => &mut shape.small_log,
            Profile::Linux if shape.log > 10 => &mut shape.log,
            Profile::Mcu if shape.log > 8 => &mut shape.log,
            _ if *lessons_log > 6 => lessons_log,
            _ => {
                let profile = header.profile.name();
                return Err(MakeError::Memory { profile, need: header.memory(), limit: limits.memory_max });
            }
        };
        *smaller -= 1;
    }
    Ok(())
}

fn copies_max(told: &[Told]) -> u32 {
    let most = told.iter().map(|told| told.copies.len()).max().unwrap_or(0);
    u32::try_from(most).unwrap_or(u32::MAX)
}

fn check_limits(base: &[u8], result: &[u8], limits: &MakeLimits) -> Result<(), MakeError> {
    let base_limit = limits.base_bytes_max.min(ByteCount(FILE_BYTES_MAX as u64));
    if size_of(base) > base_limit {
        return Err(MakeError::BaseTooLarge { size: size_of(base), limit: base_limit });
    }
    if size_of(result) > limits.result_bytes_max {
        return Err(MakeError::ResultTooLarge { size: size_of(result), limit: limits.result_bytes_max });
    }
    if !(1..=22).contains(&limits.level) {
        return Err(MakeError::Level { level: limits.level });
    }
    Ok(())
}

fn size_of(bytes: &[u8]) -> ByteCount {
    ByteCount(bytes.len() as u64)
}
