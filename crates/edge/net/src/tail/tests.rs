//! Rotation in all its ways; no clock, no sleep.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use super::{Batch, Checkpoint, Reached, Start, Tail, TailLimits};

struct Log {
    folder: tempfile::TempDir,
    writer: File,
}

impl Log {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let writer = append_to(&folder.path().join("eve.json"));
        Self { folder, writer }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn log(&self) -> PathBuf {
        self.path("eve.json")
    }

    fn write(&mut self, text: &str) {
        self.writer.write_all(text.as_bytes()).unwrap();
    }

    fn reopen(&mut self) {
        self.writer = append_to(&self.log());
    }

    fn shift(&self, keep: u32) {
        for number in (1..keep).rev() {
            let from = self.path(&format!("eve.json.{number}"));
            if from.exists() {
                fs::rename(from, self.path(&format!("eve.json.{}", number + 1))).unwrap();
            }
        }
    }
}

fn append_to(path: &Path) -> File {
    OpenOptions::new().create(true).append(true).open(path).unwrap()
}

fn read(tail: &mut Tail) -> Vec<String> {
    let batch = tail.read_lines(1_000).unwrap();
    assert_eq!((batch.reached, batch.lost_files), (Reached::End, 0));
    batch.lines
}

#[test]
fn lines_come_whole_and_once() {
    let mut log = Log::new();
    let mut tail = Tail::open(&log.log(), None).unwrap();
    assert_eq!(read(&mut tail), Vec::<String>::new());
    log.write("a\nb\r\n\nha");
    assert_eq!(read(&mut tail), ["a", "b", ""]);
    log.write("lf\n");
    assert_eq!(read(&mut tail), ["half"]);
    assert_eq!(read(&mut tail), Vec::<String>::new());
}

#[test]
fn a_log_may_come_later_than_its_reader() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("eve.json");
    let mut tail = Tail::open(&path, None).unwrap();
    assert_eq!(read(&mut tail), Vec::<String>::new());
    fs::write(&path, "a\n").unwrap();
    assert_eq!(read(&mut tail), ["a"]);
    assert!(Tail::open(&folder.path().join("missing/eve.json"), None).is_err());
}

#[test]
fn a_writer_may_go_on_in_the_renamed_file() {
    let mut log = Log::new();
    let mut tail = Tail::open(&log.log(), None).unwrap();
    log.write("a\n");
    assert_eq!(read(&mut tail), ["a"]);
    fs::rename(log.log(), log.path("eve.json.1")).unwrap();
    log.write("b\n");
    assert_eq!(read(&mut tail), ["b"]);
    let mut new = append_to(&log.log());
    new.write_all(b"d\n").unwrap();
    log.write("c\n");
    assert_eq!(read(&mut tail), ["c", "d"]);
    log.write("late\n");
    assert_eq!(read(&mut tail), ["late"]);
}

#[test]
fn a_deleted_file_is_read_to_its_end_even_without_a_last_line_end() {
    let mut log = Log::new();
    let mut tail = Tail::open(&log.log(), None).unwrap();
    log.write("a\n");
    assert_eq!(read(&mut tail), ["a"]);
    log.write("b\nc");
    fs::remove_file(log.log()).unwrap();
    let lines: Vec<String> = (0..4).flat_map(|_| read(&mut tail)).collect();
    assert_eq!(lines, ["b", "c"]);
}

#[test]
fn rotation_while_nobody_reads_loses_nothing() {
    let mut log = Log::new();
    log.write("old\n");
    log.shift(9);
    fs::rename(log.log(), log.path("eve.json.1")).unwrap();
    log.reopen();
    log.write("a\n");
    let mut tail = Tail::open(&log.log(), None).unwrap();
    let batch = tail.read_lines(10).unwrap();
    assert_eq!(batch.lines, ["a"], "what was rotated before the first start is history");
    let stored = batch.checkpoint.to_string();
    drop(tail);
    for text in ["b\n", "c\n", "d\n"] {
        log.write(text);
        log.shift(9);
        fs::rename(log.log(), log.path("eve.json.1")).unwrap();
        log.reopen();
    }
    let checkpoint: Checkpoint = stored.parse().unwrap();
    let mut tail = Tail::open(&log.log(), Some(&checkpoint)).unwrap();
    assert_eq!(read(&mut tail), ["b", "c", "d"]);
}

#[test]
fn copy_and_truncate_loses_nothing_that_was_copied() {
    let mut log = Log::new();
    let mut tail = Tail::open(&log.log(), None).unwrap();
    log.write("line 1\nline 2\n");
    assert_eq!(read(&mut tail), ["line 1", "line 2"]);
    log.write("line 3\n");
    fs::copy(log.log(), log.path("eve.json.1")).unwrap();
    assert_eq!(read(&mut tail), ["line 3"], "the copy of a file that still stands is left alone");
    log.write("line 4\n");
    fs::copy(log.log(), log.path("eve.json.1")).unwrap();
    log.writer.set_len(0).unwrap();
    log.write("line 5 is so long that the file is longer than it ever was before\n");
    assert_eq!(
        read(&mut tail),
        ["line 4", "line 5 is so long that the file is longer than it ever was before"]
    );
}

#[test]
fn truncation_without_a_copy_is_said() {
    let mut log = Log::new();
    let mut tail = Tail::open(&log.log(), None).unwrap();
    log.write("a\nb\n");
    assert_eq!(read(&mut tail), ["a", "b"]);
    log.writer.set_len(0).unwrap();
    log.write("c\n");
    let batch = tail.read_lines(10).unwrap();
    assert_eq!((batch.lines, batch.lost_files), (vec!["c".to_owned()], 1));
}

#[test]
fn a_file_that_vanished_while_nobody_read_is_said() {
    let mut log = Log::new();
    log.write("a\n");
    let checkpoint = Tail::open(&log.log(), None).unwrap().read_lines(10).unwrap().checkpoint;
    log.write("b\n");
    fs::rename(log.log(), log.path("eve.json.1.gz")).unwrap();
    let mut tail = Tail::open(&log.log(), Some(&checkpoint)).unwrap();
    let lost: u64 = (0..5).map(|_| tail.read_lines(10).unwrap().lost_files).sum();
    assert_eq!(lost, 1);
}

#[test]
fn limits_hold_and_nothing_behind_them_is_lost() {
    let mut log = Log::new();
    let limits = TailLimits { line_bytes_max: 100, batch_bytes_max: 250, ..TailLimits::default() };
    let mut tail = Tail::open_with(&log.log(), None, Start::Beginning, limits).unwrap();
    log.write(&format!("{}\nshort\n{}\n{}", "x".repeat(101), "y".repeat(200_000), "z".repeat(150_000)));
    let batch = tail.read_lines(10).unwrap();
    assert_eq!((batch.lines, batch.too_long), (vec!["short".to_owned()], 2));
    let mut tail = Tail::open_with(&log.log(), Some(&batch.checkpoint), Start::Beginning, limits).unwrap();
    log.write("z\nend\n");
    let batch = tail.read_lines(10).unwrap();
    assert_eq!((batch.lines, batch.too_long), (vec!["end".to_owned()], 1));
    log.write(&format!("{}\n", "w".repeat(99)).repeat(4));
    let sizes: Vec<(usize, Reached)> = (0..3)
        .map(|_| tail.read_lines(10).unwrap())
        .map(|batch| (batch.lines.len(), batch.reached))
        .collect();
    assert_eq!(sizes, [(3, Reached::Limit), (1, Reached::End), (0, Reached::End)]);
}

#[test]
fn a_hole_of_zeros_and_bytes_that_are_no_text_stop_nothing() {
    let mut log = Log::new();
    let mut tail = Tail::open(&log.log(), None).unwrap();
    log.writer.set_len(600_000).unwrap();
    log.write("a\n");
    log.writer.write_all(b"\xff\xfe\nb\n").unwrap();
    assert_eq!(read(&mut tail), ["a", "\u{fffd}\u{fffd}", "b"]);
}

#[test]
fn a_start_at_the_end_reads_no_half_line() {
    let mut log = Log::new();
    log.write("a\nb\nhal");
    let mut tail = Tail::open_with(&log.log(), None, Start::End, TailLimits::default()).unwrap();
    log.write("f\nc\n");
    assert_eq!(read(&mut tail), ["half", "c"]);
}

#[test]
fn memory_has_a_bound_however_often_the_log_is_rotated() {
    let mut log = Log::new();
    let limits = TailLimits { files_max: 4, ..TailLimits::default() };
    let mut tail = Tail::open_with(&log.log(), None, Start::Beginning, limits).unwrap();
    let mut lines = Vec::new();
    for number in 0..40_u32 {
        log.write(&format!("line {number:04}\n"));
        lines.extend(read(&mut tail));
        fs::rename(log.log(), log.path(&format!("eve.json-{number:04}"))).unwrap();
        log.reopen();
    }
    assert_eq!(lines.len(), 40);
    assert_eq!(read(&mut tail), Vec::<String>::new());
    assert!(tail.checkpoint().marks.len() <= 4, "{:?}", tail.checkpoint());
}

/// A small generator (xorshift64*): the same seed makes the same story.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound
    }
}

struct Story {
    log: Log,
    chance: Chance,
    written: u64,
    unread_rotations: u32,
    stored: Option<String>,
    tail: Option<Tail>,
    read: Vec<u64>,
}

impl Story {
    const KEPT: u32 = 6;

    fn write(&mut self) {
        for _ in 0..self.chance.below(6) {
            let padding = "x".repeat(usize::try_from(self.chance.below(300)).unwrap());
            let line = format!("{:08} {padding}\n", self.written);
            self.written += 1;
            let (start, end) = line.split_at(usize::try_from(self.chance.below(8)).unwrap());
            self.log.write(start);
            if self.chance.below(8) == 0 {
                self.read(3);
            }
            self.log.write(end);
        }
    }

    fn read(&mut self, lines_max: usize) -> Reached {
        let checkpoint: Option<Checkpoint> = self.stored.as_ref().map(|text| text.parse().unwrap());
        let path = self.log.log();
        let tail = self.tail.get_or_insert_with(|| Tail::open(&path, checkpoint.as_ref()).unwrap());
        let Batch { lines, checkpoint, reached, .. } = tail.read_lines(lines_max).unwrap();
        self.read.extend(lines.iter().map(|line| line.split(' ').next().unwrap().parse::<u64>().unwrap()));
        self.stored = Some(checkpoint.to_string());
        if reached == Reached::End {
            self.unread_rotations = 0;
        }
        reached
    }

    fn read_to_end(&mut self) {
        loop {
            let lines_max = 1 + usize::try_from(self.chance.below(20)).unwrap();
            if self.read(lines_max) == Reached::End {
                return;
            }
        }
    }

    fn rotate(&mut self) {
        // What is deleted unread while nobody has it open is lost to anybody: the rotation keeps six.
        self.unread_rotations += 1;
        if self.unread_rotations >= Self::KEPT {
            self.read_to_end();
        }
        self.log.shift(Self::KEPT);
        let first = self.log.path("eve.json.1");
        if self.chance.below(3) == 0 {
            fs::copy(self.log.log(), first).unwrap();
            if self.chance.below(3) == 0 {
                self.write();
                self.read_to_end();
            }
            self.log.writer.set_len(0).unwrap();
        } else {
            fs::rename(self.log.log(), first).unwrap();
            if self.chance.below(2) == 0 {
                self.write();
            }
            if self.chance.below(4) == 0 {
                self.read(2);
            }
            self.log.reopen();
        }
    }
}

#[test]
fn a_hundred_rotations_lose_and_double_nothing() {
    for seed in 1..=20 {
        let log = Log::new();
        let chance = Chance(0x9e37_79b9_7f4a_7c15 ^ seed);
        let mut story = Story {
            log,
            chance,
            written: 0,
            unread_rotations: 0,
            stored: None,
            tail: None,
            read: Vec::new(),
        };
        story.read(1);
        for _ in 0..100 {
            story.write();
            match story.chance.below(4) {
                0 => story.read_to_end(),
                1 => drop(story.read(2)),
                // The reader is killed: what it had open is closed, what it stored stays.
                2 => story.tail = None,
                _ => {}
            }
            story.rotate();
        }
        story.write();
        for _ in 0..5 {
            story.read_to_end();
        }
        story.read.sort_unstable();
        let expected: Vec<u64> = (0..story.written).collect();
        assert!(story.read == expected, "seed {seed}: {:?}", differences(&story.read, story.written));
    }
}

/// Numbers that do not stand exactly once, and how often they do.
fn differences(read: &[u64], written: u64) -> Vec<(u64, usize)> {
    let count = |number: u64| (number, read.iter().filter(|read| **read == number).count());
    (0..written).map(count).filter(|(_, times)| *times != 1).collect()
}
