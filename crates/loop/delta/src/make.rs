//! Makes a patch from two images.
//!
//! In: both images in memory, limits. Out: a patch, or the news that it would not be smaller than the result itself.
//! Refuses: images above the limits, a compression level that does not exist, less memory on the device than any patch
//! takes.

mod ways;

use std::borrow::Cow;
use std::io;

use sha2::{Digest, Sha256};
use thiserror::Error;
use warden_model::{ByteCount, Sha256Digest};
use warden_patch::chart::Copy;
use warden_patch::mixing::Shape;
use warden_patch::model::{Narrow, Wide};

use crate::format::{COPIES_MAX, Header, Profile, Sizes, WindowHead, write_head};
use crate::matcher::{FILE_BYTES_MAX, sparse_copies};
use crate::plan::{Planned, plan};
use crate::stream::write::{Told, Window, WriteError, write_fast, write_mixed};
use crate::tell::{alone, plain, tell_all, tell_data};

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

/// What is being done while a patch is made, in this order; where other ways are tried too, it begins again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Making {
    /// What is packed in both images is unpacked, and files are paired.
    Unpacking,
    /// What both have in common is looked for.
    Matching,
    /// The rest is coded.
    Coding,
}

/// Makes a patch that turns `base` into `result`, if one is worth it. The same input makes the same patch.
///
/// Where the patch is poor beside what a general compressor makes of the result alone, other ways are tried too, and the
/// smallest patch is kept: its profile may be `fast` where `linux` was wished.
pub fn make(base: &[u8], result: &[u8], limits: &MakeLimits) -> Result<Made, MakeError> {
    make_with(base, result, limits, &mut |_| {})
}

/// The same; `watch` is told what is being done, whenever that changes.
///
/// # Errors
/// As [`make`].
pub fn make_with(
    base: &[u8],
    result: &[u8],
    limits: &MakeLimits,
    watch: &mut dyn FnMut(Making),
) -> Result<Made, MakeError> {
    let patch = smallest_with(base, result, limits, watch)?;
    if patch.len() < result.len() {
        Ok(Made::Patch(patch))
    } else {
        Ok(Made::FullIsSmaller { patch: size_of(&patch), full: size_of(result) })
    }
}

/// Makes the smallest patch of all ways, be it smaller than the result or not.
fn smallest_with(
    base: &[u8],
    result: &[u8],
    limits: &MakeLimits,
    watch: &mut dyn FnMut(Making),
) -> Result<Vec<u8>, MakeError> {
    check_limits(base, result, limits)?;
    let prepared = Prepared::watched(base, result, Way::first(limits.profile), watch);
    watch(Making::Coding);
    let (prepared, patch) = match prepared.code(limits) {
        Ok(patch) => (prepared, patch),
        // Packing again takes memory that telling the image as it is does not take.
        Err(MakeError::Memory { .. }) if prepared.has_layers() => {
            let flat = Prepared::new(base, result, Way::Flat);
            let patch = flat.code(limits)?;
            (flat, patch)
        }
        Err(error) => return Err(error),
    };
    ways::smallest((base, result), limits, (prepared, patch))
}

#[cfg(test)]
pub(crate) fn smallest(base: &[u8], result: &[u8], limits: &MakeLimits) -> Result<Vec<u8>, MakeError> {
    smallest_with(base, result, limits, &mut |_| {})
}

/// Makes a patch in the first way, small or not.
#[cfg(test)]
pub(crate) fn encode(base: &[u8], result: &[u8], limits: &MakeLimits) -> Result<Vec<u8>, MakeError> {
    check_limits(base, result, limits)?;
    Prepared::new(base, result, Way::first(limits.profile)).code(limits)
}

/// How a pair is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Unpacked where that can be undone, file by file.
    Planned,
    /// As it is.
    Flat,
    /// As it is, by long exact copies only: they are found wherever they lie, and however often.
    Sparse,
    /// The result alone.
    Alone,
}

impl Way {
    fn first(profile: Profile) -> Self {
        match profile {
            // A microcontroller has no room to unpack anything.
            Profile::Mcu => Self::Flat,
            Profile::Linux | Profile::Fast => Self::Planned,
        }
    }
}

/// A pair that was looked at: all that does not depend on how it is coded.
struct Prepared<'a> {
    planned: Planned<'a>,
    told: Vec<Told>,
    base: (Sha256Digest, ByteCount),
    result: (Sha256Digest, ByteCount),
}

impl<'a> Prepared<'a> {
    fn new(base: &'a [u8], result: &'a [u8], way: Way) -> Self {
        Self::watched(base, result, way, &mut |_| {})
    }

    fn watched(base: &'a [u8], result: &'a [u8], way: Way, watch: &mut dyn FnMut(Making)) -> Self {
        watch(Making::Unpacking);
        let planned = match way {
            Way::Planned => plan(Cow::Borrowed(base), Cow::Borrowed(result)),
            Way::Flat | Way::Sparse | Way::Alone => Planned::flat(base, result),
        };
        watch(Making::Matching);
        let told = match way {
            Way::Planned | Way::Flat => tell_all(&planned),
            Way::Sparse | Way::Alone if result.is_empty() => Vec::new(),
            Way::Sparse if !base.is_empty() => {
                vec![tell_data(base, result, plain(sparse_copies(base, result)))]
            }
            Way::Sparse | Way::Alone => vec![alone(result)],
        };
        let about = |image: &[u8]| (Sha256Digest(Sha256::digest(image).into()), size_of(image));
        Self { planned, told, base: about(base), result: about(result) }
    }

    fn has_layers(&self) -> bool {
        !self.planned.layers.layers().is_empty()
    }

    /// Says whether nothing is taken over from the base, nor unpacked: then it is the result alone.
    fn is_alone(&self) -> bool {
        !self.has_layers() && self.told.iter().all(|told| told.copies.is_empty())
    }

    /// Codes it with the profile and the memory of `limits`.
    fn code(&self, limits: &MakeLimits) -> Result<Vec<u8>, MakeError> {
        let mut told = self.told.clone();
        let copies = copies_limit(limits);
        for told in &mut told {
            keep_longest(&mut told.copies, copies);
        }
        let Planned { layers, old_plain, new_plain, .. } = &self.planned;
        let mut table = Vec::new();
        if self.has_layers() {
            layers.write(&mut table);
            table =
                zstd::bulk::compress(&table, TABLE_LEVEL).map_err(|source| MakeError::Compress { source })?;
        }
        let header = Header {
            profile: limits.profile,
            base: self.base.0,
            result: self.result.0,
            base_size: self.base.1,
            result_size: self.result.1,
            base_plain_size: size_of(old_plain),
            result_plain_size: size_of(new_plain),
            layers: u8::try_from(layers.layers().len()).unwrap_or(u8::MAX),
            scratch: layers.scratch(),
            layers_memory: if table.is_empty() { ByteCount(0) } else { layers.memory() },
            copies_max: copies_max(&told),
            windows: 0,
            sizes: sizes(limits.profile, new_plain.len()),
            layers_len: table.len() as u64,
        };
        let images = (&**old_plain, &**new_plain);
        let patch = finish(header.clone(), &table, images, told.clone(), limits)?;
        if !is_list_long(&header, patch.len()) {
            return Ok(patch);
        }
        let mut wide = header;
        wide.sizes.window_log = WIDE_WINDOW_LOG;
        // With little memory, the windows stay short.
        Ok(match finish(wide, &table, images, told, limits) {
            Ok(wider) if wider.len() < patch.len() => wider,
            Ok(_) | Err(_) => patch,
        })
    }
}

/// The longer window, as a power of two: four times the usual memory for it.
const WIDE_WINDOW_LOG: u32 = 22;

/// Says whether a patch is so small that the list of its windows counts: a length and a check value for each of them.
fn is_list_long(header: &Header, patch_len: usize) -> bool {
    const WINDOW_HEAD_BYTES: u64 = 9;
    let windows = header.result_plain_size.0 >> header.sizes.window_log;
    windows > 1
        && header.sizes.window_log < WIDE_WINDOW_LOG
        && windows.saturating_mul(WINDOW_HEAD_BYTES * 50) > patch_len as u64
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
pub(crate) fn keep_longest(copies: &mut Vec<Copy>, most: usize) {
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
