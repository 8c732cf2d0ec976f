//! Patches that were forged behind their digests: each is refused by its own error, and nothing wrong is written.

use std::io::Cursor;

use warden_model::{ByteCount, Sha256Digest};

use super::resume::{Case, cases, packed};
use crate::apply::{ApplyError, ApplyLimits, Extras, apply_with};
use crate::format::{Header, Profile, Take, WindowHead, read_header, read_windows, write_head};

/// A patch in parts.
struct Parts {
    header: Header,
    windows: Vec<WindowHead>,
    table: Vec<u8>,
    coded: Vec<u8>,
}

struct Bytes<'a>(&'a [u8]);

impl Take for Bytes<'_> {
    type Error = ApplyError;

    fn take(&mut self, into: &mut [u8]) -> Result<(), ApplyError> {
        let (taken, rest) = self.0.split_at(into.len());
        into.copy_from_slice(taken);
        self.0 = rest;
        Ok(())
    }
}

impl Parts {
    fn of(patch: &[u8]) -> Self {
        let mut bytes = Bytes(patch);
        let header = read_header(&mut bytes).unwrap();
        let windows = read_windows(&mut bytes, &header).unwrap();
        let (table, coded) = bytes.0.split_at(usize::try_from(header.layers_len).unwrap());
        Self { header, windows, table: table.to_vec(), coded: coded.to_vec() }
    }

    fn write(mut self) -> Vec<u8> {
        self.header.layers_len = self.table.len() as u64;
        [write_head(&self.header, &self.windows), self.table, self.coded].concat()
    }
}

/// Applies a patch; returns how it ended, and what was written.
fn applied(old: &[u8], patch: &[u8]) -> (Result<(), ApplyError>, Vec<u8>) {
    let (mut result, mut scratch) = (Vec::new(), Cursor::new(Vec::new()));
    let limits = ApplyLimits::default();
    let extras = Extras { limits: &limits, scratch: Some(&mut scratch), watch: &mut |_| {} };
    let outcome = apply_with(&mut Cursor::new(old), &mut &*patch, &mut result, extras);
    (outcome.map(drop), result)
}

#[test]
fn forged_fields_are_refused_by_name_and_nothing_is_written() {
    let case = Case::new("layers", Profile::Linux, packed());
    let check = |what: &str, forge: &dyn Fn(&mut Parts), expected: &str| {
        let mut parts = Parts::of(&case.patch);
        forge(&mut parts);
        let (outcome, written) = applied(&case.old, &parts.write());
        let error = outcome.unwrap_err();
        let text = format!(
            "{error}: {}",
            std::error::Error::source(&error).map_or(String::new(), ToString::to_string)
        );
        assert!(text.contains(expected), "{what}: {text}");
        // Windows in front of a wrong one are right, and were checked.
        let is_right = written.is_empty() || (what.ends_with("window") && case.new.starts_with(&written));
        assert!(is_right, "{what}: {} bytes were written", written.len());
    };
    let one = |size: &mut ByteCount| size.0 += 1;
    check("base", &|parts| parts.header.base.0[0] ^= 1, "not the one that the patch was made for");
    check("base size", &|parts| parts.header.base_size.0 -= 1, "packed stretches");
    check(
        "a base that is longer",
        &|parts| one(&mut parts.header.base_size),
        "packed stretches add up to a base",
    );
    check(
        "base, unpacked",
        &|parts| one(&mut parts.header.base_plain_size),
        "add up to a base, unpacked, of",
    );
    check(
        "result, unpacked",
        &|parts| one(&mut parts.header.result_plain_size),
        "add up to a result, unpacked, of",
    );
    check("storage", &|parts| one(&mut parts.header.scratch), "add up to a need of storage of");
    check("less memory", &|parts| parts.header.layers_memory.0 /= 2, "add up to a need of memory of");
    check("much memory", &|parts| parts.header.layers_memory = ByteCount(1 << 60), "more than the 32.0 MiB");
    check(
        "much storage",
        &|parts| parts.header.scratch = ByteCount(1 << 60),
        "of scratch storage, more than",
    );
    check("a large result", &|parts| parts.header.result_size = ByteCount(1 << 60), "more than the 1.0 GiB");
    check("no copies", &|parts| parts.header.copies_max = 0, "more copies than the header says");
    check(
        "a check value",
        &|parts| parts.windows[0].check = Some([1; 8]),
        "window 1 of the patch is not what",
    );
    check("a long window", &|parts| parts.windows[0].coded_len += 1, "the patch");
    check("a short window", &|parts| parts.windows[0].coded_len /= 2, "a window");
    check("no layers", &|parts| (parts.header.layers, parts.table) = (0, Vec::new()), "the patch is corrupt");
    let bomb = zstd::bulk::compress(&vec![0; 64 << 20], 1).unwrap();
    check("a bomb in the table", &|parts| parts.table.clone_from(&bomb), "too long");
    let rubbish = zstd::bulk::compress(&[3, 200, 255, 255, 255, 15], 1).unwrap();
    check("rubbish in the table", &|parts| parts.table.clone_from(&rubbish), "table of packed stretches");
}

#[test]
fn another_result_is_refused_at_the_end_at_the_latest() {
    for case in cases() {
        let mut parts = Parts::of(&case.patch);
        parts.header.result = Sha256Digest([9; 32]);
        let (outcome, written) = applied(&case.old, &parts.write());
        assert!(matches!(outcome, Err(ApplyError::ResultMismatch { .. })), "{}: {outcome:?}", case.name);
        assert!(written.len() <= case.new.len(), "{}", case.name);
    }
}

#[test]
fn a_patch_of_any_profile_cut_anywhere_is_truncated_and_what_was_written_is_right() {
    for case in cases() {
        let step = case.patch.len() / 60 + 1;
        for len in (0..case.patch.len()).step_by(step) {
            let (outcome, written) = applied(&case.old, &case.patch[..len]);
            assert!(matches!(outcome, Err(ApplyError::Truncated)), "{}: {len}: {outcome:?}", case.name);
            assert!(case.new.starts_with(&written), "{}: {len}", case.name);
        }
    }
}
