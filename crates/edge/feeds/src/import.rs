//! Advisories from a file or a folder.
//!
//! In: a path. Out: the advisories below it, sorted by id, and the files that were refused, each with its cause. Refuses: a
//! path that cannot be read, and folders beyond the limits. Links are not followed: a folder of advisories has none, and a
//! link could lead in a circle.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use warden_model::advisory::Advisory;
use warden_model::{AdvisoryId, Timestamp};

use crate::osv::{Feed, read_feed};
use crate::{FeedError, Limits};

/// What an import brought.
#[derive(Debug)]
pub struct Import {
    /// The advisories, sorted by id; of several with one id the one that was modified last.
    pub advisories: Vec<Advisory>,
    /// The files that were refused, sorted by path, and why.
    pub refused: Vec<(PathBuf, FeedError)>,
    /// How many files were read, the refused ones included.
    pub files: usize,
    /// How many ranges of git commits were passed over: a firmware's components have versions, not commits.
    pub git_ranges: usize,
}

/// Reads a file, or all `.json` and `.jsonl` files below a folder.
///
/// A file that is refused does not stop the others; the call fails only when the path itself or a folder below it cannot be
/// read or is beyond the limits.
pub fn read_osv_path(path: &Path, known_at: Timestamp, limits: &Limits) -> Result<Import, FeedError> {
    let mut files = Vec::new();
    if fs::metadata(path).map_err(|source| read_error(path, source))?.is_dir() {
        collect(path, 0, limits, &mut files)?;
        files.sort();
    } else {
        files.push(path.to_owned());
    }
    let mut import =
        Import { advisories: Vec::new(), refused: Vec::new(), files: files.len(), git_ranges: 0 };
    let mut newest: BTreeMap<AdvisoryId, Advisory> = BTreeMap::new();
    for file in files {
        match read_file(&file, known_at, limits) {
            Ok(feed) => {
                import.git_ranges += feed.git_ranges;
                feed.advisories.into_iter().for_each(|advisory| keep_newest(&mut newest, advisory));
            }
            Err(error) => import.refused.push((file, error)),
        }
    }
    import.advisories = newest.into_values().collect();
    Ok(import)
}

fn keep_newest(newest: &mut BTreeMap<AdvisoryId, Advisory>, advisory: Advisory) {
    let is_newer = newest.get(&advisory.id).is_none_or(|known| known.modified <= advisory.modified);
    if is_newer {
        newest.insert(advisory.id.clone(), advisory);
    }
}

fn collect(folder: &Path, depth: usize, limits: &Limits, files: &mut Vec<PathBuf>) -> Result<(), FeedError> {
    if depth > limits.depth {
        return Err(FeedError::TooDeep { path: folder.to_owned(), max: limits.depth });
    }
    for entry in fs::read_dir(folder).map_err(|source| read_error(folder, source))? {
        let entry = entry.map_err(|source| read_error(folder, source))?;
        let path = entry.path();
        let kind = entry.file_type().map_err(|source| read_error(&path, source))?;
        let is_feed = path.extension().is_some_and(|end| end == "json" || end == "jsonl");
        if kind.is_dir() {
            collect(&path, depth + 1, limits, files)?;
        } else if kind.is_file() && is_feed {
            if files.len() == limits.files {
                return Err(FeedError::TooManyFiles { path: folder.to_owned(), max: limits.files });
            }
            files.push(path);
        }
    }
    Ok(())
}

/// Reads at most one byte more than is allowed: a file may grow, and a device never ends.
fn read_file(path: &Path, known_at: Timestamp, limits: &Limits) -> Result<Feed, FeedError> {
    let file = File::open(path).map_err(|source| read_error(path, source))?;
    let mut bytes = Vec::new();
    file.take(limits.file.0.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|source| read_error(path, source))?;
    read_feed(&bytes, known_at, limits)
}

fn read_error(path: &Path, source: io::Error) -> FeedError {
    FeedError::Read { path: path.to_owned(), source }
}
