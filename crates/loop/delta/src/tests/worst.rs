//! Pairs that a patch does little for: it is never much larger than what plain ways make of them.

use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, any, proptest};

use super::{applied, noise};
use crate::apply::read_header;
use crate::format::Profile;
use crate::make::{Made, MakeLimits, make, smallest};

/// What a patch may take beside the best of the plain ways.
const MARGIN_BYTES: usize = 256;

/// What plain ways take: the full image, as it is and compressed.
fn plain_ways(result: &[u8]) -> usize {
    zstd::bulk::compress(result, 19).unwrap().len().min(result.len())
}

fn check(what: &str, base: &[u8], result: &[u8]) -> usize {
    check_profile(what, base, result, Profile::Linux)
}

fn check_profile(what: &str, base: &[u8], result: &[u8], profile: Profile) -> usize {
    let most = plain_ways(result) + MARGIN_BYTES;
    let limits = MakeLimits { profile, ..MakeLimits::default() };
    let patch = match make(base, result, &limits).unwrap() {
        Made::Patch(patch) => patch,
        Made::FullIsSmaller { patch, full } => {
            assert!(patch >= full && full.0 == result.len() as u64, "{what}");
            smallest(base, result, &limits).unwrap()
        }
    };
    assert!(patch.len() <= most, "{what}, {}: {} bytes, at most {most}", profile.name(), patch.len());
    assert!(applied(base, &patch).unwrap().1 == result, "{what}: another image");
    patch.len()
}

fn text(len: usize, seed: u32) -> Vec<u8> {
    let words: Vec<Vec<u8>> = (0..200).map(|seed| noise(3 + seed as usize % 7, seed)).collect();
    let picks = noise(len, seed);
    let text: Vec<u8> = picks.iter().flat_map(|pick| words[usize::from(*pick) % 200].clone()).collect();
    text[..len].iter().map(|byte| b'a' + byte % 26).collect()
}

#[test]
fn poor_pairs_cost_little_more_than_plain_ways() {
    check("random", &noise(60_000, 1), &noise(70_000, 2));
    check("text", &text(60_000, 1), &text(70_000, 2));
    check("from nothing", b"", &text(50_000, 2));
    check("to nothing", &text(50_000, 2), b"");
    let far = noise(1_100_000, 3).repeat(2);
    let size = check("far repeats", &noise(1000, 4), &far);
    assert!(size < 1_101_000, "{size} bytes");
    let image = noise(5_000, 5);
    let size = check("twice the same", &image, &image.repeat(2));
    assert!(size < 200, "{size} bytes for an image that comes twice");
    let (a, b) = (noise(90_000, 5), text(90_000, 6));
    let size = check("swapped", &[&a[..], &b].concat(), &[&b[..], &a].concat());
    assert!(size < 200, "{size} bytes for two halves that were swapped");
}

#[test]
fn an_image_that_stays_costs_less_than_200_bytes() {
    for image in [noise(300, 1), text(5_000, 1), noise(300_000, 1), noise(5 << 20, 1), vec![0; 12 << 20]] {
        let patch = smallest(&image, &image, &MakeLimits::default()).unwrap();
        assert!(patch.len() < 200, "{} bytes for {} that stay", patch.len(), image.len());
        assert!(applied(&image, &patch).unwrap().1 == image);
    }
}

#[test]
fn little_memory_means_other_ways_and_no_failure() {
    let build = |version: &[u8]| {
        zstd::encode_all(&[&text(60_000, 1), version, &text(60_000, 2)].concat()[..], 3).unwrap()
    };
    let (old, new) = (build(b"1.0"), build(b"1.1"));
    let limits = MakeLimits::default();
    assert_eq!(read_header(&mut &*smallest(&old, &new, &limits).unwrap()).unwrap().layers, 1);
    let limits = MakeLimits { memory_max: warden_model::ByteCount::mib(1), ..limits };
    let patch = smallest(&old, &new, &limits).unwrap();
    let header = read_header(&mut &*patch).unwrap();
    assert!(header.layers == 0 && header.memory() <= limits.memory_max, "{header:?}");
    assert!(applied(&old, &patch).unwrap().1 == new);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn tiny_images_cost_their_length_and_a_head(
        base in vec(any::<u8>(), 0..300),
        result in vec(any::<u8>(), 0..300),
    ) {
        for profile in [Profile::Linux, Profile::Mcu, Profile::Fast] {
            let patch = smallest(&base, &result, &MakeLimits { profile, ..MakeLimits::default() }).unwrap();
            assert!(applied(&base, &patch).unwrap().1 == result);
            // The head has 90 bytes and some; the coder starts knowing nothing.
            let most = result.len() + 96 + 16;
            assert!(patch.len() <= most, "{}: {} bytes for {}", profile.name(), patch.len(), result.len());
        }
    }

    #[test]
    fn pairs_of_any_kind_cost_little_more_than_plain_ways(
        (seed, len) in (any::<u32>(), 1_usize..6_000),
        kinds in vec(0..4_u8, 1..6),
    ) {
        let piece = |kind: u8, index: usize| match kind {
            0 => noise(len, seed),
            1 => text(len, seed),
            2 => noise(len, seed.wrapping_add(u32::try_from(index).unwrap())),
            _ => vec![kind; len],
        };
        let pieces: Vec<Vec<u8>> = kinds.iter().enumerate().map(|(index, kind)| piece(*kind, index)).collect();
        let (old, new) = pieces.split_at(pieces.len() / 2);
        for profile in [Profile::Linux, Profile::Fast] {
            check_profile("pieces", &old.concat(), &new.concat(), profile);
        }
    }
}
