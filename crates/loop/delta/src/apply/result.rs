//! The result on its way: checked, packed, written, and noted in a journal.
//!
//! In: plain windows that were checked. Out: the result, and records of how far it is. Refuses: a result with another
//! digest than promised; on the way back to a place, packed bytes that are not those from before the cut.

use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};

use sha2::{Digest, Sha256};
use warden_model::{ByteCount, Sha256Digest};

use super::place::{Anew, BINDING_BYTES, Place, start_of};
use super::{ApplyError, COPY_BYTES, Record, expect_digest, layer_error, piece_len};
use crate::format::Header;
use crate::layers::{Layers, NewSink, SinkPlace};
use crate::stream::read::{Last, NewBytes};

/// A result that can be read back and positioned: a slot.
pub trait ResultFile: Read + Write + Seek {}

impl<T: Read + Write + Seek + ?Sized> ResultFile for T {}

/// What is written: hashed, and counted for whoever watches.
pub(super) struct Written<'a> {
    out: &'a mut dyn Write,
    /// Of all that is there, from the start of the result.
    hash: Sha256,
    /// How much is there.
    len: u64,
    again: Option<Again>,
    watch: &'a mut dyn FnMut(ByteCount),
}

/// What lies between the last place between packed stretches and the end of what is there: it is packed again, compared,
/// and not written.
struct Again {
    left: u64,
    hash: Sha256,
    expected: [u8; 32],
    differs: Differs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Differs {
    No,
    Yes,
}

impl Again {
    fn take(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let len = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
        self.hash.update(bytes.get(..len).unwrap_or_default());
        self.left -= len as u64;
        if self.left == 0 && <[u8; 32]>::from(self.hash.finalize_reset()) != self.expected {
            self.differs = Differs::Yes;
            return Err(io::Error::other("the result differs from what was written before"));
        }
        Ok(len)
    }
}

impl<'a> Written<'a> {
    pub(super) fn new(out: &'a mut dyn Write, watch: &'a mut dyn FnMut(ByteCount)) -> Self {
        Self { out, hash: Sha256::new(), len: 0, again: None, watch }
    }

    /// Goes on behind what was found.
    pub(super) fn behind(out: &'a mut dyn Write, found: Found, watch: &'a mut dyn FnMut(ByteCount)) -> Self {
        let Found { place, hash, again } = found;
        let left = place.durable - place.sink.written;
        let again = Again { left, hash: Sha256::new(), expected: again, differs: Differs::No };
        Self { out, hash, len: place.durable, again: (left > 0).then_some(again), watch }
    }

    /// Ends the result.
    pub(super) fn finish(&mut self, expected: Sha256Digest) -> Result<(), ApplyError> {
        expect_digest(expected, self.hash.clone())?;
        self.out.flush().map_err(|source| ApplyError::WriteResult { source })
    }

    /// Gives an error its name.
    fn explained(&self, error: ApplyError) -> ApplyError {
        match &self.again {
            Some(Again { differs: Differs::Yes, .. }) => ApplyError::Diverged,
            _ => error,
        }
    }
}

impl Write for Written<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(again) = self.again.as_mut().filter(|again| again.left > 0) {
            return again.take(bytes);
        }
        let count = self.out.write(bytes)?;
        self.hash.update(bytes.get(..count).unwrap_or(bytes));
        self.len += count as u64;
        (self.watch)(ByteCount(self.len));
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// A place to go on from, and what was read back of the slot.
pub(super) struct Found {
    pub(super) place: Place,
    /// Of all that is there.
    hash: Sha256,
    /// The digest of what lies behind the last place between packed stretches.
    again: [u8; 32],
}

/// Looks whether the slot holds what a record says; leaves the slot positioned behind it, or else at its start.
pub(super) fn look_back(
    result: &mut dyn ResultFile,
    record: Option<&[u8]>,
    binding: [u8; BINDING_BYTES],
    (header, layers): (&Header, &Layers),
) -> Result<Result<Found, Anew>, ApplyError> {
    let read_error = |source| ApplyError::ReadResult { source };
    let place = read_place(record, binding, (header, layers));
    result.seek(SeekFrom::Start(0)).map_err(read_error)?;
    let place = match place {
        Ok(place) => place,
        Err(anew) => return Ok(Err(anew)),
    };
    let mut hash = Sha256::new();
    let mut again = Sha256::new();
    let mut piece = vec![0; COPY_BYTES];
    let mut at = 0;
    while at < place.durable {
        let border = if at < place.sink.written { place.sink.written } else { place.durable };
        let wanted = piece.get_mut(..piece_len(border - at)).unwrap_or_default();
        let count = match result.read(wanted) {
            Ok(0) => break,
            Ok(count) => count,
            Err(source) if source.kind() == ErrorKind::Interrupted => continue,
            Err(source) => return Err(read_error(source)),
        };
        let found = wanted.get(..count).unwrap_or_default();
        hash.update(found);
        if at >= place.sink.written {
            again.update(found);
        }
        at += count as u64;
    }
    if at < place.durable || start_of(hash.clone()) != place.written {
        result.seek(SeekFrom::Start(0)).map_err(read_error)?;
        return Ok(Err(Anew::SlotDiffers));
    }
    // Whoever reads through a buffer may stand elsewhere.
    result.seek(SeekFrom::Start(place.durable)).map_err(read_error)?;
    Ok(Ok(Found { place, hash, again: again.finalize().into() }))
}

fn read_place(
    record: Option<&[u8]>,
    binding: [u8; BINDING_BYTES],
    (header, layers): (&Header, &Layers),
) -> Result<Place, Anew> {
    let place = Place::from_bytes(record.ok_or(Anew::NoRecord)?).ok_or(Anew::Damaged)?;
    if place.binding != binding {
        return Err(Anew::Foreign);
    }
    if place.fits(header, layers) { Ok(place) } else { Err(Anew::Impossible) }
}

/// Keeps the journal.
pub(super) struct Journaling<'a> {
    binding: [u8; BINDING_BYTES],
    every: u64,
    journal: Record<'a>,
    /// The last place between packed stretches.
    sink: SinkPlace,
    /// How much was there when the last record was made.
    recorded: u64,
}

impl<'a> Journaling<'a> {
    pub(super) fn new(
        (every, journal): (ByteCount, Record<'a>),
        binding: [u8; BINDING_BYTES],
        place: Option<&Place>,
    ) -> Self {
        Self {
            binding,
            every: every.0.max(1),
            journal,
            sink: place.map_or_else(SinkPlace::default, |place| place.sink),
            recorded: place.map_or(0, |place| place.durable),
        }
    }

    fn record(&mut self, out: &mut Written<'_>) -> Result<(), ApplyError> {
        out.flush().map_err(|source| ApplyError::WriteResult { source })?;
        let written = start_of(out.hash.clone());
        let place = Place { binding: self.binding, durable: out.len, sink: self.sink, written };
        (self.journal)(&place).map_err(|source| ApplyError::Journal { source })?;
        self.recorded = out.len;
        Ok(())
    }
}

/// The new image.
pub(super) struct NewImage<'l, 'w, 'j> {
    sink: NewSink<'l, Written<'w>>,
    /// Without layers, the plain bytes are the result: its digest is checked before the last window is written.
    plain: Option<Sha256>,
    expected: Sha256Digest,
    /// Plain bytes that need not be packed: they are in front of the place to go on from.
    skip: u64,
    journaling: Option<Journaling<'j>>,
}

impl<'l, 'w, 'j> NewImage<'l, 'w, 'j> {
    pub(super) fn new(
        header: &Header,
        layers: &'l Layers,
        out: &'l mut Written<'w>,
        place: Option<&Place>,
        journaling: Option<Journaling<'j>>,
    ) -> Self {
        let sink = place.map_or_else(SinkPlace::default, |place| place.sink);
        Self {
            sink: NewSink::resume(layers, sink, out),
            plain: (header.layers == 0).then(Sha256::new),
            expected: header.result,
            skip: place.map_or(0, |place| place.plain(layers)),
            journaling,
        }
    }

    /// Notes where this is, now and then.
    fn note(&mut self) -> Result<(), ApplyError> {
        let Some(journaling) = &mut self.journaling else { return Ok(()) };
        if let Some(place) = self.sink.place() {
            journaling.sink = place;
        }
        let out = self.sink.out();
        if out.len.saturating_sub(journaling.recorded) >= journaling.every {
            journaling.record(out)?;
        }
        Ok(())
    }

    /// Ends the image: all of it is there and right. The last record says so, for whoever is cut before it is believed.
    pub(super) fn finish(mut self) -> Result<(), ApplyError> {
        let (layers, sink) = (self.sink.lengths(), self.sink.place());
        layers.map_err(layer_error)?;
        let out = self.sink.out();
        out.finish(self.expected)?;
        if let Some(journaling) = self.journaling.as_mut().filter(|found| found.recorded < out.len) {
            journaling.sink = sink.unwrap_or(journaling.sink);
            journaling.record(out)?;
        }
        Ok(())
    }
}

impl NewBytes for NewImage<'_, '_, '_> {
    fn window(&mut self, plain: &[u8], last: Last) -> Result<(), ApplyError> {
        if let Some(hash) = &mut self.plain {
            hash.update(plain);
            if last == Last::Yes {
                expect_digest(self.expected, hash.clone())?;
            }
        }
        let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(plain.len());
        self.skip -= skipped as u64;
        let mut rest = plain.get(skipped..).unwrap_or_default();
        while !rest.is_empty() {
            // Not over the end of a stretch: that is where packing can go on.
            let len = usize::try_from(self.sink.until_border()).unwrap_or(usize::MAX);
            let (piece, behind) = rest.split_at(len.clamp(1, COPY_BYTES).min(rest.len()));
            let pushed = self.sink.push(piece).map_err(layer_error);
            pushed.map_err(|error| self.sink.out().explained(error))?;
            self.note()?;
            rest = behind;
        }
        Ok(())
    }
}
