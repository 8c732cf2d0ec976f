//! An index of an image: what any device needs to fetch only what it lacks of it, whatever it runs.
//!
//! In: an image, or an index of one with the image that a device has. Out: the index in four parts ([`make_index`]); what of
//! the content is missing and in which ranges it lies ([`plan_fetch`]); the image ([`assemble`]). Refuses: parts with another
//! digest than the head says, before anything of them is read; whatever breaks the format or exceeds a limit; frames with
//! another digest, before they are unpacked; an image with another digest than promised.
//!
//! `docs/reference/index-format.md` tells the format byte by byte. The *head* names the other parts by digest and is itself
//! named by signed metadata; the *map* says how the image is unpacked and packed again, and where files begin; the *list* says
//! what chunks the plain image has and where they lie in the *content*, which is fetched in ranges.

mod assemble;
mod build;
mod code;
mod cut;
mod error;
mod fetch;
mod head;
mod list;
mod map;

pub use assemble::{Assembled, Checked, Fetched, Sources, assemble, check_fetched};
pub use build::{IndexLimits, MadeIndex, make_index};
pub use error::IndexError;
pub use fetch::{FetchPlan, Owned, REQUESTS_MAX, Range, plan_fetch};
pub use head::{HEAD_BYTES_MAX, IndexHead, LIST_BYTES_MAX, MAP_BYTES_MAX, Part};
pub use list::ChunkList;
pub use map::ImageMap;

/// Refuses more of something than there may be.
fn limited(what: &'static str, found: u64, limit: u64) -> Result<(), IndexError> {
    if found > limit { Err(IndexError::Limit { what, found, limit }) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
