//! squashfs 1.0 to 4.0 of both byte orders, and what vendors made of them.
//!
//! In: an image. Out: its tree through the door, parents before children. Refuses directories that contain themselves,
//! tables that lead outside, and blocks of a size that the format does not have.
//!
//! The layouts follow the headers of Linux and of the squashfs tools; versions before 4 store bit fields in the order of
//! the builder's compiler, so the byte order decides from which end a number is cut.

mod codec;
mod data;
mod inode;
mod superblock;
mod table;

use crate::bytes::Bytes;
use crate::door::{Content, Door, Found, FoundKind};
use crate::error::{Halt, bad};
use crate::format::{Carve, Claim, Format, Unpack};
use crate::path::{PATH_DEPTH_MAX, PathError};
use crate::report::{Owner, Why};
use data::FileContent;
use inode::{Inode, InodeKind, Listing};
use superblock::Superblock;
use table::Tables;

pub(crate) static FORMAT: Format = Format {
    name: "squashfs",
    extension: "squashfs",
    magics: &[
        (0, b"hsqs"),
        (0, b"sqsh"),
        (0, b"shsq"),
        (0, b"qshs"),
        (0, b"tqsh"),
        (0, b"hsqt"),
        (0, b"sqlz"),
        (0, b"zlqs"),
    ],
    carve: Carve::Anywhere,
    claim: |bytes| {
        let superblock = Superblock::read(bytes)?;
        let (major, minor) = superblock.version;
        let label = format!("squashfs {major}.{minor} ({})", superblock.codec.name());
        Some(Claim::new(label, superblock.bytes_used))
    },
    unpack: Unpack::Tree(walk),
};

/// A directory that is still to be read.
struct Pending {
    path: Vec<u8>,
    depth: usize,
    inode: Inode,
}

/// Walks a file system.
fn walk(bytes: &Bytes<'_>, door: &mut Door<'_, '_>) -> Result<(), Halt> {
    let superblock = Superblock::read(bytes).ok_or_else(|| bad("its superblock makes no sense"))?;
    if superblock.bytes_used > bytes.length() {
        // The tables lie at the end of an image: where that is missing, nothing can be found.
        let there = bytes.length();
        return Err(bad(format!("it ends early: {there} of {} bytes are there", superblock.bytes_used)));
    }
    let mut tables = Tables::new(bytes.clone(), superblock);
    let root = tables.root();
    let inode = inode::read(&mut tables, root)?;
    if !matches!(inode.kind, InodeKind::Directory { .. }) {
        return Err(bad("its root is no directory"));
    }
    let mut directories = vec![Pending { path: Vec::new(), depth: 0, inode }];
    while let Some(directory) = directories.pop() {
        let mut below = Vec::new();
        let end = walk_directory(&mut tables, &directory, door, &mut below);
        // One unreadable directory does not hide the others, but a root that cannot be read is the end.
        if directory.depth == 0 {
            end?;
        } else {
            door.tolerate(&directory.path, end)?;
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
        door.step()?;
        let mut path = directory.path.clone();
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(&entry.name);
        // A name with a slash would be more than one; it is kept visible and refused.
        if entry.name.contains(&b'/') || matches!(entry.name.as_slice(), b"." | b"..") {
            door.skip(&path, Why::Path(PathError::Climbs))?;
            continue;
        }
        match inode::read(tables, entry.inode) {
            Ok(inode) => offer(tables, Pending { path, depth: directory.depth + 1, inode }, door, below)?,
            Err(halt) => door.tolerate(&path, Err(halt))?,
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
    let owner = tables.owner(entry.inode.user, entry.inode.group).map(|(user, group)| Owner { user, group });
    let found = |kind: FoundKind| Found { path: entry.path.clone(), mode: entry.inode.mode, owner, kind };
    match &entry.inode.kind {
        InodeKind::Directory { .. } => {
            // A directory that contains itself ends here.
            if entry.depth > PATH_DEPTH_MAX {
                return door.skip(&entry.path, Why::Path(PathError::TooDeep));
            }
            door.offer_bare(found(FoundKind::Directory))?;
            below.push(entry);
            Ok(())
        }
        InodeKind::File(file) => {
            let mut content = FileContent::new(tables, file);
            door.offer(found(FoundKind::File { size: file.size }), Content::Stream(&mut content))
        }
        InodeKind::Symlink { target } => {
            door.offer_bare(found(FoundKind::Symlink { target: target.clone() }))
        }
        InodeKind::Special => door.offer_bare(found(FoundKind::Special)),
    }
}
