//! What the machine wants done. The outputs of one answer are carried out in order, each completely before the next;
//! the last one is answered by exactly one input.

use warden_model::device::Slot;
use warden_model::report::StateReport;
use warden_model::{ActionId, ByteCount, Sha256Digest, Timestamp};
use warden_wire::ddi::Feedback;

use super::Journal;
use super::input::PatchTarget;
use super::journal::Indexes;

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Make the journal durable before anything that follows. No answer.
    Save(Box<Journal>),
    /// Let the boot control forget a trial that used up its boots. No answer.
    ForgetTrial,
    /// Tell the server what the device is: its attributes. No answer; the server asks again when it did not come.
    SendAttributes,

    /// Poll the server, and follow the links `deploymentBase` and `cancelAction`. Answer: `Polled`, `PollFailed`.
    Poll,
    /// Refresh and verify the signed metadata. Answer: `MetadataFetched`, `MetadataFailed`.
    FetchMetadata {
        /// The image that is wanted.
        image: Sha256Digest,
    },
    /// Load a slice of an artifact. Answer: `DownloadProgress`, `DownloadFinished`, `DownloadFailed`.
    Download {
        /// The digest that names the artifact.
        digest: Sha256Digest,
        /// Its signed size: never read more.
        size: ByteCount,
        /// Where it goes.
        place: Place,
        /// Bytes that are there already: cut the file to this length and go on.
        offset: ByteCount,
    },
    /// Check the staged patch against its digest, then apply it. Answer: `Written`, `WriteFailed`.
    ApplyPatch {
        /// The patch.
        patch: PatchTarget,
        /// The slot that holds the base.
        base: Slot,
        /// The slot to write.
        slot: Slot,
        /// The digest of the result.
        image: Sha256Digest,
        /// The size of the result: never write more.
        size: ByteCount,
    },
    /// Load a slice of what the device lacks of an image, by its index. Answer: `DownloadProgress`, `DownloadFailed`, both with
    /// what is on disk of indexes and pieces together; `DownloadFinished` once the last of it was told.
    LoadPieces {
        /// The image, and by which indexes.
        order: Box<PiecesOrder>,
        /// Bytes that are there already; without any, the staging area is emptied first.
        offset: ByteCount,
    },
    /// Make the image from the staged pieces and the running slot. Answer: `Written`, `WriteFailed`.
    Assemble(Box<PiecesOrder>),
    /// Write an image that lies at hand into a slot. Answer: `Written`, `WriteFailed`.
    WriteImage {
        /// The slot to write.
        slot: Slot,
        /// The size of the image: never write more.
        size: ByteCount,
    },
    /// Read the slot back from disk, check length and digest. Answer: `SlotVerified`.
    VerifySlot {
        /// The slot.
        slot: Slot,
        /// The digest that it must have.
        image: Sha256Digest,
        /// The size that it must have.
        size: ByteCount,
    },
    /// Put the slot on trial and reboot. Answer: `Started`.
    ArmAndReboot {
        /// The slot.
        slot: Slot,
        /// How often it may boot before it is given up.
        tries: u8,
    },
    /// Run the health checks of the running image. Answer: `HealthFinished`.
    RunHealth,
    /// Confirm the running slot, durably. Answer: `Confirmed`.
    Confirm,
    /// End the trial and reboot into the confirmed slot. Answer: `Started`.
    Revert,
    /// Sign and send a state report. Answer: `Delivered`, `NotDelivered`.
    Report(Box<StateReport>),
    /// Send feedback about an order. Answer: `Delivered`, `NotDelivered`.
    Feedback {
        /// The order.
        action: ActionId,
        /// Which of the two feedback addresses.
        channel: Channel,
        /// The feedback.
        feedback: Feedback,
    },
    /// Do nothing until then. Answer: `Tick`.
    WaitUntil(Timestamp),
}

/// An image that is fetched in pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PiecesOrder {
    /// By which indexes.
    pub indexes: Indexes,
    /// The slot that runs.
    pub base: Slot,
    /// The size of the image in it.
    pub base_size: ByteCount,
    /// The slot to write.
    pub slot: Slot,
    /// The digest of the image.
    pub image: Sha256Digest,
    /// The size of the image: never write more.
    pub size: ByteCount,
}

/// Where a download goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Straight into a slot.
    Slot(Slot),
    /// Into the staging area: a patch.
    Staging,
}

/// The two feedback addresses of DDI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Channel {
    /// `deploymentBase/{action}/feedback`.
    Deployment,
    /// `cancelAction/{action}/feedback`.
    Cancel,
}
