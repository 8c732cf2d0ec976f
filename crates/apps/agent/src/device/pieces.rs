//! An image in pieces: what the device lacks of it, and the slot made from that and from what runs.
//!
//! In: an order, and the staged parts of the indexes that it names. Out: which part is missing, or what to fetch; the written
//! slot. Refuses: parts and pieces with another digest than was signed, before anything of them is read; indexes of other
//! images; whatever takes more memory or storage than a device lends.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter};
use std::path::Path;

use warden_delta::index::{
    Checked, ChunkList, FetchPlan, Fetched, HEAD_BYTES_MAX, ImageMap, IndexError, IndexHead, Owned, Part,
    Sources, assemble, check_fetched, plan_fetch,
};
use warden_delta::{ApplyLimits, Scratch};
use warden_model::{ByteCount, PerMille, Sha256Digest};

use super::dir::DeviceDir;
use super::slot::{
    PATCH_MEMORY_MAX, PATCH_SCRATCH_MAX, PIECE_BYTES, digest_of, failed, finish, fresh, give_back,
    patch_failed,
};
use crate::machine::journal::Index;
use crate::machine::{Input, PiecesOrder, WriteFailure};

/// The most that the way of pieces may take of the whole image: what is saved below that is not worth the work.
const SHARE_MAX: u64 = 900;

/// Why an image is not to be had in pieces.
#[derive(Debug, thiserror::Error)]
pub enum PiecesError {
    /// Something staged is not what was signed, or cannot be used.
    #[error("the pieces cannot be used")]
    Wrong(#[from] IndexError),
    /// The index is of another image.
    #[error("the index is of another image than the one that was ordered")]
    OtherImage,
    /// A part has another digest than was promised.
    #[error("a part of the index is not the one that was signed")]
    WrongPart,
    /// The whole image is no longer way.
    #[error("{bytes} in pieces are no less than most of the image's {image}")]
    NotWorth {
        /// What the way of pieces takes.
        bytes: ByteCount,
        /// The size of the image.
        image: ByteCount,
    },
    /// The device's own storage failed.
    #[error("use the staging area")]
    Disk(#[from] io::Error),
}

/// What is there of an image in pieces.
pub enum Stage {
    /// A part of an index is missing, wholly or in part.
    Missing(Part),
    /// The parts are there, and it is known what to fetch.
    Planned(Box<Planned>),
}

/// What to fetch, and all that making the image takes.
pub struct Planned {
    head: IndexHead,
    running: ImageMap,
    map: ImageMap,
    list: ChunkList,
    plan: FetchPlan,
}

impl Planned {
    /// Returns the content of the image, of which ranges are fetched.
    pub fn content(&self) -> Part {
        self.head.content
    }

    /// Returns what to fetch.
    pub fn plan(&self) -> &FetchPlan {
        &self.plan
    }

    /// Checks what was fetched between two places.
    pub fn check(&self, fetched: &mut File, right: u64, length: u64) -> Result<Checked, PiecesError> {
        Ok(check_fetched(&self.plan, &self.list, fetched, (right, length))?)
    }
}

/// Looks at what is staged; where all parts are there, finds out what to fetch.
pub fn look(dir: &DeviceDir, order: &PiecesOrder) -> Result<Stage, PiecesError> {
    let head = match head(dir, order.indexes.wanted)? {
        Ok(head) => head,
        Err(part) => return Ok(Stage::Missing(part)),
    };
    if (head.image, head.image_size) != (order.image, order.size) {
        return Err(PiecesError::OtherImage);
    }
    check_worth(head.fixed_bytes(), order)?;
    let running = match order.indexes.running.map(|index| self::head(dir, index)).transpose()? {
        Some(Err(part)) => return Ok(Stage::Missing(part)),
        Some(Ok(head)) if head.image_size != order.base_size => return Err(PiecesError::OtherImage),
        Some(Ok(head)) => Some(head),
        None => None,
    };
    let mut parts = vec![head.map, head.list];
    parts.extend(running.as_ref().map(|running| running.map));
    for part in parts {
        if !is_staged(dir, part)? {
            return Ok(Stage::Missing(part));
        }
    }
    let read = |part: Part| fs::read(dir.staged(part.digest));
    let map = ImageMap::read(&read(head.map)?, &head)?.for_making();
    let list = ChunkList::read(&read(head.list)?, &head)?;
    let own_part = running.as_ref().map_or(ByteCount(0), |running| running.map.size);
    let running = match &running {
        Some(running) => ImageMap::read(&read(running.map)?, running)?.for_reading(),
        None => ImageMap::unknown(order.base_size.0),
    };
    let plan = {
        let (mut base, mut scratch) = (File::open(dir.slot(order.base))?, scratch(dir).ok());
        let scratch = scratch.as_mut().map(|file| file as &mut dyn Scratch);
        plan_fetch(Owned { image: &mut base, map: &running, scratch }, &list, &limits(order))?
    };
    let bytes = head.fixed_bytes().0.saturating_add(own_part.0).saturating_add(plan.fetch_bytes());
    check_worth(ByteCount(bytes), order)?;
    tracing::info!(
        ranges = plan.ranges().len(),
        "{bytes} bytes in pieces instead of {} ({})",
        order.size,
        PerMille::of(bytes, order.size.0)
    );
    Ok(Stage::Planned(Box::new(Planned { head, running, map, list, plan })))
}

fn limits(order: &PiecesOrder) -> ApplyLimits {
    ApplyLimits { result_bytes_max: order.size, memory_max: PATCH_MEMORY_MAX, scratch_max: PATCH_SCRATCH_MAX }
}

fn check_worth(bytes: ByteCount, order: &PiecesOrder) -> Result<(), PiecesError> {
    let most = u128::from(order.size.0) * u128::from(SHARE_MAX) / 1000;
    if u128::from(bytes.0) < most {
        return Ok(());
    }
    Err(PiecesError::NotWorth { bytes, image: order.size })
}

/// Reads the head of an index; the part that is missing when it is not there.
fn head(dir: &DeviceDir, index: Index) -> Result<Result<IndexHead, Part>, PiecesError> {
    let part = Part { digest: index.head, size: ByteCount(index.size_bytes) };
    if part.size.0 > HEAD_BYTES_MAX {
        return Err(PiecesError::WrongPart);
    }
    if !is_staged(dir, part)? {
        return Ok(Err(part));
    }
    Ok(Ok(IndexHead::read(&fs::read(dir.staged(part.digest))?)?))
}

/// Says whether a part is there as a whole; one that is wrong then is removed and refused.
fn is_staged(dir: &DeviceDir, part: Part) -> Result<bool, PiecesError> {
    let path = dir.staged(part.digest);
    if staged_bytes(dir, part.digest)? < part.size.0 {
        // Nothing to load: no request would ever make it.
        if part.size.0 == 0 {
            File::create(path)?;
        }
        return Ok(false);
    }
    match digest_of(&path) {
        Ok((size, digest)) if (size, digest) == (part.size, part.digest) => Ok(true),
        Ok(_) | Err(_) => {
            fs::remove_file(&path)?;
            Err(PiecesError::WrongPart)
        }
    }
}

/// Returns how many bytes of a staged file there are.
pub fn staged_bytes(dir: &DeviceDir, digest: Sha256Digest) -> io::Result<u64> {
    match fs::metadata(dir.staged(digest)) {
        Ok(metadata) => Ok(metadata.len()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(error),
    }
}

/// Makes a file for long streams. It has no name: whatever stops us, nothing of it is left.
fn scratch(dir: &DeviceDir) -> io::Result<File> {
    let place = dir.root().join("scratch");
    let file = OpenOptions::new().create(true).read(true).write(true).truncate(true).open(&place)?;
    fs::remove_file(&place)?;
    Ok(file)
}

/// Makes the other slot from the staged pieces and the running slot.
pub fn assemble_slot(dir: &DeviceDir, order: &PiecesOrder) -> Input {
    let slot = dir.slot(order.slot);
    match try_assemble(dir, order, &slot) {
        Ok(input) => {
            if matches!(input, Input::WriteFailed { failure: WriteFailure::NoSpace, .. }) {
                give_back(&slot);
            }
            input
        }
        Err(PiecesError::Disk(error)) => failed(&error, WriteFailure::Patch, "read the pieces"),
        Err(error) => patch_failed(&format!("{:#}", anyhow::Error::from(error))),
    }
}

fn try_assemble(dir: &DeviceDir, order: &PiecesOrder, slot: &Path) -> Result<Input, PiecesError> {
    let Stage::Planned(planned) = look(dir, order)? else { return Err(PiecesError::WrongPart) };
    let Planned { head, running, map, list, plan } = *planned;
    let path = dir.staged(head.content.digest);
    if plan.fetch_bytes() == 0 {
        // Nothing was lacking, so nothing was staged.
        File::create(&path)?;
    }
    let mut fetched = File::open(path)?;
    let length = plan.fetch_bytes();
    if check_fetched(&plan, &list, &mut fetched, (0, length))?.right < length {
        return Err(PiecesError::WrongPart);
    }
    let (mut base, mut scratch) = (File::open(dir.slot(order.base))?, scratch(dir).ok());
    let scratch = scratch.as_mut().map(|file| file as &mut dyn Scratch);
    let own = Owned { image: &mut base, map: &running, scratch };
    let slot = match fresh(slot) {
        Ok(slot) => slot,
        Err(error) => return Ok(failed(&error, WriteFailure::Broken, "open the slot")),
    };
    let mut result = BufWriter::with_capacity(PIECE_BYTES, slot);
    let wanted = Fetched { head: &head, map: &map, list: &list };
    let sources = Sources { own, fetched: &mut fetched, plan: &plan };
    match assemble(sources, &wanted, &mut result, &limits(order)) {
        Ok(_) => Ok(finish(result)),
        Err(IndexError::WriteResult { source }) => {
            Ok(failed(&source, WriteFailure::Broken, "write the slot"))
        }
        Err(error) => Err(error.into()),
    }
}
