//! `release`: firmware on its way to devices: uploaded, analysed, proven, signed.

use clap::{Args, Subcommand};
use serde::Serialize;
use warden_model::{ByteCount, ReleaseId};
use warden_wire::rest::{Items, PatchesBody, ReleaseBody};

use crate::cli::Consent;
use crate::failure::{Exit, Outcome};
use crate::list::{Paging, note_more};
use crate::output::{Page, Table};
use crate::session::Session;

mod patches;
mod sign;
mod upload;

pub(crate) use patches::short_span;

/// Largest bill of materials that is read: 100,000 components at 600 bytes each.
const SBOM_BYTES_MAX: ByteCount = ByteCount::mib(64);

/// Releases: firmware on its way to devices
#[derive(Debug, Subcommand)]
pub(crate) enum ReleaseCommand {
    /// Uploads an image and makes a release of it
    #[command(
        after_help = "Example:\n  fleetwarden release upload camera-1.1.squashfs --product camera --version 1.1 --wait"
    )]
    Upload(upload::UploadArgs),
    /// Lists releases
    #[command(after_help = "Example:\n  fleetwarden release list")]
    List(Paging),
    /// Shows one release: its state and why, its patches, what the lab has seen
    #[command(after_help = "Example:\n  fleetwarden release show camera-1.1")]
    Show(OneArgs),
    /// Prints the bill of materials of a release (`CycloneDX` 1.6, JSON)
    #[command(after_help = "Example:\n  fleetwarden release sbom camera-1.1 > camera-1.1.cdx.json")]
    Sbom(OneArgs),
    /// Signs what the server wants to publish, with the offline targets key, and hands it in
    #[command(
        after_help = "Example:\n  fleetwarden release sign camera-1.1 --keys offline-keys --image camera-1.1.squashfs"
    )]
    Sign(sign::SignArgs),
    /// Takes a release back: nobody gets it any more
    #[command(after_help = "Example:\n  fleetwarden release withdraw camera-1.1 --yes")]
    Withdraw(WithdrawArgs),
}

/// Which release.
#[derive(Debug, Args)]
pub(crate) struct OneArgs {
    /// The release
    #[arg(value_name = "RELEASE")]
    id: ReleaseId,
}

/// Which release, and consent.
#[derive(Debug, Args)]
pub(crate) struct WithdrawArgs {
    /// The release
    #[arg(value_name = "RELEASE")]
    id: ReleaseId,
    #[command(flatten)]
    consent: Consent,
}

/// Runs a command.
pub(crate) fn run(command: &ReleaseCommand, session: &mut Session) -> Outcome {
    match command {
        ReleaseCommand::Upload(args) => upload::upload(args, session),
        ReleaseCommand::List(paging) => list(paging, session),
        ReleaseCommand::Show(args) => show(&args.id, session),
        ReleaseCommand::Sbom(args) => sbom(&args.id, session),
        ReleaseCommand::Sign(args) => sign::sign(args, session),
        ReleaseCommand::Withdraw(args) => withdraw(args, session),
    }
}

fn list(paging: &Paging, session: &mut Session) -> Outcome {
    let releases: Items<ReleaseBody> = session.client()?.list("/releases", &Vec::new(), paging)?;
    session.output.show(&releases, |releases| {
        let mut table =
            Table::new(["release", "product", "version", "state", "size", "components", "patches", "why"]);
        for release in &releases.items {
            table.push([
                release.id.clone(),
                release.product.clone(),
                release.version.clone(),
                release.state.clone(),
                ByteCount(release.image_bytes).to_string(),
                release.components.map_or("-".to_owned(), |count| count.to_string()),
                release.patches.len().to_string(),
                release.reason.clone(),
            ]);
        }
        let hint =
            "there are no releases yet: `fleetwarden release upload IMAGE --product P --version V` makes one";
        note_more(Page::new().table(table, hint), releases)
    })?;
    Ok(Exit::Done)
}

/// Describes a release, without its patches.
fn page(release: &ReleaseBody) -> Page {
    fields(release).section("lab", lab(release))
}

fn fields(release: &ReleaseBody) -> Page {
    let full = ByteCount(release.image_bytes);
    Page::new()
        .field("release", &release.id)
        .field("product", &release.product)
        .field("version", &release.version)
        .field("state", &release.state)
        .field("why", &release.reason)
        .field("image", format!("{} ({full})", release.image))
        .field("counter", release.counter.to_string())
        .field(
            "components",
            release.components.map_or("not analysed yet".to_owned(), |count| count.to_string()),
        )
        .field("created", &release.created_at)
        .optional("savings", release.savings.as_ref().map(|savings| savings.summary.as_str()))
}

fn lab(release: &ReleaseBody) -> Table {
    let mut lab = Table::new(["at", "scenario", "outcome"]);
    for run in &release.lab {
        lab.push([&run.at, &run.scenario, &run.outcome]);
    }
    lab
}

/// A release, and how far its patches are built.
#[derive(Debug, Serialize)]
struct Shown {
    #[serde(flatten)]
    release: ReleaseBody,
    patch_jobs: PatchesBody,
}

fn show(id: &ReleaseId, session: &mut Session) -> Outcome {
    let client = session.client()?;
    let release: ReleaseBody = client.get(&format!("/releases/{id}"))?;
    let patches: PatchesBody = client.get(&format!("/releases/{id}/patches"))?;
    let shown = Shown { release, patch_jobs: patches };
    session.output.show(&shown, |shown| {
        let page = patches::section(fields(&shown.release), &shown.patch_jobs, &shown.release.state);
        page.section("lab", lab(&shown.release))
    })?;
    Ok(Exit::Done)
}

/// The document is its own form, for people and programs alike.
fn sbom(id: &ReleaseId, session: &mut Session) -> Outcome {
    let bytes = session.client()?.bytes(&format!("/releases/{id}/sbom"), SBOM_BYTES_MAX)?;
    session.output.write_bytes(&bytes)?;
    session.output.write_data("\n")?;
    Ok(Exit::Done)
}

fn withdraw(args: &WithdrawArgs, session: &mut Session) -> Outcome {
    let told = format!("withdraw the release {}, so that nobody gets it any more?", args.id);
    session.confirm(&told, args.consent)?;
    let path = format!("/releases/{}/withdraw", args.id);
    let release: ReleaseBody = session.client()?.post(&path, &serde_json::json!({}))?;
    session.output.show(&release, |release| {
        page(release).note("sign the metadata anew without it: `fleetwarden release sign --keys DIR`")
    })?;
    Ok(Exit::Done)
}
