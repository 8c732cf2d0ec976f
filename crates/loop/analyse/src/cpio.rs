//! The cpio archives newc, crc, odc and bin (`cpio(5)`), as a stream.
//!
//! In: a stream of bytes. Out: its entries through the door. Refuses headers that are no numbers, names longer than a
//! path may be, and archives that end without their trailer.

use std::io::{self, Read};

use crate::bytes::{Endian, Fields};
use crate::door::{self, Door, Found, FoundKind, TARGET_BYTES_MAX};
use crate::error::{Halt, bad, early};
use crate::format::{Carve, Claim, Format, Unpack};
use crate::path::{PATH_BYTES_MAX, shown};
use crate::report::{Owner, Why};

pub(crate) static FORMAT: Format = Format {
    name: "cpio",
    extension: "cpio",
    magics: &[(0, b"070701"), (0, b"070702"), (0, b"070707"), (0, b"\xc7\x71"), (0, b"\x71\xc7")],
    carve: Carve::Anywhere,
    claim: |bytes| {
        let mut reader = bytes.reader();
        let header = read_header(&mut reader).ok()?.ok()?;
        // The first entry of any archive has a type and a printable name.
        let name = read_name(&mut reader, &header).ok()?;
        let is_sane = header.mode & TYPE_MASK != 0 || name == TRAILER;
        let is_text = !name.is_empty() && name.iter().all(|byte| *byte >= b' ');
        (is_sane && is_text).then(|| Claim::open_ended("cpio"))
    },
    unpack: Unpack::Archive(walk),
};

const TRAILER: &[u8] = b"TRAILER!!!";

/// The file type bits of a mode, `stat(2)`.
const TYPE_MASK: u32 = 0o170_000;

struct Header {
    format: &'static str,
    mode: u32,
    owner: Owner,
    size: u64,
    name_bytes: usize,
    /// Names and contents are padded to a multiple of this.
    align: u64,
    before_name: u64,
    /// The sum of all bytes of the content, where the format has one.
    sum: Option<u32>,
}

/// Walks an archive.
fn walk(reader: &mut dyn Read, door: &mut Door<'_, '_>) -> Result<(), Halt> {
    let mut format = "cpio";
    loop {
        let end = next(reader, door, &mut format);
        match end.map_err(|halt| halt.settle(format, door.budget))? {
            Next::Entry => {}
            Next::Trailer => return Ok(()),
        }
    }
}

enum Next {
    Entry,
    Trailer,
}

fn next(reader: &mut dyn Read, door: &mut Door<'_, '_>, format: &mut &'static str) -> Result<Next, Halt> {
    let header = read_header(reader)?.map_err(bad)?;
    *format = header.format;
    let name = read_name(reader, &header)?;
    if name == TRAILER {
        return Ok(Next::Trailer);
    }
    let mut content = Content { inner: reader, left: header.size, sum: 0 };
    offer(door, &header, name, &mut content)?;
    io::copy(&mut content, &mut io::sink())?;
    if content.left > 0 {
        return Err(early());
    }
    skip_padding(reader, header.size, header.align)?;
    Ok(Next::Entry)
}

fn offer(
    door: &mut Door<'_, '_>,
    header: &Header,
    name: Vec<u8>,
    content: &mut Content<'_>,
) -> Result<(), Halt> {
    let kind = match header.mode & TYPE_MASK {
        0o100_000 => FoundKind::File { size: header.size },
        0o040_000 => FoundKind::Directory,
        0o120_000 if header.size > TARGET_BYTES_MAX => {
            return door.sink.skip(shown(&name), Why::Path(crate::PathError::TooLong));
        }
        0o120_000 => {
            let mut target = Vec::new();
            content.read_to_end(&mut target)?;
            FoundKind::Symlink { target }
        }
        _ => FoundKind::Special,
    };
    let is_file = matches!(kind, FoundKind::File { .. });
    let path = shown(&name);
    let found = Found { path: name, mode: header.mode, owner: Some(header.owner), kind };
    door.offer(found, door::Content::Stream(content))?;
    let Some(sum) = header.sum.filter(|_| is_file) else { return Ok(()) };
    io::copy(content, &mut io::sink())?;
    if content.left == 0 && content.sum != sum {
        let what = format!("the content sums up to {:08x}, not to {sum:08x}", content.sum);
        return door.sink.skip(path, Why::Damaged { format: header.format.to_owned(), what });
    }
    Ok(())
}

/// The content of one entry; sums its bytes up on the way.
struct Content<'a> {
    inner: &'a mut dyn Read,
    left: u64,
    sum: u32,
}

impl Read for Content<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let Some(buffer) = buffer.get_mut(..most).filter(|buffer| !buffer.is_empty()) else { return Ok(0) };
        let count = self.inner.read(buffer)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left = self.left.saturating_sub(count as u64);
        for byte in buffer.iter().take(count) {
            self.sum = self.sum.wrapping_add(u32::from(*byte));
        }
        Ok(count)
    }
}

fn read_header(reader: &mut dyn Read) -> io::Result<Result<Header, String>> {
    let mut magic = [0; 6];
    let (two, four) = magic.split_at_mut(2);
    reader.read_exact(two)?;
    match two {
        [0xc7, 0x71] => return read_binary(reader, Endian::Little),
        [0x71, 0xc7] => return read_binary(reader, Endian::Big),
        _ => reader.read_exact(four)?,
    }
    Ok(match &magic {
        b"070701" => read_new(reader, "cpio (newc)")?,
        b"070702" => read_new(reader, "cpio (crc)")?,
        b"070707" => read_old(reader)?,
        other => Err(format!("an entry starts with {:?} instead of a magic number", shown(other))),
    })
}

/// The "new ASCII format": thirteen numbers of eight hexadecimal digits behind the magic.
fn read_new(reader: &mut dyn Read, format: &'static str) -> io::Result<Result<Header, String>> {
    let mut fields = [0; 13 * 8];
    reader.read_exact(&mut fields)?;
    let field = |index: usize| {
        let digits = fields.get(index * 8..index * 8 + 8).unwrap_or_default();
        number(digits, 16)
    };
    // inode, mode, uid, gid, links, mtime, size, four device numbers, name size, check.
    let (Some(mode), Some(user), Some(group), Some(size)) = (field(1), field(2), field(3), field(6)) else {
        return Ok(Err("a header field is no hexadecimal number".to_owned()));
    };
    let (Some(name_bytes), Some(sum)) = (field(11), field(12)) else {
        return Ok(Err("a header field is no hexadecimal number".to_owned()));
    };
    let sum = (format == "cpio (crc)").then_some(u32::try_from(sum).unwrap_or(0));
    Ok(header(format, mode, (user, group), size, name_bytes, 4).map(|header| Header {
        before_name: 110,
        sum,
        ..header
    }))
}

/// The "portable ASCII format": octal numbers of six and eleven digits.
fn read_old(reader: &mut dyn Read) -> io::Result<Result<Header, String>> {
    let mut fields = [0; 70];
    reader.read_exact(&mut fields)?;
    let field = |from: usize, digits: usize| number(fields.get(from..from + digits).unwrap_or_default(), 8);
    // dev 6, inode 6, mode 6, uid 6, gid 6, links 6, rdev 6, mtime 11, name size 6, size 11.
    let (Some(mode), Some(name_bytes), Some(size)) = (field(12, 6), field(53, 6), field(59, 11)) else {
        return Ok(Err("a header field is no octal number".to_owned()));
    };
    let owner = (field(18, 6).unwrap_or(0), field(24, 6).unwrap_or(0));
    Ok(header("cpio (odc)", mode, owner, size, name_bytes, 1))
}

/// The oldest format: words of sixteen bits, of long numbers the upper word first.
fn read_binary(reader: &mut dyn Read, endian: Endian) -> io::Result<Result<Header, String>> {
    let mut bytes = [0; 24];
    reader.read_exact(&mut bytes)?;
    let fields = Fields { bytes: &bytes, endian };
    let word = |at: usize| u64::from(fields.u16(at));
    // dev, inode, mode, uid, gid, links, rdev, mtime (two), name size, size (two).
    let (mode, owner, size) = (word(4), (word(6), word(8)), word(20) << 16 | word(22));
    Ok(header("cpio (bin)", mode, owner, size, word(18), 2))
}

fn header(
    format: &'static str,
    mode: u64,
    (user, group): (u64, u64),
    size: u64,
    name_bytes: u64,
    align: u64,
) -> Result<Header, String> {
    let name_bytes = usize::try_from(name_bytes).unwrap_or(usize::MAX);
    if !(1..=PATH_BYTES_MAX + 1).contains(&name_bytes) {
        return Err(format!("a name has {name_bytes} bytes"));
    }
    let mode = u32::try_from(mode).unwrap_or(0);
    let id = |id: u64| u32::try_from(id).unwrap_or(u32::MAX);
    let owner = Owner { user: id(user), group: id(group) };
    Ok(Header { format, mode, owner, size, name_bytes, align, before_name: 0, sum: None })
}

fn number(digits: &[u8], radix: u32) -> Option<u64> {
    let text = std::str::from_utf8(digits).ok()?;
    if text.starts_with('+') { None } else { u64::from_str_radix(text, radix).ok() }
}

fn read_name(reader: &mut dyn Read, header: &Header) -> io::Result<Vec<u8>> {
    let mut name = vec![0; header.name_bytes];
    reader.read_exact(&mut name)?;
    skip_padding(reader, header.before_name + header.name_bytes as u64, header.align)?;
    // The last byte is a NUL; one before it would hide the rest of the name, so it stays and is refused later.
    if name.last() == Some(&0) {
        name.pop();
    }
    Ok(name)
}

fn skip_padding(reader: &mut dyn Read, written: u64, align: u64) -> io::Result<()> {
    let padding = written.next_multiple_of(align) - written;
    let mut buffer = [0; 4];
    match usize::try_from(padding).ok().and_then(|padding| buffer.get_mut(..padding)) {
        Some(buffer) => reader.read_exact(buffer),
        None => Ok(()),
    }
}
