//! Zstandard frames as libzstd 1.5.5 makes them.
//!
//! In: plain bytes. Out: one frame. Refuses: levels and windows that the library does not have. The library's bytes
//! depend on its version. 1.5.4 (Debian 12) and 1.5.5 (Ubuntu 24.04, Yocto 5.0) make the same but at levels 6 to 9;
//! 1.5.6 chooses otherwise from level 12 on, and 1.5.7 cuts frames of several blocks otherwise: of blocks of 128 KiB at
//! level 15, 67 % are the same in all.

use std::io;

use zstd::stream::raw::{CParameter, Encoder, InBuffer, Operation, OutBuffer};
use zstd::zstd_safe::{self, CCtx};

use crate::codec::wire;
use crate::codec::{CodecError, HELD_BYTES_MAX, Pack};

/// Levels of the library; those below zero trade size for speed.
const LEVEL_MAX: i8 = 22;
const LEVEL_MIN: i8 = -7;
/// The smallest and the largest window that may be asked for: 1 KiB; 128 MiB, what every decoder takes.
const WINDOW_LOG_MIN: u8 = 10;
const WINDOW_LOG_MAX: u8 = 27;
/// How a frame begins (RFC 8878 section 3.1.1).
const MAGIC: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];
/// Grows output by this much at a time: a block.
const OUT_STEP_BYTES: usize = 128 * 1024;
/// How many plain bytes are packed to see whether a level may be the right one: two blocks.
const PROBE_BYTES: usize = 2 * 128 * 1024;

/// By which call, and with which threads, the frame was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Call {
    /// `ZSTD_compressCCtx`: all at once, as mksquashfs does it.
    Whole,
    /// A stream: `zstd --single-thread`, most libraries.
    Stream(Settings),
    /// A stream cut into jobs: the `zstd` program, with any number of threads.
    Jobs(Settings),
}

/// What a stream says in its head, or was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Settings {
    checksum: bool,
    sized: bool,
    /// A window that is not the level's own.
    window_log: Option<u8>,
    /// `--long`.
    long: bool,
}

/// How a frame was packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Recipe {
    level: i8,
    call: Call,
}

const WHOLE: u8 = 0;
const STREAM: u8 = 1;
const JOBS: u8 = 2;
const CHECKSUM: u8 = 4;
const SIZED: u8 = 8;
const LONG: u8 = 16;

impl Recipe {
    pub(super) fn write(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.level.to_le_bytes());
        let (kind, settings) = match self.call {
            Call::Whole => {
                out.push(WHOLE);
                return;
            }
            Call::Stream(settings) => (STREAM, settings),
            Call::Jobs(settings) => (JOBS, settings),
        };
        let flag = |set, flag| if set { flag } else { 0 };
        let flags =
            flag(settings.checksum, CHECKSUM) | flag(settings.sized, SIZED) | flag(settings.long, LONG);
        out.extend_from_slice(&[kind | flags, settings.window_log.unwrap_or_default()]);
    }

    pub(super) fn read(input: &mut &[u8]) -> Result<Self, CodecError> {
        let level = i8::from_le_bytes([wire::byte(input, "zstd level")?]);
        if level == 0 || !(LEVEL_MIN..=LEVEL_MAX).contains(&level) {
            return Err(CodecError::Malformed { what: "zstd level" });
        }
        let flags = wire::byte_to(input, "zstd call", JOBS | CHECKSUM | SIZED | LONG)?;
        if flags == WHOLE {
            return Ok(Self { level, call: Call::Whole });
        }
        let window_log = match wire::byte_to(input, "zstd window", WINDOW_LOG_MAX)? {
            0 => None,
            log @ WINDOW_LOG_MIN.. => Some(log),
            _ => return Err(CodecError::Malformed { what: "zstd window" }),
        };
        let has = |flag| flags & flag != 0;
        let settings = Settings { checksum: has(CHECKSUM), sized: has(SIZED), window_log, long: has(LONG) };
        let call = match flags & (STREAM | JOBS) {
            STREAM => Call::Stream(settings),
            JOBS => Call::Jobs(settings),
            _ => return Err(CodecError::Malformed { what: "zstd call" }),
        };
        Ok(Self { level, call })
    }

    /// What tells one way of packing from another, the head apart.
    pub(super) fn tuning(self) -> [u8; 2] {
        let kind = match self.call {
            Call::Whole => WHOLE,
            Call::Stream(_) => STREAM,
            Call::Jobs(_) => JOBS,
        };
        [self.level.to_le_bytes()[0], kind]
    }

    pub(super) fn memory(self, plain_len: u64) -> u64 {
        let [window_log, chain_log, hash_log] = logs(self.level);
        let (own_window, sized) = match self.call {
            Call::Whole => (window_log, true),
            Call::Stream(settings) | Call::Jobs(settings) => {
                (settings.window_log.unwrap_or(window_log), settings.sized)
            }
        };
        // Tables shrink to twice the plain length where that is known; an entry has four bytes.
        let bound =
            if sized { plain_len.next_power_of_two().saturating_mul(2).max(1 << 16) } else { u64::MAX };
        let tables = (1_u64 << chain_log).min(bound) + (1_u64 << hash_log).min(bound);
        let window = (1_u64 << own_window).min(plain_len);
        let held = match self.call {
            Call::Whole => plain_len.saturating_mul(2),
            Call::Stream(_) => window,
            // A job is four windows; it is held while the next one is filled, and packed into a buffer of its own.
            Call::Jobs(_) => plain_len.min(window.saturating_mul(4)).saturating_mul(3),
        };
        held.saturating_add(tables.saturating_mul(4)).saturating_add(4 << 20)
    }

    pub(super) fn packer(self, plain_len: u64) -> Result<Box<dyn Pack>, CodecError> {
        if self.call == Call::Whole {
            if plain_len > HELD_BYTES_MAX {
                return Err(CodecError::TooLong { what: "zstd block", len: plain_len, max: HELD_BYTES_MAX });
            }
            return Ok(Box::new(WholePacker { level: self.level, plain: Vec::new() }));
        }
        Ok(Box::new(StreamPacker { encoder: self.encoder(plain_len).map_err(|source| library(&source))? }))
    }

    fn encoder(self, plain_len: u64) -> io::Result<Encoder<'static>> {
        let mut encoder = Encoder::new(self.level.into())?;
        let settings = match self.call {
            Call::Whole => return Ok(encoder),
            Call::Stream(settings) | Call::Jobs(settings) => settings,
        };
        encoder.set_parameter(CParameter::ChecksumFlag(settings.checksum))?;
        encoder.set_parameter(CParameter::ContentSizeFlag(settings.sized))?;
        if let Some(log) = settings.window_log {
            encoder.set_parameter(CParameter::WindowLog(log.into()))?;
        }
        if settings.long {
            encoder.set_parameter(CParameter::EnableLongDistanceMatching(true))?;
        }
        if matches!(self.call, Call::Jobs(_)) {
            // The cut into jobs does not depend on how many workers there are.
            encoder.set_parameter(CParameter::NbWorkers(1))?;
        }
        if settings.sized {
            encoder.set_pledged_src_size(Some(plain_len))?;
        }
        Ok(encoder)
    }

    /// Packs the first blocks, without threads, and says whether they are those of `packed`.
    pub(super) fn may_have_made(self, plain: &[u8], packed: &[u8]) -> bool {
        let alone = match self.call {
            Call::Whole => return true,
            Call::Stream(settings) | Call::Jobs(settings) => Self { call: Call::Stream(settings), ..self },
        };
        let Some(head) = plain.get(..PROBE_BYTES) else { return true };
        let Ok(mut encoder) = alone.encoder(plain.len() as u64) else { return false };
        let mut out = Vec::new();
        run(&mut encoder, head, &mut out).is_ok() && packed.starts_with(&out)
    }
}

/// Window, chain table and hash table of each level for input of unknown length: logarithms of bytes and entries.
fn logs(level: i8) -> [u8; 3] {
    match level {
        ..=1 => [19, 13, 14],
        2 => [20, 15, 16],
        3 => [21, 16, 17],
        4..=6 => [21, 18, 19],
        7 | 8 => [21, 19, 20],
        9..=11 => [22, 21, 22],
        12..=15 => [22, 23, 23],
        16 => [22, 22, 22],
        17..=19 => [23, 24, 22],
        20 => [25, 25, 23],
        21 => [26, 26, 24],
        _ => [27, 27, 25],
    }
}

fn library(source: &io::Error) -> CodecError {
    CodecError::Library { library: "libzstd", text: source.to_string() }
}

struct WholePacker {
    level: i8,
    plain: Vec<u8>,
}

impl Pack for WholePacker {
    fn push(&mut self, plain: &[u8], _out: &mut Vec<u8>) -> Result<(), CodecError> {
        let len = self.plain.len().saturating_add(plain.len()) as u64;
        if len > HELD_BYTES_MAX {
            return Err(CodecError::TooLong { what: "zstd block", len, max: HELD_BYTES_MAX });
        }
        self.plain.extend_from_slice(plain);
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), CodecError> {
        let mut packed = Vec::with_capacity(zstd_safe::compress_bound(self.plain.len()));
        CCtx::create().compress(&mut packed, &self.plain, self.level.into()).map_err(|code| {
            CodecError::Library { library: "libzstd", text: zstd_safe::get_error_name(code).to_owned() }
        })?;
        out.append(&mut packed);
        Ok(())
    }
}

struct StreamPacker {
    encoder: Encoder<'static>,
}

/// Feeds the encoder until it has taken everything.
fn run(encoder: &mut Encoder<'_>, plain: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    let mut input = InBuffer::around(plain);
    while input.pos() < plain.len() {
        out.reserve(OUT_STEP_BYTES);
        let end = out.len();
        let mut output = OutBuffer::around_pos(out, end);
        encoder.run(&mut input, &mut output)?;
    }
    Ok(())
}

impl Pack for StreamPacker {
    fn push(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<(), CodecError> {
        run(&mut self.encoder, plain, out).map_err(|source| library(&source))
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), CodecError> {
        loop {
            out.reserve(OUT_STEP_BYTES);
            let end = out.len();
            let mut output = OutBuffer::around_pos(out, end);
            if self.encoder.finish(&mut output, true).map_err(|source| library(&source))? == 0 {
                return Ok(());
            }
        }
    }
}

/// What the head of a frame says (RFC 8878 section 3.1.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Head {
    checksum: bool,
    sized: bool,
    /// None when the frame is one segment.
    window_log: Option<u8>,
}

fn head(packed: &[u8]) -> Option<Head> {
    let [descriptor, window, ..] = *packed.strip_prefix(&MAGIC)? else { return None };
    // No dictionary; reserved bit.
    if descriptor & 0b1011 != 0 {
        return None;
    }
    let single = descriptor & 0x20 != 0;
    let sized = single || descriptor >> 6 != 0;
    let window_log = if single {
        None
    } else if window.trailing_zeros() >= 3 {
        Some(10 + (window >> 3))
    } else {
        return None;
    };
    Some(Head { checksum: descriptor & 4 != 0, sized, window_log })
}

/// Levels for whole blocks, the likeliest first: the default of mksquashfs, what its users ask for, the rest.
const WHOLE_LEVELS: [i8; 22] =
    [15, 22, 19, 3, 9, 18, 12, 6, 1, 21, 20, 17, 16, 14, 13, 11, 10, 8, 7, 5, 4, 2];
/// Levels for streams: the kernel, initramfs, the default, the rest.
const STREAM_LEVELS: [i8; 22] =
    [19, 3, 22, 9, 1, 15, 18, 12, 6, 10, 17, 16, 14, 13, 11, 8, 7, 5, 4, 2, 20, 21];

/// The recipes that may have made these bytes, the likeliest first.
pub(super) fn candidates(packed: &[u8], plain_len: u64) -> Vec<Recipe> {
    let Some(head) = head(packed) else { return Vec::new() };
    if plain_len <= HELD_BYTES_MAX && head.sized && !head.checksum {
        // A stream would come out the same.
        return WHOLE_LEVELS.iter().map(|&level| Recipe { level, call: Call::Whole }).collect();
    }
    let mut found = Vec::new();
    let plain = Settings { checksum: head.checksum, sized: head.sized, window_log: None, long: false };
    let own = |level: i8| head.window_log.is_none_or(|log| log == logs(level)[0]);
    let settings = |level| if own(level) { plain } else { Settings { window_log: head.window_log, ..plain } };
    let mut levels: Vec<i8> = STREAM_LEVELS.into_iter().filter(|&level| own(level)).collect();
    // A window larger than the level's own comes with `--long`.
    let long = head.window_log.filter(|_| levels.len() < 4 || head.window_log == Some(WINDOW_LOG_MAX));
    levels.extend((1..=3).map(|level| -level));
    for call in [Call::Jobs as fn(Settings) -> Call, Call::Stream] {
        found.extend(levels.iter().map(|&level| Recipe { level, call: call(settings(level)) }));
    }
    if let Some(log) = long.filter(|log| (WINDOW_LOG_MIN..=WINDOW_LOG_MAX).contains(log)) {
        let settings = Settings { window_log: Some(log), long: true, ..plain };
        found.extend([19, 3, 22, 9, 1].map(|level| Recipe { level, call: Call::Jobs(settings) }));
    }
    found
}
