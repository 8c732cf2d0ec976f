//! What the world tells the machine. Each input but [`Input::Started`] answers the output that was asked last.

use warden_model::device::{Running, Slot};
use warden_model::{ByteCount, HardwareId, ProductId, Sha256Digest};
use warden_wire::ddi::{Base, CancelBase, DeploymentBase};

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// The device has booted; the first input of a machine's life.
    Started {
        /// What the boot control says.
        boot: BootView,
    },
    /// A person at the device wants an image installed whose bytes lie at hand; no signed metadata is needed.
    LocalOrder {
        /// The image.
        image: ImageTarget,
        /// The patch that makes it from the running image, when a patch lies at hand instead of the image.
        patch: Option<PatchTarget>,
    },
    /// The server answered a poll.
    Polled(Box<PollAnswer>),
    /// The server did not answer the poll.
    PollFailed,
    /// The metadata was fetched and verified.
    MetadataFetched(Signed),
    /// The metadata was not fetched, or could not be believed.
    MetadataFailed(MetadataFailure),
    /// A part of the download is safely on disk; there is more.
    DownloadProgress {
        /// Bytes from the start that are safely on disk.
        done: ByteCount,
    },
    /// All bytes are safely on disk.
    DownloadFinished,
    /// The download broke off.
    DownloadFailed {
        /// Bytes from the start that are safely on disk.
        done: ByteCount,
        /// What kind of failure it was.
        failure: LoadFailure,
        /// What failed and why, for people.
        detail: String,
    },
    /// The slot is written and flushed.
    Written,
    /// The slot could not be written.
    WriteFailed {
        /// What kind of failure it was.
        failure: WriteFailure,
        /// What failed and why, for people.
        detail: String,
    },
    /// The slot was read back and hashed.
    SlotVerified(Verification),
    /// The health checks ended.
    HealthFinished {
        /// How.
        health: Health,
        /// Their words, for people.
        detail: String,
    },
    /// The boot control has confirmed the running slot, durably.
    Confirmed,
    /// The server took the report or feedback (or said that it does not want it any more).
    Delivered,
    /// The report or feedback did not get through.
    NotDelivered,
    /// The moment has come that was waited for.
    Tick,
}

/// What the boot control says after a boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BootView {
    /// The slot that runs.
    pub running: Slot,
    /// The slot that is confirmed: where the device falls back to.
    pub confirmed: Slot,
    /// Whether something is on trial.
    pub trial: Trial,
}

/// Whether a slot is on trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trial {
    /// Nothing is on trial.
    None,
    /// The other slot is armed; it may boot so often yet.
    Armed {
        /// Boots that are left.
        tries_left: u8,
    },
    /// The other slot used up its boots and was never confirmed.
    Exhausted,
}

/// The answer to a poll, with what its links led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PollAnswer {
    /// The base poll itself.
    pub base: Base,
    /// The deployment, when a link led to one.
    pub deployment: Option<DeploymentBase>,
    /// The cancellation, when a link led to one.
    pub cancel: Option<CancelBase>,
}

/// What the verified metadata says about the image that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// The image; absent when nobody signed it.
    pub image: Option<ImageTarget>,
    /// The signed patches that make it.
    pub patches: Vec<PatchTarget>,
    /// The indexes of all signed images that have one.
    pub indexes: Vec<IndexTarget>,
}

/// The signed head of an image's index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexTarget {
    /// The image.
    pub image: Sha256Digest,
    /// The digest of the head.
    pub head: Sha256Digest,
    /// The size of the head.
    pub size: ByteCount,
}

/// A signed image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageTarget {
    /// Its digest and version.
    pub running: Running,
    /// Its size.
    pub size: ByteCount,
    /// The product that it is for.
    pub product: ProductId,
    /// The boards that it may run on.
    pub hardware: Vec<HardwareId>,
    /// Its release counter.
    pub release_counter: u64,
}

/// A signed patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PatchTarget {
    /// Its digest.
    pub digest: Sha256Digest,
    /// Its size.
    pub size: ByteCount,
    /// The image that it applies to.
    pub base: Sha256Digest,
}

/// Why there is no metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MetadataFailure {
    /// The server did not answer, or not with metadata.
    Unreachable,
    /// The metadata could not be believed.
    NotTrusted(String),
}

/// Why a download broke off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoadFailure {
    /// The network or the server: worth another try.
    Network,
    /// The disk is full.
    NoSpace,
    /// The server offers other bytes than those that were signed, for instance more of them.
    WrongBytes,
    /// The way of pieces would take about as much as the whole image.
    NotWorth,
}

/// Why a slot could not be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteFailure {
    /// The patch is not what was signed, or does not fit its base.
    Patch,
    /// The disk is full.
    NoSpace,
    /// The disk or the source failed otherwise.
    Broken,
}

/// What reading a slot back said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verification {
    /// Length and digest are right.
    Matches,
    /// They are not, or the slot cannot be read.
    Differs,
}

/// How the health checks ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// All passed.
    Passed,
    /// One failed.
    Failed,
    /// One did not end in time.
    TimedOut,
}
