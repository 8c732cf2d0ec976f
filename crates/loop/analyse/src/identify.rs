//! Tells formats by their first bytes.
//!
//! In: the first [`HEAD_BYTES`] of something. Out: the format, or the name of one that is known but not read. Refuses
//! nothing; what is unknown is said to be unknown.

/// How many bytes are enough to tell: the magic of ext lies at 1,080.
pub(crate) const HEAD_BYTES: usize = 2048;

/// A format that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Squashfs,
    Ext,
    Cpio,
    Tar,
    Gzip,
    Xz,
    Zstd,
}

impl Format {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Squashfs => "squashfs 4.0",
            Self::Ext => "ext2/3/4",
            Self::Cpio => "cpio",
            Self::Tar => "tar",
            Self::Gzip => "gzip",
            Self::Xz => "xz",
            Self::Zstd => "zstd",
        }
    }
}

/// What first bytes say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Guess {
    Known(Format),
    /// Known, but not read.
    Foreign(&'static str),
    Unknown,
}

/// Magic numbers of formats that are known but not read: offset, bytes, name.
const FOREIGN: &[(usize, &[u8], &str)] = &[
    (0, b"sqsh", "a big-endian squashfs"),
    (0, b"hsqt", "a vendor's squashfs"),
    (0, b"shsq", "a vendor's squashfs"),
    (0, b"qshs", "a vendor's squashfs"),
    (0, b"UBI#", "a UBI image"),
    (0, b"\x31\x18\x10\x06", "a UBIFS image"),
    (0, b"\x85\x19", "a JFFS2 image"),
    (0, b"\x19\x85", "a big-endian JFFS2 image"),
    (0, b"\x45\x3d\xcd\x28", "a cramfs image"),
    (0, b"-rom1fs-", "a romfs image"),
    (1024, b"\xe2\xe1\xf5\xe0", "an EROFS image"),
    (0, b"\x27\x05\x19\x56", "a U-Boot image (uImage)"),
    (0, b"\xd0\x0d\xfe\xed", "a device tree or FIT image"),
    (0, b"HDR0", "a TRX image"),
    (0, b"ANDROID!", "an Android boot image"),
    (0, b"\x3a\xff\x26\xed", "an Android sparse image"),
    (512, b"EFI PART", "a disk with GPT partitions"),
    (0, b"BZh", "a bzip2 stream"),
    (0, b"\x04\x22\x4d\x18", "an lz4 stream"),
    (0, b"\x5d\x00\x00", "an lzma stream"),
    (0, b"LZIP", "an lzip stream"),
    (0, b"PK\x03\x04", "a zip archive"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (0, b"!<arch>\n", "an ar archive"),
    (0, b"\xc7\x71", "an old binary cpio archive"),
];

/// Tells what something is by its first bytes.
pub(crate) fn identify(head: &[u8]) -> Guess {
    let has = |at: usize, magic: &[u8]| head.get(at..).is_some_and(|rest| rest.starts_with(magic));
    if has(0, b"hsqs") {
        return match head.get(28..32) {
            Some([4, 0, 0, 0]) => Guess::Known(Format::Squashfs),
            _ => Guess::Foreign("a squashfs of an older version than 4.0"),
        };
    }
    let known = [
        (has(0, b"070701") || has(0, b"070702") || has(0, b"070707"), Format::Cpio),
        (has(0, b"\x1f\x8b\x08"), Format::Gzip),
        (has(0, b"\xfd7zXZ\0"), Format::Xz),
        (has(0, b"\x28\xb5\x2f\xfd"), Format::Zstd),
        (is_tar(head), Format::Tar),
        (has(1080, b"\x53\xef") && !has(0, b"\x7fELF"), Format::Ext),
    ];
    if let Some((_, format)) = known.iter().find(|(fits, _)| *fits) {
        return Guess::Known(*format);
    }
    let foreign = FOREIGN.iter().find(|(at, magic, _)| has(*at, magic));
    foreign.map_or(Guess::Unknown, |(_, _, name)| Guess::Foreign(name))
}

/// Tells a tar header by its checksum (POSIX.1-1988 and later; the oldest archives have no magic).
fn is_tar(head: &[u8]) -> bool {
    let (Some(header), Some(field)) = (head.get(..512), head.get(148..156)) else { return false };
    let text: String = field.iter().map(|byte| char::from(*byte)).collect();
    let Ok(said) = u32::from_str_radix(text.trim_matches([' ', '\0']), 8) else { return false };
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    let field_sum: u32 = field.iter().map(|byte| u32::from(*byte)).sum();
    header.first() != Some(&0) && sum - field_sum + 8 * u32::from(b' ') == said
}

/// Says what unknown bytes look like.
pub(crate) fn describe(head: &[u8]) -> String {
    match identify(head) {
        Guess::Known(format) => format.name().to_owned(),
        Guess::Foreign(name) => format!("{name}, which is not read"),
        Guess::Unknown if head.is_empty() => "empty".to_owned(),
        Guess::Unknown if head.starts_with(b"\x7fELF") => "an ELF program, no image".to_owned(),
        Guess::Unknown => {
            let first: Vec<String> = head.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
            format!("of a format that is not known (it starts with {})", first.join(" "))
        }
    }
}
