//! `delta`: patches between two images, without any server.
//!
//! In: files. Out: a patch, or an image that was made from one, whole or not at all. Refuses: images above the limits, a
//! patch for another base, a result whose digest is not the promised one.

mod in_place;

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Cursor, Read as _, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;
use warden_delta::{
    Applied, ApplyError, ApplyLimits, Extras, Header, Made, MakeLimits, Profile, apply_with, make,
    read_header,
};
use warden_model::{ByteCount, PerMille};

use crate::delta_index::{self, IndexCommand};
use crate::failure::{Exit, Failure, Outcome};
use crate::output::{Page, Table};
use crate::session::Session;

/// Patches between two images, without any server
#[derive(Debug, Subcommand)]
pub(crate) enum DeltaCommand {
    /// Makes a patch that turns OLD into NEW. Exit code 10: the full image is smaller, so no patch was written
    #[command(
        after_help = "Example:\n  fleetwarden delta make camera-1.0.squashfs camera-1.1.squashfs -o camera.fwd"
    )]
    Make(MakeArgs),
    /// Applies a patch: OLD becomes NEW
    #[command(
        after_help = "Example:\n  fleetwarden delta apply camera-1.0.squashfs camera.fwd -o camera-1.1.squashfs"
    )]
    Apply(ApplyArgs),
    /// Shows what a patch says of itself
    #[command(after_help = "Example:\n  fleetwarden delta info camera.fwd")]
    Info(InfoArgs),
    /// Applies a patch without keeping what it makes: checks that OLD and PATCH are whole and fit together
    #[command(after_help = "Example:\n  fleetwarden delta verify camera-1.0.squashfs camera.fwd")]
    Verify(VerifyArgs),
    /// Measures a patch between two images: its size beside the full and the compressed image, and the time
    #[command(after_help = "Example:\n  fleetwarden delta bench camera-1.0.squashfs camera-1.1.squashfs")]
    Bench(BenchArgs),
    /// The index of an image, by which any device fetches only what it lacks, whatever it runs
    #[command(subcommand)]
    Index(IndexCommand),
}

/// From what, to what, where to.
#[derive(Debug, Args)]
pub(crate) struct MakeArgs {
    /// The image that devices have
    old: PathBuf,
    /// The image that they should get
    new: PathBuf,
    /// Where the patch goes
    #[arg(long, short, value_name = "PATCH")]
    output: PathBuf,
    #[command(flatten)]
    target: TargetArgs,
    #[command(flatten)]
    flash: in_place::FlashArgs,
}

/// For which devices.
#[derive(Debug, Args)]
pub(crate) struct TargetArgs {
    /// How the patch is coded: linux (smallest), mcu (for at most 64 KiB of memory), fast (for weak processors)
    #[arg(long, value_enum, default_value = "linux")]
    profile: ProfileName,
    /// The most memory that applying the patch may take on the device, in KiB [default: 16384; mcu: 64]
    #[arg(long, value_name = "KIB", value_parser = clap::value_parser!(u64).range(16..=1_048_576))]
    memory: Option<u64>,
}

/// A profile by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ProfileName {
    /// Context mixing: the smallest patches
    Linux,
    /// Context mixing in 64 KiB of memory, for microcontrollers
    Mcu,
    /// Zstandard: somewhat larger patches that take less time to apply
    Fast,
}

impl TargetArgs {
    fn limits(&self) -> MakeLimits {
        let (profile, memory) = match self.profile {
            ProfileName::Linux => (Profile::Linux, MakeLimits::default().memory_max),
            ProfileName::Mcu => (Profile::Mcu, ByteCount::kib(64)),
            ProfileName::Fast => (Profile::Fast, MakeLimits::default().memory_max),
        };
        let memory_max = self.memory.map_or(memory, ByteCount::kib);
        MakeLimits { profile, memory_max, ..MakeLimits::default() }
    }
}

/// On what, with what.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The image that the patch was made for
    old: PathBuf,
    /// The patch
    patch: PathBuf,
}

/// On what, with what, where to.
#[derive(Debug, Args)]
pub(crate) struct ApplyArgs {
    /// The image that the patch was made for
    old: PathBuf,
    /// The patch
    patch: PathBuf,
    /// Where the new image goes
    #[arg(long, short, value_name = "NEW", required_unless_present = "in_place")]
    output: Option<PathBuf>,
    /// The patch was made with `--in-place`: what it makes takes the place of OLD, as on a device with one slot
    #[arg(long, conflicts_with = "output")]
    in_place: bool,
}

/// Which patch.
#[derive(Debug, Args)]
pub(crate) struct InfoArgs {
    /// The patch
    patch: PathBuf,
}

/// From what, to what.
#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    /// The image that devices have
    old: PathBuf,
    /// The image that they should get
    new: PathBuf,
    #[command(flatten)]
    target: TargetArgs,
}

/// Runs a command.
pub(crate) fn run(command: &DeltaCommand, session: &mut Session) -> Outcome {
    match command {
        DeltaCommand::Make(args) => run_make(args, session),
        DeltaCommand::Apply(args) => run_apply(args, session),
        DeltaCommand::Info(args) => info(args, session),
        DeltaCommand::Verify(args) => verify(args, session),
        DeltaCommand::Bench(args) => bench(args, session),
        DeltaCommand::Index(command) => delta_index::run(command, session),
    }
}

pub(crate) fn read(path: &Path, max: ByteCount) -> Result<Vec<u8>, Failure> {
    let failed = |error: io::Error| Failure::file("read", path, &error);
    let mut bytes = Vec::new();
    File::open(path)
        .map_err(failed)?
        .take(max.0.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if size(&bytes) > max {
        let message = format!("{} is larger than the {max} that a patch can be made of", path.display());
        return Err(Failure::new(Exit::Invalid, message).hint("send the full image instead"));
    }
    Ok(bytes)
}

fn size(bytes: &[u8]) -> ByteCount {
    ByteCount(u64::try_from(bytes.len()).unwrap_or(u64::MAX))
}

fn made(old: &[u8], new: &[u8], limits: &MakeLimits) -> Result<Made, Failure> {
    make(old, new, limits).map_err(|error| Failure::invalid("make the patch", &error))
}

fn run_make(args: &MakeArgs, session: &mut Session) -> Outcome {
    if args.flash.in_place {
        return in_place::make(args, session);
    }
    let limits = args.target.limits();
    let (old, new) = (read(&args.old, limits.base_bytes_max)?, read(&args.new, limits.result_bytes_max)?);
    let made = made(&old, &new, &limits)?;
    if let Made::Patch(patch) = &made {
        write_whole(&args.output, |file| file.write_all(patch))?;
    }
    show_made(&made, &args.output, size(&new), session)
}

fn show_made(made: &Made, output: &Path, full: ByteCount, session: &mut Session) -> Outcome {
    match made {
        Made::Patch(patch) => {
            let bytes = size(patch);
            let all = json!({ "patch": output, "bytes": bytes.0, "full_bytes": full.0 });
            session.output.show(&all, |_| {
                Page::new()
                    .field("patch", output.display().to_string())
                    .field("size", format!("{bytes} ({} of the full {full})", PerMille::of(bytes.0, full.0)))
            })?;
            Ok(Exit::Done)
        }
        Made::FullIsSmaller { patch, full } => {
            let all = json!({ "patch": null, "bytes": patch.0, "full_bytes": full.0 });
            session.output.show(&all, |_| {
                Page::new().line(format!(
                    "a patch would have {patch}, the full image has {full}: send the full image"
                ))
            })?;
            Ok(Exit::Attention)
        }
    }
}

fn run_apply(args: &ApplyArgs, session: &mut Session) -> Outcome {
    let Some(output) = &args.output else { return in_place::apply(args, session) };
    let mut outcome = None;
    let written = write_whole(output, |file| {
        let applied = apply_files(&args.old, &args.patch, file);
        let failed = applied.is_err();
        outcome = Some(applied);
        if failed { Err(io::Error::other("the patch could not be applied")) } else { Ok(()) }
    });
    match outcome {
        Some(Err(error)) => Err(not_applied((&args.old, &args.patch, output), &error)),
        Some(Ok(applied)) => {
            written?;
            session.output.show(&header_json(&applied.header), |_| header_page(&applied.header))?;
            Ok(Exit::Done)
        }
        None => Err(written.err().unwrap_or_else(|| Failure::new(Exit::Failed, "nothing was applied"))),
    }
}

/// Applies a patch; long streams are unpacked to a file of no name, which ends with the process.
fn apply_files(old: &Path, patch: &Path, result: &mut dyn Write) -> Result<Applied, ApplyError> {
    let read_base = |source| ApplyError::ReadBase { source };
    let mut old = File::open(old).map_err(read_base)?;
    let mut patch = BufReader::new(File::open(patch).map_err(|source| ApplyError::ReadPatch { source })?);
    let mut scratch = tempfile::tempfile().map_err(|source| ApplyError::WriteResult { source })?;
    let limits = ApplyLimits::default();
    let extras = Extras { limits: &limits, scratch: Some(&mut scratch), watch: &mut |_| {} };
    apply_with(&mut old, &mut patch, result, extras)
}

fn verify(args: &VerifyArgs, session: &mut Session) -> Outcome {
    if in_place::is_one(&args.patch)? {
        return in_place::verify((&args.old, &args.patch), session);
    }
    let applied = apply_files(&args.old, &args.patch, &mut io::sink());
    let applied = applied.map_err(|error| not_applied((&args.old, &args.patch, &args.patch), &error))?;
    session.output.show(&header_json(&applied.header), |_| {
        header_page(&applied.header).line("the patch makes what it promises".to_owned())
    })?;
    Ok(Exit::Done)
}

/// Says which of the three files it was.
fn not_applied((old, patch, output): (&Path, &Path, &Path), error: &ApplyError) -> Failure {
    match error {
        ApplyError::ReadBase { source } => Failure::file("read", old, source),
        ApplyError::ReadPatch { source } => Failure::file("read", patch, source),
        ApplyError::WriteResult { source } => Failure::file("write", output, source),
        other => {
            let attempt = format!("apply {} to {}", patch.display(), old.display());
            patch_failure(&attempt, other)
        }
    }
}

fn patch_failure(attempt: &str, error: &ApplyError) -> Failure {
    match error {
        ApplyError::WrongBase { .. } => Failure::new(Exit::Conflict, format!("{attempt}: {error}"))
            .hint("`fleetwarden delta info PATCH` shows which base it wants"),
        ApplyError::NotAPatch
        | ApplyError::Version { .. }
        | ApplyError::Truncated
        | ApplyError::Corrupt { .. }
        | ApplyError::Window { .. }
        | ApplyError::Table { .. }
        | ApplyError::Unpack { .. }
        | ApplyError::TrailingBytes
        | ApplyError::ResultMismatch { .. } => {
            Failure::invalid(attempt, error).hint("load the patch again: it is damaged, or was never one")
        }
        ApplyError::ResultTooLarge { .. }
        | ApplyError::Memory { .. }
        | ApplyError::Scratch { .. }
        | ApplyError::Layers { .. } => Failure::invalid(attempt, error).hint("send the full image instead"),
        // The last three tell of a record that this command does not keep.
        ApplyError::ReadPatch { .. }
        | ApplyError::ReadBase { .. }
        | ApplyError::WriteResult { .. }
        | ApplyError::ReadResult { .. }
        | ApplyError::Diverged
        | ApplyError::Journal { .. } => Failure::failed(attempt, error),
    }
}

/// Writes a file whole or not at all: beside its place first, then to the disk, then under its name.
pub(crate) fn write_whole(
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), Failure> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let unfinished = path.with_file_name(format!(".{name}.{}.part", std::process::id()));
    let write = || -> io::Result<()> {
        let mut writer = BufWriter::new(File::create(&unfinished)?);
        fill(&mut writer)?;
        writer.flush()?;
        writer.get_ref().sync_all()?;
        fs::rename(&unfinished, path)
    };
    write().map_err(|error| {
        // The error that counts is the first one; there may be nothing to remove.
        fs::remove_file(&unfinished).unwrap_or_default();
        Failure::file("write", path, &error)
    })
}

fn header_json(header: &Header) -> serde_json::Value {
    json!({
        "version": warden_delta::format::VERSION,
        "profile": header.profile.name(),
        "base": header.base.to_string(),
        "base_bytes": header.base_size.0,
        "result": header.result.to_string(),
        "result_bytes": header.result_size.0,
        "layers": header.layers,
        "base_unpacked_bytes": header.base_plain_size.0,
        "result_unpacked_bytes": header.result_plain_size.0,
        "windows": header.windows,
        "memory_bytes": header.memory().0,
        "scratch_bytes": header.scratch.0,
    })
}

fn header_page(header: &Header) -> Page {
    let layers = match header.layers {
        0 => "none: the bytes of the image as they are".to_owned(),
        count => format!("{count}; unpacked, {} become {}", header.base_plain_size, header.result_plain_size),
    };
    Page::new()
        .field("format", format!("{}, profile {}", warden_delta::format::VERSION, header.profile.name()))
        .field("from", format!("{} ({})", header.base, header.base_size))
        .field("to", format!("{} ({})", header.result, header.result_size))
        .field("layers", layers)
        .field("windows", header.windows.to_string())
        .field("memory", format!("{} while it is applied", header.memory()))
        .field("scratch", format!("{} of storage while it is applied", header.scratch))
}

fn info(args: &InfoArgs, session: &mut Session) -> Outcome {
    if in_place::is_one(&args.patch)? {
        return in_place::info(&args.patch, session);
    }
    let file = File::open(&args.patch).map_err(|error| Failure::file("open", &args.patch, &error))?;
    let header = read_header(&mut BufReader::new(file)).map_err(|error| match &error {
        ApplyError::ReadPatch { source } => Failure::file("read", &args.patch, source),
        other => patch_failure(&format!("read {}", args.patch.display()), other),
    })?;
    session.output.show(&header_json(&header), |_| header_page(&header))?;
    Ok(Exit::Done)
}

fn bench(args: &BenchArgs, session: &mut Session) -> Outcome {
    let limits = args.target.limits();
    let (old, new) = (read(&args.old, limits.base_bytes_max)?, read(&args.new, limits.result_bytes_max)?);
    let clock = Instant::now();
    let compressed = zstd::bulk::compress(&new, i32::from(limits.level));
    let compressed = compressed.map_err(|error| Failure::failed("compress the image", &error))?;
    let compress_time = clock.elapsed();
    let clock = Instant::now();
    let made = made(&old, &new, &limits)?;
    let make_time = clock.elapsed();
    let mut rows = vec![
        ("full image", size(&new), None, None),
        ("full image, zstd 19", size(&compressed), Some(compress_time), None),
    ];
    match made {
        Made::Patch(patch) => {
            let clock = Instant::now();
            let mut result = Vec::new();
            let mut scratch = Cursor::new(Vec::new());
            let limits = ApplyLimits::default();
            let extras = Extras { limits: &limits, scratch: Some(&mut scratch), watch: &mut |_| {} };
            apply_with(&mut Cursor::new(&old), &mut patch.as_slice(), &mut result, extras)
                .map_err(|error| patch_failure("apply the patch that was made", &error))?;
            rows.push(("patch", size(&patch), Some(make_time), Some(clock.elapsed())));
        }
        Made::FullIsSmaller { patch, .. } => {
            rows.push(("patch (not worth it)", patch, Some(make_time), None));
        }
    }
    show_bench(&rows, size(&new), session)
}

type BenchRow = (&'static str, ByteCount, Option<Duration>, Option<Duration>);

fn show_bench(rows: &[BenchRow], full: ByteCount, session: &mut Session) -> Outcome {
    let millis = |time: Option<Duration>| time.map(|time| time.as_millis());
    let all: Vec<_> = rows
        .iter()
        .map(|(what, bytes, made, applied)| {
            json!({ "what": what, "bytes": bytes.0, "make_ms": millis(*made), "apply_ms": millis(*applied) })
        })
        .collect();
    session.output.show(&all, |_| {
        let mut table = Table::new(["what", "size", "of full", "to make", "to apply"]);
        let time =
            |time: Option<Duration>| millis(time).map_or("-".to_owned(), |millis| format!("{millis} ms"));
        for (what, bytes, made, applied) in rows {
            let share = PerMille::of(bytes.0, full.0).to_string();
            table.push([(*what).to_owned(), bytes.to_string(), share, time(*made), time(*applied)]);
        }
        Page::new().table(table, "")
    })?;
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests;
