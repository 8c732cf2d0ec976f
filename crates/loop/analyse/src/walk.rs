//! From a source of bytes to the entries of what is in it.
//!
//! In: a seekable image or a stream. Out: layers, entries and loose content to a [`Sink`]. Refuses formats that are
//! not read, and nesting beyond `depth_max`.

use std::io::{Read, SeekFrom};

use warden_model::ByteCount;

use crate::ReadSeek;
use crate::budget::{Budget, read_head};
use crate::door::{Door, Sink};
use crate::error::Halt;
use crate::held::Held;
use crate::identify::{Format, Guess, HEAD_BYTES, describe, identify};
use crate::limits::LimitReached;
use crate::stream::{self, Codec};
use crate::{cpio, ext, squash, tarball};

/// Where bytes come from.
pub(crate) enum Source<'a> {
    Image(Box<dyn ReadSeek + 'a>),
    Stream(Box<dyn Read + 'a>),
}

impl<'a> Source<'a> {
    /// Reads the first bytes and goes back to the start.
    fn peek(mut self) -> std::io::Result<(Vec<u8>, Self)> {
        match &mut self {
            Self::Image(image) => {
                image.seek(SeekFrom::Start(0))?;
                let head = read_head(image, HEAD_BYTES)?;
                image.seek(SeekFrom::Start(0))?;
                Ok((head, self))
            }
            Self::Stream(stream) => {
                let head = read_head(stream, HEAD_BYTES)?;
                let Self::Stream(rest) = self else { return Ok((head, self)) };
                let again = std::io::Cursor::new(head.clone()).chain(rest);
                Ok((head, Self::Stream(Box::new(again))))
            }
        }
    }

    fn into_stream(self) -> Box<dyn Read + 'a> {
        match self {
            Self::Image(image) => Box::new(image),
            Self::Stream(stream) => stream,
        }
    }
}

/// Walks whatever the source holds.
pub(crate) fn walk(source: Source<'_>, depth: u32, budget: &Budget, sink: &mut dyn Sink) -> Result<(), Halt> {
    if depth > budget.limits.depth_max {
        return Err(LimitReached::Depth(budget.limits.depth_max).into());
    }
    let (head, source) = source.peek().map_err(|error| Halt::from_read("the image", budget, &error))?;
    match identify(&head) {
        Guess::Known(Format::Gzip) => unpack(Codec::Gzip, source, depth, budget, sink),
        Guess::Known(Format::Xz) => unpack(Codec::Xz, source, depth, budget, sink),
        Guess::Known(Format::Zstd) => unpack(Codec::Zstd, source, depth, budget, sink),
        Guess::Known(Format::Squashfs) => walk_squashfs(source, budget, sink),
        Guess::Known(Format::Ext) => walk_ext(source, budget, sink),
        Guess::Known(format @ (Format::Cpio | Format::Tar)) => {
            let mut stream = source.into_stream();
            sink.enter(format.name().to_owned(), None);
            let mut door = Door::new(budget, sink);
            let end = if format == Format::Tar {
                tarball::walk(&mut stream, &mut door)
            } else {
                cpio::walk(&mut stream, &mut door)
            };
            sink.leave(None, None);
            end
        }
        Guess::Foreign(_) | Guess::Unknown => match source {
            Source::Image(_) => Err(Halt::Unknown { looks_like: describe(&head) }),
            Source::Stream(mut stream) => sink.loose(&mut stream),
        },
    }
}

fn unpack(
    codec: Codec,
    source: Source<'_>,
    depth: u32,
    budget: &Budget,
    sink: &mut dyn Sink,
) -> Result<(), Halt> {
    let format = match codec {
        Codec::Gzip => "gzip",
        Codec::Xz => "xz",
        Codec::Zstd => "zstd",
    };
    let damaged = |error: std::io::Error| Halt::from_read(format, budget, &error);
    let stream::Unpacked { content, packed, handed_out } =
        stream::open(codec, source.into_stream(), budget).map_err(damaged)?;
    let (head, content) = Source::Stream(content).peek().map_err(damaged)?;
    // A compressed text is no layer: only streams around something that is read are told.
    let is_layer = matches!(identify(&head), Guess::Known(_));
    if is_layer {
        sink.enter(format.to_owned(), None);
    }
    let end = walk(content, depth + 1, budget, sink);
    if is_layer {
        sink.leave(Some(ByteCount(packed.get())), Some(ByteCount(handed_out.get())));
    }
    end
}

fn walk_squashfs(source: Source<'_>, budget: &Budget, sink: &mut dyn Sink) -> Result<(), Halt> {
    match source {
        Source::Image(image) => squash::walk(image, budget, sink),
        Source::Stream(mut stream) => {
            let held = Held::read_from(&mut stream, Format::Squashfs.name(), budget)?;
            let held_bytes = held.memory_bytes;
            let end = squash::walk(Box::new(held), budget, sink);
            budget.let_go(held_bytes);
            end
        }
    }
}

fn walk_ext(source: Source<'_>, budget: &Budget, sink: &mut dyn Sink) -> Result<(), Halt> {
    let held = Held::read_from(&mut source.into_stream(), Format::Ext.name(), budget)?;
    let held_bytes = held.memory_bytes;
    sink.enter(Format::Ext.name().to_owned(), Some(ByteCount(held.length())));
    let end = ext::walk(held, &mut Door::new(budget, sink));
    sink.leave(None, None);
    budget.let_go(held_bytes);
    end
}
