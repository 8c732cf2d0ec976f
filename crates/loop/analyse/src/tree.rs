//! Trees of file systems that name a node by a number and say who is below whom.
//!
//! In: nodes and names in any order. Out: entries through the door, parents before children. Refuses nothing itself:
//! what hangs on no directory, or on itself, is listed as damaged.

use std::collections::{BTreeMap, BTreeSet};

use crate::door::Door;
use crate::error::{Halt, bad};
use crate::path::PATH_DEPTH_MAX;

/// Offers an entry: its path, and its node.
pub(crate) type Offer<'a> = dyn FnMut(&[u8], u64, &mut Door<'_, '_>) -> Result<Offered, Halt> + 'a;

/// A name in a directory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Name {
    pub(crate) name: Vec<u8>,
    pub(crate) node: u64,
}

/// The names of all directories.
#[derive(Default)]
pub(crate) struct Names {
    below: BTreeMap<u64, BTreeSet<Name>>,
}

/// Whether something may lie below an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Offered {
    Directory,
    Other,
}

impl Names {
    pub(crate) fn insert(&mut self, parent: u64, name: Vec<u8>, node: u64) {
        self.below.entry(parent).or_default().insert(Name { name, node });
    }

    /// Offers everything below `root`. `offer` gets a path and a node; what is wrong with one entry is listed.
    pub(crate) fn walk(&self, root: u64, door: &mut Door<'_, '_>, offer: &mut Offer<'_>) -> Result<(), Halt> {
        let mut seen = BTreeSet::from([root]);
        let mut waiting = vec![(Vec::new(), 0, root)];
        while let Some((path, depth, node)) = waiting.pop() {
            let mut below = Vec::new();
            for entry in self.below.get(&node).into_iter().flatten() {
                door.step()?;
                let mut full: Vec<u8> = path.clone();
                if !full.is_empty() {
                    full.push(b'/');
                }
                full.extend_from_slice(&entry.name);
                if entry.name.contains(&b'/') || matches!(entry.name.as_slice(), b"" | b"." | b"..") {
                    door.tolerate(&full, Err(bad("a name is none")))?;
                    continue;
                }
                match offer(&full, entry.node, door) {
                    Ok(Offered::Directory) if depth >= PATH_DEPTH_MAX || !seen.insert(entry.node) => {
                        door.tolerate(&full, Err(bad("a directory contains itself, or stands twice")))?;
                    }
                    Ok(Offered::Directory) => below.push((full, depth + 1, entry.node)),
                    Ok(Offered::Other) => {}
                    Err(halt) => door.tolerate(&full, Err(halt))?,
                }
            }
            below.reverse();
            waiting.extend(below);
        }
        Ok(())
    }
}
