//! Releases: a firmware on its way to a product's devices; patches that make the way short.

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
