//! Uploading an image, and waiting until it is proven.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use indicatif::ProgressBar;
use sha2::{Digest as _, Sha256};
use warden_model::firmware::Version;
use warden_model::{ByteCount, ProductId, Seconds, Sha256Digest};
use warden_wire::rest::{ReleaseBody, ReleaseRequest, UploadReceipt};

use crate::client::Client;
use crate::failure::{Exit, Failure, Outcome};
use crate::session::Session;
use crate::span;

/// How often the release is looked at: preparing one takes seconds to minutes.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What to upload, and as what.
#[derive(Debug, Args)]
pub(crate) struct UploadArgs {
    /// The image
    image: PathBuf,
    /// The product that it is for
    #[arg(long)]
    product: ProductId,
    /// The version that it gets
    #[arg(long)]
    version: Version,
    /// Waits until the release is proven; exit code 10 when it is rejected
    #[arg(long)]
    wait: bool,
    /// How long to wait; then exit code 7, and the server goes on by itself
    #[arg(long, value_name = "SPAN", default_value = "30min", value_parser = span::seconds, requires = "wait")]
    timeout: Seconds,
}

/// Uploads an image and makes a release of it.
pub(super) fn upload(args: &UploadArgs, session: &mut Session) -> Outcome {
    let client = session.client()?;
    let receipt = send(&args.image, &client, session)?;
    let wanted = ReleaseRequest {
        product: args.product.to_string(),
        version: args.version.to_string(),
        image: receipt.image.clone(),
    };
    let mut release: ReleaseBody = client.post("/releases", &wanted)?;
    session.output.say(&format!("{} is uploaded ({})", release.id, ByteCount(receipt.bytes)))?;
    if args.wait {
        release = wait(&client, release, args.timeout, session)?;
    }
    session.output.show(&release, |release| {
        let page = super::page(release);
        if args.wait { page } else { page.note(format!("next: fleetwarden release show {}", release.id)) }
    })?;
    Ok(if release.state == "rejected" { Exit::Attention } else { Exit::Done })
}

/// Sends the file, and checks that the server got what was read here.
fn send(path: &Path, client: &Client, session: &Session) -> Result<UploadReceipt, Failure> {
    let failed = |error: io::Error| Failure::file("read", path, &error);
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(Failure::new(Exit::Invalid, format!("{} is no file", path.display()))
            .hint("name the image itself"));
    }
    if metadata.len() == 0 {
        return Err(Failure::new(Exit::Invalid, format!("{} is empty, and no image is", path.display()))
            .hint("was it built, or downloaded, to its end?"));
    }
    let bytes = ByteCount(metadata.len());
    let name = path.file_name().map_or_else(|| "image".into(), |name| name.to_string_lossy());
    let bar = session.progress(&format!("uploading {name}"), bytes.0);
    let mut counted = Counted { file, hash: Sha256::new(), bar };
    let receipt: UploadReceipt = client.upload("/images", &mut counted, bytes)?;
    counted.bar.finish_and_clear();
    let here = Sha256Digest(counted.hash.finalize().into()).to_string();
    if receipt.image == here {
        return Ok(receipt);
    }
    let message = format!(
        "the server got other bytes than were read here (SHA-256 {} instead of {here})",
        receipt.image
    );
    Err(Failure::new(Exit::Failed, message)
        .hint("did the file change while it was uploaded? upload it again"))
}

/// Reads a file, and on the way computes its digest and shows how far it is.
struct Counted {
    file: File,
    hash: Sha256,
    bar: ProgressBar,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.file.read(buffer)?;
        self.hash.update(buffer.get(..length).unwrap_or_default());
        self.bar.inc(u64::try_from(length).unwrap_or(0));
        Ok(length)
    }
}

/// Waits until a release needs nothing more from the server.
fn wait(
    client: &Client,
    release: ReleaseBody,
    limit: Seconds,
    session: &mut Session,
) -> Result<ReleaseBody, Failure> {
    let started = Instant::now();
    let mut release = release;
    let mut told = String::new();
    while is_on_its_way(&release.state) {
        let standing = format!("{}: {} ({})", release.id, release.state, release.reason);
        if standing != told {
            session.output.say(&standing)?;
            told = standing;
        }
        if started.elapsed() > Duration::from_secs(limit.0) {
            let message =
                format!("{} is still {} after {limit}: {}", release.id, release.state, release.reason);
            return Err(Failure::new(Exit::Network, message).hint(format!(
                "the server goes on by itself; `fleetwarden release show {}` looks again",
                release.id
            )));
        }
        std::thread::sleep(LOOK_EVERY);
        release = client.get(&format!("/releases/{}", release.id))?;
    }
    Ok(release)
}

fn is_on_its_way(state: &str) -> bool {
    matches!(state, "uploaded" | "analysed" | "built")
}

#[cfg(test)]
mod tests {
    use super::is_on_its_way;
    use warden_model::release::ReleaseState;

    #[test]
    fn waiting_ends_when_the_server_has_nothing_more_to_do() {
        let on_its_way: Vec<&str> =
            ReleaseState::ALL.iter().map(|state| state.word()).filter(|word| is_on_its_way(word)).collect();
        assert_eq!(on_its_way, ["uploaded", "analysed", "built"]);
    }
}
