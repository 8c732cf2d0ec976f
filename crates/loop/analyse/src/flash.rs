//! File systems and volumes of flash chips.
//!
//! In: images. Out: their trees through the door. Refuses nodes whose checksums are wrong, one by one: flash is full of
//! what was once valid.

pub(crate) mod cramfs;
pub(crate) mod jffs2;
pub(crate) mod romfs;
pub(crate) mod ubi;
pub(crate) mod ubifs;
pub(crate) mod yaffs2;

use std::io::Read;

/// Unpacks zlib or raw deflate of at most `most` bytes.
fn inflate(mut decoder: impl Read, most: usize) -> Result<Vec<u8>, &'static str> {
    let mut out = Vec::new();
    let limit = u64::try_from(most).unwrap_or(u64::MAX);
    decoder.by_ref().take(limit).read_to_end(&mut out).map_err(|_| "a block cannot be unpacked")?;
    Ok(out)
}

/// Unpacks zlib of at most `most` bytes.
fn zlib(block: &[u8], most: usize) -> Result<Vec<u8>, &'static str> {
    inflate(flate2::bufread::ZlibDecoder::new(block), most)
}
