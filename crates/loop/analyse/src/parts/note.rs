//! ELF notes: the build id and the packaging metadata.
//!
//! In: the first bytes of a file. Out: its build id, and what its package is (<https://systemd.io/ELF_PACKAGE_METADATA>).
//! Refuses metadata that is no JSON object with a name and a version.

use std::fmt::Write as _;

use object::Endianness;
use object::elf::{FileHeader32, FileHeader64, NT_GNU_BUILD_ID};
use object::read::elf::{FileHeader, ProgramHeader};
use warden_model::purl::Purl;

/// The type of a packaging metadata note (`NT_FDO_PACKAGING_METADATA`).
const NT_PACKAGING: u32 = 0xcafe_1a7e;

/// Most notes that are read of one file; real files have up to six.
const NOTES_MAX: usize = 64;

/// Longest build id, in bytes: SHA-1 has 20, and linkers let people choose up to some dozens.
const BUILD_ID_BYTES_MAX: usize = 64;

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Notes {
    pub(super) build_id: Option<String>,
    pub(super) package: Option<Packaged>,
}

/// What a packaging note says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Packaged {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) purl: Purl,
    pub(super) text: String,
}

pub(super) fn read_notes(head: &[u8]) -> Notes {
    // The fifth byte is the class (ELF-64 object file format, "File identification").
    match head.get(..5) {
        Some([0x7f, b'E', b'L', b'F', 1]) => read_class::<FileHeader32<Endianness>>(head),
        Some([0x7f, b'E', b'L', b'F', 2]) => read_class::<FileHeader64<Endianness>>(head),
        _ => Notes::default(),
    }
}

fn read_class<Elf: FileHeader<Endian = Endianness>>(head: &[u8]) -> Notes {
    let mut found = Notes::default();
    let Ok(header) = Elf::parse(head) else { return found };
    let Ok(endian) = header.endian() else { return found };
    let Ok(segments) = header.program_headers(endian, head) else { return found };
    let mut count = 0;
    for segment in segments {
        let Ok(Some(mut notes)) = segment.notes(endian, head) else { continue };
        while let Ok(Some(note)) = notes.next() {
            count += 1;
            if count > NOTES_MAX {
                return found;
            }
            match (note.name(), note.n_type(endian)) {
                (b"GNU", NT_GNU_BUILD_ID) => found.build_id = hexadecimal(note.desc()),
                (b"FDO", NT_PACKAGING) => found.package = read_package(note.desc()),
                _ => {}
            }
        }
    }
    found
}

fn hexadecimal(bytes: &[u8]) -> Option<String> {
    if bytes.is_empty() || bytes.len() > BUILD_ID_BYTES_MAX {
        return None;
    }
    let mut text = String::new();
    for byte in bytes {
        write!(text, "{byte:02x}").ok()?;
    }
    Some(text)
}

fn read_package(description: &[u8]) -> Option<Packaged> {
    let text = std::str::from_utf8(description).ok()?.trim_end_matches('\0');
    let said: serde_json::Value = serde_json::from_str(text).ok()?;
    let field =
        |key: &str| said.get(key).and_then(serde_json::Value::as_str).filter(|value| !value.is_empty());
    let (name, version) = (field("name")?, field("version")?);
    let mut purl = Purl::new(field("type").unwrap_or("generic"), name, Some(version));
    if let Some(system) = field("os") {
        purl = purl.in_namespace(&system.to_ascii_lowercase());
    }
    if let Some(architecture) = field("architecture") {
        purl.qualifiers.insert("arch".to_owned(), architecture.to_owned());
    }
    Some(Packaged { name: name.to_owned(), version: version.to_owned(), purl, text: super::detail(text) })
}

#[cfg(test)]
mod tests {
    use super::{Notes, read_notes};

    /// A little-endian ELF64 with one `PT_NOTE` segment at byte 120.
    fn elf(notes: &[u8]) -> Vec<u8> {
        let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
        file.extend([2, 0, 62, 0, 1, 0, 0, 0]);
        file.extend([[0_u8; 8], 64_u64.to_le_bytes(), [0; 8]].concat());
        file.extend([0, 0, 0, 0, 64, 0, 56, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
        file.extend([4, 0, 0, 0, 4, 0, 0, 0]);
        let size = (notes.len() as u64).to_le_bytes();
        file.extend([120_u64.to_le_bytes(), [0; 8], [0; 8], size, size, 4_u64.to_le_bytes()].concat());
        file.extend(notes);
        file
    }

    fn note(name: [u8; 4], kind: u32, description: &[u8]) -> Vec<u8> {
        let mut note =
            [4_u32, u32::try_from(description.len()).unwrap(), kind].map(u32::to_le_bytes).concat();
        note.extend(name);
        note.extend(description);
        note.resize(note.len().next_multiple_of(4), 0);
        note
    }

    #[test]
    fn reads_build_id_and_package() {
        let json =
            br#"{"type":"deb","os":"debian","name":"systemd","version":"252.1-1","architecture":"amd64"}"#;
        let notes = [note(*b"GNU\0", 3, &[0xab, 0x01]), note(*b"FDO\0", 0xcafe_1a7e, json)].concat();
        let found = read_notes(&elf(&notes));
        assert_eq!(found.build_id.as_deref(), Some("ab01"));
        assert_eq!(found.package.unwrap().purl.to_string(), "pkg:deb/debian/systemd@252.1-1?arch=amd64");
    }

    #[test]
    fn finds_nothing_in_broken_files() {
        for notes in [
            note(*b"FDO\0", 0xcafe_1a7e, b"{"),
            note(*b"FDO\0", 0xcafe_1a7e, b"{\"name\":1}"),
            vec![0xff; 40],
        ] {
            assert_eq!(read_notes(&elf(&notes)), Notes::default());
        }
        let file = elf(&note(*b"GNU\0", 3, &[1; 20]));
        for length in 0..file.len() {
            let _notes = read_notes(&file[..length]);
        }
    }
}
