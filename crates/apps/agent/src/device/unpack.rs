//! Unpacks the booted image into one directory, and nowhere else.
//!
//! In: an image and a directory that is emptied first. Out: directories, files, and symbolic links that stay inside.
//! Refuses: everything that leads out, and images beyond the limits. Nothing is ever written through a link.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read};
use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result};
use warden_analyse::{Entry, EntryKind, Limits};
use warden_model::ByteCount;

/// Most bytes that an image may unpack to. 1 GiB: a root file system for a slot of 256 MiB, compressed four to one.
pub const UNPACKED_BYTES_MAX: ByteCount = ByteCount::mib(1024);

/// Empties `root` and unpacks the image there.
pub fn unpack(image: &Path, root: &Path) -> Result<()> {
    clear(root)?;
    fs::create_dir_all(root).with_context(|| format!("make {}", root.display()))?;
    let file = File::open(image).with_context(|| format!("open {}", image.display()))?;
    let limits = Limits { unpacked_bytes_max: UNPACKED_BYTES_MAX, ..Limits::default() };
    let mut left = UNPACKED_BYTES_MAX.0;
    let mut visitor = |entry: &Entry, content: &mut dyn Read| write_entry(root, entry, content, &mut left);
    warden_analyse::visit(Box::new(BufReader::new(file)), &limits, &mut visitor)
        .with_context(|| format!("unpack {}", image.display()))
}

/// Removes what an older boot left.
pub fn clear(root: &Path) -> Result<()> {
    match fs::remove_dir_all(root) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error).with_context(|| format!("empty {}", root.display())),
    }
}

fn write_entry(root: &Path, entry: &Entry, content: &mut dyn Read, left: &mut u64) -> io::Result<()> {
    let names = plain_names(entry.path.as_str())?;
    let Some((name, parents)) = names.split_last() else { return Ok(()) };
    let parent = real_dir(root, parents)?;
    let path = parent.join(name);
    match &entry.kind {
        EntryKind::Directory => match fs::create_dir(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => real_dir(root, &names).map(|_| ()),
            made => made,
        },
        EntryKind::File { mode, .. } => {
            // Never set-user-id; always readable by the agent, which must remove it again.
            let mode = mode & 0o755 | 0o600;
            let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&path)?;
            let written = io::copy(&mut content.take(left.saturating_add(1)), &mut file)?;
            *left = left.checked_sub(written).ok_or_else(|| {
                io::Error::other(format!(
                    "the image unpacks to more than the {UNPACKED_BYTES_MAX} that are allowed"
                ))
            })?;
            Ok(())
        }
        EntryKind::Symlink { target } => match inside(parents.len(), target) {
            Some(target) => symlink(target, &path),
            // A dangling name is harmless; a way out is not.
            None => Ok(()),
        },
    }
}

fn plain_names(path: &str) -> io::Result<Vec<&std::ffi::OsStr>> {
    Path::new(path)
        .components()
        .map(|component| match component {
            Component::Normal(name) => Ok(name),
            Component::ParentDir | Component::RootDir | Component::CurDir | Component::Prefix(_) => {
                Err(io::Error::other(format!("{path:?} leads out of the image")))
            }
        })
        .collect()
}

/// Walks down from the root through real directories only, and makes those that are missing.
fn real_dir(root: &Path, names: &[&std::ffi::OsStr]) -> io::Result<PathBuf> {
    let mut dir = root.to_owned();
    for name in names {
        dir.push(name);
        match fs::symlink_metadata(&dir) {
            Ok(found) if found.is_dir() => {}
            Ok(_) => return Err(io::Error::other(format!("{} is no directory", dir.display()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => fs::create_dir(&dir)?,
            Err(error) => return Err(error),
        }
    }
    Ok(dir)
}

/// Rewrites the target of a link that lies `depth` directories deep so that it stays inside: absolute targets count
/// from the image's own root, and `..` may stand only at the front, where it climbs through real directories. (Behind a
/// name it could climb out of wherever that name leads.)
fn inside(depth: usize, target: &str) -> Option<PathBuf> {
    let path = Path::new(target);
    let mut relative: PathBuf = if path.is_absolute() { "../".repeat(depth).into() } else { PathBuf::new() };
    let mut climbs = if path.is_absolute() { depth } else { 0 };
    let mut named = false;
    for component in path.components() {
        match component {
            Component::RootDir | Component::CurDir => {}
            Component::Prefix(_) => return None,
            Component::ParentDir if named => return None,
            // The parent of the root is the root.
            Component::ParentDir if path.is_absolute() => {}
            Component::ParentDir => {
                climbs += 1;
                relative.push("..");
            }
            Component::Normal(name) => {
                named = true;
                relative.push(name);
            }
        }
    }
    if relative.as_os_str().is_empty() {
        relative.push(".");
    }
    (climbs <= depth).then_some(relative)
}

#[cfg(test)]
mod tests;
