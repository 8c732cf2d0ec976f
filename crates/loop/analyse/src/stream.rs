//! Compressed streams.
//!
//! In: bytes that begin with a stream. Out: its content, capped, all of its members one after the other; and where it
//! ends. Refuses windows that want more memory than [`DECODER_BYTES_MAX`], and bombs.

mod bunzip;
mod lzop;
mod lzw;
mod zframes;

use std::cell::Cell;
use std::io::{self, BufRead, Read};
use std::rc::Rc;

use crate::budget::{Budget, Cap, Capped, Counted};
use crate::bytes::{Bytes, Endian};
use crate::format::{Carve, Claim, Format, Unpack};

/// Most memory for one decoder. 128 MiB: `xz -9` needs 65 MiB and `zstd --ultra -22` 128 MiB to unpack.
const DECODER_BYTES_MAX: u64 = 128 << 20;

/// The same for zstd, as the exponent of the window.
const ZSTD_WINDOW_LOG_MAX: u32 = 27;

/// A stream format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Codec {
    Gzip,
    Xz,
    Zstd,
    Bzip2,
    Lzma,
    Lzip,
    Lz4,
    Lzop,
    Compress,
    Zlib,
}

const fn format(
    codec: Codec,
    name: &'static str,
    extension: &'static str,
    magics: &'static [(u64, &'static [u8])],
    claim: fn(&Bytes<'_>) -> Option<Claim>,
) -> Format {
    Format { name, extension, magics, carve: Carve::Anywhere, claim, unpack: Unpack::Stream(codec) }
}

pub(crate) static GZIP: Format = format(Codec::Gzip, "gzip", "gz", &[(0, b"\x1f\x8b\x08")], |bytes| {
    // Bits 5 to 7 of the flags are reserved (RFC 1952, section 2.3.1.2).
    bytes.u8(3).filter(|flags| flags & 0xe0 == 0).map(|_| Claim::open_ended("gzip"))
});
pub(crate) static XZ: Format = format(Codec::Xz, "xz", "xz", &[(0, b"\xfd7zXZ\0")], |bytes| {
    // The first flag byte is zero (xz file format, section 2.1.1.2).
    bytes.has(6, b"\0").then(|| Claim::open_ended("xz"))
});
pub(crate) static ZSTD: Format = format(Codec::Zstd, "zstd", "zst", &[(0, b"\x28\xb5\x2f\xfd")], |bytes| {
    // Bit 3 of the descriptor is reserved (RFC 8878, section 3.1.1.1.1).
    bytes.u8(4).filter(|flags| flags & 8 == 0).map(|_| Claim::open_ended("zstd"))
});
pub(crate) static BZIP2: Format = format(Codec::Bzip2, "bzip2", "bz2", &[(0, b"BZh")], |bytes| {
    let has_block = bytes.has(4, b"1AY&SY") || bytes.has(4, b"\x17rE8P\x90");
    (matches!(bytes.u8(3), Some(b'1'..=b'9')) && has_block).then(|| Claim::open_ended("bzip2"))
});
pub(crate) static LZIP: Format = format(Codec::Lzip, "lzip", "lz", &[(0, b"LZIP\x01")], |bytes| {
    bytes.u8(5).filter(|size| matches!(size & 0x1f, 12..=29)).map(|_| Claim::open_ended("lzip"))
});
pub(crate) static LZ4: Format =
    format(Codec::Lz4, "lz4", "lz4", &[(0, b"\x04\x22\x4d\x18"), (0, b"\x02\x21\x4c\x18")], |bytes| {
        // The version in the two highest bits is 1 (lz4 frame format, "Frame Descriptor"); old frames have no flags.
        let is_frame = bytes.has(0, b"\x02") || bytes.u8(4).is_some_and(|flags| flags >> 6 == 1);
        is_frame.then(|| Claim::open_ended("lz4"))
    });
pub(crate) static LZOP: Format =
    format(Codec::Lzop, "lzop", "lzo", &[(0, b"\x89LZO\0\r\n\x1a\n")], |_| Some(Claim::open_ended("lzop")));
pub(crate) static LZMA: Format = format(
    Codec::Lzma,
    "lzma",
    "lzma",
    &[(0, b"\x5d\0\0"), (0, b"\x6d\0\0"), (0, b"\x5e\0\0"), (0, b"\x2c\0\0")],
    claim_lzma,
);
pub(crate) static COMPRESS: Format = Format {
    name: "compress",
    extension: "Z",
    magics: &[(0, b"\x1f\x9d")],
    // Two bytes and no checksum at all.
    carve: Carve::AtStart,
    claim: |bytes| {
        let is_sane = bytes.u8(2).is_some_and(|flags| flags & 0x60 == 0 && matches!(flags & 0x1f, 9..=16));
        is_sane.then(|| Claim::open_ended("compress"))
    },
    unpack: Unpack::Stream(Codec::Compress),
};
pub(crate) static ZLIB: Format = Format {
    name: "zlib",
    extension: "zlib",
    magics: &[(0, b"\x78\x01"), (0, b"\x78\x5e"), (0, b"\x78\x9c"), (0, b"\x78\xda")],
    carve: Carve::AtStart,
    claim: |bytes| {
        let mut start = [0; 64];
        let mut decoder = flate2::bufread::ZlibDecoder::new(bytes.reader());
        decoder.read_exact(&mut start).is_ok().then(|| Claim::open_ended("zlib"))
    },
    unpack: Unpack::Stream(Codec::Zlib),
};

/// LZMA has no magic number: properties, the size of the window, and the size of the content or -1 must make sense, and
/// the first bytes must unpack ("lzma-file-format.txt" of the XZ utilities).
fn claim_lzma(bytes: &Bytes<'_>) -> Option<Claim> {
    let window = bytes.u32(Endian::Little, 1)?;
    let size = bytes.u64(Endian::Little, 5)?;
    let is_round = |size: u32| size.is_power_of_two() || (size.count_ones() == 2 && size & (size >> 1) != 0);
    if !(is_round(window) && (1 << 12..=1 << 29).contains(&window))
        || (size != u64::MAX && size >= 1 << 38)
        || size == 0
    {
        return None;
    }
    // The first byte of the range coder is always zero.
    if bytes.u8(13)? != 0 {
        return None;
    }
    let mut start = [0; 256];
    let wanted = usize::try_from(size.min(256)).unwrap_or(256);
    let mut reader = bytes.reader();
    let mut member = member(Codec::Lzma, Packed { inner: &mut reader, count: Rc::default() }).ok()?;
    member.read_exact(start.get_mut(..wanted)?).ok()?;
    Some(Claim::open_ended("lzma"))
}

/// What a stream is read from; counts.
pub(crate) struct Packed<'a> {
    inner: &'a mut dyn BufRead,
    count: Rc<Cell<u64>>,
}

impl Packed<'_> {
    fn byte(&mut self) -> io::Result<u8> {
        let byte = *self.fill_buf()?.first().ok_or(io::ErrorKind::UnexpectedEof)?;
        self.consume(1);
        Ok(byte)
    }

    fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn u32(&mut self, endian: Endian) -> io::Result<u32> {
        self.array().map(|bytes| endian.u32(bytes))
    }

    /// Reads a piece whose length the stream claims: room is made as it comes.
    fn vec(&mut self, length: u32) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.take(u64::from(length)).read_to_end(&mut bytes)?;
        if bytes.len() as u64 == u64::from(length) {
            Ok(bytes)
        } else {
            Err(io::ErrorKind::UnexpectedEof.into())
        }
    }
}

impl Read for Packed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.count.set(self.count.get().saturating_add(count as u64));
        Ok(count)
    }
}

impl BufRead for Packed<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.inner.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.count.set(self.count.get().saturating_add(amount as u64));
        self.inner.consume(amount);
    }
}

/// A decoder of one member, that gives back what it read from.
trait Member<'a>: Read {
    fn into_packed(self: Box<Self>) -> Packed<'a>;
}

impl<'a> Member<'a> for flate2::bufread::GzDecoder<Packed<'a>> {
    fn into_packed(self: Box<Self>) -> Packed<'a> {
        self.into_inner()
    }
}

impl<'a> Member<'a> for flate2::bufread::ZlibDecoder<Packed<'a>> {
    fn into_packed(self: Box<Self>) -> Packed<'a> {
        self.into_inner()
    }
}

impl<'a> Member<'a> for liblzma::bufread::XzDecoder<Packed<'a>> {
    fn into_packed(self: Box<Self>) -> Packed<'a> {
        self.into_inner()
    }
}

impl<'a> Member<'a> for zstd::stream::read::Decoder<'static, Packed<'a>> {
    fn into_packed(self: Box<Self>) -> Packed<'a> {
        self.finish()
    }
}

/// A decoder of our own: gives a block at a time.
trait Blocks {
    /// Unpacks the next block in place of the last one; says whether there was one.
    fn next(&mut self, packed: &mut Packed<'_>, block: &mut Vec<u8>) -> io::Result<bool>;
}

/// Hands out blocks as a stream.
struct BlockReader<'a, B> {
    packed: Packed<'a>,
    blocks: B,
    block: Vec<u8>,
    taken: usize,
    has_ended: bool,
}

impl<'a, B: Blocks + 'a> BlockReader<'a, B> {
    fn boxed(packed: Packed<'a>, blocks: B) -> Box<dyn Member<'a> + 'a> {
        Box::new(Self { packed, blocks, block: Vec::new(), taken: 0, has_ended: false })
    }
}

impl<B: Blocks> Read for BlockReader<'_, B> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.taken >= self.block.len() && !self.has_ended {
            self.taken = 0;
            self.has_ended = !self.blocks.next(&mut self.packed, &mut self.block)?;
            if self.has_ended {
                self.block.clear();
            }
        }
        let count = self.block.get(self.taken..).unwrap_or_default().read(buffer)?;
        self.taken += count;
        Ok(count)
    }
}

impl<'a, B: Blocks> Member<'a> for BlockReader<'a, B> {
    fn into_packed(self: Box<Self>) -> Packed<'a> {
        self.packed
    }
}

fn member<'a>(codec: Codec, packed: Packed<'a>) -> io::Result<Box<dyn Member<'a> + 'a>> {
    let xz = |packed, stream: Result<_, liblzma::stream::Error>| -> io::Result<Box<dyn Member<'a> + 'a>> {
        Ok(Box::new(liblzma::bufread::XzDecoder::new_stream(packed, stream.map_err(io::Error::from)?)))
    };
    Ok(match codec {
        Codec::Gzip => Box::new(flate2::bufread::GzDecoder::new(packed)),
        Codec::Zlib => Box::new(flate2::bufread::ZlibDecoder::new(packed)),
        Codec::Xz => xz(packed, liblzma::stream::Stream::new_stream_decoder(DECODER_BYTES_MAX, 0))?,
        Codec::Lzma => xz(packed, liblzma::stream::Stream::new_lzma_decoder(DECODER_BYTES_MAX))?,
        Codec::Lzip => xz(packed, liblzma::stream::Stream::new_lzip_decoder(DECODER_BYTES_MAX, 0))?,
        Codec::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(packed)?.single_frame();
            decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
            Box::new(decoder)
        }
        Codec::Bzip2 => BlockReader::boxed(packed, bunzip::Bzip2::default()),
        Codec::Lz4 => BlockReader::boxed(packed, zframes::Lz4::default()),
        Codec::Lzop => BlockReader::boxed(packed, lzop::Lzop::default()),
        Codec::Compress => BlockReader::boxed(packed, lzw::Lzw::default()),
    })
}

/// How another member of the same stream begins.
fn next_member(codec: Codec) -> Option<&'static [u8]> {
    match codec {
        Codec::Gzip => Some(b"\x1f\x8b\x08"),
        Codec::Xz => Some(b"\xfd7zXZ\0"),
        Codec::Zstd => Some(b"\x28\xb5\x2f\xfd"),
        Codec::Bzip2 => Some(b"BZh"),
        Codec::Lzip => Some(b"LZIP"),
        Codec::Lz4 => Some(b"\x04\x22\x4d\x18"),
        Codec::Lzma | Codec::Lzop | Codec::Compress | Codec::Zlib => None,
    }
}

/// All members of a stream.
struct Members<'a> {
    codec: Codec,
    member: Option<Box<dyn Member<'a> + 'a>>,
}

impl Read for Members<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.member {
            let count = member.read(buffer)?;
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            let Some(member) = self.member.take() else { break };
            let mut packed = member.into_packed();
            let Some(magic) = next_member(self.codec) else { break };
            if packed.fill_buf()?.starts_with(magic) {
                self.member = Some(self::member(self.codec, packed)?);
            }
        }
        Ok(0)
    }
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
    packed: &'a mut dyn BufRead,
    budget: &'a Budget,
) -> io::Result<Unpacked<'a>> {
    let count = Rc::<Cell<u64>>::default();
    let member = member(codec, Packed { inner: packed, count: Rc::clone(&count) })?;
    let members = Members { codec, member: Some(member) };
    let capped = Capped::new(members, budget, Cap::Stream(Rc::clone(&count)));
    let (content, handed_out) = Counted::new(capped);
    Ok(Unpacked { content: Box::new(content), packed: count, handed_out })
}

/// Finds out how long a stream is; `None` where it is damaged.
pub(crate) fn measure(codec: Codec, bytes: &Bytes<'_>, budget: &Budget) -> Option<u64> {
    let mut reader = bytes.reader();
    let Unpacked { mut content, packed, .. } = open(codec, &mut reader, budget).ok()?;
    let copied = io::copy(&mut content, &mut io::sink());
    // A mark by chance may look like a bomb; that is no reason to stop.
    budget.take_reached();
    copied.ok().map(|_| packed.get())
}
