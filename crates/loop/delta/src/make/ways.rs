//! Other ways to code a pair, tried when the first outcome is poor.
//!
//! In: both images, what the first way made of them. Out: the smallest patch of all ways that were tried. Refuses nothing.
//!
//! Pairs of firmware versions are told best by their files and copies. Others are not: images that have nothing in common,
//! repeat themselves over a long distance, or are packed by means that we cannot repeat. What a general compressor makes
//! of the result alone shows which they are.

use std::io;

use super::{MakeError, MakeLimits, Prepared, Way};
use crate::format::Profile;

/// A patch that takes more than this share of what the compressed result takes is poor, in percent: patches between
/// versions take 1 to 40.
const POOR_PERCENT: u64 = 60;

/// Level 19 of Zstandard takes at least this share of what level 1 takes, in percent: on firmware 75 to 90, on text 60 to
/// 70, and half of that where bytes repeat over a distance that level 1 does not see.
const QUICK_PERCENT: u64 = 40;

/// Below this size of the result the quick look costs as much as trying everything, in bytes.
const SMALL_BYTES: usize = 4 << 10;

/// Returns the smallest patch: the first one, unless it is poor and another way makes a smaller one.
pub(super) fn smallest(
    (base, result): (&[u8], &[u8]),
    limits: &MakeLimits,
    first: (Prepared<'_>, Vec<u8>),
) -> Result<Vec<u8>, MakeError> {
    let (prepared, mut best) = first;
    if !is_poor(best.len(), result)? {
        return Ok(best);
    }
    let (has_layers, mut alone_is_known) = (prepared.has_layers(), prepared.is_alone());
    let mut try_way = |prepared: &Prepared<'_>, profile: Profile| {
        // What takes more memory than allowed is no way.
        if let Ok(patch) = prepared.code(&MakeLimits { profile, ..limits.clone() })
            && patch.len() < best.len()
        {
            best = patch;
        }
    };
    // A microcontroller has one decoder.
    let profiles: &[Profile] = match limits.profile {
        Profile::Mcu => &[Profile::Mcu],
        Profile::Linux => &[Profile::Linux, Profile::Fast],
        Profile::Fast => &[Profile::Fast],
    };
    for profile in profiles.iter().filter(|profile| **profile != limits.profile) {
        try_way(&prepared, *profile);
    }
    drop(prepared);
    if has_layers {
        let flat = Prepared::new(base, result, Way::Flat);
        for profile in profiles {
            try_way(&flat, *profile);
        }
    }
    for way in [Way::Sparse, Way::Alone] {
        let other = Prepared::new(base, result, way);
        if !(alone_is_known && other.is_alone()) {
            for profile in profiles {
                try_way(&other, *profile);
            }
        }
        alone_is_known |= other.is_alone();
    }
    Ok(best)
}

/// Says whether a patch of this size is poor. That of a good pair costs a quick compression at most.
fn is_poor(patch_len: usize, result: &[u8]) -> Result<bool, MakeError> {
    let packed_len = |level| {
        let packed =
            zstd::bulk::compress(result, level).map_err(|source: io::Error| MakeError::Compress { source });
        packed.map(|packed| packed.len() as u64)
    };
    let patch_len = (patch_len as u64).saturating_mul(100);
    if result.len() <= SMALL_BYTES {
        return Ok(true);
    }
    // Good patches are so small that not even this look is worth it.
    if patch_len < (result.len() as u64).saturating_mul(GOOD_PERCENT) {
        return Ok(false);
    }
    if patch_len <= packed_len(1)?.saturating_mul(POOR_PERCENT * QUICK_PERCENT / 100) {
        return Ok(false);
    }
    Ok(patch_len > packed_len(19)?.saturating_mul(POOR_PERCENT))
}

/// A patch below this share of the result itself is good, in percent: images that pack to less are mostly empty.
const GOOD_PERCENT: u64 = 2;
