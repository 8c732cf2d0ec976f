//! Compressed streams.
//!
//! In: a gzip, xz or zstd stream. Out: its content, capped. Refuses windows that want more memory than
//! [`DECODER_BYTES_MAX`], and bombs.

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

use crate::budget::{Budget, Cap, Capped, Counted};

/// Most memory for one decoder. 128 MiB: `xz -9` needs 65 MiB and `zstd --ultra -22` 128 MiB to unpack.
const DECODER_BYTES_MAX: u64 = 128 << 20;

/// The same for zstd, as the exponent of the window.
const ZSTD_WINDOW_LOG_MAX: u32 = 27;

/// xz files may be several streams one after the other (`LZMA_CONCATENATED`).
const XZ_CONCATENATED: u32 = 0x08;

/// A stream format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Codec {
    Gzip,
    Xz,
    Zstd,
}

/// The content of a stream, and how much of the stream was read for it.
pub(crate) struct Unpacked<'a> {
    pub(crate) content: Box<dyn Read + 'a>,
    pub(crate) packed: Rc<Cell<u64>>,
    pub(crate) handed_out: Rc<Cell<u64>>,
}

/// Opens a stream.
pub(crate) fn open<'a>(
    codec: Codec,
    packed: Box<dyn Read + 'a>,
    budget: &'a Budget,
) -> io::Result<Unpacked<'a>> {
    let (packed, packed_count) = Counted::new(packed);
    let decoder: Box<dyn Read + 'a> = match codec {
        Codec::Gzip => Box::new(flate2::read::MultiGzDecoder::new(packed)),
        Codec::Xz => {
            let stream = liblzma::stream::Stream::new_stream_decoder(DECODER_BYTES_MAX, XZ_CONCATENATED)
                .map_err(io::Error::from)?;
            Box::new(liblzma::read::XzDecoder::new_stream(packed, stream))
        }
        Codec::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::new(packed)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
            Box::new(decoder)
        }
    };
    let capped = Capped::new(decoder, budget, Cap::Stream(Rc::clone(&packed_count)));
    let (content, handed_out) = Counted::new(capped);
    Ok(Unpacked { content: Box::new(content), packed: packed_count, handed_out })
}
