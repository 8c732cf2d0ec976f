//! squashfs 4.0: superblock and codecs through `backhand`, the tree by a walk of our own.
//!
//! In: a seekable image. Out: its tree through the door, parents before children. Refuses other versions and the codecs
//! lzma and lzo. The tree is not built by `backhand`, because that recurses as deep as the image says, keeps every
//! fragment that it ever unpacked, makes room for as many blocks as a header claims, and reads files in threads; here
//! all of that has bounds.

mod data;
mod inode;
mod table;

use std::io;

use backhand::compression::Compressor;
use backhand::kind::{Kind, LE_V4_0};
use backhand::{BackhandError, Squashfs};
use warden_model::ByteCount;

use crate::ReadSeek;
use crate::budget::Budget;
use crate::door::{Door, Found, FoundKind, Sink};
use crate::error::Halt;
use crate::path::{PATH_DEPTH_MAX, PathError, shown};
use crate::report::Why;
use data::Content;
use inode::{Inode, InodeKind, Listing};
use table::Tables;

/// The format, for messages.
const FORMAT: &str = "squashfs 4.0";

/// Walks a file system.
pub(crate) fn walk(
    mut image: Box<dyn ReadSeek + '_>,
    budget: &Budget,
    sink: &mut dyn Sink,
) -> Result<(), Halt> {
    let kind = Kind::from_const(LE_V4_0).map_err(|error| Halt::damaged(FORMAT, error))?;
    let (superblock, _) = Squashfs::superblock_and_compression_options(&mut image, &kind)
        .map_err(|error| failed("its superblock cannot be read", &error))?;
    let codec = match superblock.compressor {
        Compressor::Uncompressed => "uncompressed",
        Compressor::Gzip => "gzip",
        Compressor::Xz => "xz",
        Compressor::Lz4 => "lz4",
        Compressor::Zstd => "zstd",
        Compressor::Lzma => {
            return Err(Halt::Unknown {
                looks_like: "a squashfs packed with lzma, which is not read".to_owned(),
            });
        }
        Compressor::Lzo => {
            return Err(Halt::Unknown {
                looks_like: "a squashfs packed with lzo, which is not read".to_owned(),
            });
        }
    };
    let length = image.seek(io::SeekFrom::End(0)).map_err(|error| Halt::from_read(FORMAT, budget, &error))?;
    sink.enter(format!("{FORMAT} ({codec})"), Some(ByteCount(superblock.bytes_used)));
    let mut tables = Tables::new(image, superblock, budget);
    let end = if superblock.bytes_used > length {
        // The tables lie at the end of an image: where that is missing, nothing can be found.
        Err(Halt::damaged(
            FORMAT,
            format!("it ends early: {length} of {} bytes are there", superblock.bytes_used),
        ))
    } else {
        walk_tree(&mut tables, &mut Door::new(budget, sink))
    };
    sink.leave(None, None);
    end
}

/// Says what failed, and why where the library has words for it: built lean, it mostly has none.
fn failed(what: &str, error: &BackhandError) -> Halt {
    let why = match error {
        BackhandError::StdIo(error) => error.to_string(),
        _ => String::new(),
    };
    if why.is_empty() { Halt::damaged(FORMAT, what) } else { Halt::damaged(FORMAT, format!("{what}: {why}")) }
}

/// A directory that is still to be read.
struct Pending {
    path: Vec<u8>,
    depth: usize,
    inode: Inode,
}

fn walk_tree(tables: &mut Tables<'_>, door: &mut Door<'_, '_>) -> Result<(), Halt> {
    let root = tables.root();
    let inode = inode::read(tables, root)?;
    if !matches!(inode.kind, InodeKind::Directory { .. }) {
        return Err(Halt::damaged(FORMAT, "its root is no directory"));
    }
    let mut directories = vec![Pending { path: Vec::new(), depth: 0, inode }];
    while let Some(directory) = directories.pop() {
        let mut below = Vec::new();
        if let Err(halt) = walk_directory(tables, &directory, door, &mut below) {
            let path = shown(&directory.path);
            match halt {
                // One unreadable directory does not hide the others, but a root that cannot be read is the end.
                Halt::Damaged { format, what } if directory.depth > 0 => {
                    door.sink.skip(path, Why::Damaged { format, what })?;
                }
                halt => return Err(halt),
            }
        }
        below.reverse();
        directories.extend(below);
    }
    Ok(())
}

fn walk_directory(
    tables: &mut Tables<'_>,
    directory: &Pending,
    door: &mut Door<'_, '_>,
    below: &mut Vec<Pending>,
) -> Result<(), Halt> {
    let InodeKind::Directory { listing } = &directory.inode.kind else { return Ok(()) };
    let mut listing: Listing = listing.clone();
    while let Some(entry) = listing.next(tables)? {
        let mut path = directory.path.clone();
        if !path.is_empty() {
            path.push(b'/');
        }
        // A name with a slash would be more than one; it is kept visible and refused by the door.
        if entry.name.contains(&b'/') || matches!(entry.name.as_slice(), b"." | b"..") {
            door.budget.charge_entry()?;
            door.sink.skip(shown(&[path.as_slice(), &entry.name].concat()), Why::Path(PathError::Climbs))?;
            continue;
        }
        path.extend_from_slice(&entry.name);
        match inode::read(tables, entry.inode) {
            Ok(inode) => offer(tables, Pending { path, depth: directory.depth + 1, inode }, door, below)?,
            Err(Halt::Damaged { format, what }) => {
                door.budget.charge_entry()?;
                door.sink.skip(shown(&path), Why::Damaged { format, what })?;
            }
            Err(halt) => return Err(halt),
        }
    }
    Ok(())
}

fn offer(
    tables: &mut Tables<'_>,
    entry: Pending,
    door: &mut Door<'_, '_>,
    below: &mut Vec<Pending>,
) -> Result<(), Halt> {
    let found = |kind: FoundKind| Found { path: entry.path.clone(), mode: entry.inode.mode, kind };
    match &entry.inode.kind {
        InodeKind::Directory { .. } => {
            // A directory that contains itself ends here.
            if entry.depth > PATH_DEPTH_MAX {
                door.budget.charge_entry()?;
                return door.sink.skip(shown(&entry.path), Why::Path(PathError::TooDeep));
            }
            door.offer(found(FoundKind::Directory), &mut io::empty())?;
            below.push(entry);
            Ok(())
        }
        InodeKind::File(file) => {
            let mut content = Content::new(tables, file);
            door.offer(found(FoundKind::File { size: file.size }), &mut content)
        }
        InodeKind::Symlink { target } => {
            door.offer(found(FoundKind::Symlink { target: target.clone() }), &mut io::empty())
        }
        InodeKind::Special => door.offer(found(FoundKind::Special), &mut io::empty()),
    }
}
