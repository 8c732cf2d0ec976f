//! What the tests of all file systems share: a tree of files, the tools that pack it, and checks of a layout.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path;
use std::process::Stdio;

use proptest::prelude::any;
use proptest::test_runner::{Config, TestRunner};
use tempfile::TempDir;

use super::fields::get;
use super::unpack::unpack_metadata;
use super::{File, Layout, Piece};

impl Layout {
    /// Says which promise of a layout is broken.
    pub(crate) fn check_invariants(&self, image_len: u64) -> Result<(), String> {
        let mut end = 0;
        for one in &self.packed {
            let next = one.start.checked_add(one.len).ok_or("a packed stretch overflows")?;
            if one.len == 0 || one.start < end || next > image_len {
                return Err(format!("{one:?} overlaps, is empty or outside"));
            }
            end = next;
        }
        let mut before = (0, 0);
        for file in &self.files {
            let mut first = None;
            for piece in &file.pieces {
                let place =
                    self.check_piece(*piece, image_len).map_err(|why| format!("{}: {why}", file.path))?;
                first = first.or(place);
            }
            let first = first.ok_or_else(|| format!("{}: stores nothing", file.path))?;
            if first < before {
                return Err(format!("{}: is not in order", file.path));
            }
            before = first;
        }
        Ok(())
    }

    fn check_piece(&self, piece: Piece, image_len: u64) -> Result<Option<(u64, u64)>, String> {
        match piece {
            Piece::Raw { start, len } => {
                let end = start.checked_add(len).filter(|end| len > 0 && *end <= image_len);
                let end = end.ok_or_else(|| format!("{piece:?} is outside"))?;
                if self.packed.iter().any(|one| one.start < end && start < one.start + one.len) {
                    return Err(format!("{piece:?} lies in a packed stretch"));
                }
                Ok(Some((start, 0)))
            }
            Piece::InPacked { index, skip, len } => {
                let one = self.packed.get(index).ok_or_else(|| format!("{piece:?} leads nowhere"))?;
                let end = skip.checked_add(len).filter(|end| len > 0 && *end <= one.plain_len_max);
                end.ok_or_else(|| format!("{piece:?} is outside of {one:?}"))?;
                Ok(Some((one.start, skip)))
            }
            Piece::Hole { len } => (len > 0).then_some(None).ok_or_else(|| "a hole of no bytes".to_owned()),
        }
    }
}

/// Unpacks the stretches of an image, each once.
pub(crate) struct Contents<'a> {
    image: &'a [u8],
    layout: &'a Layout,
    plain: BTreeMap<usize, Vec<u8>>,
}

impl<'a> Contents<'a> {
    pub(crate) fn new(image: &'a [u8], layout: &'a Layout) -> Self {
        Self { image, layout, plain: BTreeMap::new() }
    }

    /// Returns what a file holds.
    pub(crate) fn of(&mut self, file: &File) -> Vec<u8> {
        let mut found = Vec::new();
        for piece in &file.pieces {
            match *piece {
                Piece::Raw { start, len } => found.extend_from_slice(get(self.image, start, len).unwrap()),
                Piece::InPacked { index, skip, len } => {
                    found.extend_from_slice(get(self.plain(index), skip, len).unwrap());
                }
                Piece::Hole { len } => found.resize(found.len() + usize::try_from(len).unwrap(), 0),
            }
        }
        found
    }

    fn plain(&mut self, index: usize) -> &[u8] {
        self.plain.entry(index).or_insert_with(|| {
            let one = self.layout.packed[index];
            let packed = get(self.image, one.start, one.len).unwrap();
            let plain = unpack_metadata(one.hint, packed, one.plain_len_max);
            plain.unwrap_or_else(|| panic!("{one:?} cannot be unpacked"))
        })
    }
}

/// Returns the files of a layout that are not its own data, by path.
pub(crate) fn files(image: &[u8], layout: &Layout) -> BTreeMap<String, Vec<u8>> {
    layout.check_invariants(image.len() as u64).unwrap();
    let mut contents = Contents::new(image, layout);
    let visible = layout.files.iter().filter(|file| !file.path.contains('<'));
    visible.map(|file| (file.path.clone(), contents.of(file))).collect()
}

/// Moves a layout to where it is when `by` bytes come before its image.
pub(crate) fn moved(mut layout: Layout, by: u64) -> Layout {
    layout.packed.iter_mut().for_each(|one| one.start += by);
    for piece in layout.files.iter_mut().flat_map(|file| &mut file.pieces) {
        if let Piece::Raw { start, .. } = piece {
            *start += by;
        }
    }
    layout
}

/// Bytes that do not compress, the same for the same seed.
pub(crate) fn noise(len: usize, seed: u32) -> Vec<u8> {
    let mut state = seed;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(next).take(len).collect()
}

/// Bytes that compress well.
pub(crate) fn text(lines: u32, seed: u32) -> Vec<u8> {
    (0..lines)
        .flat_map(|line| format!("{}: a line of text, {}\n", line + seed, line % 7).into_bytes())
        .collect()
}

/// The files that every file system is built of. No two hold the same.
pub(crate) fn sources() -> BTreeMap<String, Vec<u8>> {
    let sparse = [text(300, 1), vec![0; 600_000], text(20_000, 2), vec![0; 300_000]].concat();
    let mut found = BTreeMap::from([
        ("bin/large".to_owned(), text(30_000, 3)),
        ("bin/noise".to_owned(), noise(300_005, 4)),
        ("bin/mixed".to_owned(), [noise(70_000, 5), text(9000, 6), noise(5000, 7)].concat()),
        ("sparse".to_owned(), sparse),
        ("etc/a/b/c/d/e/short".to_owned(), b"short\n".to_vec()),
        ("etc/\u{e4}\u{2713} name with spaces".to_owned(), text(50, 8)),
        (format!("etc/{}", "long".repeat(60)), text(60, 9)),
        ("usr/block".to_owned(), text(6000, 10)[..131_072].to_vec()),
        ("usr/blocks".to_owned(), text(12_000, 11)[..262_144].to_vec()),
        ("usr/page".to_owned(), text(500, 12)[..4096].to_vec()),
    ]);
    for number in 0..200 {
        found.insert(format!("share/many/{number}"), text(number % 50 + 1, number * 1000));
    }
    found
}

/// Writes the files, and beside them what has no bytes of its own: links, an empty file, an empty folder, a copy.
#[expect(clippy::disallowed_methods, reason = "tools pack what lies in the file system")]
pub(crate) fn tree(sources: &BTreeMap<String, Vec<u8>>) -> TempDir {
    let folder = TempDir::new().unwrap();
    let top = folder.path().join("tree");
    for (path, bytes) in sources {
        let path = top.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    std::fs::create_dir_all(top.join("var/empty")).unwrap();
    std::fs::write(top.join("var/nothing"), b"").unwrap();
    std::os::unix::fs::symlink("nothing", top.join("var/link")).unwrap();
    if let Some((path, _)) = sources.iter().next() {
        std::fs::hard_link(top.join(path), top.join("var/same")).unwrap();
        std::fs::copy(top.join(path), top.join("var/copy")).unwrap();
    }
    folder
}

/// Runs a tool in a folder; says whether it is there and succeeded.
#[expect(clippy::disallowed_methods, clippy::print_stderr, reason = "real tools build the images of tests")]
pub(crate) fn succeeds(folder: &TempDir, program: &str, arguments: &[&str]) -> bool {
    let search = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    let mut command = std::process::Command::new(program);
    command.args(arguments).current_dir(folder.path()).env("PATH", search).stdin(Stdio::null());
    let done = command.output().is_ok_and(|output| output.status.success());
    if !done {
        eprintln!("skipped: no {program} for {arguments:?}");
    }
    done
}

/// Reads a file of a folder.
#[expect(clippy::disallowed_methods, reason = "the tools write files")]
pub(crate) fn read(folder: &TempDir, name: impl AsRef<OsStr>) -> Vec<u8> {
    std::fs::read(folder.path().join(Path::new(name.as_ref()))).unwrap()
}

/// Checks that a layout lists exactly these files, those with equal content once under any of their names.
pub(crate) fn check_files(image: &[u8], layout: &Layout, sources: &BTreeMap<String, Vec<u8>>, below: &str) {
    let found = files(image, layout);
    let known: BTreeMap<&[u8], &String> =
        sources.iter().map(|(path, bytes)| (bytes.as_slice(), path)).collect();
    for (path, bytes) in &found {
        let path = path.strip_prefix(below).unwrap();
        let expected = sources.get(path).or_else(|| path.starts_with("var/").then_some(bytes));
        assert!(expected == Some(bytes) && known.contains_key(bytes.as_slice()), "{path} differs");
    }
    for (path, bytes) in sources {
        assert!(found.values().any(|other| other == bytes), "{path} is missing");
    }
}

/// Damages an image in many ways: every layout must keep its promises.
pub(crate) fn check_damaged(image: &[u8], cases: u32, places: &[std::ops::Range<usize>]) {
    let change = (any::<proptest::sample::Index>(), any::<proptest::sample::Index>(), any::<u8>());
    let changes = proptest::collection::vec(change, 1..12);
    let cut = proptest::option::weighted(0.2, any::<proptest::sample::Index>());
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&(changes, cut), |(changes, cut)| {
        let mut damaged = image.to_vec();
        for (range, at, value) in changes {
            let range = &places[range.index(places.len())];
            // Small numbers and all ones break more than others.
            let value = [0, 1, 0xff, 0x80, value, value][usize::from(value) % 6];
            damaged[range.start + at.index(range.len())] = value;
        }
        if let Some(cut) = cut {
            damaged.truncate(cut.index(image.len()));
        }
        let layout = super::look(&damaged);
        layout.check_invariants(damaged.len() as u64).map_err(proptest::test_runner::TestCaseError::fail)
    });
    outcome.unwrap();
}
