//! The header of a 7z archive.
//!
//! In: its bytes, unpacked. Out: which streams there are and what they are called. Refuses more streams and names than
//! its bytes could hold.

use crate::bytes::Fields;
use crate::door::Door;
use crate::error::{Halt, bad, early};

// Marks of the parts of a header.
const END: u8 = 0;
const HEADER: u8 = 1;
const PROPERTIES: u8 = 2;
const EXTRA_STREAMS: u8 = 3;
const STREAMS: u8 = 4;
const FILES: u8 = 5;
const PACKED: u8 = 6;
const FOLDERS: u8 = 7;
const PARTS: u8 = 8;
const SIZES: u8 = 9;
const SUMS: u8 = 10;
const FOLDER: u8 = 11;
const UNPACKED_SIZES: u8 = 12;
const PART_COUNTS: u8 = 13;
const WITHOUT_CONTENT: u8 = 14;
const EMPTY_FILES: u8 = 15;
const NAMES: u8 = 17;
const ATTRIBUTES: u8 = 21;
const PACKED_HEADER: u8 = 23;

/// Most coders in a folder.
const CODERS_MAX: u64 = 8;

pub(super) enum Header {
    Packed(Streams),
    Plain { streams: Streams, members: Vec<Member> },
}

#[derive(Default)]
pub(super) struct Streams {
    /// Where the packed streams begin, counted from the end of the first header.
    pub(super) start: u64,
    pub(super) packed: Vec<u64>,
    pub(super) folders: Vec<Folder>,
}

pub(super) struct Coder {
    pub(super) method: Vec<u8>,
    pub(super) properties: Vec<u8>,
}

/// What is packed together.
pub(super) struct Folder {
    /// The coders, the one that gives the content first.
    pub(super) coders: Vec<Coder>,
    /// The packed stream, by its index; `None` where there are several.
    pub(super) stream: Option<usize>,
    /// What comes out of each coder; of the whole it is the first one in the chain.
    outputs: Vec<u64>,
    main: usize,
    has_sum: bool,
    /// The sizes of the files in it.
    pub(super) sizes: Vec<u64>,
}

impl Folder {
    pub(super) fn unpacked(&self) -> u64 {
        self.outputs.get(self.main).copied().unwrap_or(0)
    }
}

#[derive(Clone, Default)]
pub(super) struct Member {
    pub(super) name: Vec<u8>,
    pub(super) mode: u32,
    pub(super) has_content: bool,
    pub(super) is_directory: bool,
}

struct Input<'h, 'd, 's, 'b> {
    bytes: &'h [u8],
    door: &'d mut Door<'s, 'b>,
}

impl<'h> Input<'h, '_, '_, '_> {
    fn take(&mut self, count: u64) -> Result<&'h [u8], Halt> {
        self.door.step()?;
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let (bytes, rest) = self.bytes.split_at_checked(count).ok_or_else(early)?;
        self.bytes = rest;
        Ok(bytes)
    }

    fn byte(&mut self) -> Result<u8, Halt> {
        self.take(1)?.first().copied().ok_or_else(early)
    }

    /// A number: the ones at the top of the first byte say how many bytes follow.
    fn number(&mut self) -> Result<u64, Halt> {
        let first = self.byte()?;
        let more = first.leading_ones();
        let rest = self.take(u64::from(more))?;
        let low = rest.iter().rev().fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
        let high = if more >= 7 { 0 } else { u64::from(first & (0x7f >> more)) };
        Ok(high << (8 * more.min(7)) | low)
    }

    /// A number of things, each of which takes some room in the header.
    fn count(&mut self) -> Result<usize, Halt> {
        let count = self.number()?;
        if count > self.bytes.len() as u64 * 8 + 1 {
            return Err(bad("its header names more than it can hold"));
        }
        usize::try_from(count).map_err(|_| early())
    }

    fn bits(&mut self, count: usize) -> Result<Vec<bool>, Halt> {
        let bytes = self.take(count.div_ceil(8) as u64)?;
        Ok((0..count)
            .map(|index| bytes.get(index / 8).is_some_and(|byte| byte >> (7 - index % 8) & 1 == 1))
            .collect())
    }

    /// Bits, or a byte that says that all are set.
    fn optional_bits(&mut self, count: usize) -> Result<Vec<bool>, Halt> {
        if self.byte()? == 0 { self.bits(count) } else { Ok(vec![true; count]) }
    }

    /// Leaves checksums out: each entry of the door is checked by its size.
    fn skip_sums(&mut self, count: usize) -> Result<Vec<bool>, Halt> {
        let has = self.optional_bits(count)?;
        let sums = has.iter().filter(|bit| **bit).count();
        self.take(sums as u64 * 4)?;
        Ok(has)
    }
}

pub(super) fn read(bytes: &[u8], door: &mut Door<'_, '_>) -> Result<Header, Halt> {
    let mut input = Input { bytes, door };
    match input.byte()? {
        PACKED_HEADER => read_streams(&mut input).map(Header::Packed),
        HEADER => {
            let (mut streams, mut members) = (Streams::default(), Vec::new());
            loop {
                match input.byte()? {
                    END => return Ok(Header::Plain { streams, members }),
                    PROPERTIES => {
                        while input.byte()? != END {
                            let size = input.number()?;
                            input.take(size)?;
                        }
                    }
                    EXTRA_STREAMS => drop(read_streams(&mut input)?),
                    STREAMS => streams = read_streams(&mut input)?,
                    FILES => members = read_members(&mut input)?,
                    _ => return Err(bad("its header holds an unknown part")),
                }
            }
        }
        _ => Err(bad("its header is none")),
    }
}

fn read_streams(input: &mut Input<'_, '_, '_, '_>) -> Result<Streams, Halt> {
    let mut streams = Streams::default();
    loop {
        match input.byte()? {
            END => break,
            PACKED => read_packed(input, &mut streams)?,
            FOLDERS => read_folders(input, &mut streams)?,
            PARTS => {
                read_parts(input, &mut streams.folders)?;
                break_if_end(input)?;
                return Ok(streams);
            }
            _ => return Err(bad("its header holds an unknown part")),
        }
    }
    for folder in &mut streams.folders {
        folder.sizes = vec![folder.unpacked()];
    }
    Ok(streams)
}

fn break_if_end(input: &mut Input<'_, '_, '_, '_>) -> Result<(), Halt> {
    if input.byte()? == END { Ok(()) } else { Err(bad("its header holds an unknown part")) }
}

fn read_packed(input: &mut Input<'_, '_, '_, '_>, streams: &mut Streams) -> Result<(), Halt> {
    streams.start = input.number()?;
    let count = input.count()?;
    loop {
        match input.byte()? {
            END => return Ok(()),
            SIZES => {
                for _ in 0..count {
                    let size = input.number()?;
                    streams.packed.push(size);
                }
            }
            SUMS => drop(input.skip_sums(count)?),
            _ => return Err(bad("its header holds an unknown part")),
        }
    }
}

fn read_folders(input: &mut Input<'_, '_, '_, '_>, streams: &mut Streams) -> Result<(), Halt> {
    if input.byte()? != FOLDER {
        return Err(bad("its header holds an unknown part"));
    }
    let count = input.count()?;
    if input.byte()? != 0 {
        return Err(bad("its folders are described elsewhere, which is not read"));
    }
    let mut stream = 0;
    for _ in 0..count {
        let folder = read_folder(input, &mut stream)?;
        streams.folders.push(folder);
    }
    loop {
        match input.byte()? {
            END => return Ok(()),
            UNPACKED_SIZES => {
                for folder in &mut streams.folders {
                    for output in &mut folder.outputs {
                        *output = input.number()?;
                    }
                }
            }
            SUMS => {
                let has = input.skip_sums(count)?;
                for (folder, has) in streams.folders.iter_mut().zip(has) {
                    folder.has_sum = has;
                }
            }
            _ => return Err(bad("its header holds an unknown part")),
        }
    }
}

/// Reads a folder; `stream` is the first packed stream that no folder has taken.
fn read_folder(input: &mut Input<'_, '_, '_, '_>, stream: &mut usize) -> Result<Folder, Halt> {
    let count = input.number()?;
    if count == 0 || count > CODERS_MAX {
        return Err(bad("a folder has no coders, or too many"));
    }
    let mut coders = Vec::new();
    let (mut inputs, mut outputs) = (0, 0);
    for _ in 0..count {
        let flags = input.byte()?;
        let method = input.take(u64::from(flags & 0xf))?.to_vec();
        let (ins, outs) = if flags & 0x10 == 0 { (1, 1) } else { (input.number()?, input.number()?) };
        if ins > CODERS_MAX || outs != 1 {
            return Err(bad("a coder has no outputs, or too many"));
        }
        let size = if flags & 0x20 == 0 { 0 } else { input.number()? };
        let properties = input.take(size)?.to_vec();
        (inputs, outputs) = (inputs + ins, outputs + outs);
        coders.push(Coder { method, properties });
    }
    let mut pairs = Vec::new();
    for _ in 1..outputs {
        pairs.push((input.number()?, input.number()?));
    }
    let streams = inputs.checked_sub(pairs.len() as u64).ok_or_else(early)?;
    if streams > 1 {
        for _ in 0..streams {
            input.number()?;
        }
    }
    let first = *stream;
    *stream = first.saturating_add(usize::try_from(streams).unwrap_or(usize::MAX));
    let main = (0..outputs).find(|output| pairs.iter().all(|(_, bound)| bound != output)).unwrap_or(0);
    let is_chain = streams == 1 && inputs == outputs;
    let coders = if is_chain { chain(coders, &pairs, main)? } else { coders };
    Ok(Folder {
        coders,
        stream: is_chain.then_some(first),
        outputs: vec![0; usize::try_from(outputs).unwrap_or(0)],
        main: usize::try_from(main).unwrap_or(0),
        has_sum: false,
        sizes: Vec::new(),
    })
}

/// Puts coders in order: what comes out of the main one goes in from the one that is bound to its input.
fn chain(coders: Vec<Coder>, pairs: &[(u64, u64)], main: u64) -> Result<Vec<Coder>, Halt> {
    let mut coders: Vec<Option<Coder>> = coders.into_iter().map(Some).collect();
    let mut ordered = Vec::new();
    let mut at = Some(main);
    while let Some(index) = at {
        let slot = usize::try_from(index).ok().and_then(|index| coders.get_mut(index));
        let coder = slot.and_then(Option::take).ok_or_else(|| bad("the coders of a folder form a ring"))?;
        ordered.push(coder);
        at = pairs.iter().find(|(input, _)| *input == index).map(|(_, output)| *output);
    }
    Ok(ordered)
}

fn read_parts(input: &mut Input<'_, '_, '_, '_>, folders: &mut [Folder]) -> Result<(), Halt> {
    let mut counts = vec![1_usize; folders.len()];
    let mut mark = input.byte()?;
    if mark == PART_COUNTS {
        for count in &mut counts {
            *count = input.count()?;
        }
        mark = input.byte()?;
    }
    let is_sized = mark == SIZES;
    for (folder, count) in folders.iter_mut().zip(&counts) {
        let mut left = folder.unpacked();
        for index in 0..*count {
            // The last size is what is left.
            let size = if index + 1 == *count || !is_sized { left } else { input.number()? };
            left = left.checked_sub(size).ok_or_else(|| bad("the files of a folder are longer than it"))?;
            folder.sizes.push(size);
        }
    }
    if is_sized {
        mark = input.byte()?;
    }
    while mark != END {
        if mark != SUMS {
            return Err(bad("its header holds an unknown part"));
        }
        // A folder with one file that has its checksum already has none here.
        let known =
            folders.iter().zip(&counts).filter(|(folder, count)| folder.has_sum && **count == 1).count();
        input.skip_sums(counts.iter().sum::<usize>().saturating_sub(known))?;
        mark = input.byte()?;
    }
    Ok(())
}

fn read_members(input: &mut Input<'_, '_, '_, '_>) -> Result<Vec<Member>, Halt> {
    let count = input.count()?;
    let mut members = vec![Member { has_content: true, ..Member::default() }; count];
    loop {
        let kind = input.byte()?;
        if kind == END {
            return Ok(members);
        }
        let size = input.number()?;
        let bytes = input.take(size)?;
        let mut part = Input { bytes, door: &mut *input.door };
        match kind {
            WITHOUT_CONTENT => {
                let bits = part.bits(count)?;
                for (member, is_without) in members.iter_mut().zip(bits) {
                    (member.has_content, member.is_directory) = (!is_without, is_without);
                }
            }
            EMPTY_FILES => {
                let without = members.iter_mut().filter(|member| !member.has_content);
                let without: Vec<&mut Member> = without.collect();
                let bits = part.bits(without.len())?;
                for (member, is_file) in without.into_iter().zip(bits) {
                    member.is_directory = !is_file;
                }
            }
            NAMES if part.byte()? == 0 => {
                let units: Vec<u16> =
                    part.bytes.chunks_exact(2).map(|unit| Fields::little(unit).u16(0)).collect();
                for (member, name) in members.iter_mut().zip(units.split(|unit| *unit == 0)) {
                    member.name = String::from_utf16_lossy(name).into_bytes();
                }
            }
            ATTRIBUTES => {
                let has = part.optional_bits(count)?;
                if part.byte()? != 0 {
                    continue;
                }
                for (member, has) in members.iter_mut().zip(has) {
                    let word = if has {
                        part.take(4)?.iter().rev().fold(0_u32, |word, byte| word << 8 | u32::from(*byte))
                    } else {
                        0
                    };
                    // The extension of Unix: the upper half is a mode.
                    member.mode = if word & 0x8000 == 0 { 0 } else { word >> 16 };
                }
            }
            _ => {}
        }
    }
}
