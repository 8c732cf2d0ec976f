//! ext2, ext3 and ext4 through `ext4-view`.
//!
//! In: an image held in memory (the library wants to own its reader). Out: its tree through the door. Refuses
//! superblocks whose numbers do not fit the image before the library makes room for them.

use std::io::{self, Read};

use ext4_view::{Ext4, Ext4Error, Ext4Read, File, PathBuf};

use crate::door::{Door, Found, FoundKind, TARGET_BYTES_MAX};
use crate::error::Halt;
use crate::held::Held;
use crate::path::{PATH_DEPTH_MAX, PathError, shown};
use crate::report::Why;

const FORMAT: &str = "ext2/3/4";

/// Largest block, as its exponent above 1 KiB: 64 KiB is what Linux can mount.
const BLOCK_LOG_MAX: u32 = 6;

struct Image(Held);

impl Ext4Read for Image {
    fn read(
        &mut self,
        start_byte: u64,
        buffer: &mut [u8],
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync + 'static>> {
        self.0.read_at(start_byte, buffer)?;
        Ok(())
    }
}

/// Walks a file system.
pub(crate) fn walk(mut held: Held, door: &mut Door<'_, '_>) -> Result<(), Halt> {
    check_superblock(&mut held)?;
    let tree = Ext4::load(Box::new(Image(held))).map_err(|error| damaged(&error))?;
    let mut directories = vec![PathBuf::new("/")];
    while let Some(directory) = directories.pop() {
        let entries = match tree.read_dir(&directory) {
            Ok(entries) => entries,
            // One unreadable directory does not hide the others, but a root that cannot be read is the end.
            Err(error) if directory.as_ref() == b"/" => return Err(damaged(&error)),
            Err(error) => {
                skip(door, &directory, &error)?;
                continue;
            }
        };
        let mut below = Vec::new();
        for entry in entries {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    skip(door, &directory, &error)?;
                    break;
                }
            };
            if matches!(entry.file_name().as_ref(), b"." | b"..") {
                continue;
            }
            if visit(&tree, &entry, door)? == Kind::Directory {
                below.push(entry.path());
            }
        }
        below.sort_by(|a, b| b.as_ref().cmp(a.as_ref()));
        directories.extend(below);
    }
    Ok(())
}

#[derive(PartialEq, Eq)]
enum Kind {
    Directory,
    Other,
}

fn visit(tree: &Ext4, entry: &ext4_view::DirEntry, door: &mut Door<'_, '_>) -> Result<Kind, Halt> {
    let path = entry.path();
    let metadata = match entry.metadata() {
        Ok(metadata) => metadata,
        Err(error) => return skip(door, &path, &error).map(|()| Kind::Other),
    };
    let relative = path.as_ref().strip_prefix(b"/").unwrap_or(path.as_ref()).to_vec();
    let mode = u32::from(metadata.mode());
    let found = |kind: FoundKind| Found { path: relative.clone(), mode, kind };
    let kind = metadata.file_type();
    if kind.is_dir() {
        // A directory that contains itself ends here.
        if path.components().count() > PATH_DEPTH_MAX {
            door.sink.skip(shown(&relative), Why::Path(PathError::TooDeep))?;
            return Ok(Kind::Other);
        }
        door.offer(found(FoundKind::Directory), &mut io::empty())?;
        return Ok(Kind::Directory);
    }
    if kind.is_symlink() {
        if metadata.len() > TARGET_BYTES_MAX {
            door.sink.skip(shown(&relative), Why::Path(PathError::TooLong))?;
            return Ok(Kind::Other);
        }
        match tree.read_link(&path) {
            Ok(target) => {
                let target = target.as_ref().to_vec();
                door.offer(found(FoundKind::Symlink { target }), &mut io::empty())?;
            }
            Err(error) => skip(door, &path, &error)?,
        }
    } else if kind.is_regular_file() {
        match tree.open(&path) {
            Ok(file) => door.offer(found(FoundKind::File { size: metadata.len() }), &mut Content(file))?,
            Err(error) => skip(door, &path, &error)?,
        }
    } else {
        door.offer(found(FoundKind::Special), &mut io::empty())?;
    }
    Ok(Kind::Other)
}

struct Content(File);

impl Read for Content {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read_bytes(buffer).map_err(|error| io::Error::other(error.to_string()))
    }
}

/// The library trusts the number of blocks and their size when it makes room, so both are held against the image first
/// (the superblock lies at 1,024; `s_blocks_count` at 0x4, `s_log_block_size` at 0x18).
fn check_superblock(held: &mut Held) -> Result<(), Halt> {
    let mut superblock = [0; 0x1c];
    held.read_at(1024, &mut superblock).map_err(|_| Halt::damaged(FORMAT, "it ends in the superblock"))?;
    let number = |at: usize| {
        superblock.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_le_bytes)
    };
    let (blocks, block_log) = (number(0x4), number(0x18));
    if block_log > BLOCK_LOG_MAX {
        return Err(Halt::damaged(FORMAT, "the superblock names a block size that does not exist"));
    }
    let said = u64::from(blocks) << (10 + block_log);
    // The last block of an image may be cut off where it is empty.
    if said > held.length().saturating_add(64 * 1024) {
        let what = format!("it ends early: the superblock names {said} bytes, {} are there", held.length());
        return Err(Halt::damaged(FORMAT, what));
    }
    Ok(())
}

fn damaged(error: &Ext4Error) -> Halt {
    Halt::damaged(FORMAT, error.to_string())
}

fn skip(door: &mut Door<'_, '_>, path: &PathBuf, error: &Ext4Error) -> Result<(), Halt> {
    let why = Why::Damaged { format: FORMAT.to_owned(), what: error.to_string() };
    door.sink.skip(shown(path.as_ref().strip_prefix(b"/").unwrap_or(path.as_ref())), why)
}
