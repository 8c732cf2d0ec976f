//! Small images, built as their formats say.

use super::super::bytes::{crc32, length};
use super::super::sizes::tests::{SAMPLES, unhex};

/// Returns the sample that a tool packed.
pub(super) fn sample(tool: &str) -> Vec<u8> {
    unhex(SAMPLES.iter().find(|sample| sample.0 == tool).unwrap().2)
}

/// Adds zeros up to a multiple of `unit` bytes.
fn fill(bytes: &mut Vec<u8>, unit: usize) {
    bytes.resize(bytes.len().next_multiple_of(unit), 0);
}

pub(super) fn cpio(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut image = Vec::new();
    for (name, data) in files.iter().chain(&[("TRAILER!!!", &[][..])]) {
        let mode = if data.is_empty() { 0 } else { 0o100_644 };
        let fields = [1, mode, 0, 0, 1, 0, data.len(), 0, 0, 0, 0, name.len() + 1, 0];
        let header = fields.map(|field| format!("{field:08X}")).concat();
        image.extend_from_slice(format!("070701{header}{name}\0").as_bytes());
        fill(&mut image, 4);
        image.extend_from_slice(data);
        fill(&mut image, 4);
    }
    image
}

pub(super) fn tar_entry(name: &str, data: &[u8], kind: u8) -> Vec<u8> {
    let mut header = vec![0; 512];
    header[..name.len()].copy_from_slice(name.as_bytes());
    header[124..135].copy_from_slice(format!("{:011o}", data.len()).as_bytes());
    header[156] = kind;
    header[257..265].copy_from_slice(b"ustar\x0000");
    header[148..156].fill(b' ');
    let sum = header.iter().map(|byte| u32::from(*byte)).sum::<u32>();
    header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    header.extend_from_slice(data);
    fill(&mut header, 512);
    header
}

/// A member of an archive and its entry in the directory.
pub(super) fn zip_entry(
    name: &str,
    data: &[u8],
    (method, flags): (u16, u16),
    plain_len: u32,
) -> (Vec<u8>, Vec<u8>) {
    let number = |value: usize| u32::try_from(value).unwrap();
    let lengths = [0, number(data.len()), plain_len].map(u32::to_le_bytes).concat();
    let head = [[20, 0], flags.to_le_bytes(), method.to_le_bytes(), [0, 0], [0, 0]].concat();
    let name_len = u16::try_from(name.len()).unwrap().to_le_bytes();
    let streamed = flags & 8 != 0;
    let local = [
        b"PK\x03\x04".to_vec(),
        head.clone(),
        if streamed { vec![0; 12] } else { lengths.clone() },
        [name_len, [0, 0]].concat(),
        name.as_bytes().to_vec(),
        data.to_vec(),
        if streamed { [b"PK\x07\x08", &lengths[..]].concat() } else { Vec::new() },
    ];
    let entry = [b"PK\x01\x02\x14\0".to_vec(), head, lengths, name_len.to_vec(), vec![0; 16], name.into()];
    (local.concat(), entry.concat())
}

pub(super) fn zip(entries: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let mut image = entries.iter().flat_map(|entry| entry.0.clone()).collect::<Vec<_>>();
    image.extend(entries.iter().flat_map(|entry| entry.1.clone()));
    image.extend_from_slice(b"PK\x05\x06");
    image.resize(image.len() + 18, 0);
    image
}

pub(super) fn uimage(data: &[u8], kind: u8) -> Vec<u8> {
    let mut header = vec![0; 64];
    header[..4].copy_from_slice(&[0x27, 0x05, 0x19, 0x56]);
    header[12..16].copy_from_slice(&u32::try_from(data.len()).unwrap().to_be_bytes());
    header[30] = kind;
    let sum = u32::try_from(crc32(&[&header])).unwrap();
    header[4..8].copy_from_slice(&sum.to_be_bytes());
    header.extend_from_slice(data);
    header
}

/// A PC kernel of one set-up sector with a payload 16 bytes into what follows; 1,536 bytes.
pub(super) fn bzimage(payload: &[u8]) -> Vec<u8> {
    let mut image = vec![0; 1536];
    image[0x1f1] = 1;
    image[0x1f4..0x1f8].copy_from_slice(&32_u32.to_le_bytes());
    image[0x1fe..0x200].copy_from_slice(&[0x55, 0xaa]);
    image[0x202..0x208].copy_from_slice(b"HdrS\x0f\x02");
    image[0x248..0x24c].copy_from_slice(&16_u32.to_le_bytes());
    image[0x24c..0x250].copy_from_slice(&u32::try_from(payload.len()).unwrap().to_le_bytes());
    image[1040..1040 + payload.len()].copy_from_slice(payload);
    image
}

pub(super) fn zimage(payload: &[u8]) -> Vec<u8> {
    let mut image = vec![0xe1; 333];
    image.extend_from_slice(payload);
    image.extend_from_slice(&[0xe1; 55]);
    image[0x24..0x28].copy_from_slice(&0x016f_2818_u32.to_le_bytes());
    image[0x28..0x2c].copy_from_slice(&0x100_u32.to_le_bytes());
    let end = u32::try_from(image.len()).unwrap() + 0x100;
    image[0x2c..0x30].copy_from_slice(&end.to_le_bytes());
    image
}

/// A FIT with images inside its tree, and others behind it; also returns where those inside lie.
pub(super) fn fit(inside: &[(&str, &[u8])], outside: &[(&str, &[u8])]) -> (Vec<u8>, Vec<u64>) {
    const STRINGS: &[u8] = b"data\0data-offset\0data-size\0";
    let be = |value: usize| u32::try_from(value).unwrap().to_be_bytes();
    let mut tree = vec![0; 40];
    tree.resize(56, 0);
    let mut places = Vec::new();
    let open = |tree: &mut Vec<u8>, name: &str| {
        tree.extend_from_slice(&be(1));
        tree.extend_from_slice(name.as_bytes());
        tree.push(0);
        fill(tree, 4);
    };
    let set = |tree: &mut Vec<u8>, name: usize, value: &[u8]| {
        tree.extend_from_slice(&[be(3), be(value.len()), be(name)].concat());
        tree.extend_from_slice(value);
        fill(tree, 4);
    };
    open(&mut tree, "");
    open(&mut tree, if inside.len() + outside.len() == 0 { "chosen" } else { "images" });
    for (name, data) in inside {
        open(&mut tree, name);
        places.push(length(&tree) + 12);
        set(&mut tree, 0, data);
        tree.extend_from_slice(&be(2));
    }
    let mut behind = Vec::new();
    for (name, data) in outside {
        open(&mut tree, name);
        set(&mut tree, 5, &be(behind.len()));
        set(&mut tree, 17, &be(data.len()));
        // A node below an image says nothing of it.
        open(&mut tree, "hash-1");
        set(&mut tree, 17, &be(1));
        tree.extend_from_slice(&[be(2), be(4), be(2)].concat());
        behind.extend_from_slice(data);
        fill(&mut behind, 4);
    }
    tree.extend_from_slice(&[be(2), be(2), be(9)].concat());
    let structure_len = tree.len() - 56;
    tree.extend_from_slice(STRINGS);
    let total = tree.len();
    let fields = [total, 56, 56 + structure_len, 40, 17, 16, 0, STRINGS.len(), structure_len];
    tree[..4].copy_from_slice(&[0xd0, 0x0d, 0xfe, 0xed]);
    for (index, field) in fields.into_iter().enumerate() {
        tree[4 + 4 * index..8 + 4 * index].copy_from_slice(&be(field));
    }
    if !behind.is_empty() {
        fill(&mut tree, 4);
    }
    tree.extend_from_slice(&behind);
    (tree, places)
}

/// A sparse image of four-byte blocks: two stored, three left as zeros by a fill, one not cared for, one stored.
pub(super) fn sparse() -> Vec<u8> {
    let header = [0xed26_ff3a_u32, 1, 0x000c_001c, 4, 7, 4, 0].map(u32::to_le_bytes).concat();
    let chunk = |kind: u32, blocks: u32, data: &[u8]| {
        let total = u32::try_from(data.len()).unwrap() + 12;
        [[kind, blocks, total].map(u32::to_le_bytes).concat(), data.to_vec()].concat()
    };
    let chunks = [
        chunk(0xcac1, 2, &[1; 8]),
        chunk(0xcac2, 3, &[0; 4]),
        chunk(0xcac3, 1, &[]),
        chunk(0xcac1, 1, &[2; 4]),
    ];
    [header, chunks.concat()].concat()
}

/// A 64-bit ELF file with one segment of 64 bytes that holds some data, and one section that holds none; 248 bytes.
pub(super) fn elf(data: &[u8]) -> Vec<u8> {
    let mut image = b"\x7fELF\x02\x01\x01".to_vec();
    image.resize(248, 0);
    image[120..120 + data.len()].copy_from_slice(data);
    for (at, value) in
        [(32, 64), (40, 120 + 64), (64 + 8, 120), (64 + 32, 64), (184 + 24, 1), (184 + 32, 1 << 40)]
    {
        image[at..at + 8].copy_from_slice(&u64::to_le_bytes(value));
    }
    for (at, value) in [(52, 64), (54, 56), (56, 1), (58, 64), (60, 1), (184 + 4, 8)] {
        image[at..at + 2].copy_from_slice(&u16::to_le_bytes(value));
    }
    image
}
