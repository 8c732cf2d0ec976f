//! Images and patches that come in pieces, from disks and networks that fail, for devices with little memory.

use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};

use warden_model::ByteCount;

use super::{BASE, fast, noise};
use crate::apply::{ApplyError, ApplyLimits, apply, read_header};
use crate::format::Profile;
use crate::make::{MakeLimits, encode};

/// Hands out and takes at most a few bytes at a time, and refuses to be asked for large pieces.
struct Narrow<T> {
    inner: T,
    piece: usize,
    asked: usize,
}

impl<T> Narrow<T> {
    fn new(inner: T, piece: usize) -> Self {
        Self { inner, piece, asked: 0 }
    }

    fn ask(&mut self, len: usize) -> io::Result<usize> {
        self.asked = self.asked.max(len);
        if len > 64 * 1024 { Err(io::Error::other("too large a piece")) } else { Ok(len.min(self.piece)) }
    }
}

impl<T: Read> Read for Narrow<T> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let len = self.ask(into.len())?;
        self.inner.read(&mut into[..len])
    }
}

impl<T: Seek> Seek for Narrow<T> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
    }
}

impl Write for Narrow<Vec<u8>> {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        let len = self.ask(from.len())?;
        self.inner.extend(&from[..len]);
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn large_images_pass_through_small_pieces() {
    let base = noise(1 << 20, 5);
    let result = [&base[500_000..], &noise(200_000, 6), &base[..900_000]].concat();
    let patch = encode(&base, &result, &fast()).unwrap();
    for piece in [1013, 64 * 1024] {
        let mut narrow_base = Narrow::new(Cursor::new(&base), piece);
        let mut narrow_patch = Narrow::new(&*patch, piece);
        let mut narrow_result = Narrow::new(Vec::new(), piece);
        apply(&mut narrow_base, &mut narrow_patch, &mut narrow_result, &ApplyLimits::default()).unwrap();
        assert!(narrow_result.inner == result);
    }
}

#[test]
fn a_patch_that_trickles_in_byte_by_byte_is_applied() {
    let patch = encode(BASE, &BASE[10..], &fast()).unwrap();
    let mut result = Vec::new();
    let mut trickle = Narrow::new(&*patch, 1);
    apply(&mut Cursor::new(BASE), &mut trickle, &mut result, &ApplyLimits::default()).unwrap();
    assert_eq!(result, &BASE[10..]);
}

#[test]
fn tables_shrink_until_the_device_has_the_memory() {
    let (base, result) = (noise(300_000, 1), noise(300_000, 2));
    let check = |profile: Profile, memory_max: ByteCount| {
        let limits = MakeLimits { memory_max, profile, ..fast() };
        let patch = encode(&base, &result, &limits).unwrap();
        let header = read_header(&mut &*patch).unwrap();
        assert!(header.memory() <= memory_max, "{} {memory_max}", header.memory());
        let mut limits = ApplyLimits { memory_max: header.host_memory(), ..ApplyLimits::default() };
        apply(&mut Cursor::new(&base), &mut &*patch, &mut Vec::new(), &limits).unwrap();
        limits.memory_max.0 -= 1;
        let error = apply(&mut Cursor::new(&base), &mut &*patch, &mut Vec::new(), &limits).unwrap_err();
        assert!(matches!(error, ApplyError::Memory { .. }), "{error}");
    };
    check(Profile::Linux, ByteCount::mib(16));
    check(Profile::Linux, ByteCount::mib(4));
    check(Profile::Linux, ByteCount::mib(1));
    check(Profile::Mcu, ByteCount::kib(64));
    check(Profile::Mcu, ByteCount::kib(48));
    check(Profile::Fast, ByteCount::mib(1));
}

/// Fails as soon as it is used.
struct Broken;

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other("the disk is gone"))
    }
}

impl Seek for Broken {
    fn seek(&mut self, _: SeekFrom) -> io::Result<u64> {
        Err(io::Error::other("the disk is gone"))
    }
}

impl Write for Broken {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::Error::other("no space left on device"))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_failing_disk_or_network_is_told_apart() {
    let patch = encode(BASE, &BASE[1..], &fast()).unwrap();
    let limits = ApplyLimits::default();
    let error = apply(&mut Broken, &mut &*patch, &mut Vec::new(), &limits).unwrap_err();
    assert!(matches!(error, ApplyError::ReadBase { .. }), "{error}");
    let error = apply(&mut Cursor::new(BASE), &mut &*patch, &mut Broken, &limits).unwrap_err();
    assert!(matches!(error, ApplyError::WriteResult { .. }), "{error}");
    let mut stalled = (&patch[..80]).chain(Broken);
    let error = apply(&mut Cursor::new(BASE), &mut stalled, &mut Vec::new(), &limits).unwrap_err();
    assert!(matches!(error, ApplyError::ReadPatch { .. }), "{error}");
}
