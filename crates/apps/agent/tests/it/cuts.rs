//! A real agent that is killed again and again while it loads and applies a patch.

use std::fs::File;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use warden_agent::device::pair::Pair;
use warden_delta::{Made, MakeLimits, PLACE_BYTES, Place, Profile};
use warden_model::ByteCount;
use warden_model::report::ReportPhase as Phase;
use warden_trust::sha256;

use crate::image::{image, noise};
use crate::served::Bench;

/// When a life of the agent ends.
#[derive(Debug, Clone, Copy)]
enum Kill {
    /// As soon as there is a record that was not there before.
    AtRecord,
    /// After so long, whatever it does.
    After(Duration),
}

/// Runs the agent until it is time to kill it; says whether the server has heard the last word.
fn live(bench: &Bench, records: &Pair, kill: Kill) -> bool {
    let log = File::options().create(true).append(true).open(bench.dir.path().join("log")).unwrap();
    let before = records.load().unwrap();
    let mut agent = Command::new(env!("CARGO_BIN_EXE_fleetwarden-agent"))
        .args(["run", "--poll", "1", "--dir"])
        .arg(bench.device_dir().root())
        .stderr(Stdio::from(log))
        .spawn()
        .unwrap();
    let began = Instant::now();
    let over = loop {
        if !bench.server.state.lock().unwrap().closed.is_empty() {
            break true;
        }
        let is_time = match kill {
            Kill::AtRecord => records.load().unwrap() != before,
            Kill::After(time) => began.elapsed() >= time,
        };
        if is_time {
            break false;
        }
        assert!(began.elapsed() < Duration::from_mins(1), "{}", bench.log());
        std::thread::park_timeout(Duration::from_micros(200));
    };
    // SIGKILL: as near to a power cut as a process can get.
    agent.kill().unwrap();
    agent.wait().unwrap();
    over
}

fn durable(records: &Pair) -> u64 {
    let record = records.load().unwrap();
    record.and_then(|record| Place::from_bytes(&record)).map_or(0, |place| place.durable().0)
}

#[test]
fn a_patch_survives_kills_everywhere_and_nothing_that_is_safe_is_done_again() {
    let tail = noise(9_000_000);
    let (front, back) = tail.split_at(4_000_000);
    let old = [&image(1, "true")[..], &tail].concat();
    let new = [&image(2, "true")[..], back, &noise(70_000)[35_000..], front].concat();
    let limits = MakeLimits { profile: Profile::Fast, ..MakeLimits::default() };
    let Ok(Made::Patch(patch)) = warden_delta::make(&old, &new, &limits) else {
        panic!("a patch is smaller")
    };
    let bench = Bench::from(old, &new, &[&patch]);
    // The download is cut as well, in the middle of the patch.
    bench.server.state.lock().unwrap().cuts = vec![patch.len() / 2];

    let records = Pair::new(&bench.device_dir().root().join("journal"), "patch", PLACE_BYTES as u64);
    let (mut reached, mut kills_within) = (0, 0);
    for life in 0.. {
        assert!(life < 80, "it does not get ahead: {}", bench.log());
        // Two lives to the next record, then one of some length.
        let kill =
            if life % 3 == 2 { Kill::After(Duration::from_millis(life * 37 % 300)) } else { Kill::AtRecord };
        let over = live(&bench, &records, kill);
        let now = durable(&records);
        assert!(now >= reached, "a start at the beginning: from {reached} to {now}: {}", bench.log());
        if now > reached && now < new.len() as u64 {
            kills_within += 1;
        }
        reached = now;
        if over {
            break;
        }
    }
    assert!(kills_within >= 3, "only {kills_within} kills while the patch was applied");
    let mut phases = bench.phases();
    phases.dedup();
    assert_eq!(phases, [Phase::Installed, Phase::Booted, Phase::Healthy], "{}", bench.log());
    assert!(bench.slot("b.img") == new);
    assert!(bench.log().contains("went on from before the cut"), "{}", bench.log());
    let state = bench.server.state.lock().unwrap();
    let loaded = state.reports.last().unwrap().downloaded;
    assert_eq!(loaded, ByteCount(patch.len() as u64), "the patch was loaded once, in two pieces");
    let ranges: Vec<&String> =
        state.requests.iter().filter(|request| request.contains("/artifacts/")).collect();
    assert!(ranges.iter().all(|request| request.contains(&sha256(&patch).to_string())), "{ranges:?}");
}
