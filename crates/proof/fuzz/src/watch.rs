//! The child that works, and the parent that watches it.
//!
//! In: options. Out: a count, or the case at which the child died, hung or panicked. Refuses nothing.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Resource, Rlimit, setrlimit};

use crate::Options;
use crate::chance::Chance;
use crate::drive::{self, Count};
use crate::images;
use crate::mutate::{Case, case};

/// Most memory of the child: what making a patch of the small pairs takes, and far less than a bomb wants.
const MEMORY_MAX: u64 = 1 << 30;
/// A case that takes longer hangs. The slowest, making a patch, take some seconds on a busy machine; making the pairs in
/// front of the first one takes a minute there.
const CASE_TIME_MAX: Duration = Duration::from_mins(4);
/// How often the parent looks.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How often the parent tells how it goes.
const TELL_EVERY: Duration = Duration::from_secs(30);

/// Talks to the person at the terminal.
#[expect(clippy::print_stderr, reason = "the one place where this program talks to people")]
pub(crate) fn say(text: &str) {
    eprintln!("{text}");
}

/// What a child has written down: the number of the case in work, and what came of those before.
fn progress(file: &Path) -> (u64, Count) {
    let bytes = fs::read(file).unwrap_or_default();
    let number = |at: usize| {
        let found = bytes.get(at..at + 8).and_then(|found| found.try_into().ok());
        found.map_or(0, u64::from_le_bytes)
    };
    (number(0), Count { applied: number(8), accepted: number(16) })
}

/// Works until the time is over, or a promise is broken: that is a panic, and ends this process.
pub(crate) fn work(options: &Options, file: &Path, from: u64) -> Result<()> {
    let pairs = images::pairs(file.parent().context("the file for progress lies in no folder")?)?;
    let limit = Rlimit { current: Some(MEMORY_MAX), maximum: Some(MEMORY_MAX) };
    setrlimit(Resource::As, limit).context("limit the memory")?;
    let file = File::options().write(true).open(file).context("open the file for progress")?;
    let (began, mut count) = (Instant::now(), Count::default());
    for number in from.. {
        let note = [number, count.applied, count.accepted].map(u64::to_le_bytes).concat();
        file.write_all_at(&note, 0).context("write down how far it is")?;
        if began.elapsed() >= options.time || options.case.is_some_and(|only| number > only) {
            break;
        }
        let Some(case) = case(&pairs, &mut Chance::of(options.seed, number)) else { bail!("no pairs") };
        drive::run(case, &mut count);
    }
    Ok(())
}

/// Watches a child until it is done.
pub(crate) fn watch(options: &Options) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("progress");
    File::create(&file)?;
    let from = options.case.unwrap_or(0);
    let mut child = Command::new(std::env::current_exe()?)
        .args(["delta", "--seed", &options.seed.to_string(), "--child"])
        .arg(&file)
        .arg(from.to_string())
        .args(["--minutes", &(options.time.as_secs() / 60).to_string()])
        .args(options.case.iter().flat_map(|case| ["--case".to_owned(), case.to_string()]))
        .spawn()
        .context("start the child")?;
    let outcome = wait(&mut child, &file)?;
    let (number, count) = progress(&file);
    match outcome {
        Ok(status) if status.success() => {
            let cases = number.saturating_sub(from);
            say(&format!("fuzz delta: {cases} cases (seed {}), {count}, all promises kept", options.seed));
            Ok(())
        }
        Ok(status) => bail!(
            "case {number} of seed {} ended the child: {status}{}",
            options.seed,
            kept(options, folder.path(), number)?
        ),
        Err(Hangs) => {
            bail!("case {number} of seed {} hangs{}", options.seed, kept(options, folder.path(), number)?)
        }
    }
}

/// The child does not get ahead.
struct Hangs;

fn wait(child: &mut Child, file: &Path) -> Result<Result<ExitStatus, Hangs>> {
    let (mut last, mut since, mut told) = (0, Instant::now(), Instant::now());
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Ok(status));
        }
        let (number, count) = progress(file);
        if number != last {
            (last, since) = (number, Instant::now());
        }
        if since.elapsed() > CASE_TIME_MAX {
            child.kill()?;
            child.wait()?;
            return Ok(Err(Hangs));
        }
        if told.elapsed() > TELL_EVERY {
            told = Instant::now();
            say(&format!("   {number} cases, {count} …"));
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Saves a case as files; returns where they are and how to try it again.
fn kept(options: &Options, folder: &Path, number: u64) -> Result<String> {
    let pairs = images::pairs(folder)?;
    let Some(case) = case(&pairs, &mut Chance::of(options.seed, number)) else { bail!("no pairs") };
    let own = std::env::current_exe()?;
    let place = own.ancestors().nth(2).map_or_else(std::env::temp_dir, Path::to_path_buf);
    let place = place.join("fuzz").join(format!("{}-{number}", options.seed));
    fs::create_dir_all(&place)?;
    match case {
        Case::Raw { old, patch } => save(&place, &[("old", &old), ("patch", &patch)])?,
        Case::Sound { old, patch, record, slot } => {
            let record = record.unwrap_or_default();
            save(&place, &[("old", &old), ("patch", &patch.write()), ("record", &record), ("slot", &slot)])?;
        }
        Case::Make { old, new, profile } => {
            save(&place, &[("old", &old), ("new", &new), ("profile", &[profile])])?;
        }
    }
    let again = format!("./fw fuzz delta --seed {} --case {number}", options.seed);
    Ok(format!("\n  saved to {}\n  hint: {again}", place.display()))
}

fn save(place: &Path, files: &[(&str, &[u8])]) -> Result<()> {
    for (name, bytes) in files {
        let path: PathBuf = place.join(name);
        File::create(&path)
            .and_then(|mut file| file.write_all(bytes))
            .with_context(|| format!("write {}", path.display()))?;
    }
    Ok(())
}
