//! The limits of an analysis, and what is said when one is reached.
//!
//! In: numbers. Out: [`Limits`] and [`LimitReached`]. Refuses nothing itself: `budget` does.

use thiserror::Error;
use warden_model::ByteCount;

/// How far an analysis goes; an image that wants more is refused with the name of the limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Largest image. 4 GiB: the slots of real devices end far below, and ext4 in 32-bit block counts starts to hurt.
    pub image_bytes_max: ByteCount,
    /// Most bytes that all layers together may hand out. 4 GiB: a 1 GiB root file system in an archive in a stream
    /// counts three times, and still fits.
    pub unpacked_bytes_max: ByteCount,
    /// Largest single file that is read, and most memory for nested images that must be held. 512 MiB: the largest
    /// real files in firmware are nested root file systems of that order.
    pub file_bytes_max: ByteCount,
    /// Most entries in all layers together. 200,000: a full desktop distribution has about that many, a device a tenth.
    pub files_max: u64,
    /// Deepest nesting of layers. 8: vendors wrap up to five deep (tar in gzip in cpio in zstd in squashfs).
    pub depth_max: u32,
    /// Most steps that the walk of one container may take: nodes, directory entries, blocks of a map. 20 million: a
    /// 1 GiB JFFS2 in nodes of 64 bytes has 16 million, and a walk takes less than ten seconds. It stands in for time,
    /// which would make an answer depend on the machine.
    pub steps_max: u64,
    /// Most bytes out for a byte in, after the first 32 MiB. 1,000: deflate cannot exceed 1,032, and only empty space
    /// comes near.
    pub ratio_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            image_bytes_max: ByteCount::mib(4096),
            unpacked_bytes_max: ByteCount::mib(4096),
            file_bytes_max: ByteCount::mib(512),
            files_max: 200_000,
            depth_max: 8,
            steps_max: 20_000_000,
            ratio_max: 1000,
        }
    }
}

/// A limit that was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum LimitReached {
    /// See [`Limits::image_bytes_max`].
    #[error("the image is larger than the {0} that are allowed (image_bytes_max)")]
    ImageBytes(ByteCount),
    /// See [`Limits::unpacked_bytes_max`].
    #[error("the layers hand out more than the {0} that are allowed (unpacked_bytes_max)")]
    UnpackedBytes(ByteCount),
    /// See [`Limits::files_max`].
    #[error("there are more than the {0} entries that are allowed (files_max)")]
    Files(u64),
    /// See [`Limits::ratio_max`], for the image as a whole.
    #[error(
        "the image, {image}, unpacks to more than {ratio_max} times its size: a compression bomb (ratio_max)"
    )]
    ImageRatio {
        /// The size of the image.
        image: ByteCount,
        /// The limit.
        ratio_max: u64,
    },
    /// See [`Limits::ratio_max`], for one compressed stream.
    #[error("{packed} unpack to more than {ratio_max} times their size: a compression bomb (ratio_max)")]
    StreamRatio {
        /// How much of the stream was read.
        packed: ByteCount,
        /// The limit.
        ratio_max: u64,
    },
    /// See [`Limits::file_bytes_max`].
    #[error("it is larger than the {0} that are allowed for one file (file_bytes_max)")]
    FileBytes(ByteCount),
    /// See [`Limits::steps_max`].
    #[error("its walk takes more than the {0} steps that are allowed (steps_max)")]
    Steps(u64),
    /// Marks of formats in one search of unknown bytes.
    #[error("it holds more than the {0} marks of formats that are looked at closely (marks)")]
    Marks(u64),
    /// See [`Limits::depth_max`].
    #[error("it is nested deeper than {0} layers (depth_max)")]
    Depth(u32),
}

impl LimitReached {
    /// Says whether only the entry at hand is too much, so that the analysis can go on behind it.
    pub(crate) fn is_about_one_entry(self) -> bool {
        match self {
            Self::StreamRatio { .. }
            | Self::FileBytes(_)
            | Self::Depth(_)
            | Self::Steps(_)
            | Self::Marks(_) => true,
            Self::ImageBytes(_) | Self::UnpackedBytes(_) | Self::Files(_) | Self::ImageRatio { .. } => false,
        }
    }
}
