//! Releases: a firmware on its way to a product's devices; patches that make the way short, and how far they are built.

use crate::firmware::Version;
use crate::words::words;
use crate::{ByteCount, ProductId, ReleaseId, Sha256Digest, Timestamp};

words! {
    /// How far a release has come. Each state is reached from the one before; `rejected` and `withdrawn` from any.
    pub enum ReleaseState: "release state" {
        /// The image is here.
        Uploaded = "uploaded",
        /// Its components are known.
        Analysed = "analysed",
        /// Patches from the versions in the field are built.
        Built = "built",
        /// The lab has passed it.
        Proven = "proven",
        /// The operator's offline key has signed it: it may roll out.
        Signed = "signed",
        /// The lab or the analysis has refused it.
        Rejected = "rejected",
        /// A person has taken it back.
        Withdrawn = "withdrawn",
    }
}

/// A release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// Names the release.
    pub id: ReleaseId,
    /// The product it is for.
    pub product: ProductId,
    /// Its version.
    pub version: Version,
    /// Its firmware image.
    pub image: Sha256Digest,
    /// Larger than that of each older release of the product: a device never goes back below what it has confirmed.
    pub counter: u64,
    /// How far it has come.
    pub state: ReleaseState,
    /// Why it is in this state, in one sentence.
    pub reason: String,
    /// When it came.
    pub created_at: Timestamp,
}

/// A patch from one image to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patch {
    /// The image that it applies to.
    pub base: Sha256Digest,
    /// The image that it makes.
    pub result: Sha256Digest,
    /// The digest of the patch file: its name among the artifacts.
    pub digest: Sha256Digest,
    /// The size of the patch file.
    pub size: ByteCount,
}

words! {
    /// Where the building of a patch stands.
    pub enum PatchState: "patch state" {
        /// It waits for its turn.
        Waiting = "waiting",
        /// It is being built.
        Building = "building",
        /// It is built, and was applied once: it makes the image.
        Built = "built",
        /// It would not be smaller than the full image.
        NotSmaller = "not-smaller",
        /// The image that it would apply to is not among the artifacts.
        NoBase = "no-base",
        /// Building it would take more memory than the server may spend.
        TooLarge = "too-large",
        /// It could not be built, and is not tried any more.
        Failed = "failed",
        /// No device has run its base for a long time: it goes as soon as the signed metadata does not list it any more.
        Dropped = "dropped",
    }
}

impl PatchState {
    /// Says whether nothing more will come: devices get the patch, or the full image.
    pub fn is_settled(self) -> bool {
        match self {
            Self::Waiting | Self::Building => false,
            Self::Built | Self::NotSmaller | Self::NoBase | Self::TooLarge | Self::Failed | Self::Dropped => {
                true
            }
        }
    }
}

words! {
    /// What is being done for a patch that is being built, in this order.
    pub enum PatchStep: "patch step" {
        /// Both images are read.
        Reading = "reading",
        /// File systems and streams inside them are unpacked, and files are paired.
        Unpacking = "unpacking",
        /// What the new image has in common with the old one is looked for.
        Matching = "matching",
        /// What is new is coded.
        Coding = "coding",
        /// The patch is applied, and what it makes is compared.
        Checking = "checking",
    }
}

impl PatchStep {
    /// Returns the number of the step, from 1.
    pub fn number(self) -> usize {
        Self::ALL.iter().position(|step| *step == self).unwrap_or(0).saturating_add(1)
    }
}

/// A patch that devices could use, and where its building stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatchJob {
    /// The image that it applies to.
    pub base: Sha256Digest,
    /// The version of that image, as the devices tell it.
    pub base_version: Version,
    /// The image that it makes.
    pub result: Sha256Digest,
    /// The product.
    pub product: ProductId,
    /// How many devices run the base at present.
    pub devices: u64,
    /// Where it stands.
    pub state: PatchState,
    /// What is being done; absent unless it is being built.
    pub step: Option<PatchStep>,
    /// How often it was begun.
    pub attempts: u32,
    /// Why it stands there, in a few words.
    pub reason: String,
    /// Since when it is wanted.
    pub wanted_at: Timestamp,
    /// When it was last begun.
    pub started_at: Option<Timestamp>,
    /// When that ended.
    pub ended_at: Option<Timestamp>,
    /// When it is tried again, after a failure.
    pub again_at: Option<Timestamp>,
    /// Since when no device runs its base.
    pub unused_since: Option<Timestamp>,
}
