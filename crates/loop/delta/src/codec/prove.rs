//! Finds out how a stretch was packed, by packing it again.
//!
//! In: packed stretches of an image, with what their container says. Out: the plain bytes, and a [`Codec`] that makes
//! exactly the packed ones. Refuses: stretches that no known encoder makes; they travel as they are.

use crate::codec::unpack::unpacker;
use crate::codec::{Codec, Hint, Proven, deflate, lz4, lzma, xz, zstandard};

/// How many ways of packing are remembered for each format: one for each strategy of mksquashfs.
const REMEMBERED: usize = 5;
/// How many other ways are tried in vain, over all stretches of a format, before only those that worked are: proving
/// must not cost more than it can win. Each that works allows as many again.
const TRIES_MAX: u32 = 160;
/// Plain bytes are packed in pieces of this size, and the outcome compared each time.
const PIECE_BYTES: usize = 64 * 1024;
/// Plain bytes are unpacked in steps of this size.
const STEP_BYTES: usize = 256 * 1024;
/// The last bytes of a block that EROFS made to fill its space: smaller blocks are not worth a tail.
const TAILED_BYTES_MIN: usize = 512;

/// What is known of the stretches of one format so far.
#[derive(Debug, Default)]
struct Past {
    /// Tunings that worked, the last one first.
    worked: Vec<[u8; 4]>,
    /// Ways that have been tried in vain since the last that worked.
    tries: u32,
}

/// Proves stretches, and learns from each what the next was probably packed with.
#[derive(Debug, Default)]
pub(crate) struct Prover {
    past: [Past; Hint::KINDS],
}

impl Prover {
    /// Unpacks a stretch and finds the codec that packs it again, byte for byte. None when it does not unpack, is
    /// longer than `plain_len_max`, or no encoder here makes it.
    pub(crate) fn prove(&mut self, hint: Hint, packed: &[u8], plain_len_max: u64) -> Option<Proven> {
        let plain = unpack(hint, packed, plain_len_max)?;
        let past = self.past.get_mut(hint.kind())?;
        let mut candidates = candidates(hint, packed, &plain);
        candidates.sort_by_key(|codec| past.rank(codec));
        let codec = candidates.into_iter().find(|codec| past.allows(codec) && makes(codec, &plain, packed));
        let codec = codec.or_else(|| past.tailed(hint, &plain, packed))?;
        past.remember(&codec);
        Some(Proven { codec, plain })
    }
}

impl Past {
    /// Ways that worked come first, the last one before the others.
    fn rank(&self, codec: &Codec) -> usize {
        self.worked.iter().position(|tuning| *tuning == codec.tuning()).unwrap_or(usize::MAX)
    }

    /// Whether a way may be tried; counts it.
    fn allows(&mut self, codec: &Codec) -> bool {
        self.rank(codec) != usize::MAX || self.spend()
    }

    fn spend(&mut self) -> bool {
        self.tries = self.tries.saturating_add(1);
        self.tries <= TRIES_MAX
    }

    fn remember(&mut self, codec: &Codec) {
        let tuning = codec.tuning();
        if !self.worked.contains(&tuning) {
            self.tries = 0;
        }
        self.worked.retain(|one| *one != tuning);
        self.worked.insert(0, tuning);
        self.worked.truncate(REMEMBERED);
    }

    /// Tries the encoders of EROFS, whose blocks end differently, with a few bytes for the end.
    fn tailed(&mut self, hint: Hint, plain: &[u8], packed: &[u8]) -> Option<Codec> {
        if hint != Hint::Lz4Block || packed.len() < TAILED_BYTES_MIN {
            return None;
        }
        let mut levels: Vec<u8> = self.worked.iter().map(|[_, level, ..]| *level).collect();
        levels.extend([0, 9, 12].into_iter().filter(|_| self.spend()));
        levels.dedup();
        let made =
            levels.into_iter().filter_map(|level| lz4::with_tail(level, plain, packed)).map(Codec::Lz4);
        // The tail must be what it says: packing again is the proof, as for all.
        made.into_iter().find(|codec| makes(codec, plain, packed))
    }
}

/// Unpacks a stretch, without finding out how to pack it again.
pub(crate) fn unpack(hint: Hint, packed: &[u8], plain_len_max: u64) -> Option<Vec<u8>> {
    let mut unpacker = unpacker(hint).ok()?;
    let mut rest = packed;
    let mut plain = Vec::new();
    loop {
        let end = plain.len();
        plain.resize(end.checked_add(STEP_BYTES)?, 0);
        let count = unpacker.pull(&mut rest, plain.get_mut(end..)?).ok()?;
        plain.truncate(end.checked_add(count)?);
        if count == 0 {
            return Some(plain);
        }
        if plain.len() as u64 > plain_len_max {
            return None;
        }
    }
}

fn candidates(hint: Hint, packed: &[u8], plain: &[u8]) -> Vec<Codec> {
    let plain_len = plain.len() as u64;
    match hint {
        Hint::Zlib | Hint::Gzip | Hint::Deflate => all(deflate::candidates(hint, packed), Codec::Deflate),
        Hint::Xz(_) => all(xz::candidates(packed, plain_len), Codec::Xz),
        Hint::Lzma => all(lzma::candidates(packed), Codec::Lzma),
        Hint::Zstd => all(zstandard::candidates(packed, plain_len), Codec::Zstd),
        Hint::Lz4Block => all(lz4::block_candidates(), Codec::Lz4),
        Hint::Lz4Frame => all(lz4::frame_candidates(packed), Codec::Lz4),
        Hint::Lz4Legacy => all(lz4::legacy_candidates(), Codec::Lz4),
        // No encoder with a permissive licence makes the bytes of LZO1X-999.
        Hint::Lzo => Vec::new(),
    }
}

fn all<T>(recipes: Vec<T>, codec: fn(T) -> Codec) -> Vec<Codec> {
    recipes.into_iter().map(codec).collect()
}

/// Packs, and stops at the first difference.
fn makes(codec: &Codec, plain: &[u8], packed: &[u8]) -> bool {
    if let Codec::Zstd(recipe) = codec
        && !recipe.may_have_made(plain, packed)
    {
        return false;
    }
    let Ok(mut encoder) = codec.packer(plain.len() as u64) else { return false };
    let mut rest = packed;
    let mut out = Vec::new();
    for piece in plain.chunks(PIECE_BYTES) {
        if encoder.push(piece, &mut out).is_err() || !matches_prefix(&mut rest, &mut out) {
            return false;
        }
    }
    encoder.finish(&mut out).is_ok() && rest == out
}

fn matches_prefix(rest: &mut &[u8], out: &mut Vec<u8>) -> bool {
    let Some(left) = rest.strip_prefix(out.as_slice()) else { return false };
    *rest = left;
    out.clear();
    true
}
