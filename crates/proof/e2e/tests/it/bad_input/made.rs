//! Hostile and broken files, made on the spot, the same bytes each time.

use std::io::Write as _;

use anyhow::{Context as _, Result};
use warden_kit::image::RootFs;

/// Bytes that do not compress (a 32-bit xorshift, George Marsaglia 2003).
pub(crate) fn noise(seed: u32, length: usize) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        u8::try_from(state >> 24).unwrap_or(0)
    };
    (0..length).map(|_| next()).collect()
}

/// A small root file system that is healthy.
pub(crate) fn squashfs(name: &str) -> Result<Vec<u8>> {
    let release = format!("ID=demo\nNAME={name}\n");
    let root = RootFs::new().file("etc/os-release", 0o644, release).file(
        "usr/share/noise",
        0o644,
        noise(7, 100_000),
    );
    Ok(root.health_check("10-fine", "true").squashfs()?)
}

/// The same with the inode of its root destroyed: the table's place stands at byte 64 of the superblock.
pub(crate) fn rootless_squashfs() -> Result<Vec<u8>> {
    let mut image = squashfs("rootless")?;
    let at = image.get(64..72).and_then(|bytes| bytes.try_into().ok()).map(u64::from_le_bytes);
    let at = usize::try_from(at.context("a superblock")?)?;
    image.get_mut(at + 2..at + 10).context("an inode table")?.fill(0xff);
    Ok(image)
}

/// What an entry of an archive is.
#[derive(Clone, Copy)]
pub(crate) enum Entry<'a> {
    File(&'a [u8]),
    Link(&'a str),
}

/// A tar archive (POSIX.1-1988 ustar) that says whatever it is told to say.
pub(crate) fn tar(entries: &[(&str, Entry<'_>)]) -> Result<Vec<u8>> {
    let mut archive = Vec::new();
    for (name, entry) in entries {
        let (kind, target, content) = match entry {
            Entry::File(content) => (b'0', "", *content),
            Entry::Link(target) => (b'2', *target, b"".as_slice()),
        };
        archive.extend(tar_header(name, kind, target, u64::try_from(content.len())?)?);
        archive.extend(content);
        archive.resize(archive.len().next_multiple_of(512), 0);
    }
    archive.resize(archive.len() + 1024, 0);
    Ok(archive)
}

fn tar_header(name: &str, kind: u8, target: &str, size: u64) -> Result<Vec<u8>> {
    let mut head = vec![0; 512];
    let mut put = |at: usize, bytes: &[u8]| -> Result<()> {
        head.get_mut(at..at + bytes.len()).context("a field of a header")?.copy_from_slice(bytes);
        Ok(())
    };
    put(0, name.as_bytes())?;
    put(100, b"0000644\x000000000\x000000000\0")?;
    put(124, format!("{size:011o}").as_bytes())?;
    put(136, b"00000000000\0        ")?;
    put(156, &[kind])?;
    put(157, target.as_bytes())?;
    put(257, b"ustar\x0000")?;
    let sum: u32 = head.iter().map(|byte| u32::from(*byte)).sum();
    head.get_mut(148..156).context("a checksum")?.copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    Ok(head)
}

/// An archive with one file of 7 GiB of zeros, packed twice into less than a KiB: more than one to a million.
pub(crate) fn bomb() -> Result<Vec<u8>> {
    const ZEROS: u64 = 7 << 30;
    let (mut once, mut twice) = (Vec::new(), Vec::new());
    // RFC 8878, section 3.1.1.2: blocks of type 1 say "so many times this byte" in four bytes.
    let block = |size: u32, kind: u32, last: u32| {
        let [a, b, c, _] = (size << 3 | kind << 1 | last).to_le_bytes();
        [a, b, c]
    };
    once.write_all(b"\x28\xb5\x2f\xfd\x00\x38")?;
    once.write_all(&block(512, 0, 0))?;
    once.write_all(&tar_header("zeros", b'0', "", ZEROS)?)?;
    for _ in 0..ZEROS >> 17 {
        once.write_all(&block(128 << 10, 1, 0))?;
        once.write_all(&[0])?;
    }
    once.write_all(&block(1024, 1, 1))?;
    once.write_all(&[0])?;
    zstd::stream::copy_encode(once.as_slice(), &mut twice, 19)?;
    anyhow::ensure!(u64::try_from(twice.len())? * 1_000_000 < ZEROS, "the bomb has {} bytes", twice.len());
    Ok(twice)
}

/// An archive that wants to write beside itself, and to an absolute path.
pub(crate) fn climbing(victim: &str) -> Result<Vec<u8>> {
    tar(&[
        ("../climbed", Entry::File(b"evil")),
        (victim, Entry::File(b"evil")),
        ("way", Entry::Link("../../..")),
        ("way/through-a-link", Entry::File(b"evil")),
        ("harmless", Entry::File(b"fine")),
    ])
}
