//! Indexes of an image: what is made, what is fetched and put together from it, and what is refused.

use std::io::Cursor;

use proptest::prelude::{ProptestConfig, any, prop_assert, proptest};
use warden_model::ByteCount;

use super::head::Part;
use super::{
    ChunkList, FetchPlan, Fetched, ImageMap, IndexError, IndexHead, IndexLimits, MadeIndex, Owned, Sources,
    assemble, check_fetched, make_index, plan_fetch,
};
use crate::apply::ApplyLimits;
use crate::codec::Codec;
use crate::layers::PACK_PIECE_BYTES;

/// Bytes without any pattern.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed | 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// Words in an order of its own: it can be packed.
fn text(seed: u64, len: usize) -> Vec<u8> {
    let words: [&[u8]; 4] = [b"camera ", b"lens ", b"shutter ", b"aperture "];
    let mut text: Vec<u8> =
        noise(seed, len).iter().flat_map(|byte| words[usize::from(byte % 4)]).copied().collect();
    text.truncate(len);
    text
}

/// A Zstandard file.
fn packed(plain: &[u8]) -> Vec<u8> {
    let mut packer = Codec::zstd(3).packer(plain.len() as u64).unwrap();
    let mut file = Vec::new();
    plain.chunks(PACK_PIECE_BYTES).for_each(|piece| packer.push(piece, &mut file).unwrap());
    packer.finish(&mut file).unwrap();
    file
}

fn index(image: &[u8]) -> MadeIndex {
    make_index(image, &IndexLimits { level: 3, ..IndexLimits::default() }).unwrap()
}

/// A device with an image, and perhaps its map, that wants another one.
struct Device<'a> {
    own: &'a [u8],
    own_map: ImageMap,
    index: &'a MadeIndex,
    map: ImageMap,
    list: ChunkList,
}

impl<'a> Device<'a> {
    fn new(own: &'a [u8], own_index: Option<&MadeIndex>, index: &'a MadeIndex) -> Self {
        let own_map = own_index.map(|own| ImageMap::read(&own.map, &own.about).unwrap().for_reading());
        Self {
            own,
            own_map: own_map.unwrap_or_else(|| ImageMap::unknown(own.len() as u64)),
            index,
            map: ImageMap::read(&index.map, &index.about).unwrap().for_making(),
            list: ChunkList::read(&index.list, &index.about).unwrap(),
        }
    }

    fn plan(&self) -> FetchPlan {
        let (mut image, mut scratch) = (Cursor::new(self.own), Cursor::new(Vec::new()));
        let own = Owned { image: &mut image, map: &self.own_map, scratch: Some(&mut scratch) };
        plan_fetch(own, &self.list, &ApplyLimits::default()).unwrap()
    }

    fn fetch(&self, plan: &FetchPlan) -> Vec<u8> {
        let mut fetched = Vec::new();
        while let Some(range) = plan.next_range(fetched.len() as u64) {
            let at = usize::try_from(range.at).unwrap();
            // A cut after every 5,000 bytes.
            let len = usize::try_from(range.len).unwrap().min(5_000);
            fetched.extend_from_slice(&self.index.content[at..at + len]);
        }
        assert_eq!(fetched.len() as u64, plan.fetch_bytes());
        fetched
    }

    fn assemble(&self, plan: &FetchPlan, fetched: &[u8]) -> Result<Vec<u8>, IndexError> {
        let (mut image, mut scratch) = (Cursor::new(self.own), Cursor::new(Vec::new()));
        let own = Owned { image: &mut image, map: &self.own_map, scratch: Some(&mut scratch) };
        let mut fetched = Cursor::new(fetched);
        let wanted = Fetched { head: &self.index.about, map: &self.map, list: &self.list };
        let mut result = Vec::new();
        let sources = Sources { own, fetched: &mut fetched, plan };
        assemble(sources, &wanted, &mut result, &ApplyLimits::default())?;
        Ok(result)
    }
}

/// Gets the new image on a device that has the old one; returns how much of the content was fetched.
fn fetched_bytes(old: &[u8], new: &[u8]) -> u64 {
    let (own, index) = (index(old), index(new));
    let device = Device::new(old, Some(&own), &index);
    let plan = device.plan();
    let fetched = device.fetch(&plan);
    let len = fetched.len() as u64;
    let checked = check_fetched(&plan, &device.list, &mut Cursor::new(&fetched), (0, len)).unwrap();
    assert_eq!((checked.whole, checked.right), (len, len));
    assert_eq!(device.assemble(&plan, &fetched).unwrap(), new);
    plan.fetch_bytes()
}

#[test]
fn what_the_device_has_is_not_fetched() {
    let check = |old: &[u8], new: &[u8], most: u64| {
        let fetched = fetched_bytes(old, new);
        assert!(fetched <= most, "fetched {fetched}, expected {most} at most");
    };
    let (a, b, c) = (noise(1, 300_000), noise(2, 100_000), text(3, 200_000));
    let whole = a.len() as u64;
    check(&a, &a, 0);
    check(&[], &a, whole);
    check(&a, &[], 0);
    check(&b, &a, whole);
    // Moved by a byte, and in another order.
    check(&a, &[b"x", &a[..]].concat(), 100_000);
    check(&[&a[..], &b[..]].concat(), &[&b[..], &a[..]].concat(), 100_000);
    // The same bytes twice are fetched once.
    check(&a, &[&b[..], &b[..], &b[..], &a[..]].concat(), 200_000);
    // A stream of which a part has changed: packed, nothing of it is the same.
    let mut changed = c.clone();
    changed[100_000] ^= 1;
    check(&packed(&c), &packed(&changed), 40_000);
    // What is packed here, and lies open there.
    check(&c, &packed(&c), 0);
    check(&packed(&c), &c, 0);
}

/// A program of 64-bit Arm in which every eighth instruction calls one of a few functions, behind `moved` words more.
fn program(moved: u32) -> Vec<u8> {
    // ELF header (System V ABI, chapter 4): 64 bits, little endian, e_machine 183 (AArch64), no program headers.
    let mut bytes = [&b"\x7fELF\x02\x01\x01"[..], &[0; 11], &[183, 0], &[0; 44]].concat();
    let fresh = noise(9, 4 * usize::try_from(moved).unwrap());
    // Small numbers are no instructions with fields.
    bytes.extend(fresh.chunks_exact(4).flat_map(|word| [word[0], word[1], 0, 0]));
    let instructions = noise(7, 160_000);
    for (index, pair) in (0_u32..).zip(instructions.chunks_exact(2)) {
        let function = u32::from(pair[0]) * 3;
        let word = match index % 8 {
            // bl: what is called has not moved, so that every distance is another.
            0 => 0x9400_0000 | (function.wrapping_sub(index + moved) & 0x03ff_ffff),
            _ => u32::from(u16::from_le_bytes([pair[0], pair[1]])),
        };
        bytes.extend(word.to_le_bytes());
    }
    bytes
}

#[test]
fn code_that_has_only_moved_costs_its_addresses() {
    let (old, new) = (program(0), program(300));
    let (own, index) = (index(&old), index(&new));
    assert!(index.about.content.size.0 > 150_000, "{:?}", index.about);
    let fetched = fetched_bytes(&old, &new);
    // A frame of bodies or two, and all fields.
    assert!(fetched < 36_000, "{fetched}");
    assert_eq!(fetched_bytes(&new, &new), 0);
    // Without its map, nobody knows that it is code.
    let unknown = Device::new(&old, None, &index);
    assert!(unknown.plan().fetch_bytes() > 2 * fetched);
    let known = Device::new(&old, Some(&own), &index);
    let plan = known.plan();
    let mut wrong = known.fetch(&plan);
    wrong.truncate(wrong.len() - 1);
    assert!(known.assemble(&plan, &wrong).is_err());
}

#[test]
fn an_image_without_a_map_serves_as_it_is() {
    let (old, new) = (noise(1, 300_000), [b"head".as_slice(), &noise(1, 300_000)].concat());
    let index = index(&new);
    let device = Device::new(&old, None, &index);
    let plan = device.plan();
    assert!(plan.fetch_bytes() < 65_536);
    assert_eq!(device.assemble(&plan, &device.fetch(&plan)).unwrap(), new);
}

#[test]
fn a_stream_that_is_no_longer_what_its_map_says_is_refused() {
    let old = packed(&text(1, 100_000));
    let own = index(&old);
    let other = noise(2, old.len());
    let index = index(&text(1, 100_000));
    let device = Device::new(&other, Some(&own), &index);
    let (mut image, mut scratch) = (Cursor::new(device.own), Cursor::new(Vec::new()));
    let owned = Owned { image: &mut image, map: &device.own_map, scratch: Some(&mut scratch) };
    let error = plan_fetch(owned, &device.list, &ApplyLimits::default()).unwrap_err();
    assert!(matches!(error, IndexError::Layers { .. }), "{error}");
}

#[test]
fn every_part_is_checked_before_it_is_read() {
    let made = index(&packed(&text(1, 100_000)));
    let flip = |bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        bytes
    };
    let wrong = |result: Result<(), IndexError>, expected: &str| {
        let Err(IndexError::WrongPart { what }) = result else { panic!("{result:?}") };
        assert_eq!(what, expected);
    };
    wrong(ImageMap::read(&flip(&made.map), &made.about).map(drop), "map");
    wrong(ImageMap::read(&made.list, &made.about).map(drop), "map");
    wrong(ChunkList::read(&flip(&made.list), &made.about).map(drop), "list");
    let device = Device::new(b"", None, &made);
    let plan = device.plan();
    let fetched = flip(&device.fetch(&plan));
    let len = fetched.len() as u64;
    let checked = check_fetched(&plan, &device.list, &mut Cursor::new(&fetched), (0, len)).unwrap();
    assert!(checked.right < checked.whole && checked.whole == len, "{checked:?}");
    wrong(device.assemble(&plan, &fetched).map(drop), "content");
}

#[test]
fn the_list_of_another_image_does_not_pass_for_this_one() {
    let (one, two) = (index(&noise(1, 50_000)), index(&noise(2, 50_000)));
    // Whoever signs a head with the parts of another image: only the digest of the image tells.
    let forged = MadeIndex { about: IndexHead { image: one.about.image, ..two.about.clone() }, ..two };
    let device = Device::new(b"", None, &forged);
    let plan = device.plan();
    let error = device.assemble(&plan, &device.fetch(&plan)).unwrap_err();
    assert!(matches!(error, IndexError::ResultMismatch { .. }), "{error}");
}

#[test]
fn what_a_device_does_not_lend_is_refused() {
    let made = index(&packed(&text(1, 3 << 20)));
    let own = packed(&text(1, 3 << 20));
    let device = Device::new(&own, Some(&made), &made);
    let check = |limits: ApplyLimits, expected: &str| {
        let (mut image, mut scratch) = (Cursor::new(&own), Cursor::new(Vec::new()));
        let owned = Owned { image: &mut image, map: &device.own_map, scratch: Some(&mut scratch) };
        let error = plan_fetch(owned, &device.list, &limits).unwrap_err();
        assert!(matches!(error, IndexError::Limit { what, .. } if what == expected), "{error}");
    };
    check(ApplyLimits { memory_max: ByteCount(10_000), ..ApplyLimits::default() }, "bytes of memory");
    check(
        ApplyLimits { scratch_max: ByteCount(10_000), ..ApplyLimits::default() },
        "bytes of scratch storage",
    );
    let result_bytes_max = ByteCount(made.about.image_size.0 - 1);
    let plan = device.plan();
    let (mut image, mut scratch) = (Cursor::new(&own), Cursor::new(Vec::new()));
    let own = Owned { image: &mut image, map: &device.own_map, scratch: Some(&mut scratch) };
    let wanted = Fetched { head: &made.about, map: &device.map, list: &device.list };
    let sources = Sources { own, fetched: &mut Cursor::new(&[]), plan: &plan };
    let limits = ApplyLimits { result_bytes_max, ..ApplyLimits::default() };
    let error = assemble(sources, &wanted, &mut Vec::new(), &limits).unwrap_err();
    assert!(matches!(error, IndexError::ResultTooLarge { .. }), "{error}");
}

#[test]
fn a_scattered_plan_takes_a_limited_number_of_requests() {
    let new = noise(1, 40 << 20);
    // 8 KiB of each 72 are lacking: in 569 places.
    let old: Vec<u8> =
        new.chunks(72 << 10).flat_map(|stretch| &stretch[..stretch.len().min(64 << 10)]).copied().collect();
    let index = index(&new);
    let device = Device::new(&old, None, &index);
    let plan = device.plan();
    assert_eq!(plan.ranges().len(), super::REQUESTS_MAX);
    assert!(plan.fetch_bytes() < 38 << 20, "{}", plan.fetch_bytes());
    assert_eq!(device.assemble(&plan, &device.fetch(&plan)).unwrap(), new);
}

#[test]
fn heads_are_read_as_they_were_written_and_nothing_else() {
    let made = index(&noise(1, 10_000));
    assert_eq!(IndexHead::read(&made.head).unwrap(), made.about);
    let check = |head: &[u8], expected: &str| {
        let error = IndexHead::read(head).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    check(b"FWDELTA", "does not start with FWINDEX");
    check(b"FWINDEX\x02", "version 2");
    for len in 0..made.head.len() {
        check(&made.head[..len], "too early");
    }
    check(&[&made.head[..], b"x"].concat(), "after its end");
    let huge = IndexHead { plain_size: ByteCount(u64::MAX), ..made.about };
    check(&huge.write(), "bytes of unpacked image");
}

/// Makes a head that names these bytes as its map and list.
fn head_of(coded: &[u8], plain: u64, content: u64) -> IndexHead {
    let about = index(b"").about;
    let part = Part::of(coded);
    IndexHead {
        image_size: ByteCount(plain),
        plain_size: ByteCount(plain),
        map: part,
        list: part,
        content: Part { size: ByteCount(content), ..about.content },
        ..about
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn whatever_was_signed_is_read_or_refused(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        plain in 0_u64..10_000,
        content in 0_u64..10_000,
    ) {
        let coded = super::map::packed(&bytes, "test").unwrap();
        let head = head_of(&coded, plain, content);
        if let Ok(list) = ChunkList::read(&coded, &head) {
            prop_assert!(list.chunks.iter().map(|chunk| u64::from(chunk.len)).sum::<u64>() == plain);
        }
        if let Ok(map) = ImageMap::read(&coded, &head) {
            prop_assert!(map.files.iter().all(|file| file.start <= plain));
        }
        // A bomb, or no frame at all.
        prop_assert!(ChunkList::read(&bytes, &head_of(&bytes, plain, content)).is_err());
    }

    #[test]
    fn any_image_comes_out_of_any_other(
        old in proptest::collection::vec(any::<u8>(), 0..3_000),
        cut in 0_usize..3_000,
        new in proptest::collection::vec(any::<u8>(), 0..30_000),
    ) {
        let mixed = [&new[..cut.min(new.len())], &old[..], &new[cut.min(new.len())..]].concat();
        fetched_bytes(&old, &mixed);
        fetched_bytes(&mixed, &new);
    }
}
