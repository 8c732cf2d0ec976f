//! Drives the unpackers of `codec`: a whole stretch at once, or a long one piece by piece.
//!
//! In: packed bytes and the length that they must have unpacked. Out: exactly so many plain bytes. Refuses: a stretch that
//! makes less or more; never makes more than promised, whatever the packed bytes say.

use std::io::{self, Read};

use super::{LayerError, PIECE_BYTES};
use crate::codec::{CodecError, Hint, Unpack, unpacker};

/// Why a stretch could not be unpacked.
#[derive(Debug)]
pub(super) enum Fault {
    /// The codec refused it.
    Codec(CodecError),
    /// It has another length.
    Length,
    /// The pipe broke.
    Pipe(LayerError),
}

/// Where the packed bytes of a long stretch come from, and where its plain bytes go.
pub(super) trait Pipe {
    /// Fills the piece with the next packed bytes; returns how many there are, 0 at the end.
    fn packed(&mut self, piece: &mut [u8]) -> Result<usize, LayerError>;
    /// Takes the next plain bytes.
    fn plain(&mut self, piece: &[u8]) -> Result<(), LayerError>;
}

/// Unpacks a stretch of `plain_len` bytes into `room`.
pub(super) fn unpack_whole(
    hint: Hint,
    mut packed: &[u8],
    plain_len: usize,
    mut room: Vec<u8>,
) -> Result<Vec<u8>, Fault> {
    let mut engine = unpacker(hint).map_err(Fault::Codec)?;
    room.clear();
    room.resize(plain_len, 0);
    let mut made = 0_usize;
    while made < plain_len {
        let left = room.get_mut(made..).unwrap_or_default();
        match engine.pull(&mut packed, left).map_err(Fault::Codec)? {
            0 => return Err(Fault::Length),
            count => made = made.saturating_add(count),
        }
    }
    if is_at_end(engine.as_mut(), &mut packed).map_err(Fault::Codec)? { Ok(room) } else { Err(Fault::Length) }
}

/// Unpacks a stretch of `plain_len` bytes through a pipe, in pieces.
pub(super) fn unpack_through(hint: Hint, pipe: &mut dyn Pipe, plain_len: u64) -> Result<(), Fault> {
    let mut engine = unpacker(hint).map_err(Fault::Codec)?;
    let mut piece = vec![0; PIECE_BYTES];
    let mut left = plain_len;
    loop {
        // Behind the promised end there must be nothing: one byte is room enough to see it.
        let wanted = usize::try_from(left).unwrap_or(PIECE_BYTES).clamp(1, PIECE_BYTES);
        let room = piece.get_mut(..wanted).unwrap_or_default();
        let mut feed = Feed { pipe: &mut *pipe, error: None };
        let result = engine.pull(&mut feed, room);
        if let Some(error) = feed.error {
            return Err(Fault::Pipe(error));
        }
        let made = result.map_err(Fault::Codec)?;
        if made == 0 {
            return if left == 0 { Ok(()) } else { Err(Fault::Length) };
        }
        left = left.checked_sub(made as u64).ok_or(Fault::Length)?;
        pipe.plain(room.get(..made).unwrap_or_default()).map_err(Fault::Pipe)?;
    }
}

/// Appends what a stretch unpacks to, at most `plain_len_max` bytes, to `plain`; returns how long it is. `None`, and
/// nothing appended, when it is no such stretch. For whoever makes a patch, and does not know the length yet.
pub(crate) fn unpack_onto(
    hint: Hint,
    mut packed: &[u8],
    plain_len_max: u64,
    plain: &mut Vec<u8>,
) -> Option<u64> {
    let start = plain.len();
    let end_max = start.saturating_add(usize::try_from(plain_len_max).ok()?);
    let mut engine = unpacker(hint).ok()?;
    let mut made = start;
    let done = loop {
        if made == end_max {
            break is_at_end(engine.as_mut(), &mut packed).unwrap_or(false);
        }
        if plain.len() == made {
            plain.resize(made.saturating_add(PIECE_BYTES).min(end_max), 0);
        }
        match engine.pull(&mut packed, plain.get_mut(made..).unwrap_or_default()) {
            Ok(0) => break true,
            Ok(count) => made = made.saturating_add(count),
            Err(_) => break false,
        }
    };
    plain.truncate(if done { made } else { start });
    done.then(|| made.saturating_sub(start) as u64)
}

fn is_at_end(engine: &mut dyn Unpack, packed: &mut &[u8]) -> Result<bool, CodecError> {
    Ok(engine.pull(packed, &mut [0])? == 0)
}

/// The packed end of a pipe as a reader. What breaks it is kept here, since a codec knows errors of readers only.
struct Feed<'p> {
    pipe: &'p mut dyn Pipe,
    error: Option<LayerError>,
}

impl Read for Feed<'_> {
    fn read(&mut self, piece: &mut [u8]) -> io::Result<usize> {
        self.pipe.packed(piece).map_err(|error| {
            self.error = Some(error);
            io::Error::other("the pipe is broken")
        })
    }
}
