//! What a format is, and which ones there are.
//!
//! In: nothing. Out: the tables [`Formats::All`] and [`Formats::Device`]. Refuses nothing; each format's module does.

use std::io::Read;

use crate::bytes::Bytes;
use crate::door::Door;
use crate::error::Halt;
use crate::stream::Codec;

/// A format that is recognised.
pub(crate) struct Format {
    /// Its name where nothing more is known.
    pub(crate) name: &'static str,
    /// What a carved piece of it is called behind its offset.
    pub(crate) extension: &'static str,
    /// Where its magic numbers stand, counted from its start; empty where it has none.
    pub(crate) magics: &'static [(u64, &'static [u8])],
    pub(crate) carve: Carve,
    /// Says whether these bytes begin with it, and what exactly it is.
    pub(crate) claim: fn(&Bytes<'_>) -> Option<Claim>,
    pub(crate) unpack: Unpack,
}

/// Whether a format is looked for in the middle of unknown bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Carve {
    Anywhere,
    /// Its marks are too weak for that.
    AtStart,
}

/// What a format says about bytes that begin with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claim {
    /// For people: format, version, compression.
    pub(crate) label: String,
    /// Its exact length by its own account; `None` where only reading it to its end tells.
    pub(crate) length: Option<u64>,
}

impl Claim {
    pub(crate) fn new(label: impl Into<String>, length: u64) -> Self {
        Self { label: label.into(), length: Some(length) }
    }

    pub(crate) fn open_ended(label: impl Into<String>) -> Self {
        Self { label: label.into(), length: None }
    }
}

/// How a format is taken apart.
pub(crate) enum Unpack {
    /// Entries, read from anywhere.
    Tree(fn(&Bytes<'_>, &mut Door<'_, '_>) -> Result<(), Halt>),
    /// Entries, read from front to back.
    Archive(fn(&mut dyn Read, &mut Door<'_, '_>) -> Result<(), Halt>),
    /// One content, read from front to back.
    Stream(Codec),
    /// Not at all: it is only named.
    Not,
}

/// Which formats are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Formats {
    /// All, and what lies between them.
    All,
    /// What a device unpacks into a slot. Small on purpose: an agent carries nothing else.
    Device,
}

/// What a device unpacks.
static DEVICE: &[&Format] = &[
    &crate::squash::FORMAT,
    &crate::cpio::FORMAT,
    &crate::stream::GZIP,
    &crate::stream::XZ,
    &crate::stream::ZSTD,
    &crate::tarball::FORMAT,
    &crate::ext::FORMAT,
];

/// Everything that is known; of two that claim the same bytes the first one counts.
static ALL: &[&Format] = &[
    &crate::squash::FORMAT,
    &crate::cpio::FORMAT,
    &crate::stream::GZIP,
    &crate::stream::XZ,
    &crate::stream::ZSTD,
    &crate::stream::BZIP2,
    &crate::stream::LZIP,
    &crate::stream::LZ4,
    &crate::stream::LZOP,
    &crate::flash::ubi::FORMAT,
    &crate::flash::ubifs::FORMAT,
    &crate::flash::jffs2::FORMAT,
    &crate::flash::yaffs2::FORMAT,
    &crate::flash::cramfs::FORMAT,
    &crate::flash::romfs::FORMAT,
    &crate::boot::uimage::FORMAT,
    &crate::boot::fdt::FORMAT,
    &crate::boot::trx::FORMAT,
    &crate::boot::android::SPARSE,
    &crate::boot::android::BOOT,
    &crate::boot::kernel::BZIMAGE,
    &crate::boot::kernel::VMLINUX,
    &crate::boot::kernel::CONFIG,
    &crate::boot::mcu::MCUBOOT,
    &crate::boot::mcu::ESP,
    &crate::boot::mcu::ESP_PARTITIONS,
    &crate::boot::hex::UF2,
    &crate::boot::hex::INTEL,
    &crate::boot::hex::MOTOROLA,
    &crate::boot::uefi::FORMAT,
    &crate::archive::zip::FORMAT,
    &crate::archive::sevenzip::FORMAT,
    &crate::archive::ar::FORMAT,
    &crate::archive::rpm::FORMAT,
    &crate::tarball::FORMAT,
    &crate::disk::erofs::FORMAT,
    &crate::disk::iso::FORMAT,
    &crate::disk::minix::FORMAT,
    &crate::disk::named::NTFS,
    &crate::disk::named::EXFAT,
    &crate::disk::named::BTRFS,
    &crate::disk::named::XFS,
    &crate::disk::named::F2FS,
    &crate::disk::named::JFS,
    &crate::disk::named::REISERFS,
    &crate::disk::named::HFS,
    &crate::disk::named::UDF,
    &crate::disk::named::CAB,
    &crate::disk::named::ARJ,
    &crate::disk::named::RAR,
    &crate::disk::named::LZH,
    &crate::disk::named::QCOW,
    &crate::disk::named::LUKS,
    &crate::disk::named::OPENSSL,
    &crate::disk::named::GPG,
    &crate::ext::FORMAT,
    &crate::disk::partitions::GPT,
    &crate::disk::fat::FORMAT,
    &crate::disk::partitions::MBR,
    &crate::stream::LZMA,
    &crate::stream::COMPRESS,
    &crate::stream::ZLIB,
];

impl Formats {
    /// Returns the formats, in the order in which they are asked.
    pub(crate) fn list(self) -> &'static [&'static Format] {
        match self {
            Self::All => ALL,
            Self::Device => DEVICE,
        }
    }
}
