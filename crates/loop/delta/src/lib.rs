//! Two images to a patch; image and patch to an image, streaming.
//!
//! In: for [`make`], both images in memory; for [`apply`], the base by random access and the patch as a stream.
//! Out: a patch that is smaller than the image that it makes, or the news that the full image is the better way; and
//! the image, written once from front to back in bounded memory. Refuses: a base that is not the one that the patch
//! was made for, every byte that does not fit [the format](format), sizes above the caller's limits, and a result whose
//! digest is not the promised one.
//!
//! The border is [`make`], [`read_header`] and [`apply`]; how a patch is coded is nobody else's business.

pub mod apply;
mod codec;
mod detect;
pub mod format;
pub mod index;
pub mod inplace;
mod layers;
mod layout;
pub mod make;
mod matcher;
mod normalise;
mod pair;
mod plan;
mod stream;
mod tell;

pub use apply::{
    Anew, Applied, ApplyError, ApplyLimits, Extras, PLACE_BYTES, Place, ReadSeek, ResultFile, Resume, Start,
    apply, apply_resumable, apply_with, read_header,
};
pub use format::{Header, Profile};
pub use layers::{LayerError, Scratch};
pub use make::{Made, MakeError, MakeLimits, Making, make, make_with};

#[cfg(test)]
mod tests;
