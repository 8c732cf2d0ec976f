//! Signing what the server wants to publish, with a key that the server never sees.
//!
//! In: the server's draft, the offline targets key, images of one's own to compare with. Out: signed targets metadata.
//! Refuses: a draft that changes what was published under the same name, that is not what was asked for, or that does
//! not hold the images that lie here.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use warden_keys::{FileSigner, KeyFileError};
use warden_model::{ByteCount, ReleaseId, Seconds, Sha256Digest};
use warden_trust::repository::{FilePin, TargetAbout, TargetEntry, TargetKind, read_targets, targets};
use warden_trust::{Role, Signer};
use warden_wire::rest::{TargetBody, TargetsReceipt, TargetsToSign};

use crate::cli::Consent;
use crate::client::Client;
use crate::failure::{Exit, Failure, Outcome};
use crate::output::{Form, Page, Style, Table};
use crate::session::{Session, now};
use crate::span;

/// With what to sign, and what to make sure of.
#[derive(Debug, Args)]
pub(crate) struct SignArgs {
    /// The releases that the signature must set free, these and no others [default: whatever waits]
    #[arg(value_name = "RELEASE")]
    ids: Vec<ReleaseId>,
    /// The folder with the offline keys (targets.pem)
    #[arg(long, value_name = "DIR")]
    keys: PathBuf,
    /// How long the signature is good
    #[arg(long, value_name = "SPAN", default_value = "90d", value_parser = span::seconds)]
    expires: Seconds,
    /// An image that lies here: its digest must be among what is signed; may be given several times
    #[arg(long = "image", value_name = "FILE")]
    images: Vec<PathBuf>,
    #[command(flatten)]
    consent: Consent,
}

/// What becomes of a target by this signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    New,
    Kept,
    /// The same bytes, and another index by which devices fetch them.
    Indexed,
    Removed,
}

impl Change {
    const fn word(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Kept => "kept",
            Self::Indexed => "indexed",
            Self::Removed => "removed",
        }
    }
}

/// Signs what the server wants to publish.
pub(super) fn sign(args: &SignArgs, session: &mut Session) -> Outcome {
    let client = session.client()?;
    let signer = FileSigner::open(&args.keys.join("targets.pem")).map_err(|error| no_key(&error))?;
    let draft: TargetsToSign = client.get("/metadata/draft")?;
    check_releases(&args.ids, &draft.releases)?;
    let entries = draft.targets.iter().map(entry).collect::<Result<Vec<_>, _>>()?;
    let changes = compare(&published(&client, draft.version)?, &entries)?;
    let compared = check_images(&args.images, &entries)?;
    show(&draft, &changes, &compared, session)?;
    let question = match draft.releases.len() {
        0 => "no release waits; signing again renews the expiry. Sign?".to_owned(),
        count => format!(
            "sign version {} with {} targets, which sets {count} releases free?",
            draft.version,
            entries.len()
        ),
    };
    session.confirm(&question, args.consent)?;
    let until = now().plus(args.expires);
    let file = targets(draft.version, until, &entries, &[&signer as &dyn Signer])
        .map_err(|error| Failure::failed("sign the targets metadata", &error))?;
    let receipt: TargetsReceipt = client.put_bytes("/metadata/targets", "application/json", &file)?;
    let all = json!({ "version": receipt.version, "expires": receipt.expires, "releases": receipt.releases });
    session.output.show(&all, |_| {
        let free = if receipt.releases.is_empty() { "none".to_owned() } else { receipt.releases.join(", ") };
        Page::new()
            .field("signed version", receipt.version.to_string())
            .field("good until", &receipt.expires)
            .field("set free", free)
            .field("key", signer.origin())
    })?;
    Ok(Exit::Done)
}

fn no_key(error: &KeyFileError) -> Failure {
    let failure = Failure::invalid("open the offline targets key", error);
    match error {
        KeyFileError::TooOpen { path, .. } => failure.hint(format!("chmod 600 {}", path.display())),
        KeyFileError::Content { .. } | KeyFileError::TooLarge { .. } => {
            failure.hint("take the key from its backup: the file is damaged, or was never one")
        }
        KeyFileError::Read { .. }
        | KeyFileError::Write { .. }
        | KeyFileError::Exists { .. }
        | KeyFileError::Generate { .. } => Failure::failed("open the offline targets key", error)
            .hint("--keys names the folder that `fleetwarden setup` made"),
    }
}

fn check_releases(asked: &[ReleaseId], waiting: &[String]) -> Result<(), Failure> {
    if asked.is_empty() {
        return Ok(());
    }
    let asked: BTreeSet<&str> = asked.iter().map(ReleaseId::as_str).collect();
    let waiting: BTreeSet<&str> = waiting.iter().map(String::as_str).collect();
    if asked == waiting {
        return Ok(());
    }
    let list = |names: &BTreeSet<&str>| match names.len() {
        0 => "none".to_owned(),
        _ => names.iter().copied().collect::<Vec<_>>().join(", "),
    };
    let message = format!("asked to sign {}, but what waits is {}", list(&asked), list(&waiting));
    Err(Failure::new(Exit::Conflict, message).hint(
        "`fleetwarden release show RELEASE` says what a release waits for; name all that wait, or none",
    ))
}

/// Reads a target as it will be signed. What does not fit is refused: the signature is ours.
fn entry(body: &TargetBody) -> Result<TargetEntry, Failure> {
    let refuse = |why: &dyn std::fmt::Display| {
        Failure::new(
            Exit::Invalid,
            format!("the server's draft holds {:?}, which cannot be signed: {why}", body.name),
        )
    };
    let kind = match (&body.base, &body.result) {
        (None, None) => TargetKind::Image,
        (Some(base), Some(result)) => TargetKind::Patch {
            base: base.parse().map_err(|error: warden_model::digest::DigestError| refuse(&error))?,
            result: result.parse().map_err(|error: warden_model::digest::DigestError| refuse(&error))?,
        },
        (Some(_), None) | (None, Some(_)) => return Err(refuse(&"a patch has a base and a result")),
    };
    let index = match &body.index {
        None => None,
        Some(_) if kind != TargetKind::Image => return Err(refuse(&"only an image has an index")),
        Some(head) => Some(FilePin {
            length: ByteCount(head.length),
            sha256: head.sha256.parse().map_err(|error: warden_model::digest::DigestError| refuse(&error))?,
        }),
    };
    let boards = body.boards.iter().map(|board| board.parse()).collect::<Result<_, warden_model::IdError>>();
    Ok(TargetEntry {
        name: body.name.clone(),
        length: ByteCount(body.length),
        sha256: body.sha256.parse().map_err(|error: warden_model::digest::DigestError| refuse(&error))?,
        about: TargetAbout {
            product: body.product.parse().map_err(|error: warden_model::IdError| refuse(&error))?,
            hardware_ids: boards.map_err(|error| refuse(&error))?,
            version: body
                .version
                .parse()
                .map_err(|error: warden_model::firmware::VersionError| refuse(&error))?,
            release_counter: body.counter,
            kind,
            index,
        },
    })
}

/// Fetches what is published now: the version before the draft's. The server says so itself; that is enough to notice a
/// mistake, and a lie gains nothing, because devices refuse versions that go back.
fn published(client: &Client, draft_version: u64) -> Result<Vec<TargetEntry>, Failure> {
    let Some(version) = draft_version.checked_sub(1).filter(|version| *version > 0) else {
        return Ok(Vec::new());
    };
    let path = format!("/metadata/{}", Role::Targets.file_name(version));
    let bytes = client.bytes(&path, Role::Targets.bytes_max())?;
    let listing =
        read_targets(&bytes).map_err(|error| Failure::invalid("read the published targets", &error))?;
    Ok(listing.entries)
}

/// Compares what is published with what will be. A name that was published means the same bytes for ever.
fn compare(before: &[TargetEntry], after: &[TargetEntry]) -> Result<Vec<(Change, TargetEntry)>, Failure> {
    let known: BTreeMap<&str, &TargetEntry> =
        before.iter().map(|entry| (entry.name.as_str(), entry)).collect();
    let wanted: BTreeSet<&str> = after.iter().map(|entry| entry.name.as_str()).collect();
    let mut changes = Vec::new();
    for entry in after {
        match known.get(entry.name.as_str()) {
            None => changes.push((Change::New, entry.clone())),
            Some(published) if published.sha256 == entry.sha256 && published.length == entry.length => {
                let same = published.about.index == entry.about.index;
                changes.push((if same { Change::Kept } else { Change::Indexed }, entry.clone()));
            }
            Some(published) => {
                let message = format!(
                    "the draft gives {} other bytes than are published (SHA-256 {} instead of {})",
                    entry.name, entry.sha256, published.sha256
                );
                return Err(Failure::new(Exit::Conflict, message)
                    .hint("do not sign this: find out who changed the server's artifacts"));
            }
        }
    }
    let removed = before.iter().filter(|entry| !wanted.contains(entry.name.as_str()));
    changes.extend(removed.map(|entry| (Change::Removed, entry.clone())));
    Ok(changes)
}

/// Computes the digests of the images that lie here, and finds each among what will be signed.
fn check_images(images: &[PathBuf], entries: &[TargetEntry]) -> Result<BTreeSet<Sha256Digest>, Failure> {
    let mut compared = BTreeSet::new();
    for path in images {
        let digest = digest_of(path)?;
        let fits = |entry: &&TargetEntry| entry.about.kind == TargetKind::Image && entry.sha256 == digest;
        if !entries.iter().any(|entry| fits(&entry)) {
            let message = format!("no image that would be signed is {} (SHA-256 {digest})", path.display());
            return Err(Failure::new(Exit::Conflict, message)
                .hint("do not sign this, unless another image was meant: the server holds other bytes than lie here"));
        }
        compared.insert(digest);
    }
    Ok(compared)
}

fn digest_of(path: &Path) -> Result<Sha256Digest, Failure> {
    let failed = |error: std::io::Error| Failure::file("read", path, &error);
    let mut hash = Sha256::new();
    std::io::copy(&mut File::open(path).map_err(failed)?, &mut hash).map_err(failed)?;
    Ok(Sha256Digest(hash.finalize().into()))
}

/// Shows what will be signed. It is talk, not data: the data is the receipt.
fn show(
    draft: &TargetsToSign,
    changes: &[(Change, TargetEntry)],
    compared: &BTreeSet<Sha256Digest>,
    session: &mut Session,
) -> Result<(), Failure> {
    if session.output.form() == Form::Json {
        return Ok(());
    }
    let mut table =
        Table::new(["change", "target", "kind", "product", "version", "size", "compared", "sha-256"]);
    for (change, entry) in changes.iter().filter(|(change, _)| *change != Change::Kept) {
        let kind = match entry.about.kind {
            TargetKind::Image => "image",
            TargetKind::Patch { .. } => "patch",
        };
        let same = if compared.contains(&entry.sha256) { "same as the file here" } else { "" };
        table.push([
            change.word(),
            &entry.name,
            kind,
            entry.about.product.as_str(),
            entry.about.version.as_str(),
            &entry.length.to_string(),
            same,
            &entry.sha256.to_string(),
        ]);
    }
    let kept = changes.iter().filter(|(change, _)| *change == Change::Kept).count();
    if !table.is_empty() {
        let page = Page::new().section(&format!("version {} of the targets metadata", draft.version), table);
        session.output.say(page.text(Style::Plain).trim_end())?;
    }
    session.output.say(&format!("{kept} targets stay as they are"))
}

#[cfg(test)]
mod tests;
