//! What the encoders make, compared with what real tools made; and what hostile bytes do.

mod golden;
mod hostile;
mod prover;

use crate::codec::{Codec, Hint, unpacker};

/// Bytes that pack like a program: copies of what came before, and words with few bits. The samples of `golden` were
/// made from them, by the same few lines in another language.
fn plain(len: usize, seed: u32) -> Vec<u8> {
    let mut state = seed;
    let mut out = Vec::with_capacity(len + 64);
    while out.len() < len {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let middle = (state >> 8) as usize;
        if state >> 24 < 150 && out.len() > 64 {
            let back = 1 + middle % out.len().min(40_000);
            for _ in 0..4 + (state >> 27) {
                out.push(out[out.len() - back]);
            }
        } else {
            out.extend_from_slice(&(state & 0x0F3F_1F7F).to_le_bytes());
        }
    }
    out.truncate(len);
    out
}

/// Packs in pieces of this size.
fn packed(codec: &Codec, plain: &[u8], piece: usize) -> Vec<u8> {
    let mut packer = codec.packer(plain.len() as u64).unwrap();
    let mut out = Vec::new();
    for bytes in plain.chunks(piece) {
        packer.push(bytes, &mut out).unwrap();
    }
    packer.finish(&mut out).unwrap();
    out
}

/// A reader that gives few bytes at a time.
struct Drip<'a>(&'a [u8], usize);

impl std::io::Read for Drip<'_> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let count = self.1.min(out.len()).min(self.0.len());
        let (now, later) = self.0.split_at(count);
        out[..count].copy_from_slice(now);
        self.0 = later;
        Ok(count)
    }
}

/// Unpacks with little room, from a reader that gives little.
fn unpacked_slowly(hint: Hint, packed: &[u8]) -> Vec<u8> {
    let mut unpacker = unpacker(hint).unwrap();
    let mut source = Drip(packed, 777);
    let (mut out, mut room) = (Vec::new(), [0; 1000]);
    loop {
        let count = unpacker.pull(&mut source, &mut room).unwrap();
        if count == 0 {
            return out;
        }
        out.extend_from_slice(&room[..count]);
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    hex.as_bytes().chunks(2).map(byte).collect()
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}
