//! LZMA as liblzma packs it: its settings, and the .lzma file (LZMA alone).
//!
//! In: plain bytes. Out: a .lzma file. Refuses: dictionaries above a named size.

use liblzma::stream::{Action, Filters, LzmaOptions, PRESET_EXTREME, Stream};

use crate::codec::wire;
use crate::codec::xz::is_end;
use crate::codec::{CodecError, Pack};

/// The dictionary of `lzma -9`; larger ones need a gigabyte to pack.
const DICTIONARY_BYTES_MAX: u64 = 64 << 20;
/// The smallest that liblzma takes.
const DICTIONARY_BYTES_MIN: u32 = 4096;
/// Grows output by this much at a time.
const OUT_STEP_BYTES: usize = 32 * 1024;

/// Says what liblzma refused.
pub(super) fn library(source: liblzma::stream::Error) -> CodecError {
    CodecError::Library { library: "liblzma", text: source.to_string() }
}

/// Feeds a coder until it has taken all input, and for `Finish` until it has ended.
pub(super) fn run(
    stream: &mut Stream,
    mut input: &[u8],
    action: Action,
    out: &mut Vec<u8>,
) -> Result<(), CodecError> {
    loop {
        out.reserve(OUT_STEP_BYTES);
        let before = stream.total_in();
        let status = stream.process_vec(input, out, action).map_err(library)?;
        let taken = usize::try_from(stream.total_in().saturating_sub(before)).unwrap_or(usize::MAX);
        input = input.get(taken..).unwrap_or_default();
        if is_end(status) || (matches!(action, Action::Run) && input.is_empty()) {
            return Ok(());
        }
    }
}

/// How hard liblzma searches: one of its presets, the dictionary apart. 7 to 9 search like 6.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Effort {
    preset: u8,
    extreme: bool,
}

const PRESET_MAX: u8 = 6;
/// Stands before the preset for the extreme variant.
const EXTREME: u8 = 16;
/// With `-e` all presets search alike, but 3 and 5.
const EFFORTS: [u8; 9] = [6, 6 | EXTREME, 5, 4, 3, 2, 1, 0, 3 | EXTREME];

impl Effort {
    fn from_byte(byte: u8) -> Option<Self> {
        EFFORTS.contains(&byte).then_some(Self { preset: byte & !EXTREME, extreme: byte & EXTREME != 0 })
    }

    /// The preset, and whether its extreme variant, as a byte.
    pub(super) fn byte(self) -> u8 {
        self.preset | if self.extreme { EXTREME } else { 0 }
    }

    pub(super) fn write(self, out: &mut Vec<u8>) {
        out.push(self.byte());
    }

    pub(super) fn read(input: &mut &[u8]) -> Result<Self, CodecError> {
        let byte = wire::byte_to(input, "LZMA preset", PRESET_MAX | EXTREME)?;
        Self::from_byte(byte).ok_or(CodecError::Malformed { what: "LZMA preset" })
    }

    pub(super) fn options(self) -> Result<LzmaOptions, CodecError> {
        let extreme = if self.extreme { PRESET_EXTREME } else { 0 };
        LzmaOptions::new_preset(u32::from(self.preset) | extreme).map_err(library)
    }
}

/// The efforts to try, those whose own dictionary this is first.
pub(super) fn efforts(dictionary: u32) -> Vec<Effort> {
    let first: &[u8] = match dictionary >> 10 {
        256 => &[0],
        1024 => &[1],
        2048 => &[2],
        4096 => &[3, 4],
        _ => &[],
    };
    let rest = EFFORTS.iter().filter(|effort| !first.contains(effort));
    first.iter().chain(rest).filter_map(|&byte| Effort::from_byte(byte)).collect()
}

/// What LZMA lets choose of its model: literal context, literal position and position bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Model {
    context: u8,
    literal_position: u8,
    position: u8,
}

impl Default for Model {
    fn default() -> Self {
        Self { context: 3, literal_position: 0, position: 2 }
    }
}

impl Model {
    /// Reads the byte (position · 5 + literal position) · 9 + context.
    pub(super) fn from_byte(byte: u8) -> Option<Self> {
        let (context, literal_position, position) = (byte % 9, byte / 9 % 5, byte / 45);
        // liblzma takes at most four context and literal position bits together.
        (position <= 4 && context + literal_position <= 4).then_some(Self {
            context,
            literal_position,
            position,
        })
    }

    fn byte(self) -> u8 {
        (self.position * 5 + self.literal_position) * 9 + self.context
    }

    pub(super) fn write(self, out: &mut Vec<u8>) {
        out.push(self.byte());
    }

    pub(super) fn read(input: &mut &[u8]) -> Result<Self, CodecError> {
        Self::from_byte(wire::byte(input, "LZMA model")?).ok_or(CodecError::Malformed { what: "LZMA model" })
    }

    pub(super) fn set(self, options: &mut LzmaOptions) {
        options
            .literal_context_bits(self.context.into())
            .literal_position_bits(self.literal_position.into())
            .position_bits(self.position.into());
    }
}

/// What the encoder touches: window and search tree up to the plain length, and the hash table in full.
pub(super) fn memory(dictionary: u32, plain_len: u64) -> u64 {
    let dictionary = u64::from(dictionary);
    let used = dictionary.min(plain_len.saturating_add(1 << 16));
    // Half as many heads as the dictionary has bytes, rounded up to a power of two, 2^24 at most; smaller hashes.
    let heads = dictionary.next_power_of_two().clamp(1 << 16, 1 << 24) + (1 << 16) + (1 << 10);
    // The window is held one and a half times, the tree takes eight bytes a place.
    used.saturating_mul(19) / 2 + heads * 4 + (1 << 20)
}

/// How a .lzma file was packed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Recipe {
    model: Model,
    dictionary: u32,
    /// Whether the header tells the plain length (mksquashfs) or leaves it to the end mark (`lzma`).
    sized: bool,
    effort: Effort,
}

/// Properties, dictionary, plain length.
const HEADER_LEN: usize = 13;

impl Recipe {
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        self.model.write(out);
        wire::put_number(out, self.dictionary.into());
        out.push(u8::from(self.sized));
        self.effort.write(out);
    }

    pub(super) fn read(input: &mut &[u8]) -> Result<Self, CodecError> {
        let model = Model::read(input)?;
        let dictionary = wire::number(input, "LZMA dictionary", DICTIONARY_BYTES_MAX)?;
        let dictionary = u32::try_from(dictionary).unwrap_or_default();
        if dictionary < DICTIONARY_BYTES_MIN {
            let min = DICTIONARY_BYTES_MIN.into();
            return Err(CodecError::TooSmall { what: "LZMA dictionary", value: dictionary.into(), min });
        }
        let sized = wire::byte_to(input, "LZMA header", 1)? == 1;
        Ok(Self { model, dictionary, sized, effort: Effort::read(input)? })
    }

    pub(super) fn effort(&self) -> Effort {
        self.effort
    }

    pub(super) fn memory(&self, plain_len: u64) -> u64 {
        memory(self.dictionary, plain_len)
    }

    pub(super) fn packer(&self, plain_len: u64) -> Result<Box<dyn Pack>, CodecError> {
        let mut options = self.effort.options()?;
        self.model.set(&mut options);
        options.dict_size(self.dictionary);
        let mut filters = Filters::new();
        filters.lzma1(&options);
        let stream = Stream::new_raw_encoder(&filters).map_err(library)?;
        let mut header = vec![self.model.byte()];
        header.extend_from_slice(&self.dictionary.to_le_bytes());
        let len = if self.sized { plain_len } else { u64::MAX };
        header.extend_from_slice(&len.to_le_bytes());
        Ok(Box::new(Packer { stream, header }))
    }
}

struct Packer {
    stream: Stream,
    /// Empty once it has gone out.
    header: Vec<u8>,
}

impl Pack for Packer {
    fn push(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<(), CodecError> {
        out.append(&mut self.header);
        run(&mut self.stream, plain, Action::Run, out)
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), CodecError> {
        out.append(&mut self.header);
        run(&mut self.stream, &[], Action::Finish, out)
    }
}

/// The recipes that may have made these bytes, the likeliest first.
pub(super) fn candidates(packed: &[u8]) -> Vec<Recipe> {
    let Some(&[model, a, b, c, d, size @ ..]) = packed.first_chunk::<HEADER_LEN>() else { return Vec::new() };
    let dictionary = u32::from_le_bytes([a, b, c, d]);
    let allowed = u64::from(dictionary) <= DICTIONARY_BYTES_MAX && dictionary >= DICTIONARY_BYTES_MIN;
    let Some(model) = Model::from_byte(model).filter(|_| allowed) else { return Vec::new() };
    let sized = u64::from_le_bytes(size) != u64::MAX;
    let recipe = |effort| Recipe { model, dictionary, sized, effort };
    efforts(dictionary).into_iter().map(recipe).collect()
}
