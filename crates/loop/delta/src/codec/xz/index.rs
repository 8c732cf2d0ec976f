//! Reads from a .xz stream how it was made.
//!
//! In: a stream. Out: the recipes that may have made it, the likeliest first; none when it has more than one stream,
//! blocks of different lengths, or filters other than a branch filter before LZMA2.

use super::{
    BLOCKS_MAX, BRANCH_ID_FIRST, BRANCH_ID_LAST, Branch, Check, DICTIONARY_CODE_MAX, FOOTER_MAGIC, Framing,
    HAS_PACKED_SIZE, HAS_PLAIN_SIZE, LZMA2_ID, MAGIC, Recipe, dictionary_len, packed_len_max, put_vli,
};
use crate::codec::{HELD_BYTES_MAX, lzma, wire};

/// Header and footer of a stream, in bytes.
const STREAM_HEADER_LEN: usize = 12;

/// What a block header says.
struct Header {
    len: u8,
    sized: bool,
    branch: Option<Branch>,
    dictionary: u8,
}

pub(in crate::codec) fn candidates(packed: &[u8], plain_len: u64) -> Vec<Recipe> {
    read(packed, plain_len).unwrap_or_default()
}

fn read(packed: &[u8], plain_len: u64) -> Option<Vec<Recipe>> {
    let rest = packed.strip_prefix(&MAGIC)?;
    let [0, check, ..] = *rest else { return None };
    let check = Check::from_id(check)?;
    let block = packed.get(STREAM_HEADER_LEN..)?;
    let header = read_header(block)?;
    let records = read_index(packed)?;
    let block_len = match records.as_slice() {
        [] => return None,
        [_] => None,
        [(_, first), ..] => Some(*first),
    };
    // All blocks but the last have one length.
    if let (Some(len), Some((_, all_but_last))) = (block_len, records.split_last())
        && all_but_last.iter().any(|(_, plain)| *plain != len)
    {
        return None;
    }
    let frame = u64::from(header.len) + check.len();
    let framing = if header.sized {
        if block_len.is_none()
            && plain_len <= HELD_BYTES_MAX
            && header.len == buffer_header_len(&header, plain_len)
        {
            Framing::Buffer
        } else {
            let packed =
                records.iter().map(|(unpadded, _)| unpadded.checked_sub(frame)).collect::<Option<_>>()?;
            Framing::Threads { block_len, header_len: header.len, packed }
        }
    } else {
        Framing::Stream { block_len }
    };
    let model = read_model(block.get(header.len.into()..)?);
    let dictionary = dictionary_len(header.dictionary);
    let recipe = |effort| Recipe {
        check,
        branch: header.branch,
        dictionary: header.dictionary,
        model,
        effort,
        framing: framing.clone(),
    };
    Some(lzma::efforts(dictionary).into_iter().map(recipe).collect())
}

/// The length that `lzma_stream_buffer_encode` gives a block header: enough for the largest packed size.
fn buffer_header_len(header: &Header, plain_len: u64) -> u8 {
    let mut bytes = vec![0, 0];
    put_vli(&mut bytes, packed_len_max(plain_len));
    put_vli(&mut bytes, plain_len);
    let filters = header.branch.map_or(3, |branch| if branch.start == 0 { 5 } else { 9 });
    u8::try_from((bytes.len() + filters).next_multiple_of(4) + 4).unwrap_or(u8::MAX)
}

/// Reads a block header (The .xz File Format, section 3.1).
fn read_header(block: &[u8]) -> Option<Header> {
    let (&size, _) = block.split_first()?;
    let len = size.checked_add(1)?.checked_mul(4)?;
    let mut input = block.get(1..usize::from(len).checked_sub(4)?)?;
    let flags = wire::byte(&mut input, "").ok()?;
    let sized = match flags & 0xFC {
        0 => false,
        both if both == HAS_PACKED_SIZE | HAS_PLAIN_SIZE => {
            wire::number(&mut input, "", u64::MAX).ok()?;
            wire::number(&mut input, "", u64::MAX).ok()?;
            true
        }
        _ => return None,
    };
    let branch = match flags & 3 {
        0 => None,
        1 => Some(read_branch(&mut input)?),
        _ => return None,
    };
    let [LZMA2_ID, 1, dictionary @ 0..=DICTIONARY_CODE_MAX, padding @ ..] = input else { return None };
    if padding.iter().any(|&byte| byte != 0) {
        return None;
    }
    Some(Header { len, sized, branch, dictionary: *dictionary })
}

fn read_branch(input: &mut &[u8]) -> Option<Branch> {
    let id = wire::byte(input, "").ok().filter(|id| (BRANCH_ID_FIRST..=BRANCH_ID_LAST).contains(id))?;
    match wire::byte(input, "").ok()? {
        0 => Some(Branch { id, start: 0 }),
        4 => {
            let (start, rest) = input.split_first_chunk::<4>()?;
            *input = rest;
            // A start of zero in four bytes would be written in none.
            Some(Branch { id, start: u32::from_le_bytes(*start) }).filter(|branch| branch.start != 0)
        }
        _ => None,
    }
}

/// Reads the index (section 4), found through the footer (section 2.1.2).
fn read_index(packed: &[u8]) -> Option<Vec<(u64, u64)>> {
    let (front, footer) = packed.split_last_chunk::<STREAM_HEADER_LEN>()?;
    let words = footer.strip_suffix(&FOOTER_MAGIC)?.get(4..)?.first_chunk::<4>()?;
    let index_len = u64::from(u32::from_le_bytes(*words)).checked_add(1)?.checked_mul(4)?;
    let start = front.len().checked_sub(usize::try_from(index_len).ok()?)?;
    let mut input = front.get(start..)?.strip_prefix(&[0])?;
    let count = wire::number(&mut input, "", BLOCKS_MAX).ok()?;
    let record = |_| {
        let unpadded = wire::number(&mut input, "", u64::MAX >> 1).ok()?;
        Some((unpadded, wire::number(&mut input, "", u64::MAX >> 1).ok()?))
    };
    (0..count).map(record).collect()
}

/// Chunks are looked at up to the first that names the model; it is the first one, unless that could not be packed.
const CHUNKS_READ_MAX: usize = 64;

/// Finds the literal and position bits in the LZMA2 chunks (section 5.3.1; the chunk headers as liblzma writes them).
fn read_model(mut chunks: &[u8]) -> lzma::Model {
    for _ in 0..CHUNKS_READ_MAX {
        let header = match *chunks {
            [1 | 2, high, low, ..] => 3 + usize::from(u16::from_be_bytes([high, low])) + 1,
            [0xC0..=0xFF, _, _, _, _, properties, ..] => {
                return lzma::Model::from_byte(properties).unwrap_or_default();
            }
            [0x80..=0xBF, _, _, high, low, ..] => 5 + usize::from(u16::from_be_bytes([high, low])) + 1,
            _ => break,
        };
        chunks = chunks.get(header..).unwrap_or_default();
    }
    lzma::Model::default()
}
