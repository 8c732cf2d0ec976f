//! Two images to a patch; image and patch to an image, streaming.
//!
//! In: for [`make`], both images in memory; for [`apply`], the base by random access and the patch as a stream.
//! Out: a patch that is smaller than the image that it makes, or the news that the full image is the better way; and
//! the image, written once from front to back in bounded memory. Refuses: a base that is not the one that the patch
//! was made for, every byte that does not fit [the format](format), sizes above the caller's limits, and a result whose
//! digest is not the promised one.
//!
//! The border is [`make`], [`read_header`] and [`apply`]; how a patch is coded is nobody else's business.

mod align;
pub mod apply;
pub mod format;
pub mod make;
mod suffixes;
mod unpack;

pub use apply::{Applied, ApplyError, ApplyLimits, ReadSeek, apply, read_header};
pub use format::Header;
pub use make::{Made, MakeError, MakeLimits, make};

#[cfg(test)]
mod tests;
