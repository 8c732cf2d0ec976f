//! Unpacks the metadata of a file system, so that it can be walked.
//!
//! In: a packed block and the most that it may hold. Out: what was packed. Refuses blocks that hold more or are damaged,
//! and packers that are not known here.

use std::io::Read;

use flate2::bufread::{DeflateDecoder, ZlibDecoder};
use liblzma::bufread::XzDecoder;
use liblzma::stream::Stream;

use crate::codec::Hint;

/// Memory that an LZMA decoder may ask for, in bytes: metadata blocks hold 8 KiB; dictionaries of data blocks 1 MiB.
const DECODER_BYTES_MAX: u64 = 64 << 20;

/// Unpacks one block of at most `plain_len_max` bytes.
pub(crate) fn unpack_metadata(hint: Hint, packed: &[u8], plain_len_max: u64) -> Option<Vec<u8>> {
    match hint {
        Hint::Zlib => read_up_to(ZlibDecoder::new(packed), plain_len_max),
        Hint::Deflate => read_up_to(DeflateDecoder::new(packed), plain_len_max),
        Hint::Xz(_) => {
            let stream = Stream::new_stream_decoder(DECODER_BYTES_MAX, 0).ok()?;
            read_up_to(XzDecoder::new_stream(packed, stream), plain_len_max)
        }
        Hint::Lzma => {
            let stream = Stream::new_lzma_decoder(DECODER_BYTES_MAX).ok()?;
            read_up_to(XzDecoder::new_stream(packed, stream), plain_len_max)
        }
        Hint::Zstd => {
            let decoder = zstd::stream::read::Decoder::with_buffer(packed).ok()?;
            read_up_to(decoder, plain_len_max)
        }
        Hint::Lz4Block => super::lz4::unpack(packed, plain_len_max),
        Hint::Gzip | Hint::Lz4Frame | Hint::Lz4Legacy | Hint::Lzo => None,
    }
}

fn read_up_to(decoder: impl Read, plain_len_max: u64) -> Option<Vec<u8>> {
    let mut plain = Vec::new();
    decoder.take(plain_len_max.checked_add(1)?).read_to_end(&mut plain).ok()?;
    (plain.len() as u64 <= plain_len_max).then_some(plain)
}
