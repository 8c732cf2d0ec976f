//! Finds a log and the files that it was rotated to.
//!
//! In: the path of a log. Out: the files that belong to it, open, the oldest first, the log itself last. Refuses:
//! compressed files (their content was read before), links in place of rotated files, and names that only look alike.

use std::cmp::Ordering;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// A file that belongs to a log.
pub(super) struct Found {
    pub(super) file: File,
    pub(super) device: u64,
    pub(super) inode: u64,
    pub(super) size: u64,
    pub(super) modified: i64,
    pub(super) place: Place,
    name: String,
}

/// Where a file stands in the rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// It has the log's own name.
    Current,
    /// It was rotated away.
    Rotated,
}

/// Lists the files of a log. A log that does not exist yet has none.
pub(super) fn scan(path: &Path) -> io::Result<Vec<Found>> {
    let Some(log) = path.file_name().and_then(|name| name.to_str()) else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the path names no file in UTF-8"));
    };
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        Some(_) | None => Path::new("."),
    };
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let Some(name) = entry.file_name().to_str().map(str::to_owned) else { continue };
        let place = if name == log { Place::Current } else { Place::Rotated };
        if place == Place::Rotated && !is_rotated(&name, log) {
            continue;
        }
        // Links are followed for the log itself only: people link logs, rotation does not.
        let file_type = entry.file_type()?;
        if !(file_type.is_file() || place == Place::Current && file_type.is_symlink()) {
            continue;
        }
        match open(&entry.path(), place, name) {
            Ok(Some(file)) => found.push(file),
            Ok(None) => {}
            // Renamed or deleted since it was listed: the next scan sees what became of it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    found.sort_by(older_first);
    found.dedup_by_key(|file| (file.device, file.inode));
    Ok(found)
}

fn open(path: &Path, place: Place, name: String) -> io::Result<Option<Found>> {
    let file = File::open(path)?;
    let about = file.metadata()?;
    let modified = about.mtime().saturating_mul(1_000_000_000).saturating_add(about.mtime_nsec());
    let (device, inode, size) = (about.dev(), about.ino(), about.size());
    Ok(about.is_file().then_some(Found { file, device, inode, size, modified, place, name }))
}

/// Knows `eve.json.1`, `eve.json-20261122`, `conn.2026-11-22-10-00-00.log` and `conn-26-11-22_10.00.00.log`; a digit after
/// the name keeps `conn-summary.log` apart from `conn.log`.
fn is_rotated(name: &str, log: &str) -> bool {
    const COMPRESSED: [&str; 6] = [".gz", ".bz2", ".xz", ".zst", ".lz4", ".tmp"];
    if COMPRESSED.iter().any(|ending| name.ends_with(ending)) {
        return false;
    }
    let numbered = |rest: &str| {
        rest.strip_prefix(['.', '-']).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    let (stem, extension) = log.split_once('.').unwrap_or((log, ""));
    let inside = || name.strip_prefix(stem)?.strip_suffix(extension)?.strip_suffix('.');
    name.strip_prefix(log).is_some_and(numbered) || (!extension.is_empty() && inside().is_some_and(numbered))
}

/// The log itself is the newest. Rotated files go by their last write; where a clock tick is too coarse to tell, a
/// larger number is older (`eve.json.2` before `eve.json.1`), and a smaller date is.
fn older_first(a: &Found, b: &Found) -> Ordering {
    let rank = |file: &Found| file.place == Place::Current;
    let number = |file: &Found| file.name.rsplit('.').next().and_then(|n| n.parse::<u32>().ok());
    rank(a).cmp(&rank(b)).then(a.modified.cmp(&b.modified)).then_with(|| match (number(a), number(b)) {
        (Some(a), Some(b)) => b.cmp(&a),
        (Some(_) | None, _) => a.name.cmp(&b.name),
    })
}

#[cfg(test)]
mod tests {
    use super::is_rotated;

    #[test]
    fn rotated_files_are_known_by_their_names() {
        let check =
            |name: &str, log: &str, rotated: bool| assert_eq!(is_rotated(name, log), rotated, "{name}");
        check("eve.json.1", "eve.json", true);
        check("eve.json-20261122", "eve.json", true);
        check("eve.json.1.gz", "eve.json", false);
        check("eve.json.bak", "eve.json", false);
        check("eve-stats.json", "eve.json", false);
        check("conn.2026-11-22-10-00-00.log", "conn.log", true);
        check("conn-26-11-22_10.00.00.log", "conn.log", true);
        check("conn-summary.log", "conn.log", false);
        check("connected.1.log", "conn.log", false);
        check("conn.log", "conn.log", false);
        check("log.1", "log", true);
    }
}
