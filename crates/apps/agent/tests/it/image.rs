//! Small real firmware images.

use std::io::Cursor;

use backhand::{FilesystemWriter, NodeHeader};

/// Makes a squashfs image with one health check and some payload that does not compress away.
pub(crate) fn image(marker: u8, check: &str) -> Vec<u8> {
    image_with(marker, check, &[])
}

/// The same, with more in the middle of its payload.
pub(crate) fn image_with(marker: u8, check: &str, more: &[u8]) -> Vec<u8> {
    let mut payload = noise(2_500_000);
    payload.splice(1_000_000..1_000_000, more.iter().copied());
    let header = |permissions| NodeHeader { permissions, ..NodeHeader::default() };
    let mut writer = FilesystemWriter::default();
    writer.set_time(0);
    for dir in ["etc", "etc/fleetwarden", "etc/fleetwarden/health.d", "usr"] {
        writer.push_dir(dir, header(0o755)).unwrap();
    }
    let script = format!("#!/bin/sh\n# timeout: 20 s\n{check}\n");
    writer
        .push_file(Cursor::new(script.into_bytes()), "etc/fleetwarden/health.d/10-check", header(0o755))
        .unwrap();
    writer.push_file(Cursor::new(vec![marker; 10]), "etc/marker", header(0o644)).unwrap();
    writer.push_file(Cursor::new(payload), "usr/payload", header(0o644)).unwrap();
    let mut image = Cursor::new(Vec::new());
    writer.write(&mut image).unwrap();
    image.into_inner()
}

/// Bytes that do not compress, always the same.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut bytes = Vec::with_capacity(length);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}
