//! One server for a data directory: two would turn the same loop twice and give the same orders.
//!
//! In: a data directory. Out: a lock that lasts as long as the value, and ends with the process however that ends.
//! Refuses: a directory that another server has.

use std::fs::{File, OpenOptions};
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

/// The name of the file that is locked. It stays: removing it would let two servers lock two files of one name.
const FILE_NAME: &str = "serve.lock";

/// Holds a data directory.
#[derive(Debug)]
pub(crate) struct Held {
    _file: File,
}

/// Takes a data directory for this process.
pub(crate) fn hold(data_dir: &Path) -> Result<Held> {
    let path = data_dir.join(FILE_NAME);
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
    let file =
        file.with_context(|| format!("open {} (has `fleetwarden setup` been run?)", path.display()))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Held { _file: file }),
        Err(Errno::WOULDBLOCK) => bail!(
            "another server uses the data directory {} (stop it first, or give this one a directory of its own)",
            data_dir.display()
        ),
        Err(error) => Err(error).with_context(|| format!("lock {}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::hold;

    #[test]
    fn a_directory_has_one_server_and_is_free_again_afterwards() {
        let folder = tempfile::tempdir().unwrap();
        let held = hold(folder.path()).unwrap();
        let refused = hold(folder.path()).unwrap_err().to_string();
        assert!(refused.contains("another server uses") && refused.contains("stop it first"), "{refused}");
        drop(held);
        hold(folder.path()).unwrap();
        let nowhere = hold(&folder.path().join("nowhere")).unwrap_err().to_string();
        assert!(nowhere.contains("fleetwarden setup"), "{nowhere}");
    }
}
