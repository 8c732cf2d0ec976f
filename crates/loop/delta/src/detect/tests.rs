//! Files made by hand: what they are read as, and where they are loaded.

use proptest::collection::vec;
use proptest::prelude::{any, proptest};
use warden_patch::predict::{Arch, GoTables};

use super::{CANDIDATES_MAX, Detected, Kind, candidates};
use crate::normalise::normalise;

fn detect(bytes: &[u8]) -> Detected {
    candidates(bytes).remove(0)
}

/// Writes numbers of 32 bits at a place.
fn put(bytes: &mut [u8], at: usize, words: &[u32]) {
    for (place, word) in bytes[at..].chunks_exact_mut(4).zip(words) {
        place.copy_from_slice(&word.to_le_bytes());
    }
}

/// An ELF file with two segments that are loaded and an `.eh_frame_hdr`.
fn elf64(machine: u16) -> Vec<u8> {
    let mut bytes = vec![0; 0x1000];
    bytes[..8].copy_from_slice(b"\x7fELF\x02\x01\x01\0");
    bytes[18..20].copy_from_slice(&machine.to_le_bytes());
    put(&mut bytes, 32, &[64]);
    put(&mut bytes, 52, &[56 << 16 | 64, 3]);
    put(&mut bytes, 64, &[1, 5, 0, 0, 0x40_0000, 0, 0, 0, 0x800, 0, 0x800, 0]);
    put(&mut bytes, 120, &[1, 6, 0x800, 0, 0x41_0800, 0, 0, 0, 0x700, 0, 0x2000, 0]);
    put(&mut bytes, 176, &[0x6474_e550, 4, 0x400, 0, 0x40_0400, 0, 0, 0, 8, 0, 8, 0]);
    bytes
}

#[test]
fn elf_files_tell_processor_and_segments() {
    for (machine, arch) in
        [(183, Arch::A64), (62, Arch::X86), (243, Arch::Rv64), (94, Arch::Xtensa), (8, Arch::None)]
    {
        let Detected { arch: found, space, frame_index, kind, go } = detect(&elf64(machine));
        assert_eq!((found, kind, frame_index), (arch, Kind::Elf, 0x40_0400));
        assert_eq!((space.offset(0x41_0804), space.address(0x10)), (Some(0x804), 0x40_0010));
        assert!(space.holds(0x41_2000), "memory behind the file");
        assert_eq!(go, GoTables::default());
    }
    // 32-bit Arm is read both ways.
    let arches: Vec<_> = candidates(&elf64(40)).iter().map(|found| found.arch).collect();
    assert_eq!(arches, [Arch::Thumb, Arch::Arm]);
    // What a broken file says of its segments is cut off at its end.
    let mut broken = elf64(62);
    put(&mut broken, 96, &[u32::MAX, 0]);
    assert_eq!(detect(&broken).space.segments()[0].file_len, 0x1000);
}

/// A microcontroller's image at a base: functions, strings, and code that loads the addresses of both.
fn thumb(base: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    put_u32(&mut bytes, &[0x2000_4000, base + 0x41, base + 0x41, base + 0x41]);
    bytes.resize(0x40, 0);
    for index in 0..200_u32 {
        // push {r4, lr}; ldr r0, [pc, #4]; bl; pop {r4, pc}; nop; the address of a string.
        let string = base + 0x40 + 200 * 20 + index * 24 + 1;
        bytes.extend([0x10, 0xb5, 0x02, 0x48, 0, 0xf0, 0, 0xf8, 0x10, 0xbd, 0x70, 0x47]);
        put_u32(&mut bytes, &[string, base + 0x41 + 20 * index]);
    }
    for index in 0..200 {
        bytes.extend(format!("\0string number {index:06}\0\0\0").bytes());
    }
    bytes
}

fn put_u32(bytes: &mut Vec<u8>, words: &[u32]) {
    bytes.extend(words.iter().flat_map(|word| word.to_le_bytes()));
}

#[test]
fn the_base_of_a_flat_image_is_found() {
    for base in [0x0800_0000, 0x0800_8000, 0x0801_2000, 0] {
        let found = detect(&thumb(base));
        assert_eq!((found.arch, found.kind), (Arch::Thumb, Kind::Flat));
        assert_eq!(found.space.address(0), u64::from(base));
    }
}

#[test]
fn images_for_esp8266_tell_their_segments() {
    let mut bytes = vec![0; 0x2000];
    put(&mut bytes, 0, &[0x0200_02e9, 0x4010_0004, 0x4010_0000, 0x400]);
    put(&mut bytes, 0x410, &[0x3ffe_8000, 0x100]);
    let found = detect(&bytes);
    assert_eq!((found.arch, found.kind), (Arch::Xtensa, Kind::Esp));
    let places: Vec<_> = [0x10, 0x418, 0x1000].map(|offset| found.space.address(offset)).into();
    assert_eq!(places, [0x4010_0000, 0x3ffe_8000, 0x4020_1000]);
}

#[test]
fn kernels_are_read_where_they_are_linked() {
    let mut bytes = vec![0; 0x4000];
    put(&mut bytes, 16, &[0x5000, 0]);
    bytes[56..60].copy_from_slice(b"ARM\x64");
    put(&mut bytes, 0x1000, &[0x8000_1234, 0xffff_8000, 0x8000_2234, 0xffff_8000]);
    let found = detect(&bytes);
    assert_eq!((found.arch, found.kind), (Arch::A64, Kind::KernelImage));
    assert_eq!(found.space.address(0x10), 0xffff_8000_8000_0010);
    assert!(found.space.holds(0xffff_8000_8000_5000));
}

#[test]
fn tables_of_go_are_found() {
    let mut bytes = elf64(62);
    // The head at 200, the record at 900.
    bytes[0x200..0x208].copy_from_slice(&[0xf1, 0xff, 0xff, 0xff, 0, 0, 1, 8]);
    put(&mut bytes, 0x208, &[3, 0, 1, 0, 0, 0, 0x48, 0, 0x60, 0, 0x70, 0, 0x80, 0, 0x100, 0]);
    let mut record = [0_u32; 2 * 41];
    for (index, value) in
        [(0, 0x40_0200), (1, 0x40_0248), (22, 0x40_0000), (37, 0x40_0500), (38, 0x40_0600), (40, 0x40_0700)]
    {
        record[2 * index] = value;
    }
    put(&mut bytes, 0x900, &record);
    let expected = GoTables {
        text: 0x40_0000,
        types: 0x40_0500,
        types_end: 0x40_0600,
        data: 0x40_0700,
        names: 0x248,
        units: 0x260,
        lines: 0x280,
        functions: 0x300,
        count: 3,
    };
    assert_eq!(detect(&bytes).go, expected);
}

#[test]
fn text_and_zeros_are_data() {
    let text = "All happy families are alike; each unhappy family is unhappy in its own way. ".repeat(100);
    for bytes in [text.as_bytes(), &[0; 5000], &[0xff; 5000], b""] {
        assert_eq!(detect(bytes).kind, Kind::Data);
    }
}

#[test]
fn moved_code_looks_the_same_when_masked() {
    // A call, a RIP-relative address and NOPs, at two places of a file.
    let mut bytes = elf64(62);
    bytes[0x200..0x700].fill(0x90);
    bytes[0x300..0x310]
        .copy_from_slice(&[0xe8, 0xfb, 0, 0, 0, 0x8b, 0x05, 0xf5, 0, 0, 0, 0x90, 0x90, 0x90, 0x90, 0xc3]);
    bytes[0x600..0x610].copy_from_slice(&[
        0xe8, 0xfb, 0xfd, 0xff, 0xff, 0x8b, 0x05, 0xf5, 0xfd, 0xff, 0xff, 0x90, 0x90, 0x90, 0x90, 0xc3,
    ]);
    let found = detect(&bytes);
    let masked = normalise(found.arch, &bytes, &found.space);
    assert_eq!(masked[0x300..0x310], masked[0x600..0x610]);
    assert_eq!(masked.len(), bytes.len());
}

proptest! {
    #[test]
    fn any_bytes_are_survived(bytes in vec(any::<u8>(), 0..3000), start in 0..8_usize, machine in 0..4_usize) {
        let starts: [&[u8]; 8] = [
            b"", b"\x7fELF\x01\x01", b"\x7fELF\x02\x01", b"\xe9\x03", b"\xe9\x01", b"\0\x40\0\x20",
            b"\xf1\xff\xff\xff\0\0\x01\x08", b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0\x3e\0",
        ];
        let mut bytes = [starts[start], &bytes].concat();
        if start < 3 && bytes.len() > 60 {
            bytes[18] = [40, 183, 62, 243][machine];
            bytes[54] = 56;
            bytes[56..60].copy_from_slice(b"ARM\x64");
        }
        let found = candidates(&bytes);
        assert!((1..=CANDIDATES_MAX).contains(&found.len()));
        for arch in [Arch::Rv32, Arch::Rv64, Arch::X86, Arch::Xtensa] {
            assert_eq!(normalise(arch, &bytes, &found[0].space).len(), bytes.len());
        }
    }
}
