//! Tells formats by their first bytes.
//!
//! In: bytes. Out: the format that claims them, or what they look like. Refuses nothing; what is unknown is said to be
//! unknown.

use crate::bytes::Bytes;
use crate::format::{Claim, Format, Formats};

/// How many bytes are enough to tell a format: the magic of btrfs lies at 65,600.
pub(crate) const HEAD_BYTES: usize = 66 * 1024;

/// What holds no other files, or none that are looked for: magic number and name.
const LEAVES: &[(&[u8], &str)] = &[
    (b"\x7fELF", "an ELF program"),
    (b"\x89PNG\r\n", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"RIFF", "a RIFF file"),
    (b"OggS", "an Ogg file"),
    (b"ID3", "an MP3 file"),
    (b"\0\x01\0\0\0", "a TrueType font"),
    (b"OTTO", "an OpenType font"),
    (b"wOFF", "a web font"),
    (b"wOF2", "a web font"),
    (b"%PDF-", "a PDF document"),
    (b"#!", "a script"),
    (b"-----BEGIN ", "a PEM file"),
    (b"\xde\x12\x04\x95", "a message catalogue"),
    (b"\x95\x04\x12\xde", "a message catalogue"),
    (b"SQLite format 3\0", "an SQLite database"),
    (b"TZif", "a time zone"),
    (b"\xca\xfe\xba\xbe", "a Java class or a Mach-O program"),
    (b"dex\n", "a Dalvik program"),
];

/// Finds the format that claims these bytes from their start.
pub(crate) fn identify(formats: Formats, bytes: &Bytes<'_>) -> Option<(&'static Format, Claim)> {
    formats.list().iter().find_map(|format| {
        let fits = format.magics.is_empty() || format.magics.iter().any(|(at, magic)| bytes.has(*at, magic));
        let claim = if fits { (format.claim)(bytes) } else { None };
        claim.map(|claim| (*format, claim))
    })
}

/// Says whether bytes hold nothing that could be taken apart: programs, pictures, text.
pub(crate) fn is_leaf(head: &[u8]) -> bool {
    leaf_name(head).is_some() || is_text(head)
}

fn leaf_name(head: &[u8]) -> Option<&'static str> {
    LEAVES.iter().find(|(magic, _)| head.starts_with(magic)).map(|(_, name)| *name)
}

/// Says whether the first bytes are text: whatever the encoding, without control characters.
fn is_text(head: &[u8]) -> bool {
    let start = head.get(..head.len().min(1024)).unwrap_or_default();
    !start.is_empty()
        && start.iter().all(|byte| matches!(byte, b'\t' | b'\n' | b'\r' | 0x0c | 0x1b | 0x20..=0x7e | 0x80..))
}

/// Says what unknown bytes look like.
pub(crate) fn describe(head: &[u8]) -> String {
    if head.is_empty() {
        return "empty".to_owned();
    }
    if let Some(name) = leaf_name(head) {
        return format!("{name}, no image");
    }
    let first: Vec<String> = head.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("of a format that is not known (it starts with {})", first.join(" "))
}
