//! Downloads in slices, straight to where the bytes belong, resumed where they broke off.
//!
//! In: an artifact's digest, signed size and place. Out: how many bytes are safely on disk. Refuses: answers that are
//! longer or shorter than the signed size, ranges that were not asked for, and servers that are too slow.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use warden_delta::index::Range;
use warden_model::{ByteCount, Sha256Digest};

use super::http::{Client, Stream};
use crate::device::slot::{give_back, is_full};
use crate::driver::Slice;
use crate::machine::{Input, LoadFailure, Place};

/// After so many bytes the slice is flushed and the machine is asked: what a cut can cost.
pub(super) const SLICE_BYTES_MAX: u64 = 1024 * 1024;
/// After so long the machine is asked too, so that a cancellation is seen on a slow network.
pub(super) const SLICE_TIME_MAX: Duration = Duration::from_secs(5);
/// The piece that is read at once.
const PIECE_BYTES: usize = 32 * 1024;
/// The slowest server that is put up with, in bytes a second over [`RATE_WINDOW`]: a server that trickles to keep a
/// device busy (TUF 1.0.34 §1.5.2, "slow retrieval") is worse than one that is gone. Narrow-band radio gives 1 kB/s.
const RATE_MIN: u64 = 256;
/// Over how long the rate is taken.
const RATE_WINDOW: Duration = Duration::from_secs(30);

/// A download that goes on with the next slice.
pub(super) struct Open {
    digest: Sha256Digest,
    position: u64,
    body: Box<dyn Read + Send>,
    window_began: Instant,
    window_bytes: u64,
}

/// Why a slice ended early.
pub(super) struct Broken {
    pub(super) failure: LoadFailure,
    pub(super) detail: String,
}

impl Broken {
    fn network(detail: impl Into<String>) -> Self {
        Self { failure: LoadFailure::Network, detail: detail.into() }
    }

    pub(super) fn wrong(detail: impl Into<String>) -> Self {
        Self { failure: LoadFailure::WrongBytes, detail: detail.into() }
    }

    pub(super) fn disk(what: &str, error: &io::Error) -> Self {
        let failure = if is_full(error) { LoadFailure::NoSpace } else { LoadFailure::Network };
        Self { failure, detail: format!("{what}: {error}") }
    }
}

/// Loads the next slice into a file; `open` keeps the connection between slices.
pub(super) fn load(client: &Client, url: &str, path: &Path, slice: &Slice, open: &mut Option<Open>) -> Input {
    let mut done = slice.offset.0;
    match load_slice(client, url, path, slice, open, &mut done) {
        Ok(()) if done == slice.size.0 => {
            *open = None;
            Input::DownloadFinished
        }
        Ok(()) => Input::DownloadProgress { done: ByteCount(done) },
        Err(Broken { failure, detail }) => {
            *open = None;
            if failure == LoadFailure::NoSpace {
                give_back(path);
                done = 0;
            }
            tracing::warn!(done, size = slice.size.0, "the download broke off: {detail}");
            Input::DownloadFailed { done: ByteCount(done), failure, detail }
        }
    }
}

fn load_slice(
    client: &Client,
    url: &str,
    path: &Path,
    slice: &Slice,
    open: &mut Option<Open>,
    done: &mut u64,
) -> Result<(), Broken> {
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(|error| Broken::disk("open the file", &error))?;
    let mut source = match open.take().filter(|kept| kept.digest == slice.digest && kept.position == *done) {
        Some(kept) => kept,
        None => connect(client, url, slice, done)?,
    };
    // What lies behind the safe bytes may be torn: it goes.
    file.set_len(*done)
        .and_then(|()| file.seek(SeekFrom::Start(*done)))
        .map_err(|error| Broken::disk("prepare the file", &error))?;
    let outcome = copy(&mut source, &mut file, slice.size.0);
    // What came before a cut is kept too, once it is safe.
    file.sync_data().map_err(|error| Broken::disk("flush the file", &error))?;
    *done = source.position;
    outcome?;
    *open = Some(source);
    Ok(())
}

fn connect(client: &Client, url: &str, slice: &Slice, done: &mut u64) -> Result<Open, Broken> {
    let stream = client.open(url, *done).map_err(|error| Broken::network(format!("{error:#}")))?;
    if stream.status == 404 && slice.place == Place::Staging {
        // What is staged only saves bytes: where the server has lost it, there is another way.
        return Err(Broken::wrong("the server does not have it"));
    }
    *done = accepted_offset(&stream, *done, slice.size.0)?;
    let now = Instant::now();
    Ok(Open { digest: slice.digest, position: *done, body: stream.body, window_began: now, window_bytes: 0 })
}

/// Checks the head of an answer and says from which byte on it really is (RFC 9110 §14).
fn accepted_offset(stream: &Stream, asked: u64, size: u64) -> Result<u64, Broken> {
    let whole = || Broken::wrong(format!("the server offers {:?} bytes, {size} were signed", stream.length));
    match stream.status {
        206 => {
            let range = stream.content_range.as_deref().unwrap_or_default();
            let expected = format!("bytes {asked}-{}/{size}", size.saturating_sub(1));
            if range == expected {
                Ok(asked)
            } else {
                Err(Broken::wrong(format!("the server offers the range {range:?} instead of {expected:?}")))
            }
        }
        // The server does not know ranges: it sends everything again.
        200 if stream.length.is_none_or(|length| length == size) => Ok(0),
        200 => Err(whole()),
        416 => Err(Broken::wrong("the server has fewer bytes than were signed")),
        status => Err(Broken::network(format!("the server answers with status {status}"))),
    }
}

/// A range of an artifact that goes behind what is staged of it.
pub(super) struct Piece {
    /// The artifact.
    pub(super) digest: Sha256Digest,
    /// Its size.
    pub(super) size: u64,
    /// What is missing of a range.
    pub(super) range: Range,
    /// How much is staged.
    pub(super) staged: u64,
}

/// Loads a range, or a slice of it, to the end of a file; returns how long the file is then. `open` keeps the connection of a
/// range that goes on.
pub(super) fn load_range(
    client: &Client,
    url: &str,
    path: &Path,
    piece: &Piece,
    open: &mut Option<Open>,
) -> Result<u64, Broken> {
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(|error| Broken::disk("open the file", &error))?;
    let kept = open.take().filter(|kept| kept.digest == piece.digest && kept.position == piece.staged);
    let mut source = match kept {
        Some(kept) => kept,
        None => connect_range(client, url, piece)?,
    };
    file.set_len(piece.staged)
        .and_then(|()| file.seek(SeekFrom::Start(piece.staged)))
        .map_err(|error| Broken::disk("prepare the file", &error))?;
    let end = piece.staged.saturating_add(piece.range.len);
    let outcome = copy(&mut source, &mut file, end);
    file.sync_data().map_err(|error| Broken::disk("flush the file", &error))?;
    outcome?;
    let staged = source.position;
    if staged < end {
        *open = Some(source);
    } else if source.body.read(&mut [0]).is_ok_and(|count| count > 0) {
        return Err(Broken::wrong("the server sends more than the range that was asked for"));
    }
    Ok(staged)
}

fn connect_range(client: &Client, url: &str, piece: &Piece) -> Result<Open, Broken> {
    let (first, last) = (piece.range.at, piece.range.at.saturating_add(piece.range.len).saturating_sub(1));
    let stream =
        client.open_range(url, first, last).map_err(|error| Broken::network(format!("{error:#}")))?;
    let expected = format!("bytes {first}-{last}/{}", piece.size);
    match (stream.status, stream.content_range.as_deref()) {
        (206, Some(range)) if range == expected => {}
        (206, range) => {
            return Err(Broken::wrong(format!("the server offers {range:?} instead of {expected:?}")));
        }
        (200 | 404 | 416, _) => return Err(Broken::wrong("the server does not have the range")),
        (status, _) => return Err(Broken::network(format!("the server answers with status {status}"))),
    }
    let now = Instant::now();
    let position = piece.staged;
    Ok(Open { digest: piece.digest, position, body: stream.body, window_began: now, window_bytes: 0 })
}

fn copy(source: &mut Open, file: &mut File, size: u64) -> Result<(), Broken> {
    let began = Instant::now();
    let end = size.min(source.position.saturating_add(SLICE_BYTES_MAX));
    let mut piece = vec![0; PIECE_BYTES];
    while source.position < end && began.elapsed() < SLICE_TIME_MAX {
        let want = usize::try_from(end - source.position).unwrap_or(PIECE_BYTES).min(PIECE_BYTES);
        let count = match source.body.read(piece.get_mut(..want).unwrap_or_default()) {
            Ok(0) => return Err(Broken::network("the connection ended before the last byte")),
            Ok(count) => count,
            Err(error) => return Err(Broken::network(format!("the connection broke: {error}"))),
        };
        file.write_all(piece.get(..count).unwrap_or_default())
            .map_err(|error| Broken::disk("write the file", &error))?;
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        source.position = source.position.saturating_add(count);
        source.window_bytes = source.window_bytes.saturating_add(count);
        let window = source.window_began.elapsed();
        if window >= RATE_WINDOW {
            if source.window_bytes < RATE_MIN.saturating_mul(window.as_secs()) {
                return Err(Broken::network(format!("the server sends less than {RATE_MIN} bytes a second")));
            }
            (source.window_began, source.window_bytes) = (Instant::now(), 0);
        }
    }
    Ok(())
}
