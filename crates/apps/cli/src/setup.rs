//! `setup`: a data directory that can be served, and the offline keys that the server never sees.
//!
//! In: two folders. Out: device CA, online key, first token, signed root metadata; offline keys beside. Refuses: offline
//! keys inside the data directory, and a data directory that was set up with other keys. Doing it twice is doing it once.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;
use warden_keys::FileSigner;
use warden_model::{Seconds, Timestamp};
use warden_server::setup::{Layout, Prepared, install_root, prepare};
use warden_trust::repository::{KeySet, RoleKeys, read_root, root, targets};
use warden_trust::{KeyScheme, Role, Signer};

use crate::failure::{Exit, Failure, Outcome};
use crate::output::Page;
use crate::session::{Session, now};

/// How long the root metadata is good.
const ROOT_LIFETIME: Seconds = Seconds::days(365);
/// How long the first targets metadata, which lists nothing, is good.
const TARGETS_LIFETIME: Seconds = Seconds::days(90);

/// Makes a data directory to serve, and the offline keys; doing it twice is doing it once
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  fleetwarden setup --data-dir fleet --keys offline-keys --host updates.example"
)]
pub(crate) struct SetupArgs {
    /// Where the offline keys go; never inside the data directory, best on a machine without network
    #[arg(long, value_name = "DIR")]
    keys: PathBuf,
    /// The host name under which devices will reach the server; it stands in the next step that is printed
    #[arg(long, value_name = "NAME", default_value = "localhost")]
    host: String,
}

/// The offline keys: one file a role is for trying out.
struct Offline {
    root: FileSigner,
    targets: FileSigner,
}

/// Runs the command.
pub(crate) fn run(args: &SetupArgs, session: &mut Session) -> Outcome {
    let data_dir = session.settings.needed_path("data-dir")?;
    refuse_keys_inside(&args.keys, &data_dir)?;
    refuse_other_keys(&args.keys, &Layout::new(&data_dir))?;
    let offline = open_or_make(&args.keys)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::failed("start the runtime", &error))?;
    let now = now();
    let prepared = runtime.block_on(prepare(&data_dir, now))?;
    let layout = Layout::new(&data_dir);
    if layout.metadata().join(Role::Timestamp.file_name(0)).exists() {
        session.output.say("the data directory was set up before; everything is kept as it is")?;
        current_root(&layout, &offline)?;
    } else {
        let root_bytes = match current_root(&layout, &offline)? {
            Some(bytes) => bytes,
            None => make_root(&offline, &prepared, now)?,
        };
        let first = targets(1, now.plus(TARGETS_LIFETIME), &[], &[&offline.targets as &dyn Signer])
            .map_err(|error| Failure::failed("sign the first targets metadata", &error))?;
        runtime.block_on(install_root(&data_dir, &root_bytes, &first, now))?;
    }
    tell(args, &layout, &prepared, session)
}

/// A stolen server must not be able to sign: the offline keys never lie where it can read them.
fn refuse_keys_inside(keys: &Path, data_dir: &Path) -> Result<(), Failure> {
    let absolute = |path: &Path| {
        // A folder that is not there yet has no canonical form; its absolute form will do.
        fs::canonicalize(path).or_else(|_| std::path::absolute(path)).unwrap_or_else(|_| path.to_owned())
    };
    if absolute(keys).starts_with(absolute(data_dir)) {
        let message = format!("the offline keys would lie inside the data directory {}", data_dir.display());
        return Err(Failure::new(Exit::Invalid, message)
            .hint("name another folder with --keys: whoever steals the server must not find them"));
    }
    Ok(())
}

fn open_or_make(keys: &Path) -> Result<Offline, Failure> {
    use std::os::unix::fs::DirBuilderExt as _;
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(keys);
    made.map_err(|error| Failure::file("make the folder", keys, &error))?;
    let one = |name: &str| {
        let path = keys.join(name);
        let signer = if path.exists() {
            FileSigner::open(&path)
        } else {
            FileSigner::create(&path, KeyScheme::Ed25519)
        };
        signer.map_err(|error| Failure::failed("open or make an offline key", &error))
    };
    Ok(Offline { root: one("root.pem")?, targets: one("targets.pem")? })
}

/// Returns the root metadata that is there already, which must list these keys.
fn current_root(layout: &Layout, offline: &Offline) -> Result<Option<Vec<u8>>, Failure> {
    let path = layout.metadata().join(Role::Root.file_name(1));
    if !path.exists() {
        return Ok(None);
    }
    let bytes = fs::read(&path).map_err(|error| Failure::file("read", &path, &error))?;
    let listing = read_root(&bytes).map_err(|error| Failure::invalid("read the root metadata", &error))?;
    let lists = |role: Role, signer: &FileSigner| listing.keys.of(role).keys.contains(&signer.public_key());
    if lists(Role::Root, &offline.root) && lists(Role::Targets, &offline.targets) {
        return Ok(Some(bytes));
    }
    Err(other_keys())
}

fn other_keys() -> Failure {
    Failure::new(Exit::Conflict, "the data directory was set up with other offline keys")
        .hint("name the folder of those keys with --keys, or another --data-dir")
}

/// A folder without keys cannot be the one that an existing root was made with; no new keys are made for nothing.
fn refuse_other_keys(keys: &Path, layout: &Layout) -> Result<(), Failure> {
    let has_root = layout.metadata().join(Role::Root.file_name(1)).exists();
    let has_keys = ["root.pem", "targets.pem"].iter().all(|name| keys.join(name).exists());
    if has_root && !has_keys { Err(other_keys()) } else { Ok(()) }
}

fn make_root(offline: &Offline, prepared: &Prepared, now: Timestamp) -> Result<Vec<u8>, Failure> {
    let one = |key| KeySet { keys: vec![key], threshold: 1 };
    let keys = RoleKeys {
        root: one(offline.root.public_key()),
        targets: one(offline.targets.public_key()),
        snapshot: one(prepared.online_key.clone()),
        timestamp: one(prepared.online_key.clone()),
    };
    root(1, now.plus(ROOT_LIFETIME), &keys, &[&offline.root as &dyn Signer])
        .map_err(|error| Failure::failed("sign the root metadata", &error))
}

fn tell(args: &SetupArgs, layout: &Layout, prepared: &Prepared, session: &mut Session) -> Outcome {
    let shown = |path: PathBuf| path.display().to_string();
    let paths = [
        ("data directory", layout.data_dir.display().to_string()),
        ("offline root key", shown(args.keys.join("root.pem"))),
        ("offline targets key", shown(args.keys.join("targets.pem"))),
        ("device CA", shown(layout.authority().join("ca.crt"))),
        ("root metadata", shown(layout.metadata().join(Role::Root.file_name(1)))),
        ("first API token", shown(layout.admin_token())),
    ];
    let mut all: serde_json::Map<String, serde_json::Value> =
        paths.iter().map(|(name, path)| (name.to_lowercase().replace(' ', "_"), json!(path))).collect();
    all.insert("ca_fingerprint".to_owned(), json!(prepared.ca_fingerprint));
    session.output.show(&all, |_| {
        let page = paths.iter().fold(Page::new(), |page, (name, path)| page.field(name, path));
        page.field("CA fingerprint", &prepared.ca_fingerprint)
            .note("one key file a role is for trying out: a real fleet wants 3 of 5 root keys and 2 of 3 targets keys, offline")
            .note(format!(
                "next: fleetwarden serve --data-dir {} --host {}",
                layout.data_dir.display(),
                args.host
            ))
    })?;
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::{open_or_make, refuse_keys_inside};
    use crate::failure::Exit;
    use warden_trust::Signer as _;

    #[test]
    fn offline_keys_never_lie_where_the_server_can_read_them() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        std::fs::create_dir(&data).unwrap();
        assert_eq!(refuse_keys_inside(&data.join("keys"), &data).unwrap_err().exit, Exit::Invalid);
        assert_eq!(refuse_keys_inside(&data, &data).unwrap_err().exit, Exit::Invalid);
        assert!(refuse_keys_inside(&folder.path().join("keys"), &data).is_ok());
    }

    #[test]
    fn keys_are_made_once() {
        let folder = tempfile::tempdir().unwrap();
        let first = open_or_make(folder.path()).unwrap();
        let second = open_or_make(folder.path()).unwrap();
        assert_eq!(first.root.public_key(), second.root.public_key());
        assert_ne!(first.root.public_key(), first.targets.public_key());
    }
}
