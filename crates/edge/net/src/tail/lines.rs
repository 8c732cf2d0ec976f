//! Reads whole lines from a place in a file.
//!
//! In: a file, a mark, room. Out: lines; the mark moves to the end of the last one. Refuses: lines above the limit, which
//! are passed over and counted, and batches above theirs.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::checkpoint::{HEAD_BYTES_MAX, Inside, Mark};
use super::{Reached, TailLimits};

/// Bytes that one call to the system reads: large enough that calls do not count, small enough for a stack of files.
const CHUNK_BYTES: usize = 64 * 1024;

/// What is left of a batch.
pub(super) struct Room {
    pub(super) lines: Vec<String>,
    pub(super) lines_max: usize,
    pub(super) bytes: usize,
    pub(super) too_long: u64,
}

impl Room {
    fn is_full(&self, limits: &TailLimits) -> bool {
        self.lines.len() >= self.lines_max || self.bytes >= limits.batch_bytes_max
    }

    fn take(&mut self, line: &[u8]) {
        self.bytes = self.bytes.saturating_add(line.len());
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        self.lines.push(String::from_utf8_lossy(line).into_owned());
    }
}

/// Reads lines until the end of the file or of the room. A last line without an end stays for the next time.
pub(super) fn read(
    file: &File,
    mark: &mut Mark,
    room: &mut Room,
    limits: &TailLimits,
) -> io::Result<Reached> {
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut partial: Vec<u8> = Vec::new();
    loop {
        if room.is_full(limits) {
            return Ok(Reached::Limit);
        }
        let ahead = u64::try_from(partial.len()).unwrap_or(u64::MAX);
        let count = file.read_at(&mut chunk, mark.offset.saturating_add(ahead))?;
        let Some(bytes) = chunk.get(..count).filter(|bytes| !bytes.is_empty()) else {
            return Ok(Reached::End);
        };
        take_lines(bytes, &mut partial, mark, room, limits);
        if partial.len() > limits.line_bytes_max {
            pass_over(&mut partial, mark);
        }
    }
}

/// Takes the whole lines of a chunk; what is left at its end stays in `partial`.
fn take_lines(bytes: &[u8], partial: &mut Vec<u8>, mark: &mut Mark, room: &mut Room, limits: &TailLimits) {
    let mut rest = bytes;
    while !room.is_full(limits) {
        let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
            partial.extend_from_slice(rest);
            return;
        };
        let (line, after) = rest.split_at(end);
        rest = after.get(1..).unwrap_or_default();
        partial.extend_from_slice(line);
        mark.offset = mark.offset.saturating_add(u64::try_from(partial.len() + 1).unwrap_or(u64::MAX));
        // A writer that does not append leaves a hole of zeros where the file was truncated under it.
        let zeros = partial.iter().take_while(|byte| **byte == 0).count();
        let line = partial.get(zeros..).unwrap_or_default();
        match mark.inside {
            Inside::LongLine => room.too_long += 1,
            Inside::Nothing if line.len() > limits.line_bytes_max => room.too_long += 1,
            Inside::Nothing => room.take(line),
        }
        mark.inside = Inside::Nothing;
        partial.clear();
    }
    partial.clear();
}

/// Moves on inside a line that is too long; zeros are no line, so that a hole does not swallow the line behind it.
fn pass_over(partial: &mut Vec<u8>, mark: &mut Mark) {
    if partial.iter().any(|byte| *byte != 0) {
        mark.inside = Inside::LongLine;
    }
    mark.offset = mark.offset.saturating_add(u64::try_from(partial.len()).unwrap_or(u64::MAX));
    partial.clear();
}

/// Reads the last line of a file that nobody will ever end: it is deleted, and its writer with it.
pub(super) fn read_last(
    file: &File,
    mark: &mut Mark,
    room: &mut Room,
    limits: &TailLimits,
) -> io::Result<()> {
    let mut line = vec![0; limits.line_bytes_max.saturating_add(1)];
    let count = file.read_at(&mut line, mark.offset)?;
    mark.offset = mark.offset.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
    match (line.get(..count), mark.inside) {
        (Some(line), Inside::Nothing) if !line.is_empty() && count <= limits.line_bytes_max => {
            room.take(line);
        }
        (Some(_) | None, _) => {}
    }
    Ok(())
}

/// Finds the start of the line that is being written at the end of a file, so that it is not read from its middle.
pub(super) fn last_line_start(file: &File, size: u64, limits: &TailLimits) -> io::Result<u64> {
    let window = u64::try_from(limits.line_bytes_max).unwrap_or(u64::MAX).min(size);
    let start = size - window;
    let mut bytes = vec![0; usize::try_from(window).unwrap_or(0)];
    let count = file.read_at(&mut bytes, start)?;
    let end = bytes.get(..count).and_then(|bytes| bytes.iter().rposition(|byte| *byte == b'\n'));
    let behind = end.map_or(0, |end| u64::try_from(end + 1).unwrap_or(u64::MAX));
    Ok(start.saturating_add(behind))
}

/// Reads the first bytes of a file, at most `bytes_max`.
pub(super) fn head(file: &File, bytes_max: usize) -> io::Result<Vec<u8>> {
    let mut first = vec![0; bytes_max];
    let mut filled = 0;
    while let Some(rest) = first.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, u64::try_from(filled).unwrap_or(u64::MAX))? {
            0 => break,
            count => filled += count,
        }
    }
    first.truncate(filled);
    Ok(first)
}

/// Remembers more of the beginning of a file that has grown.
pub(super) fn extend_head(file: &File, mark: &mut Mark) -> io::Result<()> {
    if mark.head.len() < HEAD_BYTES_MAX {
        mark.head = head(file, HEAD_BYTES_MAX)?;
    }
    Ok(())
}
