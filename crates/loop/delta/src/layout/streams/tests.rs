//! Streams and containers made by hand and by real tools: what is found in them.

mod build;
mod hostile;
mod tools;

use super::sizes::tests::{PLAIN_LEN, SAMPLES, unhex};
use super::*;
use build::{bzimage, cpio, elf, fit, sample, sparse, tar_entry, uimage, zip, zip_entry};

/// Looks at an image whose start is known.
fn look(image: &[u8]) -> (Layout, Option<u64>) {
    let mut layout = Layout::default();
    let end = look_streams(image, 0, &mut layout, &|_, _, _| None);
    check_order(image, &layout);
    (layout, end)
}

/// Carves a whole image.
fn carved(image: &[u8]) -> Layout {
    let mut layout = Layout::default();
    carve(image, 0, length(image), &mut layout, &|_, _, _| None);
    check_order(image, &layout);
    layout
}

/// What must hold for every layout: sorted, disjoint, inside the image; files by their first byte, within their stretches.
fn check_order(image: &[u8], layout: &Layout) {
    let mut at = 0;
    for packed in &layout.packed {
        assert!(packed.start >= at && packed.len > 0 && packed.plain_len_max > 0, "{packed:?} after {at}");
        at = packed.start + packed.len;
    }
    assert!(at <= length(image));
    let mut first = (0, 0);
    for file in &layout.files {
        let mut begins = None;
        for piece in &file.pieces {
            let place = match *piece {
                Piece::Raw { start, len } => {
                    assert!(start.checked_add(len).unwrap() <= length(image) && len > 0, "{file:?}");
                    Some((start, 0))
                }
                Piece::InPacked { index, skip, len } => {
                    let packed = layout.packed[index];
                    assert!(skip + len <= packed.plain_len_max && len > 0, "{file:?}");
                    Some((packed.start, skip))
                }
                Piece::Hole { .. } => None,
            };
            begins = begins.or(place);
        }
        let begins = begins.unwrap();
        assert!(begins >= first, "{file:?} before {first:?}");
        first = begins;
    }
}

/// Shows a layout in a line: packed stretches, then files.
fn show(layout: &Layout) -> String {
    let packed =
        layout.packed.iter().map(|p| format!("{:?} {}+{}>{}", p.hint, p.start, p.len, p.plain_len_max));
    let piece = |piece: &Piece| match piece {
        Piece::Raw { start, len } => format!("{start}+{len}"),
        Piece::InPacked { index, skip, len } => format!("#{index}[{skip}+{len}]"),
        Piece::Hole { len } => format!("hole {len}"),
    };
    let files = layout.files.iter().map(|file| {
        let pieces = file.pieces.iter().map(piece).collect::<Vec<_>>();
        format!("{} = {}", file.path, pieces.join(", "))
    });
    packed.chain(files).collect::<Vec<_>>().join("\n")
}

#[track_caller]
fn check(image: &[u8], expected: &[&str]) {
    let (layout, end) = look(image);
    assert_eq!(show(&layout), expected.join("\n"));
    assert_eq!(end, Some(length(image)), "the end");
}

#[test]
fn a_stream_alone_is_a_file_of_its_own() {
    let gzip = sample("gzip -9n");
    check(&gzip, &["Gzip 0+45>1260", "<gzip> = #0[0+1260]"]);
}

#[test]
fn neighbours_of_a_kind_are_one_file() {
    let frame = sample("zstd -19");
    let skipped = [&[0x5e, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"abc"].concat();
    check(
        &[&frame[..], &frame, &skipped, &frame].concat(),
        &[
            "Zstd 0+35>1260",
            "Zstd 35+35>1260",
            "Zstd 81+35>1260",
            "<zstd> = #0[0+1260], #1[0+1260]",
            "<zstd> = #2[0+1260]",
        ],
    );
    check(&[&skipped[..], &frame].concat(), &["Zstd 11+35>1260", "<zstd> = #0[0+1260]"]);
}

#[test]
fn an_empty_stream_is_passed_over() {
    let empty = unhex("1f8b080000000000000303000000000000000000");
    let gzip = sample("gzip -9n");
    check(&[&empty[..], &gzip].concat(), &["Gzip 20+45>1260", "<gzip> = #0[0+1260]"]);
}

#[test]
fn an_initramfs_is_archives_and_streams_in_a_row() {
    let early = cpio(&[("kernel/x86/microcode/GenuineIntel.bin", &[7; 100])]);
    let padded = [early.clone(), vec![0; early.len().next_multiple_of(512) - early.len()]].concat();
    check(
        &[padded, sample("zstd -19"), vec![0; 8], sample("xz -9")].concat(),
        &[
            "Zstd 512+35>1260",
            "Xz(None) 555+92>1260",
            "kernel/x86/microcode/GenuineIntel.bin = 148+100",
            "<zstd> = #0[0+1260]",
            "<xz> = #1[0+1260]",
        ],
    );
}

#[test]
fn an_update_is_looked_into_member_by_member() {
    let image = cpio(&[
        ("sw-description", b"software = {}"),
        ("Image.gz", &sample("gzip -9n")),
        ("rootfs.tar", &tar_entry("etc/motd", b"hello", b'0')),
    ]);
    let (layout, end) = look(&image);
    assert_eq!(
        show(&layout),
        "Gzip 264+45>1260\nsw-description = 128+13\nImage.gz = 264+45\nrootfs.tar/etc/motd = 948+5"
    );
    assert_eq!(end, Some(length(&image)));
}

#[test]
fn members_may_be_file_systems_that_others_know() {
    let image = cpio(&[("rootfs.squashfs", b"hsqs........"), ("notes", b"hsqs")]);
    let other = |image: &[u8], start: u64, out: &mut Layout| {
        out.packed.push(Packed { start: start + 4, len: 2, plain_len_max: 3, hint: Hint::Zlib });
        let pieces = vec![Piece::InPacked { index: out.packed.len() - 1, skip: 0, len: 3 }];
        out.files.push(File { path: "bin/sh".to_owned(), pieces });
        // What is added before a refusal is forgotten.
        (begins(image, start, b"hsqs") && length(image) >= start + 12).then_some(start + 12)
    };
    let mut layout = Layout::default();
    look_streams(&image, 0, &mut layout, &other);
    assert_eq!(show(&layout), "Zlib 132+2>3\nrootfs.squashfs/bin/sh = #0[0+3]\nnotes = 256+4");
}

#[test]
fn a_disorderly_file_system_is_left_out() {
    let other = |_: &[u8], start: u64, out: &mut Layout| {
        out.packed.push(Packed { start: start + 8, len: 2, plain_len_max: 3, hint: Hint::Zlib });
        out.packed.push(Packed { start: start + 4, len: 2, plain_len_max: 3, hint: Hint::Zlib });
        Some(start + 12)
    };
    let mut layout = Layout::default();
    assert_eq!(look_streams(b"hsqs........", 0, &mut layout, &other), None);
    assert_eq!(layout, Layout::default());
}

#[test]
fn a_tar_archive_keeps_long_names() {
    let long = "long/".repeat(50);
    let pax = format!("{} path={long}pax\n", long.len() + 13);
    assert_eq!(pax.len(), 263);
    let image = [
        tar_entry("./", b"", b'5'),
        tar_entry("short", b"12345", b'0'),
        tar_entry("././@LongLink", format!("{long}gnu\0").as_bytes(), b'L'),
        tar_entry("cut off", b"123", b'0'),
        tar_entry("PaxHeaders/x", pax.as_bytes(), b'x'),
        tar_entry("cut off", b"1234", b'0'),
        tar_entry("short/gz", &sample("gzip -9n"), b'0'),
        vec![0; 1024],
    ]
    .concat();
    check(
        &image,
        &[
            "Gzip 6144+45>1260",
            "short = 1024+5",
            &format!("{long}gnu = 3072+3"),
            &format!("{long}pax = 5120+4"),
            "short/gz = 6144+45",
        ],
    );
}

#[test]
fn zip_members_are_packed_or_raw() {
    let gzip = sample("gzip -9n");
    // The DEFLATE stream inside the gzip member.
    let deflated = &gzip[10..gzip.len() - 8];
    let image = zip(&[
        zip_entry("raw.gz", &gzip, (0, 0), 45),
        zip_entry("packed", deflated, (8, 0), 1260),
        zip_entry("streamed", deflated, (8, 8), 1260),
        zip_entry("encrypted", deflated, (8, 1), 1260),
    ]);
    check(
        &image,
        &[
            "Gzip 36+45>1260",
            "Deflate 117+27>1260",
            "Deflate 182+27>1260",
            "raw.gz = 36+45",
            "packed = #1[0+1260]",
            "streamed = #2[0+1260]",
            "encrypted = 264+27",
        ],
    );
}

#[test]
fn a_debian_package_is_an_archive_of_archives() {
    let member = |name: &str, data: &[u8]| {
        let header = format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", 0, 0, 0, 100_644, data.len());
        [header.as_bytes(), data, &vec![b'\n'; data.len() % 2]].concat()
    };
    let image = [
        b"!<arch>\n".to_vec(),
        member("debian-binary", b"2.0\n"),
        member("data.tar.xz/", &sample("xz -9")),
        member("//", b"a/rather/long/name.o/\n"),
        member("/0", b"abc"),
        member("#1/8", b"bsd.o\0\0\0data"),
    ]
    .concat();
    check(
        &image,
        &[
            "Xz(None) 132+92>1260",
            "debian-binary = 68+4",
            "data.tar.xz = 132+92",
            "a/rather/long/name.o = 366+3",
            "bsd.o = 438+4",
        ],
    );
}

#[test]
fn kernels_give_up_their_payload() {
    let gzip = sample("gzip -9n");
    check(&uimage(&gzip, 2), &["Gzip 64+45>1260", "<gzip> = #0[0+1260]"]);
    let parts = [&[0, 0, 0, 45, 0, 0, 0, 4, 0, 0, 0, 0][..], &gzip, &[0; 3], b"tree"].concat();
    check(&uimage(&parts, 4), &["Gzip 76+45>1260", "<gzip> = #0[0+1260]"]);
    for (tool, hint, hex) in SAMPLES {
        let stream = unhex(hex);
        let with_size = [&stream[..], &1260_u32.to_le_bytes()].concat();
        let (layout, end) = look(&bzimage(&with_size));
        let [packed] = layout.packed.as_slice() else { panic!("{tool}: {layout:?}") };
        assert_eq!((packed.start, packed.len, packed.hint), (1024 + 16, length(&stream), *hint), "{tool}");
        assert_eq!(end, Some(1536));
        let mut zboot = vec![0; 64];
        zboot[..8].copy_from_slice(b"MZ\0\0zimg");
        zboot[8..12].copy_from_slice(&64_u32.to_le_bytes());
        zboot[12..16].copy_from_slice(&u32::try_from(with_size.len()).unwrap().to_le_bytes());
        let (layout, end) = look(&[zboot, with_size].concat());
        assert_eq!(layout.packed.len(), 1, "{tool}");
        assert_eq!(end, Some(64 + length(&stream) + 4));
        let zimage = build::zimage(&stream);
        let (layout, end) = look(&zimage);
        assert_eq!((layout.packed.len(), end), (1, Some(length(&zimage))), "{tool}");
        assert_eq!(layout.packed[0].plain_len_max, PLAIN_LEN);
    }
}

#[test]
fn a_kernel_that_is_not_packed_holds_streams() {
    let mut image = vec![0xaa; 300];
    image[56..60].copy_from_slice(b"ARM\x64");
    image[16..24].copy_from_slice(&0x10_0000_u64.to_le_bytes());
    image.splice(201..201, [b"IKCFG_ST".to_vec(), sample("gzip -9n"), b"IKCFG_ED".to_vec()].concat());
    check(&image, &["Gzip 209+45>1260", "<gzip> = #0[0+1260]"]);
}

#[test]
fn a_fit_has_its_images_inside_or_behind_the_tree() {
    let (image, inside) = fit(&[("kernel-1", &sample("gzip -9n")), ("fdt-1", b"tree")], &[]);
    let start = inside[0];
    check(
        &image,
        &[
            &format!("Gzip {start}+45>1260"),
            &format!("kernel-1 = {start}+45"),
            &format!("fdt-1 = {}+4", inside[1]),
        ],
    );
    let (image, _) =
        fit(&[], &[("kernel-1", &sample("lz4 -l -9")), ("ramdisk-1", &cpio(&[("init", b"#!")]))]);
    let (layout, end) = look(&image);
    let paths = layout.files.iter().map(|file| file.path.as_str()).collect::<Vec<_>>();
    assert_eq!(paths, ["kernel-1", "ramdisk-1/init"]);
    assert_eq!((layout.packed[0].hint, end), (Hint::Lz4Legacy, Some(length(&image))));
    let (image, _) = fit(&[], &[]);
    check(&image, &[&format!("<device tree> = 0+{}", image.len())]);
}

#[test]
fn programs_stay_whole_unless_they_are_mere_wrappers() {
    check(&elf(&sample("gzip -9n")), &["<elf> = 0+248"]);
    let (layout, end) = look(&[elf(b"code"), b"and more".to_vec()].concat());
    assert_eq!((show(&layout), end), ("<elf> = 0+248".to_owned(), Some(248)));
    let mut wrapper = elf(b"");
    wrapper.truncate(120);
    // No sections; the segment is one large stream.
    wrapper[40..48].fill(0);
    wrapper[60] = 0;
    let stream = sample("xz --block-size=700 --check=sha256");
    wrapper[96..104].copy_from_slice(&length(&stream).to_le_bytes());
    wrapper.extend_from_slice(&stream);
    check(&wrapper, &[&format!("Xz(None) 120+{}>1260", stream.len()), "<xz> = #0[0+1260]"]);
}

#[test]
fn android_images_are_looked_into() {
    let gzip = sample("gzip -9n");
    let mut image = vec![0; 2048 * 4];
    image[..8].copy_from_slice(b"ANDROID!");
    for (at, value) in [(8, 45_u32), (16, 4), (24, 0), (36, 2048), (40, 2), (1_648, 3)] {
        image[at..at + 4].copy_from_slice(&value.to_le_bytes());
    }
    image[2048..2048 + 45].copy_from_slice(&gzip);
    check(&image, &["Gzip 2048+45>1260", "kernel = 2048+45", "ramdisk = 4096+4", "dtb = 6144+3"]);
    check(&sparse(), &["<sparse image> = 40+8, hole 12, hole 4, 88+4"]);
}

#[test]
fn carving_finds_streams_at_any_place() {
    let noise = (0..5_000_u32).map(|n| n.wrapping_mul(0x9e37_79b9).to_be_bytes()[0]).collect::<Vec<_>>();
    for (tool, hint, hex) in SAMPLES {
        for before in [1, 4_095, 4_096, 4_999] {
            let image = [&noise[..before], &unhex(hex), &[0xff; 100], &unhex(SAMPLES[0].2)].concat();
            let layout = carved(&image);
            let found = layout.packed.iter().map(|packed| (packed.start, packed.hint)).collect::<Vec<_>>();
            let start = u64::try_from(before).unwrap();
            let second = start + length(&unhex(hex)) + 100;
            assert_eq!(found, [(start, *hint), (second, Hint::Gzip)], "{tool} at {before}");
        }
    }
}

#[test]
fn carving_finds_containers_and_asks_about_file_systems() {
    let gzip = sample("gzip -9n");
    let mut ext = vec![1; 4096];
    ext[1080..1082].copy_from_slice(&[0x53, 0xef]);
    let image = [&[0xff; 8192][..], &ext, &uimage(&gzip, 2), b"...hsqs", &cpio(&[("a", b"b")])].concat();
    let asked = std::cell::RefCell::new(Vec::new());
    let other = |_: &[u8], start: u64, _: &mut Layout| {
        asked.borrow_mut().push(start);
        None
    };
    let mut layout = Layout::default();
    carve(&image, 0, length(&image), &mut layout, &other);
    assert_eq!(show(&layout), "Gzip 12352+45>1260\n<gzip> = #0[0+1260]\na = 12516+1");
    // The start, the superblock, the magic; uimage and cpio need no asking, what lies behind them does.
    assert!(
        asked.borrow().starts_with(&[0, 8192]) && asked.borrow().contains(&12400),
        "{:?}",
        asked.borrow()
    );
}

#[test]
fn carving_leaves_small_streams_alone() {
    let small = unhex("1f8b0800000000000203cb48cdc9c9070086a6103605000000");
    assert_eq!(carved(&[b"x", &small[..]].concat()), Layout::default());
    // Where a stream must stand, it may be small.
    check(&small, &["Gzip 0+25>5", "<gzip> = #0[0+5]"]);
}
