//! Where things lie in a device's directory.
//!
//! ```text
//! identity.json        who the device is              slots/a.img, b.img   the two firmware slots
//! boot/state.{0,1}     the boot loader's state        journal/state.{0,1}  the machine's journal
//!                                                     journal/patch.{0,1}  how far the patch in work is
//! trust/*.json         signed metadata, root pinned   keys/                device key, certificate, authority
//! staging/             patches on their way           run/root             the booted image, unpacked
//! ```

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use warden_model::Sha256Digest;
use warden_model::device::Slot;

use super::pair::{Pair, sync_dir};
use crate::machine::journal::JOURNAL_BYTES_MAX;
use crate::machine::{Identity, Journal};

/// Largest small file (identity, configuration), in bytes: real ones have a few hundred.
const SMALL_BYTES_MAX: u64 = 64 * 1024;

/// A device's directory.
#[derive(Debug, Clone)]
pub struct DeviceDir {
    root: PathBuf,
}

/// Holds the directory for one process; given back when dropped.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl DeviceDir {
    /// Names a directory; nothing is read or made.
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// Makes the folders that are missing.
    pub fn create(&self) -> Result<()> {
        for name in ["slots", "boot", "journal", "trust", "keys", "staging", "run"] {
            let dir = self.root.join(name);
            fs::create_dir_all(&dir).with_context(|| format!("make {}", dir.display()))?;
        }
        restrict(&self.keys())
    }

    /// Takes the directory for this process: two agents on one device would undo each other's work.
    pub fn lock(&self) -> Result<Lock> {
        let path = self.root.join("lock");
        let file =
            OpenOptions::new().create(true).truncate(false).write(true).open(&path).with_context(|| {
                format!("open {}\nhint: `fleetwarden-agent factory` makes a device", path.display())
            })?;
        match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Lock { _file: file }),
            Err(rustix::io::Errno::WOULDBLOCK) => {
                bail!("another agent runs on {}\nhint: stop it first", self.root.display())
            }
            Err(error) => Err(error).with_context(|| format!("lock {}", path.display())),
        }
    }

    /// Returns the directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the file of a slot.
    pub fn slot(&self, slot: Slot) -> PathBuf {
        self.root.join("slots").join(format!("{slot}.img"))
    }

    /// Returns the folder of the boot state.
    pub fn boot(&self) -> PathBuf {
        self.root.join("boot")
    }

    /// Returns the folder of the signed metadata.
    pub fn trust(&self) -> PathBuf {
        self.root.join("trust")
    }

    /// Returns the folder of keys and certificates.
    pub fn keys(&self) -> PathBuf {
        self.root.join("keys")
    }

    /// Returns the staging area.
    pub fn staging(&self) -> PathBuf {
        self.root.join("staging")
    }

    /// Returns the staged file of an artifact.
    pub fn staged(&self, digest: Sha256Digest) -> PathBuf {
        self.staging().join(digest.to_string())
    }

    /// Returns the folder of the booted image, unpacked.
    pub fn run_root(&self) -> PathBuf {
        self.root.join("run/root")
    }

    /// Empties the staging area, but for one artifact.
    pub fn clear_staging(&self, but: Option<Sha256Digest>) -> Result<()> {
        let staging = self.staging();
        let keep = but.map(|digest| self.staged(digest));
        for entry in fs::read_dir(&staging).with_context(|| format!("list {}", staging.display()))? {
            let path = entry?.path();
            if Some(&path) != keep.as_ref() {
                fs::remove_file(&path).with_context(|| format!("remove {}", path.display()))?;
            }
        }
        Ok(())
    }

    fn journal(&self) -> Pair {
        Pair::new(&self.root.join("journal"), "state", JOURNAL_BYTES_MAX)
    }

    /// Makes a journal durable.
    pub fn save_journal(&self, journal: &Journal) -> Result<()> {
        self.journal().save(&journal.write()).context("save the journal")
    }

    /// Reads the newest good journal.
    pub fn load_journal(&self) -> Result<Journal> {
        let bytes = self.journal().load()?.with_context(|| {
            format!(
                "{} holds no journal\nhint: `fleetwarden-agent factory` makes a device",
                self.root.display()
            )
        })?;
        Ok(Journal::read(&bytes)?)
    }

    /// Writes who the device is.
    pub fn save_identity(&self, identity: &Identity) -> Result<()> {
        write_durably(&self.root.join("identity.json"), &serde_json::to_vec_pretty(identity)?)
    }

    /// Reads who the device is.
    pub fn load_identity(&self) -> Result<Identity> {
        let bytes = read_small(&self.root.join("identity.json"))?;
        serde_json::from_slice(&bytes).context("read identity.json")
    }
}

/// Reads a file that must be small.
pub fn read_small(path: &Path) -> Result<Vec<u8>> {
    read_at_most(path, SMALL_BYTES_MAX)
}

/// Reads a file of at most `bytes_max` bytes.
pub fn read_at_most(path: &Path, bytes_max: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes))
        .with_context(|| format!("read {}", path.display()))?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > bytes_max) {
        bail!("{} is larger than the {bytes_max} bytes that are allowed", path.display());
    }
    Ok(bytes)
}

/// Replaces a file so that after a cut either the old or the new one is there.
pub fn write_durably(path: &Path, bytes: &[u8]) -> Result<()> {
    let fresh = path.with_extension("new");
    let written = File::create(&fresh).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.and_then(|()| fs::rename(&fresh, path)).with_context(|| format!("write {}", path.display()))?;
    path.parent().map_or(Ok(()), sync_dir)
}

/// Leaves a folder to its owner alone: it holds private keys.
fn restrict(dir: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(dir, fs::Permissions::from_mode(0o700))
        .with_context(|| format!("restrict {}", dir.display()))
}
