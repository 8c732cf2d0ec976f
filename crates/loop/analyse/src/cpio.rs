//! The cpio archives newc, crc and odc (`cpio(5)`), as a stream.
//!
//! In: a stream of bytes. Out: its entries through the door. Refuses headers that are no numbers, names longer than a
//! path may be, and archives that end without their trailer.

use std::io::{self, Read};

use crate::door::{Door, Found, FoundKind, TARGET_BYTES_MAX};
use crate::error::Halt;
use crate::path::{PATH_BYTES_MAX, shown};
use crate::report::Why;

const TRAILER: &[u8] = b"TRAILER!!!";

/// The file type bits of a mode, `stat(2)`.
const TYPE_MASK: u32 = 0o170_000;

struct Header {
    format: &'static str,
    mode: u32,
    size: u64,
    name_bytes: usize,
    /// Names and contents are padded to a multiple of this.
    align: u64,
    before_name: u64,
    /// The sum of all bytes of the content, where the format has one.
    sum: Option<u32>,
}

/// Walks an archive.
pub(crate) fn walk(reader: &mut dyn Read, door: &mut Door<'_, '_>) -> Result<(), Halt> {
    let mut format = "cpio";
    loop {
        let header = match read_header(reader) {
            Ok(Ok(header)) => header,
            Ok(Err(what)) => return Err(Halt::damaged(format, what)),
            Err(error) => return Err(Halt::from_read(format, door.budget, &error)),
        };
        format = header.format;
        let step =
            |error: io::Error, door: &Door<'_, '_>| Halt::from_read(header.format, door.budget, &error);
        let name = read_name(reader, &header).map_err(|error| step(error, door))?;
        if name == TRAILER {
            return Ok(());
        }
        let mut content = Content { inner: reader, left: header.size, sum: 0 };
        offer(door, &header, name, &mut content)?;
        io::copy(&mut content, &mut io::sink()).map_err(|error| step(error, door))?;
        if content.left > 0 {
            return Err(Halt::damaged(format, "it ends early"));
        }
        skip_padding(reader, header.size, header.align).map_err(|error| step(error, door))?;
    }
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
            content
                .read_to_end(&mut target)
                .map_err(|error| Halt::from_read(header.format, door.budget, &error))?;
            FoundKind::Symlink { target }
        }
        _ => FoundKind::Special,
    };
    let is_file = matches!(kind, FoundKind::File { .. });
    let path = shown(&name);
    door.offer(Found { path: name, mode: header.mode, kind }, content)?;
    let Some(sum) = header.sum.filter(|_| is_file) else { return Ok(()) };
    io::copy(content, &mut io::sink())
        .map_err(|error| Halt::from_read(header.format, door.budget, &error))?;
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
    reader.read_exact(&mut magic)?;
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
    let (Some(mode), Some(size), Some(name_bytes), Some(sum)) = (field(1), field(6), field(11), field(12))
    else {
        return Ok(Err("a header field is no hexadecimal number".to_owned()));
    };
    let sum = (format == "cpio (crc)").then_some(u32::try_from(sum).unwrap_or(0));
    Ok(header(format, mode, size, name_bytes, 4).map(|header| Header { before_name: 110, sum, ..header }))
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
    Ok(header("cpio (odc)", mode, size, name_bytes, 1))
}

fn header(format: &'static str, mode: u64, size: u64, name_bytes: u64, align: u64) -> Result<Header, String> {
    let name_bytes = usize::try_from(name_bytes).unwrap_or(usize::MAX);
    if !(1..=PATH_BYTES_MAX + 1).contains(&name_bytes) {
        return Err(format!("a name has {name_bytes} bytes"));
    }
    let mode = u32::try_from(mode).unwrap_or(0);
    Ok(Header { format, mode, size, name_bytes, align, before_name: 0, sum: None })
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
