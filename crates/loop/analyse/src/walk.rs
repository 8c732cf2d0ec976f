//! From a source of bytes to the entries of what is in it.
//!
//! In: an image, a part of one, or a stream. Out: layers, entries, loose content and what is unknown, to a [`Sink`].
//! Refuses formats that are not taken apart, and nesting beyond `depth_max`.

use std::io::{self, Read};
use std::rc::Rc;

use warden_model::ByteCount;

use crate::budget::{Budget, read_head};
use crate::bytes::Bytes;
use crate::carve;
use crate::door::{Door, Sink};
use crate::error::Halt;
use crate::format::{Claim, Format, Formats, Unpack};
use crate::held::Held;
use crate::identify::{HEAD_BYTES, identify, is_leaf};
use crate::limits::LimitReached;
use crate::stream::{self, Codec};

/// Where bytes come from.
pub(crate) enum Source<'a> {
    Bytes(Bytes<'a>),
    Stream(&'a mut dyn Read),
}

/// What a walk looks for, and what it may use.
#[derive(Clone, Copy)]
pub(crate) struct Walk<'b> {
    pub(crate) budget: &'b Budget,
    pub(crate) formats: Formats,
}

impl Walk<'_> {
    /// Walks whatever the source holds.
    pub(crate) fn source(&self, source: Source<'_>, depth: u32, sink: &mut dyn Sink) -> Result<(), Halt> {
        if depth > self.budget.limits.depth_max {
            return Err(LimitReached::Depth(self.budget.limits.depth_max).into());
        }
        match source {
            Source::Bytes(bytes) => self.bytes(&bytes, depth, sink),
            Source::Stream(stream) => {
                let head = read_head(stream, HEAD_BYTES).map_err(|error| self.unread("the image", &error))?;
                self.stream(head, stream, depth, sink)
            }
        }
    }

    fn unread(&self, format: &str, error: &io::Error) -> Halt {
        Halt::from_read(format, self.budget, error)
    }

    fn bytes(&self, bytes: &Bytes<'_>, depth: u32, sink: &mut dyn Sink) -> Result<(), Halt> {
        let Some((format, claim)) = identify(self.formats, bytes) else {
            return self.unclaimed(bytes, sink);
        };
        let piece = bytes.slice(0, claim.length.unwrap_or(u64::MAX));
        let used = match &format.unpack {
            Unpack::Tree(walk) => {
                self.layer(&claim, sink, |door| walk(&piece, door))?;
                piece.length()
            }
            Unpack::Archive(walk) => {
                let mut reader = piece.reader();
                self.layer(&claim, sink, |door| walk(&mut reader, door))?;
                claim.length.map_or(reader.position(), |_| piece.length())
            }
            Unpack::Stream(codec) => self.packed(*codec, format.name, &mut piece.reader(), depth, sink)?,
            Unpack::Not => {
                sink.foreign(format!("{}, which is not taken apart", claim.label), &mut piece.reader())?;
                piece.length()
            }
        };
        self.tail(bytes, used, sink)
    }

    /// Walks a container in a layer of its own.
    fn layer(
        &self,
        claim: &Claim,
        sink: &mut dyn Sink,
        walk: impl FnOnce(&mut Door<'_, '_>) -> Result<(), Halt>,
    ) -> Result<(), Halt> {
        sink.enter(claim.label.clone(), claim.length.map(ByteCount));
        let end = walk(&mut Door::new(&claim.label, self.budget, sink));
        sink.leave(None, None);
        end.map_err(|halt| halt.settle(&claim.label, self.budget))
    }

    /// Looks at what lies behind the end of a format: padding, signatures, or something else altogether.
    fn tail(&self, bytes: &Bytes<'_>, used: u64, sink: &mut dyn Sink) -> Result<(), Halt> {
        if self.formats == Formats::Device || used >= bytes.length() {
            return Ok(());
        }
        carve::tail(self, bytes, used, sink)
    }

    /// Looks at what no format claims.
    fn unclaimed(&self, bytes: &Bytes<'_>, sink: &mut dyn Sink) -> Result<(), Halt> {
        let is_carved = self.formats == Formats::All && !is_leaf(&bytes.head(0, 1024));
        if is_carved && carve::unknown(self, bytes, sink)? {
            return Ok(());
        }
        sink.loose(&mut bytes.reader())
    }

    /// Walks what comes from front to back; its first bytes have been read.
    fn stream(
        &self,
        head: Vec<u8>,
        rest: &mut dyn Read,
        depth: u32,
        sink: &mut dyn Sink,
    ) -> Result<(), Halt> {
        if head.len() < HEAD_BYTES {
            return self.bytes(&Bytes::of(head), depth, sink);
        }
        let guess = identify(self.formats, &Bytes::of(head.clone()));
        let is_loose = guess.is_none() && (self.formats == Formats::Device || is_leaf(&head));
        let mut whole = io::Cursor::new(head).chain(rest);
        match guess {
            Some((Format { unpack: Unpack::Stream(codec), name, .. }, _)) => {
                let mut reader = io::BufReader::with_capacity(HEAD_BYTES, whole);
                self.packed(*codec, name, &mut reader, depth, sink).map(drop)
            }
            Some((Format { unpack: Unpack::Archive(walk), .. }, claim)) => {
                let claim = Claim { length: None, ..claim };
                self.layer(&claim, sink, |door| walk(&mut whole, door))
            }
            Some((Format { unpack: Unpack::Not, .. }, claim)) => {
                sink.foreign(format!("{}, which is not taken apart", claim.label), &mut whole)
            }
            None if is_loose => sink.loose(&mut whole),
            Some((Format { unpack: Unpack::Tree(_), .. }, _)) | None => {
                let kept =
                    Held::read_from(&mut whole, self.budget).map_err(|error| self.unread("it", &error))?;
                let memory_bytes = kept.memory_bytes;
                let end = self.bytes(&Bytes::new(Rc::new(kept)), depth, sink);
                self.budget.let_go(memory_bytes);
                end
            }
        }
    }

    /// Walks the content of a compressed stream; returns how long the stream is.
    fn packed(
        &self,
        codec: Codec,
        name: &str,
        packed: &mut dyn io::BufRead,
        depth: u32,
        sink: &mut dyn Sink,
    ) -> Result<u64, Halt> {
        let damaged = |error: io::Error| self.unread(name, &error);
        let stream::Unpacked { mut content, packed, handed_out } =
            stream::open(codec, packed, self.budget).map_err(damaged)?;
        let head = read_head(&mut content, HEAD_BYTES).map_err(damaged)?;
        if depth >= self.budget.limits.depth_max {
            return Err(LimitReached::Depth(self.budget.limits.depth_max).into());
        }
        // A compressed text in an image is no layer: only streams around something that is taken apart are told, and
        // those that are the image.
        let is_layer = depth == 1 || identify(self.formats, &Bytes::of(head.clone())).is_some();
        if is_layer {
            sink.enter(name.to_owned(), None);
        }
        let end = self.stream(head, &mut content, depth + 1, sink);
        if is_layer {
            sink.leave(Some(ByteCount(packed.get())), Some(ByteCount(handed_out.get())));
        }
        end?;
        // What was not asked for is unpacked all the same: only so the end is known, and damage is seen.
        io::copy(&mut content, &mut io::sink()).map_err(damaged)?;
        drop(content);
        Ok(packed.get())
    }
}
