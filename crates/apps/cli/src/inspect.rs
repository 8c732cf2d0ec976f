//! `inspect`: a look into an image, without any server.
//!
//! In: an image, and where wanted advisories. Out: its layers and components with evidence, what was not understood and
//! what was skipped, how much was looked at, and the weaknesses. Refuses: what is no image, and bombs.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use warden_analyse::{AnalyseError, Analysis, Limits, NotUnderstood, Subject, analyse_watched, sbom};
use warden_model::case::Finding;
use warden_model::firmware::{Component, Firmware, Version};
use warden_model::{ByteCount, ProductId, Sha256Digest};

use crate::delta::write_whole;
use crate::failure::{Exit, Failure, Outcome};
use crate::output::{Page, Table};
use crate::session::{Session, now};

pub(crate) mod weakness;

/// Most files of an image that are named for one component; the JSON form has all of them.
const PLACES_SHOWN: usize = 2;

/// Looks into an image: layers, components with evidence, and with --advisories weaknesses (exit code 10)
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  fleetwarden inspect camera.squashfs --sbom camera.cdx.json --advisories osv"
)]
pub(crate) struct InspectArgs {
    /// The image: a file system, an archive, or what a vendor or a boot loader puts around them, as deep as it goes
    image: PathBuf,
    /// Writes the bill of materials (`CycloneDX` 1.6, JSON) there
    #[arg(long, value_name = "FILE")]
    sbom: Option<PathBuf>,
    /// Advisories in OSV form to match with: a file or a folder; may be given several times
    #[arg(long, value_name = "PATH")]
    advisories: Vec<PathBuf>,
    /// What the bill of materials calls the product
    #[arg(long, value_name = "NAME", default_value = "image")]
    product: ProductId,
    /// What the bill of materials calls the version
    #[arg(long, value_name = "VERSION", default_value = "unknown")]
    version: Version,
}

/// Runs the command.
pub(crate) fn run(args: &InspectArgs, session: &mut Session) -> Outcome {
    let open = || open(&args.image);
    let analysis = look(args, open()?, session)?;
    let mut hash = Sha256::new();
    let bytes = io::copy(&mut open()?, &mut hash);
    let bytes = ByteCount(bytes.map_err(|error| Failure::file("read", &args.image, &error))?);
    let digest = Sha256Digest(hash.finalize().into());
    if let Some(path) = &args.sbom {
        write_sbom(args, &analysis, digest, path)?;
        session.output.say(&format!("the bill of materials is in {}", path.display()))?;
    }
    let firmware = Firmware {
        image: digest,
        product: args.product.clone(),
        version: args.version.clone(),
        size: bytes,
        added_at: now(),
        components: Some(analysis.components.clone()),
    };
    let matched = weakness::matched(&firmware, &args.advisories)?;
    let all = to_json(&firmware, &analysis, matched.as_ref());
    session.output.show(&all, |_| page(&firmware, &analysis, matched.as_ref()))?;
    let found = matched.is_some_and(|matched| !matched.findings.is_empty());
    Ok(if found { Exit::Attention } else { Exit::Done })
}

/// Takes the image apart, and tells how far it is while somebody waits.
fn look(args: &InspectArgs, image: File, session: &Session) -> Result<Analysis, Failure> {
    let bar = session.progress("taking apart", image.metadata().map_or(0, |data| data.len()));
    let mut progress = |progress: &warden_analyse::Progress<'_>| {
        // What comes out may be more than the image; the bar grows with it.
        bar.set_length(bar.length().unwrap_or(0).max(progress.looked_at.bytes.0));
        bar.set_position(progress.looked_at.bytes.0);
    };
    let analysis = analyse_watched(Box::new(BufReader::new(image)), &Limits::default(), &mut progress);
    bar.finish_and_clear();
    analysis.map_err(|error| refused(&args.image, &error))
}

/// Opens an image. A folder can be opened, too, and would then look endless.
fn open(path: &Path) -> Result<File, Failure> {
    let failed = |error: io::Error| Failure::file("open", path, &error);
    let file = File::open(path).map_err(failed)?;
    if file.metadata().map_err(failed)?.is_dir() {
        return Err(failed(io::ErrorKind::IsADirectory.into()));
    }
    Ok(file)
}

fn refused(path: &Path, error: &AnalyseError) -> Failure {
    let failure = Failure::invalid(&format!("look into {}", path.display()), error);
    match error {
        AnalyseError::UnknownFormat { .. } => failure
            .hint("is it the right file, and whole? encrypted images are not opened; docs/reference/firmware-formats.md lists what is"),
        AnalyseError::Damaged { .. } => {
            failure.hint("compare the file's digest with its maker's; it may have been cut")
        }
        AnalyseError::Limit { .. } => failure
            .hint("an honest image stays far below this; if yours is one, split it and look at the parts"),
        AnalyseError::Refused { .. } | AnalyseError::Visitor { .. } | AnalyseError::Size { .. } => failure,
    }
}

fn write_sbom(
    args: &InspectArgs,
    analysis: &Analysis,
    image: Sha256Digest,
    path: &Path,
) -> Result<(), Failure> {
    let subject = Subject { product: args.product.to_string(), version: args.version.to_string(), image };
    let document = sbom(analysis, &subject, now());
    let text =
        serde_json::to_string_pretty(&document).map_err(|error| Failure::failed("write JSON", &error))?;
    write_whole(path, |file| writeln!(file, "{text}"))
}

/// What came of matching with advisories.
struct Matched {
    /// How many advisories were compared with.
    advisories: usize,
    /// How many files were refused.
    refused: Vec<(PathBuf, String)>,
    /// What applies.
    findings: Vec<Finding>,
}

fn places(component: &Component) -> String {
    let mut paths: Vec<&str> = component.evidence.iter().map(|evidence| evidence.path.as_str()).collect();
    paths.dedup();
    let shown: Vec<&str> = paths.iter().copied().take(PLACES_SHOWN).collect();
    let more = paths.len().saturating_sub(PLACES_SHOWN);
    if more == 0 { shown.join(", ") } else { format!("{} and {more} more", shown.join(", ")) }
}

fn page(firmware: &Firmware, analysis: &Analysis, matched: Option<&Matched>) -> Page {
    let mut layers = Table::new(["layer", "format", "packed", "read"]);
    for layer in &analysis.layers {
        let packed = layer.packed.map_or("-".to_owned(), |bytes| bytes.to_string());
        layers.push([&branch(&layer.path), &layer.format, &packed, &layer.unpacked.to_string()]);
    }
    let mut components = Table::new(["component", "version", "found by", "where"]);
    for component in &analysis.components {
        let method = component.evidence.first().map_or("-", |evidence| evidence.method.word());
        components.push([component.name.as_str(), &component.version, method, &places(component)]);
    }
    let mut unknown = Table::new(["path", "at", "length", "bits a byte", "looks like"]);
    analysis.not_understood.iter().for_each(|one| unknown.push(unknown_row(one)));
    let mut skipped = Table::new(["path", "why"]);
    analysis.skipped.iter().for_each(|one| skipped.push([one.path.clone(), one.why.to_string()]));
    let page = Page::new()
        .field("image", firmware.image.to_string())
        .field("size", firmware.size.to_string())
        .field("found", analysis.summary())
        .section("layers", layers)
        .section("components", components)
        .section("not understood", unknown)
        .section("skipped", skipped);
    let page = match analysis.skipped.len() {
        0 => page,
        1 => page.note("1 entry was left out; why stands under \"skipped\""),
        count => page.note(format!("{count} entries were left out; why stands under \"skipped\"")),
    };
    match matched {
        Some(matched) => weakness_page(page, matched),
        None => page.note("give --advisories PATH to match the components with known weaknesses"),
    }
}

/// The place of a layer in the tree: its own name, below what it lies in.
fn branch(path: &str) -> String {
    if path.is_empty() {
        return "(the image)".to_owned();
    }
    let name = path.rsplit("//").next().unwrap_or(path);
    format!("{}{name}", "  ".repeat(path.matches("//").count() + 1))
}

fn unknown_row(one: &NotUnderstood) -> [String; 5] {
    let entropy = one
        .entropy_millibits
        .map_or("-".to_owned(), |bits| format!("{}.{:02}", bits / 1000, bits % 1000 / 10));
    [
        if one.path.is_empty() { "(the image)".to_owned() } else { one.path.clone() },
        format!("0x{:x}", one.offset),
        one.length.map_or("-".to_owned(), |length| length.to_string()),
        entropy,
        one.looks_like.clone(),
    ]
}

fn weakness_page(page: Page, matched: &Matched) -> Page {
    let mut table = Table::new(["advisory", "component", "fixed in", "where", "why"]);
    for finding in &matched.findings {
        table.push([
            finding.advisory.as_str(),
            &finding.component.to_string(),
            finding.fixed_in.as_deref().unwrap_or("no fix known"),
            &finding.path,
            &finding.reason,
        ]);
    }
    let told = format!(
        "{} known weaknesses, compared with {} advisories",
        matched.findings.len(),
        matched.advisories
    );
    let page = page.section("weaknesses", table).note(told);
    matched
        .refused
        .iter()
        .fold(page, |page, (path, why)| page.note(format!("{} was refused: {why}", path.display())))
}

fn to_json(firmware: &Firmware, analysis: &Analysis, matched: Option<&Matched>) -> Value {
    let layers: Vec<Value> = analysis
        .layers
        .iter()
        .map(|layer| {
            json!({ "path": layer.path, "format": layer.format,
                "packed_bytes": layer.packed.map(|bytes| bytes.0), "unpacked_bytes": layer.unpacked.0 })
        })
        .collect();
    let unknown: Vec<Value> = analysis
        .not_understood
        .iter()
        .map(|one| {
            json!({ "path": one.path, "offset": one.offset, "bytes": one.length.map(|length| length.0),
                "entropy_millibits": one.entropy_millibits, "looks_like": one.looks_like })
        })
        .collect();
    let skipped: Vec<Value> =
        analysis.skipped.iter().map(|one| json!({ "path": one.path, "why": one.why.to_string() })).collect();
    let findings = matched.map(|matched| {
        let findings: Vec<Value> = matched.findings.iter().map(finding_json).collect();
        let refused: Vec<Value> =
            matched.refused.iter().map(|(path, why)| json!({ "path": path, "reason": why })).collect();
        json!({ "advisories": matched.advisories, "refused": refused, "findings": findings })
    });
    json!({
        "image": firmware.image.to_string(),
        "bytes": firmware.size.0,
        "layers": layers,
        "components": analysis.components.iter().map(component_json).collect::<Vec<_>>(),
        "not_understood": unknown,
        "skipped": skipped,
        "looked_at": { "files": analysis.looked_at.files, "bytes": analysis.looked_at.bytes.0 },
        "weaknesses": findings,
    })
}

fn component_json(component: &Component) -> Value {
    let evidence: Vec<Value> = component
        .evidence
        .iter()
        .map(|one| json!({ "path": one.path, "method": one.method.word(), "detail": one.detail }))
        .collect();
    json!({ "name": component.name, "version": component.version, "purl": component.purl.to_string(),
        "cpe": component.cpe, "evidence": evidence })
}

fn finding_json(finding: &Finding) -> Value {
    json!({ "advisory": finding.advisory.to_string(), "component": finding.component.to_string(),
        "path": finding.path, "reason": finding.reason, "fixed_in": finding.fixed_in })
}

#[cfg(test)]
mod tests;
