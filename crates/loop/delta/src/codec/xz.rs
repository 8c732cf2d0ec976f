//! The .xz container around LZMA2, as XZ Utils, the kernel's build and mksquashfs write it.
//!
//! In: plain bytes. Out: a stream with its blocks, index and footer. Refuses: dictionaries above a named size, and
//! filters that liblzma does not have. The container is written here and only LZMA2 by liblzma, because its own
//! writers put sizes into block headers or leave them out, depending on which of them is called.

mod index;

use liblzma::stream::{Action, Filters, LzmaOptions, Status, Stream};
use sha2::{Digest, Sha256};

use crate::codec::lzma::{self, Effort};
use crate::codec::sums::{Crc32, Crc64, crc32};
use crate::codec::wire;
use crate::codec::{CodecError, HELD_BYTES_MAX, Pack};
pub(super) use index::candidates;

/// How a .xz stream begins and ends (The .xz File Format, sections 2.1.1.1 and 2.1.2.4).
const MAGIC: [u8; 6] = [0xFD, b'7', b'z', b'X', b'Z', 0];
const FOOTER_MAGIC: [u8; 2] = *b"YZ";
/// The LZMA2 filter (section 5.3.1).
const LZMA2_ID: u8 = 0x21;
/// Bits of the block flags (section 3.1.2).
const HAS_PACKED_SIZE: u8 = 0x40;
const HAS_PLAIN_SIZE: u8 = 0x80;
/// LZMA2 codes a dictionary of 64 MiB, that of `xz -9`, as 28; larger ones need a gigabyte to pack.
const DICTIONARY_CODE_MAX: u8 = 28;
/// Blocks of a stream: 4,096 blocks of the smallest size that `xz -T` takes by itself (1 MiB) are 4 GiB.
const BLOCKS_MAX: u64 = 4096;

/// The check behind each block (section 2.1.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Check {
    None,
    Crc32,
    Crc64,
    Sha256,
}

const CHECKS: [(Check, u8, u64); 4] =
    [(Check::None, 0, 0), (Check::Crc32, 1, 4), (Check::Crc64, 4, 8), (Check::Sha256, 10, 32)];

impl Check {
    fn from_id(id: u8) -> Option<Self> {
        CHECKS.iter().find(|(_, known, _)| *known == id).map(|(check, ..)| *check)
    }

    fn id(self) -> u8 {
        CHECKS.iter().find(|(check, ..)| *check == self).map_or(0, |(_, id, _)| *id)
    }

    fn len(self) -> u64 {
        CHECKS.iter().find(|(check, ..)| *check == self).map_or(0, |(.., len)| *len)
    }
}

/// A filter for branch addresses before LZMA2 (section 5.3.2), by its id, and where it starts to count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Branch {
    id: u8,
    start: u32,
}

/// The ids of the branch filters: x86, PowerPC, IA-64, ARM, Thumb, SPARC, ARM64, RISC-V.
const BRANCH_ID_FIRST: u8 = 4;
const BRANCH_ID_LAST: u8 = 11;

/// How blocks are cut and their headers written.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Framing {
    /// One block with sizes, its header as long as the worst case needs: `lzma_stream_buffer_encode`, mksquashfs.
    Buffer,
    /// Headers without sizes: `xz` with one thread. Blocks of this many plain bytes, or one.
    Stream { block_len: Option<u64> },
    /// Headers with sizes, all of one length: `xz -T`. The packed sizes stand here, so that a header can be written
    /// before its block has been packed.
    Threads { block_len: Option<u64>, header_len: u8, packed: Vec<u64> },
}

/// How a .xz stream was packed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Recipe {
    check: Check,
    branch: Option<Branch>,
    dictionary: u8,
    model: lzma::Model,
    effort: Effort,
    framing: Framing,
}

impl Recipe {
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[self.check.id(), self.branch.map_or(0, |branch| branch.id)]);
        if let Some(branch) = self.branch {
            wire::put_number(out, branch.start.into());
        }
        out.push(self.dictionary);
        self.model.write(out);
        self.effort.write(out);
        match &self.framing {
            Framing::Buffer => out.push(0),
            Framing::Stream { block_len } => {
                out.push(1);
                wire::put_number(out, block_len.unwrap_or_default());
            }
            Framing::Threads { block_len, header_len, packed } => {
                out.push(2);
                wire::put_number(out, block_len.unwrap_or_default());
                out.push(*header_len);
                wire::put_number(out, packed.len() as u64);
                for &len in packed {
                    wire::put_number(out, len);
                }
            }
        }
    }

    pub(super) fn read(input: &mut &[u8]) -> Result<Self, CodecError> {
        let check = Check::from_id(wire::byte(input, "xz check")?)
            .ok_or(CodecError::Malformed { what: "xz check" })?;
        let branch = match wire::byte_to(input, "xz filter", BRANCH_ID_LAST)? {
            0 => None,
            id @ BRANCH_ID_FIRST.. => {
                let start = wire::number(input, "xz filter start", u32::MAX.into())?;
                Some(Branch { id, start: u32::try_from(start).unwrap_or_default() })
            }
            _ => return Err(CodecError::Malformed { what: "xz filter" }),
        };
        let dictionary = wire::byte_to(input, "xz dictionary", DICTIONARY_CODE_MAX)?;
        let model = lzma::Model::read(input)?;
        let effort = Effort::read(input)?;
        let framing = read_framing(input)?;
        Ok(Self { check, branch, dictionary, model, effort, framing })
    }

    pub(super) fn dictionary_len(&self) -> u32 {
        dictionary_len(self.dictionary)
    }

    pub(super) fn effort(&self) -> Effort {
        self.effort
    }

    /// What the encoder needs, and the block that is held where its header tells its packed size.
    pub(super) fn memory(&self, plain_len: u64) -> u64 {
        let held = if self.framing == Framing::Buffer { plain_len } else { 0 };
        lzma::memory(self.dictionary_len(), plain_len).saturating_add(held)
    }

    pub(super) fn packer(&self, plain_len: u64) -> Result<Box<dyn Pack>, CodecError> {
        if self.framing == Framing::Buffer && plain_len > HELD_BYTES_MAX {
            return Err(CodecError::TooLong { what: "xz block", len: plain_len, max: HELD_BYTES_MAX });
        }
        Ok(Box::new(Packer {
            recipe: self.clone(),
            plain_len,
            started: false,
            block: None,
            held: Vec::new(),
            records: Vec::new(),
        }))
    }

    fn block_len(&self) -> u64 {
        match self.framing {
            Framing::Buffer => u64::MAX,
            Framing::Stream { block_len } | Framing::Threads { block_len, .. } => {
                block_len.unwrap_or(u64::MAX)
            }
        }
    }

    fn filters(&self) -> Result<Filters, CodecError> {
        let mut options: LzmaOptions = self.effort.options()?;
        self.model.set(&mut options);
        options.dict_size(self.dictionary_len());
        let mut filters = Filters::new();
        if let Some(Branch { id, start }) = self.branch {
            let start = start.to_le_bytes();
            let added = match id {
                4 => filters.x86_properties(&start),
                5 => filters.powerpc_properties(&start),
                6 => filters.ia64_properties(&start),
                7 => filters.arm_properties(&start),
                8 => filters.arm_thumb_properties(&start),
                9 => filters.sparc_properties(&start),
                10 => filters.arm64_properties(&start),
                _ => filters.riscv_properties(&start),
            };
            added.map_err(lzma::library)?;
        }
        filters.lzma2(&options);
        Ok(filters)
    }
}

fn read_framing(input: &mut &[u8]) -> Result<Framing, CodecError> {
    let kind = wire::byte_to(input, "xz framing", 2)?;
    if kind == 0 {
        return Ok(Framing::Buffer);
    }
    let block_len = match wire::number(input, "xz block length", u64::MAX >> 1)? {
        0 => None,
        len => Some(len),
    };
    if kind == 1 {
        return Ok(Framing::Stream { block_len });
    }
    let header_len = wire::byte_from_to(input, "xz header length", 8, 0xFC)?;
    if header_len % 4 != 0 {
        return Err(CodecError::Malformed { what: "xz header length" });
    }
    let count = wire::number(input, "xz blocks", BLOCKS_MAX)?;
    let packed = (0..count)
        .map(|_| wire::number(input, "xz packed length", u64::MAX >> 1))
        .collect::<Result<_, _>>()?;
    Ok(Framing::Threads { block_len, header_len, packed })
}

/// The dictionary that a code stands for: 2^n or 3 · 2^n bytes (section 5.3.1).
fn dictionary_len(code: u8) -> u32 {
    (2 | u32::from(code & 1)) << (u32::from(code.min(DICTIONARY_CODE_MAX)) / 2 + 11)
}

/// The most that LZMA2 makes of some bytes: three bytes for each chunk of 64 KiB, and an end mark.
fn packed_len_max(plain_len: u64) -> u64 {
    plain_len.saturating_add(plain_len.div_ceil(1 << 16).saturating_mul(3)).saturating_add(1)
}

/// Appends a number in the way of section 1.2.
fn put_vli(out: &mut Vec<u8>, value: u64) {
    wire::put_number(out, value);
}

/// The sum over a block's plain bytes.
enum Sum {
    None,
    Crc32(Crc32),
    Crc64(Crc64),
    Sha256(Box<Sha256>),
}

impl Sum {
    fn new(check: Check) -> Self {
        match check {
            Check::None => Self::None,
            Check::Crc32 => Self::Crc32(Crc32::new()),
            Check::Crc64 => Self::Crc64(Crc64::new()),
            Check::Sha256 => Self::Sha256(Box::new(Sha256::new())),
        }
    }

    fn add(&mut self, plain: &[u8]) {
        match self {
            Self::None => {}
            Self::Crc32(sum) => sum.add(plain),
            Self::Crc64(sum) => sum.add(plain),
            Self::Sha256(sum) => sum.update(plain),
        }
    }

    fn put(self, out: &mut Vec<u8>) {
        match self {
            Self::None => {}
            Self::Crc32(sum) => out.extend_from_slice(&sum.value().to_le_bytes()),
            Self::Crc64(sum) => out.extend_from_slice(&sum.value().to_le_bytes()),
            Self::Sha256(sum) => out.extend_from_slice(&sum.finalize()),
        }
    }
}

struct Block {
    stream: Stream,
    sum: Sum,
    plain: u64,
    header_len: u64,
    /// Packed bytes that have gone out; those in `held` not counted.
    packed: u64,
}

struct Packer {
    recipe: Recipe,
    plain_len: u64,
    started: bool,
    block: Option<Block>,
    /// The packed block that waits for its header.
    held: Vec<u8>,
    /// For the index: length of each block without padding, and of its plain bytes.
    records: Vec<(u64, u64)>,
}

impl Packer {
    fn start(&mut self, out: &mut Vec<u8>) {
        if !self.started {
            self.started = true;
            let flags = [0, self.recipe.check.id()];
            out.extend_from_slice(&MAGIC);
            out.extend_from_slice(&flags);
            out.extend_from_slice(&crc32(&flags).to_le_bytes());
        }
    }

    fn open(&mut self, out: &mut Vec<u8>) -> Result<Block, CodecError> {
        let stream = Stream::new_raw_encoder(&self.recipe.filters()?).map_err(lzma::library)?;
        let number = self.records.len();
        let header_len = match &self.recipe.framing {
            Framing::Buffer => self.header(Some((packed_len_max(self.plain_len), self.plain_len)), 0)?.len(),
            Framing::Stream { .. } => put_all(out, &self.header(None, 0)?),
            Framing::Threads { header_len, packed, .. } => {
                let &len = packed.get(number).ok_or(CodecError::Malformed { what: "xz packed lengths" })?;
                let before = self.recipe.block_len().saturating_mul(number as u64);
                let plain = self.plain_len.saturating_sub(before).min(self.recipe.block_len());
                put_all(out, &self.header(Some((len, plain)), (*header_len).into())?)
            }
        } as u64;
        Ok(Block { stream, sum: Sum::new(self.recipe.check), plain: 0, header_len, packed: 0 })
    }

    /// A block header (section 3.1), filled up to `len_min` bytes.
    fn header(&self, sizes: Option<(u64, u64)>, len_min: usize) -> Result<Vec<u8>, CodecError> {
        let filters = u8::from(self.recipe.branch.is_some());
        let mut header = vec![0, filters];
        if let Some((packed, plain)) = sizes {
            header = vec![0, filters | HAS_PACKED_SIZE | HAS_PLAIN_SIZE];
            put_vli(&mut header, packed);
            put_vli(&mut header, plain);
        }
        if let Some(Branch { id, start }) = self.recipe.branch {
            header.push(id);
            if start == 0 {
                header.push(0);
            } else {
                header.push(4);
                header.extend_from_slice(&start.to_le_bytes());
            }
        }
        header.extend_from_slice(&[LZMA2_ID, 1, self.recipe.dictionary]);
        let len = header.len().next_multiple_of(4).max(len_min.saturating_sub(4));
        header.resize(len, 0);
        let size = u8::try_from(len / 4).map_err(|_| CodecError::Malformed { what: "xz header length" })?;
        if let Some(first) = header.first_mut() {
            *first = size;
        }
        let sum = crc32(&header);
        header.extend_from_slice(&sum.to_le_bytes());
        Ok(header)
    }

    fn holds(&self) -> bool {
        self.recipe.framing == Framing::Buffer
    }

    /// Ends a block: the rest of it, padding, check (sections 3.2 to 3.4).
    fn close(&mut self, mut block: Block, out: &mut Vec<u8>) -> Result<(), CodecError> {
        let target = if self.holds() { &mut self.held } else { &mut *out };
        let before = target.len();
        lzma::run(&mut block.stream, &[], Action::Finish, target)?;
        block.packed += target.len().saturating_sub(before) as u64;
        if self.holds() {
            block.packed = self.held.len() as u64;
            let header_len = usize::try_from(block.header_len).unwrap_or_default();
            out.extend_from_slice(&self.header(Some((block.packed, block.plain)), header_len)?);
            out.append(&mut self.held);
        }
        let padding = block.packed.next_multiple_of(4) - block.packed;
        out.extend((0..padding).map(|_| 0));
        block.sum.put(out);
        self.records.push((block.header_len + block.packed + self.recipe.check.len(), block.plain));
        Ok(())
    }
}

fn put_all(out: &mut Vec<u8>, bytes: &[u8]) -> usize {
    out.extend_from_slice(bytes);
    bytes.len()
}

impl Pack for Packer {
    fn push(&mut self, mut plain: &[u8], out: &mut Vec<u8>) -> Result<(), CodecError> {
        self.start(out);
        while !plain.is_empty() {
            let mut block = match self.block.take() {
                Some(block) => block,
                None => self.open(out)?,
            };
            let room = usize::try_from(self.recipe.block_len() - block.plain).unwrap_or(usize::MAX);
            let (now, later) = plain.split_at(room.min(plain.len()));
            let target = if self.recipe.framing == Framing::Buffer { &mut self.held } else { &mut *out };
            let before = target.len();
            lzma::run(&mut block.stream, now, Action::Run, target)?;
            block.packed += target.len().saturating_sub(before) as u64;
            block.sum.add(now);
            block.plain += now.len() as u64;
            plain = later;
            if block.plain == self.recipe.block_len() {
                self.close(block, out)?;
            } else {
                self.block = Some(block);
            }
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), CodecError> {
        self.start(out);
        if let Some(block) = self.block.take() {
            self.close(block, out)?;
        }
        // The index (section 4) and the footer (section 2.1.2).
        let mut index = vec![0];
        put_vli(&mut index, self.records.len() as u64);
        for &(unpadded, plain) in &self.records {
            put_vli(&mut index, unpadded);
            put_vli(&mut index, plain);
        }
        index.resize(index.len().next_multiple_of(4), 0);
        index.extend_from_slice(&crc32(&index).to_le_bytes());
        out.extend_from_slice(&index);
        let words =
            u32::try_from(index.len() / 4 - 1).map_err(|_| CodecError::Malformed { what: "xz index" })?;
        let mut tail = words.to_le_bytes().to_vec();
        tail.extend_from_slice(&[0, self.recipe.check.id()]);
        out.extend_from_slice(&crc32(&tail).to_le_bytes());
        out.extend_from_slice(&tail);
        out.extend_from_slice(&FOOTER_MAGIC);
        Ok(())
    }
}

/// Whether the encoder has reached its end.
pub(super) const fn is_end(status: Status) -> bool {
    matches!(status, Status::StreamEnd)
}
