//! What others made: components from package databases, ELF notes and version texts.
//!
//! In: the content of files. Out: components with evidence. Refuses more of each than its limits allow.

mod content;
mod merge;
mod note;
mod packages;
mod products;
mod scan;
mod version;

pub(crate) use content::look;
pub(crate) use merge::Collection;
pub(crate) use packages::{DATABASE_BYTES_MAX, Database, Distribution, database_at, is_os_release};
pub use products::{PRODUCTS, Product};
pub(crate) use scan::Scanner;

/// Longest detail of an evidence, in characters; see [`warden_model::firmware::Evidence`].
const DETAIL_CHARS_MAX: usize = 200;

/// Cuts a text for people to the length of a detail.
fn detail(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(DETAIL_CHARS_MAX).collect()
}
