//! Slots that were cut in the middle.

use std::fs::{self, OpenOptions};
use std::path::PathBuf;

use warden_delta::{Anew, Made, MakeLimits, Profile, make as make_patch};

use super::*;

/// Bytes that do not compress, the same for the same seed.
fn noise(len: usize, seed: u32) -> Vec<u8> {
    let mut state = seed;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(next).take(len).collect()
}

struct Bench {
    _folder: tempfile::TempDir,
    dir: DeviceDir,
    new: Vec<u8>,
    patch: PathBuf,
}

impl Bench {
    /// A device whose slot b is to hold 3.5 MB.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let dir = DeviceDir::new(folder.path());
        dir.create().unwrap();
        let old = noise(3_500_000, 1);
        let new = [&old[1_000_000..], b"new", &old[..1_000_000]].concat();
        let limits = MakeLimits { profile: Profile::Fast, ..MakeLimits::default() };
        let Ok(Made::Patch(bytes)) = make_patch(&old, &new, &limits) else { panic!("no patch") };
        let patch = folder.path().join("patch");
        fs::write(&patch, bytes).unwrap();
        fs::write(dir.slot(Slot::A), old).unwrap();
        Self { _folder: folder, dir, new, patch }
    }

    fn make(&self) -> Start {
        let mut slot = OpenOptions::new();
        slot.create(true).truncate(false).read(true).write(true);
        let slot = slot.open(self.dir.slot(Slot::B)).unwrap();
        let patch = File::open(&self.patch).unwrap();
        let base = File::open(self.dir.slot(Slot::A)).unwrap();
        let limits = ApplyLimits::default();
        let patch = (&patch, Sha256Digest([7; 32]));
        let mut job = Job { dir: &self.dir, patch, base, slot: (&slot, Slot::B), limits };
        let applied = make(&mut job, None).unwrap();
        assert!(self.slot() == self.new, "another image");
        applied.start
    }

    fn slot(&self) -> Vec<u8> {
        fs::read(self.dir.slot(Slot::B)).unwrap()
    }

    /// Takes the slot back to the record before the last, as if the power had gone after it: what was written later is
    /// torn. Returns how much was durable then.
    fn cut(&self) -> usize {
        let newest = self.dir.patch_records().load().unwrap().unwrap();
        let copies = ["patch.0", "patch.1"].map(|name| self.dir.root().join("journal").join(name));
        let newest = copies.iter().find(|copy| fs::read(copy).unwrap().ends_with(&newest)).unwrap();
        fs::remove_file(newest).unwrap();
        let record = self.dir.patch_records().load().unwrap().unwrap();
        let durable = usize::try_from(Place::from_bytes(&record).unwrap().durable().0).unwrap();
        let mut slot = self.slot();
        slot[durable..].fill(0xdb);
        slot.extend([0xdb; 100]);
        fs::write(self.dir.slot(Slot::B), slot).unwrap();
        durable
    }
}

#[test]
fn after_a_cut_it_goes_on_from_the_record_and_after_the_end_too() {
    let bench = Bench::new();
    assert_eq!(bench.make(), Start::Beginning(Anew::NoRecord));
    let durable = bench.cut();
    assert!(durable > 3_000_000 && durable < bench.new.len(), "{durable}");
    assert_eq!(bench.make(), Start::Resumed(ByteCount(durable as u64)));
    // Cut after the last byte, before the machine knew: nothing is written again.
    assert_eq!(bench.make(), Start::Resumed(ByteCount(bench.new.len() as u64)));
}

#[test]
fn what_does_not_fit_the_record_is_made_anew() {
    let bench = Bench::new();
    bench.make();
    let mut torn = bench.slot();
    torn[1_500_000] ^= 1;
    fs::write(bench.dir.slot(Slot::B), torn).unwrap();
    assert_eq!(bench.make(), Start::Beginning(Anew::SlotDiffers));
    fs::remove_file(bench.dir.slot(Slot::B)).unwrap();
    assert_eq!(bench.make(), Start::Beginning(Anew::SlotDiffers));
    bench.dir.patch_records().save(&[1; PLACE_BYTES]).unwrap();
    assert_eq!(bench.make(), Start::Beginning(Anew::Damaged));
    fs::write(bench.dir.slot(Slot::B), noise(5_000_000, 3)).unwrap();
    assert_eq!(bench.make(), Start::Beginning(Anew::SlotDiffers), "and what was longer is cut off");
}
