//! Builds one patch, on a thread of its own with low priority: reads both images, makes the patch, applies it once.
//!
//! In: two images among the artifacts, how much memory may be spent. Out: a patch among the artifacts that was applied and
//! made the image, or the reason why there is none. Refuses to keep a patch that makes anything else.

use std::io::{self, Cursor, Read as _, Write};

use tokio::sync::mpsc;
use tracing::debug;
use warden_delta::{ApplyLimits, Extras, Made, MakeError, MakeLimits, Making, apply_with, make_with};
use warden_model::release::PatchStep;
use warden_model::{ByteCount, Sha256Digest};
use warden_store::{ArtifactError, Artifacts, Stored};

use super::refresh::image_for;
use crate::problem::chain;

/// How much a build steps back behind everything else on the machine, in steps of `nice` (0 to 19): on a core that
/// others want too it still gets a quarter, so that a busy server does not hold up its releases.
const NICE: i32 = 5;

/// What to build.
#[derive(Debug, Clone)]
pub(crate) struct Work {
    /// Where images and patches lie.
    pub(crate) artifacts: Artifacts,
    /// The image that devices run.
    pub(crate) base: Sha256Digest,
    /// The image that they shall run.
    pub(crate) result: Sha256Digest,
    /// How much memory may be spent.
    pub(crate) memory: ByteCount,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// A patch that makes the image.
    Built {
        /// The patch.
        stored: Stored,
        /// The size of the full image.
        full: ByteCount,
    },
    /// The full image is the better way.
    NotSmaller {
        /// The size that the patch would have.
        patch: ByteCount,
        /// The size of the full image.
        full: ByteCount,
    },
    /// It failed, and would fail again.
    Refused(String),
    /// It failed for a reason that may pass.
    Broken(String),
}

/// How a patch is built; tests bring one of their own.
pub(crate) type Maker = fn(&Work, &mut dyn FnMut(PatchStep)) -> Outcome;

/// What a builder tells on its way.
#[derive(Debug)]
pub(super) enum News {
    /// What is being done.
    Step(PatchStep),
    /// It is over.
    Done(Outcome),
}

/// Starts a build. A thread of its own, not one of the pool: its priority is lowered for good, and a server that stops
/// need not wait for its end.
pub(super) fn start(maker: Maker, work: Work) -> io::Result<mpsc::UnboundedReceiver<News>> {
    let (sender, news) = mpsc::unbounded_channel();
    std::thread::Builder::new().name("patch".to_owned()).spawn(move || {
        // Linux gives each thread a priority of its own. A server that may not change it builds all the same.
        if let Err(error) = rustix::process::nice(NICE) {
            debug!(%error, "a build runs with the server's own priority");
        }
        // Nobody listens any more when the server stops.
        let outcome = maker(&work, &mut |step| drop(sender.send(News::Step(step))));
        drop(sender.send(News::Done(outcome)));
    })?;
    Ok(news)
}

/// Builds a patch.
pub(super) fn build(work: &Work, watch: &mut dyn FnMut(PatchStep)) -> Outcome {
    watch(PatchStep::Reading);
    let (base, result) = match (read(&work.artifacts, &work.base), read(&work.artifacts, &work.result)) {
        (Ok(base), Ok(result)) => (base, result),
        (Err(error), _) | (_, Err(error)) => return Outcome::Broken(format!("read the images: {error}")),
    };
    let full = ByteCount(u64::try_from(result.len()).unwrap_or(u64::MAX));
    let largest = image_for(work.memory);
    let limits = MakeLimits { base_bytes_max: largest, result_bytes_max: largest, ..MakeLimits::default() };
    let made = make_with(&base, &result, &limits, &mut |making| {
        watch(match making {
            Making::Unpacking => PatchStep::Unpacking,
            Making::Matching => PatchStep::Matching,
            Making::Coding => PatchStep::Coding,
        });
    });
    let patch = match made {
        Ok(Made::Patch(patch)) => patch,
        Ok(Made::FullIsSmaller { patch, full }) => return Outcome::NotSmaller { patch, full },
        // The compressor fails for want of memory; the others are about the images themselves.
        Err(error @ MakeError::Compress { .. }) => return Outcome::Broken(chain(&error)),
        Err(error) => return Outcome::Refused(chain(&error)),
    };
    watch(PatchStep::Checking);
    match check(&base, &patch, &result) {
        Ok(()) => {}
        Err(why) => return Outcome::Refused(format!("the patch was applied, and is wrong: {why}")),
    }
    match keep(&work.artifacts, &patch) {
        Ok(stored) => Outcome::Built { stored, full },
        Err(error) => Outcome::Broken(format!("keep the patch: {}", chain(&error))),
    }
}

fn read(artifacts: &Artifacts, digest: &Sha256Digest) -> Result<Vec<u8>, String> {
    let (mut file, size) = artifacts.open_read(digest).map_err(|error| chain(&error))?;
    let mut bytes = Vec::new();
    // A server without so much memory says so and goes on.
    bytes
        .try_reserve_exact(usize::try_from(size.0).unwrap_or(usize::MAX))
        .map_err(|error| error.to_string())?;
    file.read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    Ok(bytes)
}

/// Compares what is written with what is expected.
struct Compare<'a> {
    expected: &'a [u8],
}

impl Write for Compare<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.expected.strip_prefix(bytes) {
            Some(rest) => {
                self.expected = rest;
                Ok(bytes.len())
            }
            None => Err(io::Error::other("it makes another image")),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Applies the patch as a device does.
fn check(base: &[u8], patch: &[u8], result: &[u8]) -> Result<(), String> {
    let limits = ApplyLimits::default();
    let mut scratch = Cursor::new(Vec::new());
    let extras = Extras { limits: &limits, scratch: Some(&mut scratch), watch: &mut |_| {} };
    let mut compare = Compare { expected: result };
    apply_with(&mut Cursor::new(base), &mut &*patch, &mut compare, extras).map_err(|error| chain(&error))?;
    if compare.expected.is_empty() { Ok(()) } else { Err("it makes a shorter image".to_owned()) }
}

fn keep(artifacts: &Artifacts, patch: &[u8]) -> Result<Stored, ArtifactError> {
    let mut writer = artifacts.create()?;
    writer.write(patch)?;
    writer.finish()
}
