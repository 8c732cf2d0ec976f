//! Looks at the content of one file, as a stream.
//!
//! In: a binary's bytes. Out: what its ELF notes and its texts tell. Refuses nothing: what cannot be told is left out;
//! holds one chunk.

use std::io::{self, Read};

use super::note::{Notes, read_notes};
use super::products::Product;
use super::scan::{CONTEXT_BYTES, Hits, Scanner};
use crate::budget::read_up_to;

/// Bytes that are looked at together. 256 KiB: program headers and notes stand in the first pages of real files.
const CHUNK_BYTES: usize = 256 * 1024;

/// What a file tells.
pub(crate) struct Look {
    pub(super) notes: Notes,
    pub(super) products: Vec<(&'static Product, String, String)>,
    /// How many bytes were read.
    pub(crate) bytes: u64,
}

impl Look {
    pub(crate) fn build_id(&self) -> Option<String> {
        self.notes.build_id.clone()
    }
}

/// Whether content may hold what is looked for: texts for people (which name many versions) are left alone.
fn is_binary(head: &[u8]) -> bool {
    // Message catalogues hold texts of programs, and no program.
    let is_catalogue =
        head.starts_with(&[0xde, 0x12, 0x04, 0x95]) || head.starts_with(&[0x95, 0x04, 0x12, 0xde]);
    head.starts_with(b"\x7fELF") || (!is_catalogue && head.iter().take(512).any(|byte| *byte == 0))
}

/// Reads content to its end and tells what is in it.
pub(crate) fn look(scanner: &Scanner, content: &mut dyn Read) -> io::Result<Look> {
    let mut buffer = vec![0; CHUNK_BYTES];
    // What is kept of the last chunk in front of this one, with one more byte as context.
    let mut kept = 0;
    let mut look = Look { notes: Notes::default(), products: Vec::new(), bytes: 0 };
    let mut hits = Hits::default();
    loop {
        let count = read_up_to(content, buffer.get_mut(kept..).unwrap_or_default())?;
        let filled = kept + count;
        let bytes = buffer.get(..filled).unwrap_or_default();
        if look.bytes == 0 {
            if !is_binary(bytes) {
                look.bytes = count as u64 + io::copy(content, &mut io::sink())?;
                return Ok(look);
            }
            look.notes = read_notes(bytes);
        }
        look.bytes = look.bytes.saturating_add(count as u64);
        let is_last = filled < CHUNK_BYTES;
        let to = if is_last { filled } else { filled - CONTEXT_BYTES };
        scanner.scan(bytes, usize::from(kept > 0), to, &mut hits);
        if is_last {
            look.products = hits.finish();
            return Ok(look);
        }
        buffer.copy_within(to - 1.., 0);
        kept = CONTEXT_BYTES + 1;
    }
}
