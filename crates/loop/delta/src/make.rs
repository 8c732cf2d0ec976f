//! Makes a patch from two images.
//!
//! In: both images in memory, limits. Out: a patch, or the news that it would not be smaller than the result itself.
//! Refuses: images above the limits, a compression level or a window that does not exist.

use std::io::{self, Write};

use sha2::{Digest, Sha256};
use thiserror::Error;
use warden_model::{ByteCount, Sha256Digest};

use crate::align::{Segment, align};
use crate::format::{Header, RecordHead, VERSION, WINDOW_LOG_MAX, WINDOW_LOG_MIN};
use crate::suffixes::{BASE_BYTES_MAX, Suffixes};

/// What making a patch may cost, and what applying it may need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MakeLimits {
    /// Largest base. Sorting its suffixes takes four times its size in memory, finding matches once or twice more.
    pub base_bytes_max: ByteCount,
    /// Largest result.
    pub result_bytes_max: ByteCount,
    /// Largest history that a device must keep in memory to unpack the patch; rounded down to a power of two.
    pub window_memory_max: ByteCount,
    /// The Zstandard level, 1 (fast) to 22 (small).
    pub level: u8,
}

impl Default for MakeLimits {
    fn default() -> Self {
        Self {
            // Root file systems of the devices that we know stay below 200 MiB; at 256 MiB the server needs some 2 GiB.
            base_bytes_max: ByteCount::mib(256),
            result_bytes_max: ByteCount::mib(256),
            // A device with 64 MiB of memory can spare 8 MiB while it updates, and more does not make patches smaller.
            window_memory_max: ByteCount::mib(8),
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
    /// The window is too small for any patch.
    #[error("a patch needs a window of 1 KiB at least, the limit is {limit}")]
    Window {
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
    let segments = align(base, result, &Suffixes::new(base));
    let heads = heads(&segments);
    let mut head_bytes = Vec::new();
    for head in &heads {
        head.write(&mut head_bytes);
    }
    let stream_size = size_of(&head_bytes).0 + size_of(result).0;
    let window_log = window_log(stream_size, limits.window_memory_max);
    let header = Header {
        version: VERSION,
        base: Sha256Digest(Sha256::digest(base).into()),
        result: Sha256Digest(Sha256::digest(result).into()),
        base_size: size_of(base),
        result_size: size_of(result),
        window_memory: ByteCount(1 << window_log),
    };
    let patch = header.to_bytes().to_vec();
    let mut packer = packer(patch, limits.level, window_log, stream_size).map_err(compress_error)?;
    write_records(&mut packer, base, result, &segments, &heads).map_err(compress_error)?;
    packer.finish().map_err(compress_error)
}

fn check_limits(base: &[u8], result: &[u8], limits: &MakeLimits) -> Result<(), MakeError> {
    let base_limit = limits.base_bytes_max.min(ByteCount(BASE_BYTES_MAX));
    if size_of(base) > base_limit {
        return Err(MakeError::BaseTooLarge { size: size_of(base), limit: base_limit });
    }
    if size_of(result) > limits.result_bytes_max {
        return Err(MakeError::ResultTooLarge { size: size_of(result), limit: limits.result_bytes_max });
    }
    if !(1..=22).contains(&limits.level) {
        return Err(MakeError::Level { level: limits.level });
    }
    if limits.window_memory_max < ByteCount(1 << WINDOW_LOG_MIN) {
        return Err(MakeError::Window { limit: limits.window_memory_max });
    }
    Ok(())
}

/// Returns the record heads: the same segments, their base positions told as seeks from the end of the one before.
fn heads(segments: &[Segment]) -> Vec<RecordHead> {
    let mut position = 0;
    let mut head = |segment: &Segment| {
        let start = i64::try_from(segment.base_start).unwrap_or(i64::MAX);
        let add = i64::try_from(segment.add).unwrap_or(i64::MAX);
        let seek = start - position;
        position = start + add;
        RecordHead { seek, add: segment.add as u64, extra: segment.extra as u64 }
    };
    segments.iter().map(&mut head).collect()
}

/// Returns the window, as a power of two, that holds the whole stream or as much of it as the limit allows.
fn window_log(stream_size: u64, limit: ByteCount) -> u8 {
    let wanted = stream_size.checked_next_power_of_two().map_or(63, u64::ilog2);
    let allowed = limit.0.max(1).ilog2();
    let window_log = u8::try_from(wanted.min(allowed)).unwrap_or(WINDOW_LOG_MAX);
    window_log.clamp(WINDOW_LOG_MIN, WINDOW_LOG_MAX)
}

type Packer = zstd::stream::write::Encoder<'static, Vec<u8>>;

fn packer(patch: Vec<u8>, level: u8, window_log: u8, stream_size: u64) -> io::Result<Packer> {
    let mut packer = Packer::new(patch, i32::from(level))?;
    packer.window_log(u32::from(window_log))?;
    packer.include_checksum(false)?;
    packer.set_pledged_src_size(Some(stream_size))?;
    Ok(packer)
}

fn write_records(
    packer: &mut Packer,
    base: &[u8],
    result: &[u8],
    segments: &[Segment],
    heads: &[RecordHead],
) -> io::Result<()> {
    let mut bytes = Vec::new();
    for (segment, head) in segments.iter().zip(heads) {
        bytes.clear();
        head.write(&mut bytes);
        let base = base.get(segment.base_start..).unwrap_or_default();
        let result = result.get(segment.result_start..).unwrap_or_default();
        let (add, rest) = result.split_at_checked(segment.add).unwrap_or((result, &[]));
        bytes.extend(add.iter().zip(base).map(|(new, old)| new.wrapping_sub(*old)));
        packer.write_all(&bytes)?;
        packer.write_all(rest.get(..segment.extra).unwrap_or(rest))?;
    }
    Ok(())
}

fn compress_error(source: io::Error) -> MakeError {
    MakeError::Compress { source }
}

fn size_of(bytes: &[u8]) -> ByteCount {
    ByteCount(bytes.len() as u64)
}
