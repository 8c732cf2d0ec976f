//! Loads what a device lacks of an image: the parts of the indexes, then ranges of the content.
//!
//! In: an order. Out: how many bytes are safely on disk, parts and pieces together. Refuses: pieces with another digest than
//! was signed, as soon as they are there; servers that do not know ranges; what is not worth it.

use std::fs::{self, OpenOptions};
use std::time::Instant;

use warden_model::ByteCount;

use super::http::Client;
use super::load::{Broken, Open, Piece, SLICE_BYTES_MAX, SLICE_TIME_MAX, load, load_range};
use crate::device::Device;
use crate::device::pieces::{PiecesError, Planned, Stage, look, staged_bytes};
use crate::driver::Slice;
use crate::machine::{Input, LoadFailure, PiecesOrder, Place};

/// Pieces on their way; kept between slices, found out again after a cut.
pub(super) struct Gathering {
    order: PiecesOrder,
    planned: Box<Planned>,
    /// How much of the pieces is staged, in bytes.
    length: u64,
    /// Up to where they are checked.
    right: u64,
}

impl Gathering {
    fn is_complete(&self) -> bool {
        self.planned.plan().next_range(self.length).is_none()
    }
}

/// Loads the next slice.
pub(super) fn gather(
    client: &Client,
    url: &str,
    device: &Device,
    order: &PiecesOrder,
    (held, open): (&mut Option<Gathering>, &mut Option<Open>),
) -> Input {
    let next = match held.take().filter(|held| held.order == *order) {
        Some(gathering) => Ok(Next::Ranges(gathering)),
        None => prepare(client, url, device, order, open),
    };
    let outcome = next.and_then(|next| match next {
        Next::Ranges(gathering) if gathering.is_complete() => Ok(Some(Input::DownloadFinished)),
        Next::Ranges(mut gathering) => {
            load_ranges(client, url, device, open, &mut gathering)?;
            *held = Some(gathering);
            Ok(None)
        }
        Next::Answer(input) => Ok(Some(input)),
        Next::Again => Ok(None),
    });
    let done = staged_sum(device);
    match outcome {
        Ok(None) => Input::DownloadProgress { done },
        Ok(Some(Input::DownloadFailed { failure, detail, .. })) => {
            Input::DownloadFailed { done, failure, detail }
        }
        Ok(Some(input)) => input,
        Err(Broken { failure, detail }) => {
            *open = None;
            tracing::warn!(%done, "the pieces do not come: {detail}");
            Input::DownloadFailed { done, failure, detail }
        }
    }
}

enum Next {
    /// The parts are there.
    Ranges(Gathering),
    /// A slice of a part came.
    Again,
    /// A part did not come.
    Answer(Input),
}

/// Loads a slice of the first part that is missing; where none is, finds out what to fetch.
fn prepare(
    client: &Client,
    url: &str,
    device: &Device,
    order: &PiecesOrder,
    open: &mut Option<Open>,
) -> Result<Next, Broken> {
    let part = match look(&device.dir, order).map_err(broken)? {
        Stage::Missing(part) => part,
        Stage::Planned(planned) => return resume(device, order, planned).map(Next::Ranges),
    };
    let offset =
        staged_bytes(&device.dir, part.digest).map_err(|error| Broken::disk("read the parts", &error))?;
    let slice =
        Slice { digest: part.digest, size: part.size, place: Place::Staging, offset: ByteCount(offset) };
    let path = device.dir.staged(part.digest);
    Ok(match load(client, &format!("{url}{}", part.digest), &path, &slice, open) {
        failed @ Input::DownloadFailed { .. } => Next::Answer(failed),
        _ => Next::Again,
    })
}

/// Keeps what is right of the staged pieces: the rest may be torn.
fn resume(device: &Device, order: &PiecesOrder, planned: Box<Planned>) -> Result<Gathering, Broken> {
    let kept = || -> Result<u64, PiecesError> {
        let path = device.dir.staged(planned.content().digest);
        let mut file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path)?;
        let length = file.metadata()?.len().min(planned.plan().fetch_bytes());
        let right = planned.check(&mut file, 0, length)?.right;
        file.set_len(right)?;
        Ok(right)
    };
    let right = kept().map_err(broken)?;
    Ok(Gathering { order: *order, planned, length: right, right })
}

/// Loads ranges until a slice is full or all is there.
fn load_ranges(
    client: &Client,
    url: &str,
    device: &Device,
    open: &mut Option<Open>,
    gathering: &mut Gathering,
) -> Result<(), Broken> {
    let content = gathering.planned.content();
    let (url, path) = (format!("{url}{}", content.digest), device.dir.staged(content.digest));
    let (began, first) = (Instant::now(), gathering.length);
    while let Some(range) = gathering.planned.plan().next_range(gathering.length) {
        if gathering.length.saturating_sub(first) >= SLICE_BYTES_MAX || began.elapsed() >= SLICE_TIME_MAX {
            break;
        }
        let piece = Piece { digest: content.digest, size: content.size.0, range, staged: gathering.length };
        gathering.length = load_range(client, &url, &path, &piece, open)?;
        let mut file = fs::File::open(&path).map_err(|error| Broken::disk("read the pieces", &error))?;
        let checked =
            gathering.planned.check(&mut file, gathering.right, gathering.length).map_err(broken)?;
        if checked.right < checked.whole {
            return Err(Broken::wrong("a piece is not the one that was signed"));
        }
        gathering.right = checked.right;
    }
    Ok(())
}

fn broken(error: PiecesError) -> Broken {
    let failure = match &error {
        PiecesError::Disk(error) => return Broken::disk("use the staging area", error),
        PiecesError::NotWorth { .. } => LoadFailure::NotWorth,
        PiecesError::Wrong(_) | PiecesError::OtherImage | PiecesError::WrongPart => LoadFailure::WrongBytes,
    };
    Broken { failure, detail: format!("{:#}", anyhow::Error::from(error)) }
}

/// Returns how much is staged.
fn staged_sum(device: &Device) -> ByteCount {
    let sizes = |entries: fs::ReadDir| {
        entries.filter_map(|entry| entry.ok()?.metadata().ok()).map(|metadata| metadata.len()).sum()
    };
    ByteCount(fs::read_dir(device.dir.staging()).map_or(0, sizes))
}
