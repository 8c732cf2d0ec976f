//! Formats that are named, and not taken apart.
//!
//! In: first bytes. Out: a name. Refuses nothing: an image in one of these is listed as not understood, with its name.

use crate::bytes::{Bytes, Endian};
use crate::format::{Carve, Claim, Format, Unpack};

const fn named(
    name: &'static str,
    extension: &'static str,
    magics: &'static [(u64, &'static [u8])],
    claim: fn(&Bytes<'_>) -> Option<Claim>,
) -> Format {
    Format { name, extension, magics, carve: Carve::AtStart, claim, unpack: Unpack::Not }
}

pub(crate) static NTFS: Format =
    named("NTFS", "ntfs", &[(3, b"NTFS    ")], |_| Some(Claim::open_ended("an NTFS file system")));
pub(crate) static EXFAT: Format =
    named("exFAT", "exfat", &[(3, b"EXFAT   ")], |_| Some(Claim::open_ended("an exFAT file system")));
pub(crate) static BTRFS: Format =
    named("btrfs", "btrfs", &[(0x10040, b"_BHRfS_M")], |_| Some(Claim::open_ended("a btrfs file system")));
pub(crate) static XFS: Format =
    named("XFS", "xfs", &[(0, b"XFSB")], |_| Some(Claim::open_ended("an XFS file system")));
pub(crate) static F2FS: Format =
    named("F2FS", "f2fs", &[(1024, b"\x10\x20\xf5\xf2")], |_| Some(Claim::open_ended("an F2FS file system")));
pub(crate) static JFS: Format =
    named("JFS", "jfs", &[(0x8000, b"JFS1")], |_| Some(Claim::open_ended("a JFS file system")));
pub(crate) static REISERFS: Format = named(
    "ReiserFS",
    "reiserfs",
    &[(0x10034, b"ReIsErFs"), (0x10034, b"ReIsEr2Fs"), (0x10034, b"ReIsEr3Fs")],
    |_| Some(Claim::open_ended("a ReiserFS file system")),
);
pub(crate) static HFS: Format =
    named("HFS+", "hfs", &[(1024, b"H+\0\x04"), (1024, b"HX\0\x05"), (1024, b"BD")], |bytes| {
        // The older HFS has two letters only: the number of its blocks must make sense as well.
        let is_plain = bytes.has(1024, b"BD") && bytes.u32(Endian::Big, 1044)?.is_multiple_of(512);
        (is_plain || bytes.has(1024, b"H")).then(|| Claim::open_ended("an HFS file system"))
    });
pub(crate) static UDF: Format =
    named("UDF", "udf", &[(0x8001, b"BEA01")], |_| Some(Claim::open_ended("a UDF file system")));
pub(crate) static CAB: Format =
    named("cabinet", "cab", &[(0, b"MSCF\0\0\0\0")], |_| Some(Claim::open_ended("a Microsoft cabinet")));
pub(crate) static ARJ: Format = named("ARJ", "arj", &[(0, b"\x60\xea")], |bytes| {
    let header = bytes.u16(Endian::Little, 2)?;
    (30..=2600).contains(&header).then(|| Claim::open_ended("an ARJ archive"))
});
pub(crate) static RAR: Format =
    named("RAR", "rar", &[(0, b"Rar!\x1a\x07")], |_| Some(Claim::open_ended("a RAR archive")));
pub(crate) static LZH: Format = named("LHA", "lha", &[(2, b"-lh")], |bytes| {
    bytes.has(6, b"-").then(|| Claim::open_ended("an LHA archive"))
});
pub(crate) static QCOW: Format =
    named("QCOW", "qcow2", &[(0, b"QFI\xfb")], |_| Some(Claim::open_ended("a QCOW disk")));
pub(crate) static LUKS: Format =
    named("LUKS", "luks", &[(0, b"LUKS\xba\xbe")], |_| Some(Claim::open_ended("an encrypted LUKS volume")));
pub(crate) static OPENSSL: Format = named("openssl enc", "enc", &[(0, b"Salted__")], |_| {
    Some(Claim::open_ended("a file encrypted with a password (openssl enc)"))
});
pub(crate) static GPG: Format = named("PGP", "gpg", &[(0, b"-----BEGIN PGP MESSAGE")], |_| {
    Some(Claim::open_ended("a file encrypted with PGP"))
});
