//! What is flashed as text or in blocks: Intel HEX, Motorola S-records, and UF2.
//!
//! In: a file. Out: each stretch of memory that it fills, called by its address. Refuses records with wrong checksums.
//!
//! Intel's "Hexadecimal Object File Format Specification" (1988), srec(5), Microsoft's "UF2 specification".

use std::collections::BTreeMap;
use std::io::BufRead;

use crate::bytes::{Bytes, Fields};
use crate::door::Door;
use crate::error::{Halt, bad};
use crate::format::{Carve, Claim, Format, Unpack};

pub(crate) static INTEL: Format = Format {
    name: "Intel HEX",
    extension: "hex",
    magics: &[(0, b":")],
    carve: Carve::AtStart,
    claim: |bytes| {
        let head = bytes.head(0, LINE_BYTES_MAX);
        let line = head.split(|byte| matches!(byte, b'\r' | b'\n')).next()?;
        intel_record(line).map(|_| Claim::new("Intel HEX", bytes.length()))
    },
    unpack: Unpack::Tree(|bytes, door| walk_text(bytes, door, &mut IntelMemory::default())),
};

pub(crate) static MOTOROLA: Format = Format {
    name: "S-records",
    extension: "srec",
    magics: &[(0, b"S0"), (0, b"S1"), (0, b"S2"), (0, b"S3")],
    carve: Carve::AtStart,
    claim: |bytes| {
        let head = bytes.head(0, LINE_BYTES_MAX);
        let line = head.split(|byte| matches!(byte, b'\r' | b'\n')).next()?;
        motorola_record(line).map(|_| Claim::new("S-records", bytes.length()))
    },
    unpack: Unpack::Tree(|bytes, door| walk_text(bytes, door, &mut MotorolaMemory)),
};

pub(crate) static UF2: Format = Format {
    name: "UF2",
    extension: "uf2",
    magics: &[(0, b"UF2\n\x57\x51\x5d\x9e")],
    carve: Carve::Anywhere,
    claim: |bytes| {
        let blocks = (0..bytes.length() / 512).take_while(|index| uf2_block(bytes, *index).is_some()).count();
        (blocks > 0).then(|| Claim::new("UF2", blocks as u64 * 512))
    },
    unpack: Unpack::Tree(walk_uf2),
};

/// Longest line: a record holds at most 255 bytes.
const LINE_BYTES_MAX: u64 = 600;

/// Most stretches of memory; a linker makes a dozen.
const STRETCHES_MAX: usize = 4096;

/// The memory that a file fills: the start of each stretch, and its bytes.
#[derive(Default)]
struct Memory {
    stretches: BTreeMap<u64, Vec<u8>>,
    /// The start of the stretch that grew last.
    last: u64,
}

impl Memory {
    fn put(&mut self, address: u64, bytes: &[u8]) -> Result<(), Halt> {
        let last = self.last;
        let is_room_left = self.stretches.len() < STRETCHES_MAX;
        match self.stretches.get_mut(&last) {
            Some(stretch) if last.saturating_add(stretch.len() as u64) == address => {
                stretch.extend_from_slice(bytes);
            }
            _ if is_room_left => {
                self.stretches.entry(address).or_insert_with(|| bytes.to_vec());
                self.last = address;
            }
            _ => return Err(bad("it fills too many stretches of memory")),
        }
        Ok(())
    }

    fn offer(self, door: &mut Door<'_, '_>) -> Result<(), Halt> {
        let mut joined: Vec<(u64, Vec<u8>)> = Vec::new();
        for (address, bytes) in self.stretches {
            match joined.last_mut() {
                Some((start, last)) if start.saturating_add(last.len() as u64) == address => {
                    last.extend(bytes);
                }
                _ => joined.push((address, bytes)),
            }
        }
        joined.into_iter().try_for_each(|(address, bytes)| {
            door.budget.charge(bytes.len() as u64)?;
            door.offer_part(&format!("0x{address:08x}.bin"), Bytes::of(bytes))
        })
    }
}

/// Reads records.
trait Records {
    /// Takes a line; says whether the file ends with it.
    fn take(&mut self, line: &[u8], memory: &mut Memory) -> Result<Last, Halt>;
}

#[derive(PartialEq, Eq)]
enum Last {
    No,
    Yes,
}

fn walk_text(bytes: &Bytes<'_>, door: &mut Door<'_, '_>, records: &mut dyn Records) -> Result<(), Halt> {
    let limit = door.budget.limits.file_bytes_max;
    if bytes.length() / 2 > limit.0 {
        return Err(crate::limits::LimitReached::FileBytes(limit).into());
    }
    let mut memory = Memory::default();
    let mut reader = bytes.reader();
    let mut line = Vec::new();
    loop {
        door.step()?;
        line.clear();
        std::io::Read::take(&mut reader, LINE_BYTES_MAX).read_until(b'\n', &mut line)?;
        let text = line.trim_ascii();
        if line.is_empty() || (!text.is_empty() && records.take(text, &mut memory)? == Last::Yes) {
            break;
        }
    }
    memory.offer(door)
}

/// The bytes of pairs of hexadecimal digits.
fn pairs(digits: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pairs = digits.chunks(2).map(|pair| match pair {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    });
    pairs.collect()
}

/// A record of Intel HEX: its kind, its address, and its bytes.
fn intel_record(line: &[u8]) -> Option<(u8, u64, Vec<u8>)> {
    let bytes = pairs(line.strip_prefix(b":")?)?;
    let sum = bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
    let fields = Fields::big(&bytes);
    let length = usize::from(fields.u8(0));
    let is_whole = sum == 0 && bytes.len() == length + 5 && fields.u8(3) <= 5;
    is_whole.then(|| (fields.u8(3), u64::from(fields.u16(1)), fields.slice(4, length).to_vec()))
}

#[derive(Default)]
struct IntelMemory {
    base: u64,
}

impl Records for IntelMemory {
    fn take(&mut self, line: &[u8], memory: &mut Memory) -> Result<Last, Halt> {
        let (kind, address, bytes) = intel_record(line).ok_or_else(|| bad("a record is damaged"))?;
        let word = u64::from(Fields::big(&bytes).u16(0));
        match kind {
            0 => memory.put(self.base.saturating_add(address), &bytes)?,
            1 => return Ok(Last::Yes),
            2 => self.base = word << 4,
            4 => self.base = word << 16,
            _ => {}
        }
        Ok(Last::No)
    }
}

/// An S-record: its kind, its address, and its bytes.
fn motorola_record(line: &[u8]) -> Option<(u8, u64, Vec<u8>)> {
    let (kind, digits) = line.strip_prefix(b"S")?.split_first()?;
    let bytes = pairs(digits)?;
    let sum = bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
    let width = match kind {
        b'0' | b'1' | b'5' | b'9' => 2,
        b'2' | b'6' | b'8' => 3,
        b'3' | b'7' => 4,
        _ => return None,
    };
    let length = usize::from(*bytes.first()?);
    if sum != 0xff || bytes.len() != length + 1 || length < width + 1 {
        return None;
    }
    let address = bytes.iter().skip(1).take(width).fold(0, |address, byte| address << 8 | u64::from(*byte));
    Some((*kind, address, bytes.get(1 + width..length)?.to_vec()))
}

struct MotorolaMemory;

impl Records for MotorolaMemory {
    fn take(&mut self, line: &[u8], memory: &mut Memory) -> Result<Last, Halt> {
        let (kind, address, bytes) = motorola_record(line).ok_or_else(|| bad("a record is damaged"))?;
        match kind {
            b'1'..=b'3' => memory.put(address, &bytes)?,
            b'7'..=b'9' => return Ok(Last::Yes),
            _ => {}
        }
        Ok(Last::No)
    }
}

/// A block of UF2: its flags, its address, and its bytes.
fn uf2_block(bytes: &Bytes<'_>, index: u64) -> Option<(u32, u64, Vec<u8>)> {
    let block = bytes.array::<512>(index * 512)?;
    let fields = Fields::little(&block);
    let length = usize::try_from(fields.u32(16)).ok()?;
    let is_block =
        block.starts_with(b"UF2\n\x57\x51\x5d\x9e") && fields.u32(508) == 0x0ab1_6f30 && length <= 476;
    is_block.then(|| (fields.u32(8), u64::from(fields.u32(12)), fields.slice(32, length).to_vec()))
}

fn walk_uf2(bytes: &Bytes<'_>, door: &mut Door<'_, '_>) -> Result<(), Halt> {
    let limit = door.budget.limits.file_bytes_max;
    if bytes.length() > limit.0 {
        return Err(crate::limits::LimitReached::FileBytes(limit).into());
    }
    let mut memory = Memory::default();
    for index in 0..bytes.length() / 512 {
        door.step()?;
        let Some((flags, address, block)) = uf2_block(bytes, index) else { break };
        // Bit 0: not for the main flash.
        if flags & 1 == 0 {
            memory.put(address, &block)?;
        }
    }
    memory.offer(door)
}
