//! The packed folders of a 7z archive.
//!
//! In: a folder and where its stream is. Out: its content, as a stream. Refuses encryption, several streams at once, and
//! windows beyond 256 MiB.

use std::io::Read;

use liblzma::stream::{Filters, Stream};

use super::header::{Coder, Folder, Streams};
use crate::bytes::{Bytes, Fields};
use crate::decode::lzma::split_properties;
use crate::error::{Halt, bad};

/// Where packed streams are counted from.
const BASE: u64 = 32;

/// Largest window: 7-Zip's strongest preset has 64 MiB, and people ask for 256.
const WINDOW_BYTES_MAX: u32 = 256 << 20;

pub(super) fn open<'a>(
    bytes: &Bytes<'a>,
    folder: &Folder,
    streams: &Streams,
) -> Result<Box<dyn Read + 'a>, Halt> {
    let index = folder
        .stream
        .ok_or_else(|| bad("a folder is packed in several streams (BCJ2), which is not read"))?;
    let before: u64 = streams.packed.iter().take(index).fold(0, |sum, size| sum.saturating_add(*size));
    let size = *streams.packed.get(index).ok_or_else(|| bad("a folder has no stream"))?;
    let start = BASE.saturating_add(streams.start).saturating_add(before);
    let packed = bytes.slice(start, size);
    if packed.length() != size {
        return Err(bad("a stream leads outside"));
    }
    let unpacked = folder.unpacked();
    let methods: Vec<&[u8]> = folder.coders.iter().map(|coder| coder.method.as_slice()).collect();
    Ok(match methods.as_slice() {
        [[0]] => Box::new(packed.reader().take(unpacked)),
        [[4, 1, 8]] => Box::new(flate2::bufread::DeflateDecoder::new(packed.reader()).take(unpacked)),
        _ => {
            let filters = filters(&folder.coders)?;
            let stream = Stream::new_raw_decoder(&filters)
                .map_err(|_| bad("a coder has properties that do not exist"))?;
            Box::new(liblzma::bufread::XzDecoder::new_stream(packed.reader(), stream).take(unpacked))
        }
    })
}

/// Makes the chain of filters, the one that gives the content first.
fn filters(coders: &[Coder]) -> Result<Filters, Halt> {
    let mut filters = Filters::new();
    for coder in coders {
        let added = match coder.method.as_slice() {
            [3, 1, 1] => {
                check_window(Fields::little(&coder.properties).u32(1))?;
                coder
                    .properties
                    .first()
                    .and_then(|byte| split_properties(*byte))
                    .ok_or_else(|| bad("LZMA without properties"))?;
                filters.lzma1_properties(&coder.properties)
            }
            [0x21] => {
                let bits = u32::from(*coder.properties.first().unwrap_or(&40));
                check_window(if bits >= 38 { u32::MAX } else { (2 | bits & 1) << (bits / 2 + 11) })?;
                filters.lzma2_properties(&coder.properties)
            }
            [3] => filters.delta_properties(&coder.properties),
            [4] | [3, 3, 1, 3] => Ok(filters.x86()),
            [5] | [3, 3, 2, 5] => Ok(filters.powerpc()),
            [6] | [3, 3, 4, 1] => Ok(filters.ia64()),
            [7] | [3, 3, 5, 1] => Ok(filters.arm()),
            [8] | [3, 3, 7, 1] => Ok(filters.arm_thumb()),
            [9] | [3, 3, 8, 5] => Ok(filters.sparc()),
            [0xa] => Ok(filters.arm64()),
            [6, 0xf1, ..] => return Err(bad("it is encrypted")),
            _ => return Err(bad("it is packed with a method that is not read")),
        };
        added.map_err(|_| bad("a coder has properties that do not exist"))?;
    }
    Ok(filters)
}

fn check_window(bytes: u32) -> Result<(), Halt> {
    if bytes > WINDOW_BYTES_MAX { Err(bad("its window needs more than 256 MiB of memory")) } else { Ok(()) }
}
