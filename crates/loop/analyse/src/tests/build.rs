//! Makes images.

use std::io::{Cursor, Write};

use backhand::compression::{CompressionAction, CompressionOptions, Compressor, DefaultCompressor, Lz4};
use backhand::kind::{Kind, LE_V4_0};
use backhand::{BackhandError, FilesystemCompressor, FilesystemWriter, NodeHeader, SuperBlock};

/// An entry of an image to be made.
#[derive(Clone)]
pub(super) enum Item {
    File(&'static str, Vec<u8>),
    Directory(&'static str),
    Link(&'static str, &'static str),
}

pub(super) const STATUS: &str = "Package: busybox-static\nStatus: install ok installed\nArchitecture: amd64\n\
    Source: busybox\nVersion: 1:1.35.0-4+b3\nDescription: many tools\n with a long text: Version: 9\n\n\
    Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n\n\
    Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nSource: glibc (2.36-9)\nVersion: 2.36-9+deb12u4\n";

/// A binary with texts in it, far enough apart to lie in different chunks.
pub(super) fn program(texts: &[&str]) -> Vec<u8> {
    let mut bytes = b"\x7fELF\x02\x01\x01\0".to_vec();
    for text in texts {
        bytes.resize(bytes.len() + 1000, 0);
        bytes.extend(text.as_bytes());
        bytes.push(0);
    }
    bytes.resize(bytes.len() + 100, 0x90);
    bytes
}

/// A small root file system.
pub(super) fn root() -> Vec<Item> {
    vec![
        Item::Directory("bin"),
        Item::File("bin/busybox", program(&["BusyBox v1.35.0 (2022-08-01 12:00:00 UTC)"])),
        Item::Link("bin/sh", "busybox"),
        Item::Directory("etc"),
        Item::File("etc/os-release", b"ID=debian\nVERSION_ID=\"12\"\n".to_vec()),
        Item::Directory("var"),
        Item::Directory("var/lib"),
        Item::Directory("var/lib/dpkg"),
        Item::File("var/lib/dpkg/status", STATUS.as_bytes().to_vec()),
    ]
}

/// Packs with zstd, which `backhand` is built without.
struct Zstd;

impl CompressionAction for Zstd {
    type Error = BackhandError;
    type Compressor = Compressor;
    type FilesystemCompressor = FilesystemCompressor;
    type SuperBlock = SuperBlock;

    fn decompress(
        &self,
        bytes: &[u8],
        out: &mut Vec<u8>,
        compressor: Compressor,
    ) -> Result<(), BackhandError> {
        DefaultCompressor.decompress(bytes, out, compressor)
    }

    fn compress(&self, bytes: &[u8], _: FilesystemCompressor, _: u32) -> Result<Vec<u8>, BackhandError> {
        Ok(zstd(bytes))
    }
}

pub(super) fn squashfs(items: &[Item], compressor: Compressor) -> Vec<u8> {
    let mut writer = FilesystemWriter::default();
    writer.set_time(0);
    if compressor == Compressor::Zstd {
        writer.set_kind(Kind::new_v4_with_const(&Zstd, LE_V4_0));
    }
    // lz4 is the one codec that cannot do without options.
    let options =
        (compressor == Compressor::Lz4).then_some(CompressionOptions::Lz4(Lz4 { version: 1, flags: 0 }));
    writer.set_compressor(FilesystemCompressor::new(compressor, options).unwrap());
    let header = NodeHeader { permissions: 0o755, ..NodeHeader::default() };
    for item in items {
        match item {
            Item::File(path, bytes) => writer.push_file(Cursor::new(bytes.clone()), path, header).unwrap(),
            Item::Directory(path) => writer.push_dir(path, header).unwrap(),
            Item::Link(path, target) => writer.push_symlink(target, path, header).unwrap(),
        }
    }
    let mut image = Cursor::new(Vec::new());
    writer.write(&mut image).unwrap();
    image.into_inner()
}

/// The three kinds of cpio that are read.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cpio {
    New,
    Crc,
    Old,
}

pub(super) fn cpio(items: &[Item], kind: Cpio) -> Vec<u8> {
    let mut archive = Vec::new();
    for item in items {
        match item {
            Item::File(path, bytes) => cpio_entry(&mut archive, kind, path, 0o100_755, bytes),
            Item::Directory(path) => cpio_entry(&mut archive, kind, path, 0o040_755, b""),
            Item::Link(path, target) => cpio_entry(&mut archive, kind, path, 0o120_777, target.as_bytes()),
        }
    }
    cpio_entry(&mut archive, kind, "TRAILER!!!", 0, b"");
    archive
}

fn cpio_entry(archive: &mut Vec<u8>, kind: Cpio, path: &str, mode: u32, content: &[u8]) {
    let (name, size) = (path.len() + 1, content.len());
    let sum: u32 = content.iter().map(|byte| u32::from(*byte)).sum();
    match kind {
        Cpio::Old => {
            write!(archive, "070707{:012o}{mode:06o}{:024o}{:011o}{name:06o}{size:011o}", 0, 1, 0).unwrap();
        }
        Cpio::New => {
            write!(archive, "070701{:08x}{mode:08x}{:032x}{size:08x}{:032x}{name:08x}{:08x}", 0, 0, 0, 0)
                .unwrap();
        }
        Cpio::Crc => {
            write!(archive, "070702{:08x}{mode:08x}{:032x}{size:08x}{:032x}{name:08x}{sum:08x}", 0, 0, 0)
                .unwrap();
        }
    }
    archive.extend(path.as_bytes());
    archive.push(0);
    let pad = |archive: &mut Vec<u8>| match kind {
        Cpio::Old => {}
        Cpio::New | Cpio::Crc => archive.resize(archive.len().next_multiple_of(4), 0),
    };
    pad(archive);
    archive.extend(content);
    pad(archive);
}

pub(super) fn tar(items: &[Item]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for item in items {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o755);
        let (path, content): (&str, &[u8]) = match item {
            Item::File(path, bytes) => (path, bytes),
            Item::Directory(path) => {
                header.set_entry_type(tar::EntryType::Directory);
                (path, b"")
            }
            Item::Link(path, target) => {
                header.set_entry_type(tar::EntryType::Symlink);
                header.set_link_name_literal(target).unwrap();
                (path, b"")
            }
        };
        header.set_size(content.len() as u64);
        if path.len() > 100 {
            header.set_cksum();
            builder.append_data(&mut header, path, content).unwrap();
        } else {
            // Written as it is: `set_path` refuses what hostile archives hold.
            header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
            header.set_cksum();
            builder.append(&header, content).unwrap();
        }
    }
    builder.into_inner().unwrap()
}

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(super) fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 0);
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(super) fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}
