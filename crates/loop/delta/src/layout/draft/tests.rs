//! Drafts that overlap, lie outside, or share.

use super::super::{File, Layout, Packed, Piece};
use super::{Draft, Pieces, Sliceable, join};
use crate::codec::Hint;

fn packed(start: u64, len: u64) -> Packed {
    Packed { start, len, plain_len_max: 10, hint: Hint::Zlib }
}

fn pieces(list: &[Piece]) -> Pieces {
    let mut found = Pieces::default();
    for piece in list {
        found.push(*piece);
    }
    found
}

fn in_packed(index: usize) -> Piece {
    Piece::InPacked { index, skip: 0, len: 5 }
}

fn settled(stretches: &[Packed], files: &[(&str, &[Piece])]) -> Layout {
    let mut draft = Draft::default();
    for one in stretches {
        draft.pack(*one).unwrap();
    }
    for (path, list) in files {
        draft.file(path, pieces(list)).unwrap();
    }
    let mut layout = Layout::default();
    draft.settle_into(&mut layout, 0, 100);
    layout.check_invariants(100).unwrap();
    layout
}

#[test]
fn files_follow_their_stretches() {
    let layout =
        settled(&[packed(50, 10), packed(10, 10)], &[("b", &[in_packed(0)]), ("a", &[in_packed(1)])]);
    assert_eq!(layout.packed, [packed(10, 10), packed(50, 10)]);
    let file = |path: &str, index| File { path: path.to_owned(), pieces: vec![in_packed(index)] };
    assert_eq!(layout.files, [file("a", 0), file("b", 1)]);
}

#[test]
fn a_stretch_that_is_met_twice_is_kept_once() {
    let layout =
        settled(&[packed(10, 10), packed(10, 10)], &[("a", &[in_packed(0)]), ("b", &[in_packed(1)])]);
    assert_eq!((layout.packed.len(), layout.files.len()), (1, 2));
}

#[test]
fn what_overlaps_or_lies_outside_goes_with_its_files() {
    let stretches = [packed(10, 10), packed(15, 2), packed(95, 6), packed(40, 0), packed(u64::MAX, 2)];
    let files: Vec<[Piece; 1]> = (0..6).map(|index| [in_packed(index)]).collect();
    let files: Vec<(&str, &[Piece])> = files.iter().map(|list| ("x", &list[..])).collect();
    let layout = settled(&stretches, &files);
    assert_eq!((layout.packed.len(), layout.files.len()), (1, 1));
    let raw = |start, len| [Piece::Raw { start, len }];
    let layout = settled(
        &[packed(10, 10)],
        &[
            ("before", &raw(0, 10)),
            ("in", &raw(12, 1)),
            ("over", &raw(5, 6)),
            ("behind", &raw(20, 80)),
            ("outside", &raw(20, 81)),
            ("overflows", &raw(u64::MAX, 2)),
            ("long", &[Piece::InPacked { index: 0, skip: 6, len: 5 }]),
            ("empty", &[Piece::Hole { len: 5 }]),
        ],
    );
    let paths: Vec<&str> = layout.files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(paths, ["before", "behind"]);
}

#[test]
fn a_second_file_system_is_added_in_its_place() {
    let mut layout = settled(&[packed(50, 10)], &[("first", &[in_packed(0)])]);
    let mut draft = Draft::default();
    draft.pack(packed(5, 5)).unwrap();
    draft.file("second", pieces(&[in_packed(0), Piece::Raw { start: 0, len: 5 }])).unwrap();
    draft.put_below("folder");
    draft.settle_into(&mut layout, 20, 100);
    layout.check_invariants(100).unwrap();
    assert_eq!(layout.packed, [packed(25, 5), packed(50, 10)]);
    assert_eq!(layout.files[0].path, "folder/second");
    assert_eq!(layout.files[0].pieces, [in_packed(0), Piece::Raw { start: 20, len: 5 }]);
    assert_eq!(layout.files[1].pieces, [in_packed(1)]);
}

#[test]
fn neighbours_are_joined_and_cut_again() {
    let joined = pieces(&[
        Piece::Raw { start: 0, len: 5 },
        Piece::Raw { start: 5, len: 5 },
        Piece::Hole { len: 3 },
        Piece::Hole { len: 0 },
        Piece::Hole { len: 4 },
        Piece::InPacked { index: 1, skip: 2, len: 3 },
        Piece::InPacked { index: 1, skip: 5, len: 3 },
    ]);
    assert_eq!(joined.as_slice().len(), 3);
    let sliceable = Sliceable::new(joined);
    let cut = |skip, len| sliceable.slice(skip, len).map(|pieces| pieces.as_slice().to_vec());
    let middle = [
        Piece::Raw { start: 8, len: 2 },
        Piece::Hole { len: 7 },
        Piece::InPacked { index: 1, skip: 2, len: 1 },
    ];
    assert_eq!(cut(8, 10), Some(middle.to_vec()));
    assert_eq!(cut(10, 7), Some(vec![Piece::Hole { len: 7 }]));
    assert_eq!(cut(22, 1), Some(vec![Piece::InPacked { index: 1, skip: 7, len: 1 }]));
    assert_eq!((cut(22, 2), cut(23, 1), cut(u64::MAX, u64::MAX)), (None, None, None));
}

#[test]
fn names_stay_in_their_folder() {
    assert_eq!(join("", b"a"), Some("a".to_owned()));
    assert_eq!(join("a", b"b c"), Some("a/b c".to_owned()));
    for bad in [&b""[..], b".", b"..", b"a/b", b"a\0b"] {
        assert_eq!(join("a", bad), None);
    }
    assert_eq!(join(&"a".repeat(4095), b"b"), None);
}
