//! Pairs of small file systems: what is unpacked, what is compared with what, and that every byte comes back.

use std::io::Cursor;

use proptest::collection::vec;
use proptest::prelude::{Strategy, any, proptest};

use super::*;
use crate::codec::Codec;
use crate::layers::{NewSink, OldPlain, PACK_PIECE_BYTES};
use crate::layout::{File, Packed, Piece};

/// An image that is built, with its layout.
#[derive(Debug, Clone, Default)]
struct Image {
    bytes: Vec<u8>,
    layout: Layout,
}

impl Image {
    fn raw(&mut self, bytes: &[u8]) -> Piece {
        let start = self.bytes.len() as u64;
        self.bytes.extend(bytes);
        Piece::Raw { start, len: bytes.len() as u64 }
    }

    /// Packs a block; returns it whole.
    fn block(&mut self, plain: &[u8], codec: &Codec) -> Piece {
        let start = self.bytes.len() as u64;
        let mut engine = codec.packer(plain.len() as u64).unwrap();
        plain.chunks(PACK_PIECE_BYTES).for_each(|piece| engine.push(piece, &mut self.bytes).unwrap());
        engine.finish(&mut self.bytes).unwrap();
        let hint = if codec.is_zstd() { Hint::Zstd } else { Hint::Zlib };
        let len = self.bytes.len() as u64 - start;
        self.layout.packed.push(Packed { start, len, plain_len_max: plain.len() as u64, hint });
        Piece::InPacked { index: self.layout.packed.len() - 1, skip: 0, len: plain.len() as u64 }
    }

    fn file(&mut self, path: &str, pieces: &[Piece]) {
        self.layout.files.push(File { path: path.into(), pieces: pieces.to_vec() });
    }
}

/// What of a packed block belongs to a file.
fn of(block: Piece, skip: u64, len: u64) -> Piece {
    let Piece::InPacked { index, .. } = block else { panic!("raw") };
    Piece::InPacked { index, skip, len }
}

/// A file system as SquashFS makes them: blocks of 8 KiB, tails of files together in one block, then a table.
fn file_system(files: &[(&str, Vec<u8>)]) -> Image {
    const BLOCK: usize = 8 << 10;
    let codec = Codec::zlib(9);
    let mut image = Image::default();
    image.raw(b"superblock of ninety-six bytes, more or less");
    let (mut tails, mut found) = (Vec::new(), Vec::new());
    for (path, bytes) in files {
        let (blocks, tail) = bytes.split_at(bytes.len() / BLOCK * BLOCK);
        let pieces: Vec<Piece> = blocks.chunks(BLOCK).map(|block| image.block(block, &codec)).collect();
        found.push((*path, pieces, tails.len() as u64, tail.len() as u64));
        tails.extend(tail);
    }
    let tails = image.block(&tails, &codec);
    for (path, mut pieces, skip, len) in found {
        pieces.push(of(tails, skip, len));
        image.file(path, &pieces);
    }
    let names: Vec<u8> =
        files.iter().flat_map(|(path, bytes)| format!("{path} {};", bytes.len()).into_bytes()).collect();
    let inodes = image.block(&names, &codec);
    image.file("<inodes>", &[inodes]);
    image.raw(b"end");
    image
}

/// Bytes that pack, but not to nothing; the same for the same seed.
fn text(len: usize, seed: u32) -> Vec<u8> {
    let mut state = seed.wrapping_mul(747_796_405) | 1;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        b"etaoin shrdlu.\n0"[(state >> 28) as usize]
    };
    std::iter::repeat_with(next).take(len).collect()
}

fn changed(mut bytes: Vec<u8>, at: usize) -> Vec<u8> {
    bytes[at] ^= 0x20;
    bytes
}

/// Plans a pair; `known` are the images that the tool recognises, wherever they turn up.
fn planned<'a>(old: &'a Image, new: &'a Image, known: &[&Image]) -> Planned<'a> {
    let mut prover = Prover::default();
    let mut tools = Tools {
        look: &mut |bytes| {
            let image = known.iter().chain([&old, &new]).find(|image| image.bytes == bytes);
            image.map(|image| image.layout.clone()).unwrap_or_default()
        },
        prove: &mut |hint, packed, plain_len_max| prover.prove(hint, packed, plain_len_max),
        pair: &mut by_content,
    };
    let planned =
        plan_with(Cow::Borrowed(&old.bytes), Cow::Borrowed(&new.bytes), &mut tools, &Budget::default());
    check(&planned, &old.bytes, &new.bytes);
    planned
}

/// Whatever was planned: the layers lead there and back, and the parts fit.
fn check(planned: &Planned<'_>, old: &[u8], new: &[u8]) {
    let mut tables = Vec::new();
    planned.layers.write(&mut tables);
    let layers = Layers::read(&mut tables.as_slice(), old.len() as u64, new.len() as u64).unwrap();
    assert_eq!(layers, planned.layers);

    let (mut image, mut scratch) = (Cursor::new(old), Cursor::new(Vec::new()));
    let mut plain = OldPlain::new(&layers, &mut image, Some(&mut scratch)).unwrap();
    let mut bytes = vec![0; usize::try_from(plain.len()).unwrap()];
    plain.read_at(0, &mut bytes).unwrap();
    assert_eq!(bytes, planned.old_plain.as_ref());

    let mut image = Vec::new();
    let mut sink = NewSink::new(&layers, &mut image);
    sink.push(&planned.new_plain).unwrap();
    sink.finish().unwrap();
    assert_eq!(image, new);

    let mut end = 0;
    for part in &planned.parts {
        assert_eq!(part.new.start, end, "{:?}", planned.parts);
        assert!(part.new.end > part.new.start);
        end = part.new.end;
        for extent in &part.old {
            assert!(extent.len > 0 && extent.end() <= planned.old_plain.len() as u64, "{part:?}");
        }
        assert!(part.old.windows(2).all(|pair| pair[0].at + pair[0].len <= pair[1].at), "{part:?}");
    }
    assert_eq!(end, planned.new_plain.len() as u64);
}

/// Returns the bytes of a part, and those of its old extents.
fn bytes_of(planned: &Planned<'_>, part: &PlannedPart) -> (Vec<u8>, Vec<u8>) {
    let place = |at: u64| usize::try_from(at).unwrap();
    let cut = |bytes: &[u8], start: u64, end: u64| bytes[place(start)..place(end)].to_vec();
    let old =
        part.old.iter().flat_map(|extent| cut(&planned.old_plain, extent.start, extent.end())).collect();
    (cut(&planned.new_plain, part.new.start, part.new.end), old)
}

fn part<'p>(planned: &'p Planned<'_>, path: &str) -> &'p PlannedPart {
    planned
        .parts
        .iter()
        .find(|part| part.path == path)
        .unwrap_or_else(|| panic!("{path} in {:?}", planned.parts))
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

fn unpacked_counts(planned: &Planned<'_>) -> Vec<(usize, usize)> {
    planned.layers.layers().iter().map(|layer| (layer.old().len(), layer.new_stretches().len())).collect()
}

fn five_files() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("bin/a", text(30_000, 1)),
        ("bin/b", text(50_000, 2)),
        ("etc/c", text(300, 3)),
        ("lib/d", text(70_000, 4)),
        ("lib/e", text(9_000, 5)),
    ]
}

#[test]
fn images_without_anything_packed_are_borrowed_and_one_part() {
    let [mut old, mut new] = [Image::default(), Image::default()];
    old.raw(&text(5000, 1));
    new.raw(&text(6000, 2));
    let planned = planned(&old, &new, &[]);
    assert!(matches!((&planned.old_plain, &planned.new_plain), (Cow::Borrowed(_), Cow::Borrowed(_))));
    let old = vec![Extent { at: 0, start: 0, len: 5000 }];
    let file = vec![Extent { at: 0, start: 0, len: 6000 }];
    assert_eq!(planned.parts, [PlannedPart { new: 0..6000, path: String::new(), file, old }]);
}

#[test]
fn empty_images_have_no_parts() {
    let (empty, mut full) = (Image::default(), Image::default());
    full.raw(b"bytes");
    assert_eq!(planned(&empty, &empty, &[]).parts, []);
    assert_eq!(planned(&full, &empty, &[]).parts, []);
    assert_eq!(planned(&empty, &full, &[]).parts.len(), 1);
}

#[test]
fn equal_images_stay_packed() {
    let image = file_system(&five_files());
    let planned = planned(&image, &image, &[]);
    assert_eq!(unpacked_counts(&planned), []);
    assert_eq!(planned.parts.len(), 1, "{:?}", planned.parts);
    let (new, old) = bytes_of(&planned, &planned.parts[0]);
    assert_eq!(new, old);
}

#[test]
fn a_changed_block_unpacks_its_whole_file_on_both_sides() {
    let (before, mut after) = (five_files(), five_files());
    after[3].1 = changed(after[3].1.clone(), 20_000);
    let (old, new) = (file_system(&before), file_system(&after));
    let planned = planned(&old, &new, &[]);
    // Eight blocks, and the block of tails, since the tail is a part of the file.
    assert_eq!(unpacked_counts(&planned), [(9, 9)]);
    let (new_bytes, old_bytes) = bytes_of(&planned, part(&planned, "lib/d"));
    assert_eq!(new_bytes, after[3].1[..65_536]);
    assert_eq!(old_bytes, before[3].1, "the whole old file");
    let tail = planned.parts.iter().filter(|part| part.path == "lib/d").nth(1).unwrap();
    assert_eq!(tail.at(), 65_536);
    assert_eq!(bytes_of(&planned, tail).0, after[3].1[65_536..]);
    // What is between files has what it needs, packed or not.
    for between in planned.parts.iter().filter(|part| part.path.is_empty()) {
        let (new, old) = bytes_of(&planned, between);
        assert!(contains(&old, &new), "{between:?}");
    }
}

#[test]
fn unchanged_files_follow_into_a_changed_block_of_tails() {
    let (before, mut after) = (five_files(), five_files());
    after[2].1.insert(100, b'x');
    let (old, new) = (file_system(&before), file_system(&after));
    let planned = planned(&old, &new, &[]);
    // The block of tails and the inodes; no block of a file that has not changed.
    assert_eq!(unpacked_counts(&planned), [(2, 2)]);
    assert!(planned.parts.iter().all(|part| part.path.is_empty()), "{:?}", planned.parts);
    let (new, old) = bytes_of(&planned, &planned.parts[0]);
    for tail in [&before[0].1[24_576..], &before[3].1[65_536..]] {
        assert!(contains(&new, tail) && contains(&old, tail));
    }
}

#[test]
fn a_block_that_cannot_be_packed_again_stays_packed_on_both_sides() {
    let (mut before, mut after) = (Image::default(), Image::default());
    for (image, changed_at) in [(&mut before, None), (&mut after, Some(100))] {
        let mut content = text(24_000, 7);
        if let Some(at) = changed_at {
            content[at] ^= 1;
        }
        let pieces = [
            image.block(&content[..8000], &Codec::zlib(9)),
            image.block(&content[8000..16_000], &Codec::unprovable()),
            image.block(&content[16_000..], &Codec::zlib(9)),
        ];
        image.file("a", &pieces);
    }
    let planned = planned(&before, &after, &[]);
    assert_eq!(unpacked_counts(&planned), [(2, 2)]);
    let paths: Vec<&str> = planned.parts.iter().map(|part| part.path.as_str()).collect();
    assert_eq!(paths, ["a", "", "a"]);
    let (new, old) = bytes_of(&planned, &planned.parts[1]);
    assert_eq!(new, old);
}

#[test]
fn nothing_is_unpacked_on_the_old_side_for_files_that_stay_packed() {
    let [old, new] = [1, 2].map(|seed| {
        let mut image = Image::default();
        let piece = image.block(&text(8000, seed), &Codec::unprovable());
        image.file("a", &[piece]);
        image
    });
    assert_eq!(unpacked_counts(&planned(&old, &new, &[])), []);
}

#[test]
fn renamed_files_are_paired_by_their_content() {
    let (before, mut after) = (five_files(), five_files());
    after[3] = ("lib/other", changed(after[3].1.clone(), 20_000));
    let (old, new) = (file_system(&before), file_system(&after));
    let planned = planned(&old, &new, &[]);
    let (_, old_bytes) = bytes_of(&planned, part(&planned, "lib/other"));
    assert_eq!(old_bytes, before[3].1);
}

#[test]
fn a_new_file_has_no_old_bytes_but_a_small_one_has_its_neighbours() {
    for (len, is_own) in [(100_000, true), (20_000, false)] {
        let (before, mut after) = (five_files(), five_files());
        after.insert(2, ("etc/new", text(len, 77).iter().map(|byte| byte ^ 0x55).collect()));
        let (old, new) = (file_system(&before), file_system(&after));
        let planned = planned(&old, &new, &[]);
        let own = planned.parts.iter().find(|part| part.path == "etc/new");
        assert_eq!(own.map(|part| part.old.len()), is_own.then_some(0));
    }
}

#[test]
fn blocks_with_short_heads_between_them_are_one_part() {
    let [old, new] = [0, 1].map(|version| {
        let mut image = Image::default();
        let content = changed(text(40_000, 3), version * 20_000);
        let mut pieces = Vec::new();
        for block in content.chunks(8192) {
            image.raw(b"head");
            pieces.push(image.block(block, &Codec::zlib(9)));
        }
        image.file("<inodes>", &pieces);
        image
    });
    let planned = planned(&old, &new, &[]);
    let len = 40_000 + 4 * 4;
    let extent = Extent { at: 0, start: 4, len };
    assert_eq!(part(&planned, "<inodes>").old, [extent]);
    assert_eq!(part(&planned, "<inodes>").new, 4..4 + len);
}

#[test]
fn short_stretches_of_scattered_files_lie_between_files() {
    let [old, new] = [0, 1].map(|version| {
        let mut image = Image::default();
        let mut directories = Vec::new();
        for number in 0..20 {
            directories.push(image.raw(&changed(text(4096, number), version * 1000)));
            let file = image.raw(&text(10_000, 100 + number));
            image.file(&format!("file {number}"), &[file]);
        }
        image.file("<directories>", &directories);
        image
    });
    let planned = planned(&old, &new, &[]);
    assert_eq!(planned.parts.len(), 1, "{:?}", planned.parts);
    assert_eq!(planned.parts[0].old, [Extent { at: 0, start: 0, len: old.bytes.len() as u64 }]);
}

#[test]
fn a_stream_that_is_packed_on_one_side_only_is_compared_unpacked() {
    let (mut packed, mut raw) = (Image::default(), Image::default());
    let piece = packed.block(&text(50_000, 1), &Codec::zlib(6));
    packed.file("<zlib>", &[piece]);
    raw.raw(&changed(text(50_000, 1), 1000));
    let there = planned(&packed, &raw, &[]);
    assert_eq!(unpacked_counts(&there), [(1, 0)]);
    assert_eq!(bytes_of(&there, &there.parts[0]).1, text(50_000, 1));
    let back = planned(&raw, &packed, &[]);
    assert_eq!(unpacked_counts(&back), [(0, 1)]);
    assert_eq!(bytes_of(&back, &back.parts[0]).1, raw.bytes);
}

/// A kernel with a file system in it, packed, between two strings.
fn kernel(files: &[(&str, Vec<u8>)]) -> (Image, Image) {
    let inner = file_system(files);
    let mut outer = Image::default();
    outer.raw(&text(2000, 9));
    let piece = outer.block(&inner.bytes, &Codec::zstd(3));
    outer.file("kernel", &[piece]);
    outer.raw(&text(3000, 10));
    (inner, outer)
}

#[test]
fn packed_files_in_a_packed_stream_make_two_layers() {
    let (before, mut after) = (five_files(), five_files());
    after[1].1 = changed(after[1].1.clone(), 20_000);
    let ((old_inner, old), (new_inner, new)) = (kernel(&before), kernel(&after));
    let planned = planned(&old, &new, &[&old_inner, &new_inner]);
    assert_eq!(unpacked_counts(&planned), [(1, 1), (7, 7)]);
    let (new_bytes, old_bytes) = bytes_of(&planned, part(&planned, "kernel/bin/b"));
    assert_eq!(new_bytes, after[1].1[..49_152]);
    assert_eq!(old_bytes, before[1].1);
    assert!(planned.layers.memory() < ByteCount::mib(16));
}

#[test]
fn files_in_the_topmost_layer_are_found_although_nothing_is_packed_there() {
    let [(old_inner, old), (new_inner, new)] = [0, 1].map(|version| {
        let mut inner = Image::default();
        for (path, seed) in [("a", 1), ("b", 2)] {
            inner.raw(b"header of a file");
            let piece = inner.raw(&changed(text(5000, seed), 100 * version));
            inner.file(path, &[piece]);
        }
        let mut outer = Image::default();
        let piece = outer.block(&inner.bytes, &Codec::zlib(6));
        outer.file("<gzip>", &[piece]);
        (inner, outer)
    });
    let planned = planned(&old, &new, &[&old_inner, &new_inner]);
    let paths: Vec<&str> = planned.parts.iter().map(|part| part.path.as_str()).collect();
    assert_eq!(paths, ["", "<gzip>/a", "<gzip>/b"], "headers are as short as padding");
    assert_eq!(bytes_of(&planned, &planned.parts[2]).1.len(), 5000);
}

#[test]
fn files_without_stretches_are_parts_in_borrowed_images() {
    let [old, new] = [0, 1].map(|version| {
        let mut image = Image::default();
        for seed in 1..9 {
            image.raw(&text(512, 100 + seed));
            let content = text(6000, seed);
            let piece = image.raw(&if seed == 5 { changed(content, version * 7) } else { content });
            image.file(&format!("file {seed}"), &[piece]);
        }
        image
    });
    let planned = planned(&old, &new, &[]);
    assert!(matches!(planned.new_plain, Cow::Borrowed(_)));
    let paths: Vec<&str> = planned.parts.iter().map(|part| part.path.as_str()).collect();
    assert_eq!(paths, ["", "file 5", ""]);
    for part in [&planned.parts[0], &planned.parts[2]] {
        let (new, old) = bytes_of(&planned, part);
        assert_eq!(new, old);
    }
}

#[test]
fn what_a_device_cannot_lend_stays_packed() {
    let [old, new] = [1, 2].map(|seed| {
        let mut image = Image::default();
        let piece = image.block(&text(3_000_000, seed), &Codec::zlib(6));
        image.file("<zlib>", &[piece]);
        image
    });
    for (scratch_max, memory_max, expected) in [
        (ByteCount::mib(4), ByteCount::mib(4), vec![(1, 1)]),
        (ByteCount::mib(1), ByteCount::mib(4), vec![]),
        (ByteCount::mib(4), ByteCount::kib(4), vec![]),
    ] {
        let mut prover = Prover::default();
        let mut tools = Tools {
            look: &mut |bytes| if bytes == old.bytes { old.layout.clone() } else { new.layout.clone() },
            prove: &mut |hint, packed, plain_len_max| prover.prove(hint, packed, plain_len_max),
            pair: &mut by_content,
        };
        let planned = plan_with(
            Cow::Borrowed(&old.bytes),
            Cow::Borrowed(&new.bytes),
            &mut tools,
            &Budget { memory_max, scratch_max },
        );
        assert_eq!(unpacked_counts(&planned), expected);
        check(&planned, &old.bytes, &new.bytes);
    }
}

/// A file: its name, length and seed.
fn files() -> impl Strategy<Value = Vec<(u8, usize, u32)>> {
    vec((0..12_u8, 1_usize..30_000, 0..4_u32), 0..8)
}

fn random_file_system(files: &[(u8, usize, u32)]) -> Image {
    const NAMES: [&str; 12] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];
    let mut all: Vec<(&str, Vec<u8>)> =
        files.iter().map(|(name, len, seed)| (NAMES[usize::from(*name)], text(*len, *seed))).collect();
    all.sort();
    all.dedup_by_key(|(name, _)| *name);
    file_system(&all)
}

proptest! {
    #[test]
    fn any_pair_of_file_systems_comes_back_whole(old in files(), new in files(), wrapped in any::<[bool; 2]>()) {
        let (old, new) = (random_file_system(&old), random_file_system(&new));
        let wrap = |image: &Image, wrapped: bool| {
            let mut outer = image.clone();
            if wrapped {
                outer = Image::default();
                outer.raw(b"head");
                let piece = outer.block(&image.bytes, &Codec::zlib(6));
                outer.file("<gzip>", &[piece]);
            }
            outer
        };
        planned(&wrap(&old, wrapped[0]), &wrap(&new, wrapped[1]), &[&old, &new]);
    }

    #[test]
    fn hostile_layouts_make_valid_plans(
        pieces in vec((0..3_u8, 0..6_usize, 0..3000_u64, 0..3000_u64), 0..30),
        packed in vec((0..4000_u64, 0..4000_u64, 0..9000_u64), 0..6),
    ) {
        let mut image = file_system(&[("a", text(9000, 1))]);
        let mut old = image.clone();
        old.bytes[60] ^= 1;
        for (start, len, plain_len_max) in packed {
            image.layout.packed.push(Packed { start, len, plain_len_max, hint: Hint::Zlib });
        }
        for (index, chunk) in pieces.chunks(3).enumerate() {
            let piece = |(kind, index, start, len): &(u8, usize, u64, u64)| match kind {
                0 => Piece::Raw { start: *start, len: *len },
                1 => Piece::InPacked { index: *index, skip: *start, len: *len },
                _ => Piece::Hole { len: *len },
            };
            image.file(&format!("file {}", index % 4), &chunk.iter().map(piece).collect::<Vec<_>>());
        }
        old.layout = image.layout.clone();
        planned(&old, &image, &[]);
    }
}
