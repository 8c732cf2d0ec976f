//! Files of lzop(1).
//!
//! In: a file. Out: a block at a time. Refuses methods other than LZO1X, and blocks beyond 64 MiB.

use std::io;

use super::{Blocks, Packed};
use crate::bytes::Endian;
use crate::decode::lzo;

/// Largest block; `lzop` writes 256 KiB and refuses to read more than 64 MiB.
const BLOCK_BYTES_MAX: u32 = 64 << 20;

// Flags of the header (`lzop` 1.04, conf.h).
const ADLER_UNPACKED: u32 = 0x1;
const ADLER_PACKED: u32 = 0x2;
const EXTRA: u32 = 0x40;
const CRC_UNPACKED: u32 = 0x100;
const CRC_PACKED: u32 = 0x200;
const FILTER: u32 = 0x800;

#[derive(Default)]
pub(super) struct Lzop {
    flags: Option<u32>,
}

fn damaged(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

fn read_header(packed: &mut Packed<'_>) -> io::Result<u32> {
    packed.array::<9>()?;
    let version = Endian::Big.u16(packed.array()?);
    packed.array::<2>()?;
    if version >= 0x940 {
        packed.array::<2>()?;
    }
    let method = packed.byte()?;
    if !(1..=3).contains(&method) {
        return Err(damaged("it is packed by a method that is not LZO1X"));
    }
    if version >= 0x940 {
        packed.byte()?;
    }
    let flags = packed.u32(Endian::Big)?;
    if flags & FILTER != 0 {
        packed.array::<4>()?;
    }
    // Mode, time, and the upper half of the time.
    packed.array::<8>()?;
    if version >= 0x940 {
        packed.array::<4>()?;
    }
    let name_bytes = packed.byte()?;
    packed.vec(u32::from(name_bytes))?;
    packed.array::<4>()?;
    if flags & EXTRA != 0 {
        let length = packed.u32(Endian::Big)?;
        packed.vec(length.min(BLOCK_BYTES_MAX))?;
        packed.array::<4>()?;
    }
    Ok(flags)
}

impl Blocks for Lzop {
    fn next(&mut self, packed: &mut Packed<'_>, block: &mut Vec<u8>) -> io::Result<bool> {
        let flags = match &mut self.flags {
            Some(flags) => *flags,
            empty @ None => *empty.insert(read_header(packed)?),
        };
        let unpacked_bytes = packed.u32(Endian::Big)?;
        if unpacked_bytes == 0 {
            return Ok(false);
        }
        let packed_bytes = packed.u32(Endian::Big)?;
        if unpacked_bytes > BLOCK_BYTES_MAX || packed_bytes > unpacked_bytes {
            return Err(damaged("a block is too long"));
        }
        let is_stored = packed_bytes == unpacked_bytes;
        let of_unpacked = [ADLER_UNPACKED, CRC_UNPACKED].iter().filter(|flag| flags & **flag != 0).count();
        let of_packed = [ADLER_PACKED, CRC_PACKED].iter().filter(|flag| flags & **flag != 0).count();
        let sums = of_unpacked + if is_stored { 0 } else { of_packed };
        for _ in 0..sums {
            packed.array::<4>()?;
        }
        let bytes = packed.vec(packed_bytes)?;
        block.clear();
        if is_stored {
            block.extend_from_slice(&bytes);
        } else {
            lzo::unpack(&bytes, block, unpacked_bytes as usize).map_err(damaged)?;
        }
        Ok(true)
    }
}
