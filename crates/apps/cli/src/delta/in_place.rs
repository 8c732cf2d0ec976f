//! `delta … --in-place`: patches for microcontrollers with one slot.
//!
//! In: files. Out: a patch; or an image that took the place of the old one, whole or not at all. Refuses: flash that cannot be
//! as described, images that do not fit it, and what `delta` refuses without `--in-place`.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use clap::Args;
use serde_json::json;
use warden_delta::inplace::{
    Geometry, InPlaceError, InPlaceHeader, InPlaceLimits, Simulated, UpdateError, apply_in_place,
    is_in_place, make_in_place, read_in_place,
};
use warden_delta::{Made, Profile};
use warden_model::ByteCount;

use super::{ApplyArgs, MakeArgs, read, show_made, size, write_whole};
use crate::failure::{Exit, Failure, Outcome};
use crate::output::Page;
use crate::session::Session;

/// What the flash of a device with one slot is like.
#[derive(Debug, Clone, Args)]
pub(crate) struct FlashArgs {
    /// For devices with one slot: the new image takes the place of the old one. Needs `--profile mcu`
    #[arg(long)]
    pub(super) in_place: bool,
    /// What the flash erases at once, in bytes: a power of two from 256 to 131072
    #[arg(long, value_name = "BYTES", default_value_t = 4096, requires = "in_place")]
    pub(super) page: u32,
    /// What the flash programs at once, in bytes: a power of two up to 512
    #[arg(long, value_name = "BYTES", default_value_t = 8, requires = "in_place")]
    pub(super) write: u32,
    /// How much room the image may take, in KiB [default: what the larger image takes]
    #[arg(long, value_name = "KIB", requires = "in_place")]
    pub(super) area: Option<u32>,
    /// How many pages of scratch lie behind the area; two of them keep the journal
    #[arg(long, value_name = "PAGES", default_value_t = 18, requires = "in_place")]
    pub(super) scratch: u32,
    /// For how many copies the device has room, if its tables are laid out once and for all
    #[arg(long, value_name = "COUNT", requires = "in_place")]
    pub(super) copies: Option<u32>,
}

/// The largest image that is read, in MiB: more than any microcontroller has.
const IMAGE_MIB_MAX: u64 = 64;

fn image(path: &Path) -> Result<Vec<u8>, Failure> {
    read(path, ByteCount::mib(IMAGE_MIB_MAX))
}

/// Makes a patch in place.
pub(super) fn make(args: &MakeArgs, session: &mut Session) -> Outcome {
    let made_for = args.target.limits();
    if made_for.profile != Profile::Mcu {
        let message =
            format!("patches in place are for microcontrollers, not for {}", made_for.profile.name());
        return Err(Failure::new(Exit::Usage, message).hint("add `--profile mcu`"));
    }
    let (old, new) = (image(&args.old)?, image(&args.new)?);
    let flash = &args.flash;
    let page = u64::from(flash.page.max(1));
    let needed = size(&old).max(size(&new)).0.next_multiple_of(page);
    let limits = InPlaceLimits {
        page_bytes: flash.page,
        write_bytes: flash.write,
        area: flash.area.map_or(ByteCount(needed), |area| ByteCount::kib(u64::from(area))),
        scratch_pages: flash.scratch,
        memory: made_for.memory_max,
        copies: flash.copies,
    };
    let made = make_in_place(&old, &new, &limits).map_err(|error| match &error {
        InPlaceError::Flash { source } => Failure::invalid("make the patch in place", source)
            .hint("`--page`, `--write`, `--area` and `--scratch` describe the flash of the device"),
        InPlaceError::NotProven { source } => Failure::failed("try the patch on a simulated flash", source),
        InPlaceError::TooLarge { .. } | InPlaceError::Empty | InPlaceError::Memory { .. } => {
            Failure::invalid("make the patch in place", &error)
        }
    })?;
    if let Made::Patch(patch) = &made {
        write_whole(&args.output, |file| file.write_all(patch))?;
    }
    show_made(&made, &args.output, size(&new), session)
}

/// Says whether a file holds a patch in place.
pub(super) fn is_one(path: &Path) -> Result<bool, Failure> {
    let mut start = Vec::new();
    let file = File::open(path).map_err(|error| Failure::file("open", path, &error))?;
    file.take(START_BYTES).read_to_end(&mut start).map_err(|error| Failure::file("read", path, &error))?;
    Ok(is_in_place(&start))
}

/// How much of a patch tells what it is, in bytes.
const START_BYTES: u64 = 16;

fn failed(patch: &Path, old: &Path, error: &UpdateError) -> Failure {
    let attempt = format!("apply {} to {} in place", patch.display(), old.display());
    match error {
        UpdateError::WrongBase => Failure::new(Exit::Conflict, format!("{attempt}: {error}"))
            .hint("`fleetwarden delta info PATCH` shows which base it wants"),
        UpdateError::NotInPlace => {
            Failure::invalid(&attempt, error).hint("apply it with `-o NEW`, without `--in-place`")
        }
        UpdateError::Flash(_)
        | UpdateError::Patch(_)
        | UpdateError::NotAPatch
        | UpdateError::Version(_)
        | UpdateError::Corrupt(_)
        | UpdateError::Geometry
        | UpdateError::Pages { .. }
        | UpdateError::Area { .. }
        | UpdateError::Scratch { .. }
        | UpdateError::Memory { .. }
        | UpdateError::Worn { .. }
        | UpdateError::WrongSegment
        | UpdateError::WrongResult => {
            Failure::invalid(&attempt, error).hint("load the patch again: it is damaged, or was never one")
        }
    }
}

/// Applies a patch to a flash in memory that has room for it, and returns the image.
fn applied(old: &Path, patch_file: &Path) -> Result<(InPlaceHeader, Vec<u8>), Failure> {
    let (base, patch) = (image(old)?, image(patch_file)?);
    let failed = |error: UpdateError| failed(patch_file, old, &error);
    let header = read_in_place(&patch).map_err(failed)?;
    if ![header.base_size, header.result_size].contains(&size(&base)) {
        return Err(failed(UpdateError::WrongBase));
    }
    let geometry = Geometry {
        page_bytes: header.page_bytes,
        write_bytes: 8,
        area_pages: header.area_pages,
        scratch_pages: header.scratch_pages,
    };
    geometry.check().map_err(failed)?;
    let mut flash = Simulated::new(geometry, &base);
    apply_in_place(&mut flash, &patch, &mut |_| {}).map_err(failed)?;
    let len = usize::try_from(header.result_size.0).unwrap_or(usize::MAX);
    Ok((header, flash.bytes().get(..len).unwrap_or_default().to_vec()))
}

/// Lets the new image take the place of the old one in a file.
pub(super) fn apply(args: &ApplyArgs, session: &mut Session) -> Outcome {
    let (header, image) = applied(&args.old, &args.patch)?;
    write_whole(&args.old, |file| file.write_all(&image))?;
    session.output.show(&header_json(&header), |_| header_page(&header))?;
    Ok(Exit::Done)
}

/// Applies a patch without keeping what it makes.
pub(super) fn verify((old, patch): (&Path, &Path), session: &mut Session) -> Outcome {
    let (header, _) = applied(old, patch)?;
    session.output.show(&header_json(&header), |_| {
        header_page(&header).line("the patch makes what it promises".to_owned())
    })?;
    Ok(Exit::Done)
}

/// Shows what a patch says of itself.
pub(super) fn info(path: &Path, session: &mut Session) -> Outcome {
    let header = read_in_place(&image(path)?).map_err(|error| {
        Failure::invalid(&format!("read {}", path.display()), &error)
            .hint("load the patch again: it is damaged, or was never one")
    })?;
    session.output.show(&header_json(&header), |_| header_page(&header))?;
    Ok(Exit::Done)
}

fn header_json(header: &InPlaceHeader) -> serde_json::Value {
    json!({
        "version": warden_delta::format::VERSION,
        "profile": "in-place",
        "base": header.base.to_string(),
        "base_bytes": header.base_size.0,
        "result": header.result.to_string(),
        "result_bytes": header.result_size.0,
        "page_bytes": header.page_bytes,
        "area_pages": header.area_pages,
        "scratch_pages": header.scratch_pages,
        "segments": header.segments,
        "steps": header.steps,
        "copies": header.copies,
        "memory_bytes": header.memory.0,
    })
}

fn header_page(header: &InPlaceHeader) -> Page {
    let scratch = format!("{} pages behind the images, two of them for the journal", header.scratch_pages);
    Page::new()
        .field("format", format!("{}, profile in-place", warden_delta::format::VERSION))
        .field("from", format!("{} ({})", header.base, header.base_size))
        .field("to", format!("{} ({})", header.result, header.result_size))
        .field("pages", format!("{} of {} bytes", header.area_pages, header.page_bytes))
        .field("scratch", scratch)
        .field("segments", format!("{}, in {} steps", header.segments, header.steps))
        .field("copies", header.copies.to_string())
        .field("memory", format!("{} while it is applied", header.memory))
}
