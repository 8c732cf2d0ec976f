//! An image in pieces, by its index, over real mutual TLS: no patch fits, little is loaded, and what is wrong costs no more
//! than the whole image.

use std::time::Duration;

use warden_agent::driver::Rest;
use warden_agent::machine::Input;
use warden_delta::index::{IndexLimits, MadeIndex, make_index};
use warden_model::report::ReportPhase as Phase;
use warden_model::{ByteCount, Sha256Digest};
use warden_trust::repository::{FilePin, TargetEntry, TargetKind};
use warden_trust::sha256;

use crate::image::{image, image_with};
use crate::served::{Bench, entry};

/// Two images, and the index of each.
struct Pair {
    old: (Vec<u8>, MadeIndex),
    new: (Vec<u8>, MadeIndex),
}

fn index(image: &[u8]) -> MadeIndex {
    make_index(image, &IndexLimits { level: 3, ..IndexLimits::default() }).unwrap()
}

/// Text, as much of it as wanted: it is packed on its way.
fn text(lines: u32) -> Vec<u8> {
    (0..lines)
        .flat_map(|line| format!("{line}: {}\n", line.wrapping_mul(2_654_435_761)).into_bytes())
        .collect()
}

impl Pair {
    fn new() -> Self {
        let (old, new) = (image(1, "true"), image_with(2, "true", &text(40_000)));
        let (old_index, new_index) = (index(&old), index(&new));
        Self { old: (old, old_index), new: (new, new_index) }
    }

    /// Makes a device that runs the old image, of which these indexes are signed.
    fn bench(&self, old_head: Option<&[u8]>, new_head: &[u8]) -> Bench {
        let named = |name: &str, image: &[u8], head: Option<&[u8]>| -> TargetEntry {
            let mut entry = entry(name, image, TargetKind::Image);
            entry.about.index =
                head.map(|head| FilePin { length: ByteCount(head.len() as u64), sha256: sha256(head) });
            entry
        };
        let entries =
            [named("old.img", &self.old.0, old_head), named("new.img", &self.new.0, Some(new_head))];
        let of = |made: &'_ MadeIndex| {
            [made.head.clone(), made.map.clone(), made.list.clone(), made.content.clone()]
        };
        let files = [of(&self.old.1), of(&self.new.1)].concat();
        let files: Vec<&[u8]> = files.iter().map(Vec::as_slice).collect();
        Bench::signed(&self.new.0, &entries, &files)
    }

    fn both(&self) -> Bench {
        self.bench(Some(&self.old.1.head), &self.new.1.head)
    }

    fn content(&self) -> Sha256Digest {
        self.new.1.about.content.digest
    }
}

/// Says how often the device asked for the whole image, and for the content.
fn asked(bench: &Bench, pair: &Pair) -> (usize, usize) {
    let state = bench.server.state.lock().unwrap();
    let count = |digest: Sha256Digest| {
        state.requests.iter().filter(|request| request.ends_with(&digest.to_string())).count()
    };
    (count(sha256(&pair.new.0)), count(pair.content()))
}

fn downloaded(bench: &Bench) -> u64 {
    bench.server.state.lock().unwrap().reports.last().unwrap().downloaded.0
}

fn arrives(bench: &Bench, pair: &Pair) {
    assert_eq!(bench.phases(), [Phase::Installed, Phase::Booted, Phase::Healthy]);
    assert_eq!((bench.slot("a.img"), bench.slot("b.img")), (bench.old.clone(), pair.new.0.clone()));
}

#[test]
fn a_device_that_no_patch_fits_loads_only_what_it_lacks() {
    let pair = Pair::new();
    for bench in [pair.both(), pair.bench(None, &pair.new.1.head)] {
        bench.run();
        arrives(&bench, &pair);
        let (whole, content) = asked(&bench, &pair);
        assert_eq!(whole, 0);
        assert!((1..=8).contains(&content), "{content} requests");
        let (loaded, full) = (downloaded(&bench), pair.new.0.len() as u64);
        assert!(loaded < full / 5, "{loaded} of {full}");
        assert_eq!(std::fs::read_dir(bench.dir.path().join("device/staging")).unwrap().count(), 0);
    }
}

#[test]
fn pieces_that_came_before_a_cut_are_kept() {
    let pair = Pair::new();
    let once = pair.both();
    once.run();
    // Every part breaks off once, the content three times; each time the power goes too.
    let bench = pair.both();
    bench.server.state.lock().unwrap().cuts = vec![40_000, 40_000, 40_000, 2_000, 100, 100, 100, 50, 50];
    let mut input: Option<Input> = None;
    for _ in 0..200 {
        let mut driver = bench.power_on(&mut input);
        while driver.run(input.take().unwrap()).unwrap() != Rest::Reboot {
            let state = bench.server.state.lock().unwrap();
            if !state.closed.is_empty() || !state.cuts.is_empty() {
                break;
            }
            drop(state);
            std::thread::park_timeout(Duration::from_millis(20));
            input = Some(Input::Tick);
        }
        if !bench.server.state.lock().unwrap().closed.is_empty() {
            break;
        }
    }
    arrives(&bench, &pair);
    assert_eq!(asked(&bench, &pair).0, 0);
    // What lay behind the last whole frame is loaded again: at most a frame for each of the three cuts.
    let (cut, smooth) = (downloaded(&bench), downloaded(&once));
    assert!(cut <= smooth + 3 * 33_000, "{cut} instead of {smooth}");
}

#[test]
fn what_is_wrong_with_the_pieces_costs_the_whole_image_and_nothing_else() {
    let pair = Pair::new();
    let check = |bench: Bench, broken: Option<Sha256Digest>, content: bool| {
        if let Some(broken) = broken {
            let mut state = bench.server.state.lock().unwrap();
            let file = state.files.get_mut(&broken.to_string()).unwrap();
            // Everywhere, so that it is in what is fetched too.
            file.iter_mut().step_by(1_000).for_each(|byte| *byte ^= 1);
        }
        bench.run();
        arrives(&bench, &pair);
        let asked = asked(&bench, &pair);
        assert!(asked.0 >= 1 && (asked.1 >= 1) == content, "{broken:?}: {asked:?}");
    };
    let about = &pair.new.1.about;
    check(pair.both(), Some(sha256(&pair.new.1.head)), false);
    check(pair.both(), Some(about.map.digest), false);
    check(pair.both(), Some(about.list.digest), false);
    check(pair.both(), Some(about.content.digest), true);
    // The index of another image, and one that the server has lost.
    check(pair.bench(Some(&pair.old.1.head), &pair.old.1.head), None, false);
    let bench = pair.both();
    bench.server.state.lock().unwrap().files.remove(&about.list.digest.to_string());
    check(bench, None, false);
}
