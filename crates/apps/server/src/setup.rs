//! Setting up a data directory: the keys that the server holds, the root metadata that people have signed.
//!
//! In: an empty or existing data directory. Out: device CA, online key, first API token; each made once and kept. Refuses:
//! root metadata that does not list the server's online key, because devices would then trust nothing it signs.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use warden_keys::{CertificateAuthority, FileSigner};
use warden_model::{Seconds, Timestamp};
use warden_store::{ApiToken, Store};
use warden_trust::repository::read_root;
use warden_trust::{KeyScheme, PublicKey, Role, Signer as _};

use crate::device::hash_of;
use crate::repository::{Repository, write_atomically};

/// How long the first API token is good: a year, then a person makes another.
const ADMIN_TOKEN_LIFETIME: Seconds = Seconds::days(365);

/// Where things lie in a data directory.
#[derive(Debug, Clone)]
pub struct Layout {
    /// The data directory.
    pub data_dir: PathBuf,
}

impl Layout {
    /// Describes a data directory.
    pub fn new(data_dir: &Path) -> Self {
        Self { data_dir: data_dir.to_path_buf() }
    }

    /// The device CA.
    pub fn authority(&self) -> PathBuf {
        self.data_dir.join("ca")
    }

    /// The key that signs snapshot and timestamp.
    pub fn online_key(&self) -> PathBuf {
        self.data_dir.join("keys/online.pem")
    }

    /// The signed metadata.
    pub fn metadata(&self) -> PathBuf {
        self.data_dir.join("metadata")
    }

    /// Images and patches.
    pub fn artifacts(&self) -> PathBuf {
        self.data_dir.join("artifacts")
    }

    /// The first API token, for the command line on the same machine.
    pub fn admin_token(&self) -> PathBuf {
        self.data_dir.join("admin.token")
    }
}

/// What a prepared data directory holds.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// The key that must be listed in the root metadata for snapshot and timestamp.
    pub online_key: PublicKey,
    /// The fingerprint of the device CA, which devices pin.
    pub ca_fingerprint: String,
}

/// Makes what the server holds itself and is not there yet. Doing it twice is doing it once.
pub async fn prepare(data_dir: &Path, now: Timestamp) -> Result<Prepared> {
    let layout = Layout::new(data_dir);
    make_private_folder(data_dir)?;
    make_private_folder(layout.online_key().parent().unwrap_or(data_dir))?;
    let authority = if layout.authority().exists() {
        CertificateAuthority::open(&layout.authority()).context("open the device CA")?
    } else {
        CertificateAuthority::create(&layout.authority(), "Fleetwarden device CA", now)
            .context("make the device CA")?
    };
    let signer = if layout.online_key().exists() {
        FileSigner::open(&layout.online_key()).context("open the online key")?
    } else {
        FileSigner::create(&layout.online_key(), KeyScheme::Ed25519).context("make the online key")?
    };
    if !layout.admin_token().exists() {
        make_admin_token(&layout, now).await.context("make the first API token")?;
    }
    Ok(Prepared { online_key: signer.public_key(), ca_fingerprint: authority.fingerprint().to_string() })
}

/// Puts the root metadata and the first targets metadata in place, and signs what the server signs.
pub async fn install_root(data_dir: &Path, root: &[u8], targets: &[u8], now: Timestamp) -> Result<()> {
    let layout = Layout::new(data_dir);
    let signer = FileSigner::open(&layout.online_key()).context("open the online key")?;
    let listing = read_root(root).context("read the root metadata")?;
    let lists_us = |role| listing.keys.of(role).keys.contains(&signer.public_key());
    ensure!(
        lists_us(Role::Snapshot) && lists_us(Role::Timestamp),
        "the root metadata does not list this server's online key for snapshot and timestamp"
    );
    let path = layout.metadata().join(Role::Root.file_name(listing.version));
    write_atomically(&path, root).context("keep the root metadata")?;
    let repository = Repository::open(layout.metadata(), signer);
    repository.publish(targets, now).await.context("publish the first targets metadata")?;
    Ok(())
}

fn make_private_folder(path: &Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.with_context(|| format!("make the data directory {}", path.display()))
}

async fn make_admin_token(layout: &Layout, now: Timestamp) -> Result<()> {
    let store = Store::open(&layout.data_dir).await?;
    let secret = warden_keys::random_secret()?;
    let token = ApiToken {
        id: "admin".to_owned(),
        hash: hash_of(secret.as_bytes()),
        name: "made when the data directory was set up".to_owned(),
        expires: Some(now.plus(ADMIN_TOKEN_LIFETIME)),
    };
    store.create_token(&token).await?;
    store.close().await;
    write_secret(&layout.admin_token(), &format!("fwt_admin_{secret}\n"))
}

/// Writes a file that only its owner may read; a crash at any point leaves the old one, or none, or the new one whole.
pub fn write_secret(path: &Path, text: &str) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let temporary = path.with_extension("new");
    let attempt = || -> std::io::Result<()> {
        let mut options = fs::OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        fs::File::open(folder)?.sync_all()
    };
    attempt().with_context(|| format!("write {}", path.display()))
}
