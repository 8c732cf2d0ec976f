//! Cuts while a patch is applied: it goes on from the last record, writes little twice, and never makes another image.

use std::collections::BTreeSet;
use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};

use proptest::prelude::{ProptestConfig, any, proptest};
use warden_model::ByteCount;

use super::noise;
use crate::apply::{
    Anew, Applied, ApplyError, ApplyLimits, Extras, Place, Resume, Start, apply_resumable, read_header,
};
use crate::format::Profile;
use crate::make::{MakeLimits, encode};

/// After how much there is a record.
const EVERY: u64 = 10_000;

/// A slot that can be cut: after so many bytes, writing fails, and what was written since the last record is torn.
struct Slot {
    bytes: Vec<u8>,
    at: usize,
    left: usize,
    written: usize,
}

impl Slot {
    fn new(bytes: Vec<u8>, left: usize) -> Self {
        Self { bytes, at: 0, left, written: 0 }
    }
}

impl Read for Slot {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut rest = self.bytes.get(self.at..).unwrap_or_default();
        let count = rest.read(into)?;
        self.at += count;
        Ok(count)
    }
}

impl Write for Slot {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        let count = from.len().min(self.left).min(3000);
        if count == 0 && !from.is_empty() {
            return Err(io::Error::other("the power is gone"));
        }
        self.bytes.resize(self.bytes.len().max(self.at + count), 0);
        self.bytes[self.at..self.at + count].copy_from_slice(&from[..count]);
        self.at += count;
        self.left -= count;
        self.written += count;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Slot {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let SeekFrom::Start(at) = to else { panic!("{to:?}") };
        self.at = usize::try_from(at).unwrap();
        Ok(at)
    }
}

/// A pair and its patch.
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) old: Vec<u8>,
    pub(super) new: Vec<u8>,
    pub(super) patch: Vec<u8>,
}

impl Case {
    pub(super) fn new(name: &'static str, profile: Profile, (old, new): (Vec<u8>, Vec<u8>)) -> Self {
        let patch = encode(&old, &new, &MakeLimits { profile, level: 3, ..MakeLimits::default() }).unwrap();
        Self { name, old, new, patch }
    }

    /// Applies the patch; returns what came of it, and all records.
    fn apply(&self, slot: &mut Slot, record: Option<&[u8]>) -> (Result<Applied, ApplyError>, Vec<Place>) {
        self.apply_for(slot, record, b"patch and slot")
    }

    fn apply_for(
        &self,
        slot: &mut Slot,
        record: Option<&[u8]>,
        purpose: &[u8],
    ) -> (Result<Applied, ApplyError>, Vec<Place>) {
        let mut places = Vec::new();
        let mut journal = |place: &Place| {
            places.push(*place);
            Ok(())
        };
        let resume = Resume { purpose, record, every: ByteCount(EVERY), journal: &mut journal };
        let mut scratch = Cursor::new(Vec::new());
        let limits = ApplyLimits::default();
        let extras = Extras { limits: &limits, scratch: Some(&mut scratch), watch: &mut |_| {} };
        let applied = apply_resumable(&mut Cursor::new(&self.old), &mut &*self.patch, slot, extras, resume);
        (applied, places)
    }

    fn check_made(&self, slot: &Slot) {
        assert!(slot.bytes.get(..self.new.len()) == Some(&self.new[..]), "{}: another image", self.name);
        // Only what lay behind before may lie behind.
        assert!(slot.at == self.new.len(), "{}: written beyond the end", self.name);
    }
}

/// Text that packs, the same for the same seed.
fn text(len: usize, seed: u32) -> Vec<u8> {
    noise(len, seed).into_iter().map(|byte| b"etaoin shrdlu.\n0"[usize::from(byte >> 4)]).collect()
}

/// Images of raw bytes, and of packed streams: short ones, a long one, and some that lie in another.
fn flat() -> (Vec<u8>, Vec<u8>) {
    let old = noise(200_000, 1);
    let new = [&old[90_000..], &noise(3_000, 2), &old[..95_000], b"end"].concat();
    (old, new)
}

pub(super) fn packed() -> (Vec<u8>, Vec<u8>) {
    let build = |version: &[u8]| {
        let zstd = |bytes: &[u8]| zstd::encode_all(bytes, 3).unwrap();
        let file = |seed: u32, len: usize| [&text(len, seed), version, &text(2_000, seed + 50)].concat();
        let files = (0..5).map(|seed| zstd(&file(seed, 6_000 + 3_000 * seed as usize)));
        let inner = files.map(|file| [&noise(700, 9), &file[..]].concat()).collect::<Vec<_>>().concat();
        let long = zstd(&file(77, 150_000));
        let nested = zstd(&[&noise(3_000, 4), &inner[..], &noise(3_000, 5)].concat());
        [&noise(5_000, 6), &inner[..], &noise(5_000, 7), &long, &noise(2_000, 8), &nested, &noise(900, 3)]
            .concat()
    };
    (build(b"version 1.0"), build(b"version 1.1 with a fix"))
}

pub(super) fn cases() -> Vec<Case> {
    let cases = vec![
        Case::new("linux, flat", Profile::Linux, flat()),
        Case::new("mcu", Profile::Mcu, flat()),
        Case::new("fast, flat", Profile::Fast, flat()),
        Case::new("linux, layers", Profile::Linux, packed()),
        Case::new("fast, layers", Profile::Fast, packed()),
    ];
    for case in &cases {
        let layers = read_header(&mut &*case.patch).unwrap().layers;
        assert_eq!(layers > 0, case.name.ends_with("layers"), "{}: {layers}", case.name);
    }
    cases
}

/// A slot after a cut: what is durable, and rubbish behind it.
fn torn(case: &Case, durable: ByteCount, rubbish: usize) -> Vec<u8> {
    let durable = usize::try_from(durable.0).unwrap();
    [&case.new[..durable], &vec![0xdb; rubbish]].concat()
}

#[test]
fn every_record_leads_to_the_same_image_and_nothing_is_written_twice() {
    for case in cases() {
        let mut slot = Slot::new(Vec::new(), usize::MAX);
        let (applied, places) = case.apply(&mut slot, None);
        assert_eq!(applied.unwrap().start, Start::Beginning(Anew::NoRecord));
        case.check_made(&slot);
        assert_eq!(slot.written, case.new.len());
        assert!(places.len() as u64 >= case.new.len() as u64 / (EVERY + 70_000), "{} records", places.len());
        let steps: BTreeSet<u64> = places.iter().map(|place| place.sink.written).collect();
        assert!(steps.len() > 2, "{}: packing goes on from {steps:?} only", case.name);
        assert_eq!(places.last().unwrap().durable(), ByteCount(case.new.len() as u64));
        for place in places {
            let durable = place.durable();
            let mut slot = Slot::new(torn(&case, durable, 5_000), usize::MAX);
            let (applied, _) = case.apply(&mut slot, Some(&place.to_bytes()));
            assert_eq!(applied.unwrap().start, Start::Resumed(durable), "{}", case.name);
            case.check_made(&slot);
            assert_eq!(slot.written as u64, case.new.len() as u64 - durable.0, "{}", case.name);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2))]

    #[test]
    fn cut_again_and_again_it_ends_with_the_image(seed in any::<u32>()) {
        for case in cases() {
            let mut chances = noise(1_000, seed).into_iter();
            let (mut bytes, mut record, mut written, mut cuts) = (Vec::new(), None::<[u8; 64]>, 0, 0);
            loop {
                let left = usize::from(chances.next().unwrap()) * 700;
                let mut slot = Slot::new(bytes, left);
                let (applied, places) = case.apply(&mut slot, record.as_ref().map(|record| &record[..]));
                written += slot.written;
                record = places.last().map(Place::to_bytes).or(record);
                if applied.is_ok() {
                    case.check_made(&slot);
                    break;
                }
                cuts += 1;
                let durable = record.and_then(|record| Place::from_bytes(&record)).map_or(ByteCount(0), |place| place.durable());
                bytes = torn(&case, durable, usize::from(chances.next().unwrap()) * 40);
            }
            // What a cut can cost: the way to the next record, a piece, and what a packer hands out at once.
            let most = case.new.len() + cuts * (usize::try_from(EVERY).unwrap() + 2 * 65_536 + 3_000);
            assert!(written <= most, "{}: {written} bytes for {} and {cuts} cuts", case.name, case.new.len());
        }
    }
}

/// Checks that a record is refused for a reason, and that the image comes all the same.
fn check_anew(case: &Case, what: &str, bytes: Vec<u8>, record: &[u8], purpose: &[u8], reason: Anew) {
    let mut slot = Slot::new(bytes, usize::MAX);
    let (applied, _) = case.apply_for(&mut slot, Some(record), purpose);
    assert_eq!(applied.unwrap().start, Start::Beginning(reason), "{}: {what}", case.name);
    case.check_made(&slot);
}

#[test]
fn records_that_do_not_fit_mean_a_start_at_the_beginning() {
    let all = cases();
    for case in &all {
        let (applied, places) = case.apply(&mut Slot::new(Vec::new(), usize::MAX), None);
        assert!(applied.is_ok());
        let place = places[places.len() / 2];
        let good = torn(case, place.durable(), 0);
        let check = |what: &str, bytes: &[u8], place: Place, reason: Anew| {
            check_anew(case, what, bytes.to_vec(), &place.to_bytes(), b"patch and slot", reason);
        };
        let other = all.iter().find(|other| other.name != case.name).unwrap();
        let (_, of_other) = other.apply(&mut Slot::new(Vec::new(), usize::MAX), None);
        check("another patch", &good, of_other[0], Anew::Foreign);
        check_anew(case, "another slot", good.clone(), &place.to_bytes(), b"slot a", Anew::Foreign);
        let mut flipped = place.to_bytes();
        flipped[20] ^= 4;
        check_anew(case, "a flipped bit", good.clone(), &flipped, b"patch and slot", Anew::Damaged);
        check_anew(case, "nothing", good.clone(), b"", b"patch and slot", Anew::Damaged);

        let beyond = Place { durable: case.new.len() as u64 + 1, ..place };
        check("beyond the end", &[&case.new[..], b"!"].concat(), beyond, Anew::Impossible);
        let mut before = place;
        before.sink.written = place.durable + 1;
        check("behind what is there", &good, before, Anew::Impossible);
        let mut layers = place;
        layers.sink.plain[2] += 1 << 40;
        check("a layer that there is not", &good, layers, Anew::Impossible);

        let mut changed = good.clone();
        changed[good.len() / 3] ^= 1;
        check("a changed slot", &changed, place, Anew::SlotDiffers);
        check("a short slot", &good[..good.len() - 1], place, Anew::SlotDiffers);
        check("an empty slot", b"", place, Anew::SlotDiffers);
    }
}

#[test]
fn forged_records_never_make_another_image() {
    for case in cases() {
        let (_, places) = case.apply(&mut Slot::new(Vec::new(), usize::MAX), None);
        let mut refused = 0;
        for (place, other) in places.iter().zip(places.iter().skip(1)) {
            // All about it is right but where packing goes on.
            for sink in [crate::layers::SinkPlace::default(), other.sink] {
                let forged = Place { sink, ..*place };
                let mut slot = Slot::new(torn(&case, place.durable(), 0), usize::MAX);
                let (applied, _) = case.apply(&mut slot, Some(&forged.to_bytes()));
                match applied {
                    Ok(_) => case.check_made(&slot),
                    Err(error) => {
                        refused += 1;
                        assert!(slot.bytes.len() <= case.new.len(), "{}: {error}", case.name);
                    }
                }
            }
            let mut forged = *place;
            forged.sink.written -= forged.sink.written.min(1);
            let mut slot = Slot::new(torn(&case, place.durable(), 0), usize::MAX);
            match case.apply(&mut slot, Some(&forged.to_bytes())).0 {
                Ok(_) => case.check_made(&slot),
                Err(error) => {
                    refused += 1;
                    assert!(matches!(error, ApplyError::Diverged), "{}: {error}", case.name);
                }
            }
        }
        assert_eq!(refused > 0, case.name.ends_with("layers"), "{}", case.name);
    }
}

#[test]
fn a_base_that_has_changed_in_between_is_found() {
    for mut case in cases() {
        let (_, places) = case.apply(&mut Slot::new(Vec::new(), usize::MAX), None);
        let place = places[places.len() / 2];
        case.old.iter_mut().for_each(|byte| *byte ^= 0x55);
        let mut slot = Slot::new(torn(&case, place.durable(), 0), usize::MAX);
        let (applied, _) = case.apply(&mut slot, Some(&place.to_bytes()));
        assert!(applied.is_err(), "{}", case.name);
        assert!(
            slot.bytes.starts_with(&case.new[..slot.bytes.len()]),
            "{}: only what was checked",
            case.name
        );
        let (applied, _) = case.apply(&mut Slot::new(Vec::new(), usize::MAX), None);
        assert!(matches!(applied, Err(ApplyError::WrongBase { .. })), "{}", case.name);
    }
}

#[test]
fn a_journal_or_slot_that_fails_is_named() {
    let case = Case::new("linux, flat", Profile::Linux, flat());
    let mut slot = Slot::new(Vec::new(), usize::MAX);
    let limits = ApplyLimits::default();
    let extras = Extras { limits: &limits, scratch: None, watch: &mut |_| {} };
    let mut journal = |_: &Place| Err(io::Error::other("no room"));
    let resume = Resume { purpose: b"", record: None, every: ByteCount(1), journal: &mut journal };
    let applied = apply_resumable(&mut Cursor::new(&case.old), &mut &*case.patch, &mut slot, extras, resume);
    assert!(matches!(applied, Err(ApplyError::Journal { .. })), "{applied:?}");
    let (applied, places) = case.apply(&mut Slot::new(Vec::new(), 150_000), None);
    assert!(matches!(applied, Err(ApplyError::WriteResult { .. })), "{applied:?}");
    assert!(!places.is_empty());
}
