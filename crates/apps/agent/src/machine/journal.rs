//! What the device must not forget: the machine's own state, as it survives a power cut.
//!
//! In: JSON of any version up to [`VERSION`]. Out: a [`Journal`]. Refuses: versions from the future, and texts that do
//! not fit their type. The storage of the bytes is not its business.

use serde::{Deserialize, Serialize};
use thiserror::Error;
use warden_model::device::{Running, Slot};
use warden_model::firmware::Version;
use warden_model::report::{Cause, ReportPhase, StateReport};
use warden_model::rollout::Order;
use warden_model::{ActionId, Generation, HardwareId, ProductId, Sha256Digest};

use super::form;
use super::output::Channel;

/// The version that is written; all versions up to it are read.
pub const VERSION: u32 = 1;
/// Longest journal that is read, in bytes: [`super::LETTERS_MAX`] letters of 16 KiB at the very most, and some room.
pub const JOURNAL_BYTES_MAX: u64 = 2 * 1024 * 1024;

/// A journal that cannot be read.
#[derive(Debug, Error)]
pub enum JournalError {
    /// It is no JSON of the right shape.
    #[error("the journal is malformed")]
    Malformed(#[source] serde_json::Error),
    /// It has a version from the future.
    #[error("the journal has version {0}; versions 1 to {VERSION} are understood")]
    UnknownVersion(u32),
}

/// What the device must not forget.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Journal {
    /// The version of this form.
    pub version: u32,
    /// The slot that holds what is confirmed.
    #[serde(with = "form::text")]
    pub slot: Slot,
    /// What is confirmed.
    pub confirmed: Installed,
    /// What the other slot holds, as far as that is known; absent from the first byte that is written there until the
    /// whole slot was verified.
    pub other: Option<Installed>,
    /// The generation of the newest order that was taken.
    #[serde(with = "form::GenerationForm")]
    pub generation: Generation,
    /// The counter of the newest report that was made.
    pub report_counter: u64,
    /// The order in work.
    pub update: Option<Update>,
    /// What the server has not taken yet, in order.
    pub outbox: Vec<Letter>,
    /// How the last order ended: what to answer when it is offered again.
    pub last: Option<Closing>,
}

/// A firmware that is in a slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Installed {
    /// The digest of the image.
    #[serde(with = "form::text")]
    pub image: Sha256Digest,
    /// Its version.
    #[serde(with = "form::text")]
    pub version: Version,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// Its release counter.
    pub release_counter: u64,
    /// How far it has been proven.
    pub standing: Standing,
}

impl Installed {
    /// Returns image and version.
    pub fn running(&self) -> Running {
        Running { image: self.image, version: self.version.clone() }
    }
}

/// How far a firmware in a slot has been proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// Its bytes are right.
    Verified,
    /// It was healthy and confirmed once: an order to turn back may go there.
    Confirmed,
}

/// The order in work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Update {
    /// Who ordered it.
    pub source: Source,
    /// What to do: install or turn back.
    #[serde(with = "form::text")]
    pub order: Order,
    /// The image to run.
    #[serde(with = "form::text")]
    pub image: Sha256Digest,
    /// The generation of the order.
    #[serde(with = "form::GenerationForm")]
    pub generation: Generation,
    /// What is known of the image; absent until the signed metadata is here.
    pub target: Option<Target>,
    /// How far it has come.
    pub step: Step,
    /// Whether the whole image was loaded a second time already, because the first did not have the right digest.
    pub second_try: bool,
    /// What was last reported.
    #[serde(with = "form::text_maybe")]
    pub reported: Option<ReportPhase>,
    /// What was downloaded for it, in bytes.
    pub downloaded_bytes: u64,
    /// What it cost beside that; journals of older agents do not have it.
    #[serde(default)]
    pub cost: Cost,
}

/// What an update cost in time, and how its bytes came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Cost {
    /// What filled the slot; absent until it is filled.
    pub filled: Option<Made>,
    /// How long bytes were loaded, in milliseconds.
    pub loading_millis: u64,
    /// How long the slot was written from what was loaded, in milliseconds.
    pub applying_millis: u64,
}

/// Who ordered an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// The server, by this action.
    Server(u64),
    /// A person at the device.
    Local,
}

impl Source {
    /// Returns the server's action, when it was the server.
    pub fn action(self) -> Option<ActionId> {
        match self {
            Self::Server(action) => Some(ActionId(action)),
            Self::Local => None,
        }
    }
}

/// What the signed metadata says of the image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// Its version.
    #[serde(with = "form::text")]
    pub version: Version,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// Its release counter.
    pub release_counter: u64,
}

/// A signed patch, as the journal keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Patch {
    /// Its digest.
    #[serde(with = "form::text")]
    pub digest: Sha256Digest,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// The image that it applies to.
    #[serde(with = "form::text")]
    pub base: Sha256Digest,
}

/// The index by which an image is fetched in pieces, as the journal keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    /// The digest of its head.
    #[serde(with = "form::text")]
    pub head: Sha256Digest,
    /// The size of its head in bytes.
    pub size_bytes: u64,
}

/// By which indexes an image is fetched in pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Indexes {
    /// The image's own.
    pub wanted: Index,
    /// That of the running image; absent when nobody signed one: then the slot is taken as it is.
    pub running: Option<Index>,
}

/// How far an update has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// The order was taken; the metadata is not here.
    Accepted,
    /// A patch is on its way to the staging area.
    LoadingPatch {
        /// The patch.
        patch: Patch,
        /// Bytes that are safely on disk.
        done_bytes: u64,
    },
    /// The patch is staged and makes the image; after a cut it goes on from the device's own record of how far it is.
    Applying {
        /// The patch.
        patch: Patch,
    },
    /// What the device lacks of the image is on its way to the staging area, in pieces.
    LoadingPieces {
        /// By which indexes.
        indexes: Indexes,
        /// Bytes that are safely on disk, the indexes' own included.
        done_bytes: u64,
    },
    /// The pieces are staged and make the image, with what the running slot holds; starts from its beginning after a cut.
    Assembling {
        /// By which indexes.
        indexes: Indexes,
    },
    /// The whole image is on its way into the slot.
    LoadingImage {
        /// Bytes that are safely on disk.
        done_bytes: u64,
    },
    /// An image that lies at hand is written into the slot; starts from its beginning after a cut.
    Writing,
    /// The slot is complete and must be read back.
    Verifying {
        /// Whether a patch made it: then the whole image is the way out when it is wrong.
        made: Made,
    },
    /// The slot was read back and is right; the switch comes next. After a cut the slot is read back again.
    Arming {
        /// What made it.
        made: Made,
    },
    /// The new image runs on trial.
    Trial,
    /// Its health checks have passed; the boot control may have been told or not.
    Confirming {
        /// What the health checks said.
        detail: String,
    },
    /// It must go; the boot control may have been told or not.
    Reverting {
        /// Why.
        #[serde(with = "form::text")]
        cause: Cause,
        /// Why, in the device's own words.
        detail: String,
    },
}

/// What filled a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Made {
    /// The whole image.
    Whole,
    /// A patch.
    Patch,
    /// Pieces that an index told of, and what the running slot holds.
    Pieces,
    /// An older update: the image was there already.
    Before,
}

/// Something that the server must get.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Letter {
    /// A state report.
    Report(#[serde(with = "form::report")] Box<StateReport>),
    /// The end of an order.
    Close(Closing),
}

/// The end of an order, as DDI wants it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closing {
    /// The action that it ends.
    pub action: u64,
    /// The address that it goes to.
    #[serde(with = "form::ChannelForm")]
    pub channel: Channel,
    /// How it ended.
    pub ending: Ending,
    /// Why, for people.
    pub detail: String,
}

/// How an order ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// As ordered.
    Success,
    /// Otherwise.
    Failure,
    /// A cancellation came too late.
    Rejected,
}

impl Journal {
    /// Makes the first journal of a device, at the factory.
    pub fn first(slot: Slot, confirmed: Installed) -> Self {
        Self {
            version: VERSION,
            slot,
            confirmed,
            other: None,
            generation: Generation(0),
            report_counter: 0,
            update: None,
            outbox: Vec::new(),
            last: None,
        }
    }

    /// Writes the journal as JSON of the newest version.
    pub fn write(&self) -> Vec<u8> {
        // Texts, numbers and lists always have a JSON form.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads a journal of any known version.
    pub fn read(bytes: &[u8]) -> Result<Self, JournalError> {
        #[derive(Deserialize)]
        struct Head {
            version: u32,
        }
        let head: Head = serde_json::from_slice(bytes).map_err(JournalError::Malformed)?;
        if !(1..=VERSION).contains(&head.version) {
            return Err(JournalError::UnknownVersion(head.version));
        }
        serde_json::from_slice(bytes).map_err(JournalError::Malformed)
    }
}

impl Target {
    /// Says what the image is once it is in a slot.
    pub fn installed(&self, image: Sha256Digest, standing: Standing) -> Installed {
        Installed {
            image,
            version: self.version.clone(),
            size_bytes: self.size_bytes,
            release_counter: self.release_counter,
            standing,
        }
    }
}

/// Who the device is; written at the factory, never changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The device.
    #[serde(with = "form::text")]
    pub device: warden_model::DeviceId,
    /// Its product.
    #[serde(with = "form::text")]
    pub product: ProductId,
    /// Its board.
    #[serde(with = "form::text")]
    pub hardware: HardwareId,
}
