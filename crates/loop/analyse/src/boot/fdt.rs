//! Flattened device trees, and U-Boot's images in that form (FIT).
//!
//! In: a tree. Out: the images of a FIT, wherever their data is; of a plain tree what large properties hold. Refuses trees
//! that nest too deep, and properties that lead outside.
//!
//! Layout as in the Devicetree Specification 0.4, chapter 5; FIT as in the Flat Image Tree Specification 1.0.

use std::collections::BTreeMap;

use crate::bytes::{Bytes, Endian, Fields};
use crate::door::Door;
use crate::error::{Halt, bad, early};
use crate::format::{Carve, Claim, Format, Unpack};

pub(crate) static FORMAT: Format = Format {
    name: "device tree",
    extension: "dtb",
    magics: &[(0, b"\xd0\x0d\xfe\xed")],
    carve: Carve::Anywhere,
    claim: |bytes| {
        let tree = Header::read(bytes)?;
        let is_fit =
            bytes.slice(tree.structure, 4096).head(0, 4096).windows(7).any(|name| name == b"images\0");
        let label = if is_fit { "FIT image" } else { "device tree" };
        let claim = Claim::new(label, if is_fit { fit_bytes(bytes, &tree) } else { tree.length });
        Some(claim)
    },
    unpack: Unpack::Tree(walk),
};

// Tokens of the structure block.
const BEGIN: u32 = 1;
const END: u32 = 2;
const PROPERTY: u32 = 3;
const NOTHING: u32 = 4;

/// Deepest nesting of nodes.
const DEPTH_MAX: usize = 32;

/// Properties of a plain tree that are handed on: smaller ones are numbers and names.
const PART_BYTES_MIN: u64 = 1024;

struct Header {
    length: u64,
    structure: u64,
    strings: u64,
}

impl Header {
    fn read(bytes: &Bytes<'_>) -> Option<Self> {
        let head = bytes.array::<40>(0)?;
        let fields = Fields::big(&head);
        let (length, structure, strings) = (fields.u32(4), fields.u32(8), fields.u32(12));
        let fits = (40..length).contains(&structure)
            && (40..=length).contains(&strings)
            && (16..=18).contains(&fields.u32(20))
            && bytes.u32(Endian::Big, u64::from(structure)) == Some(BEGIN);
        let wide = u64::from;
        fits.then(|| Self { length: wide(length), structure: wide(structure), strings: wide(strings) })
    }
}

/// Where data of images stands that is not in the tree itself.
#[derive(Default)]
struct External {
    offset: Option<u64>,
    position: Option<u64>,
    size: Option<u64>,
}

/// Takes a property: the path of its node, its name, and its value.
type Call<'c, 'a> = dyn FnMut(&[Vec<u8>], &[u8], Bytes<'a>) -> Result<(), Halt> + 'c;

/// Calls for each property with the path of its node, its name, and its value.
fn properties<'a>(bytes: &Bytes<'a>, header: &Header, call: &mut Call<'_, 'a>) -> Result<(), Halt> {
    let mut path: Vec<Vec<u8>> = Vec::new();
    let mut at = header.structure;
    loop {
        let token = bytes.u32(Endian::Big, at).ok_or_else(early)?;
        at += 4;
        match token {
            BEGIN => {
                let name = text(bytes, at);
                at = (at + name.len() as u64 + 1).next_multiple_of(4);
                path.push(name);
                if path.len() > DEPTH_MAX {
                    return Err(bad("its nodes are nested too deep"));
                }
            }
            END => {
                path.pop();
                if path.is_empty() {
                    return Ok(());
                }
            }
            PROPERTY => {
                let length = u64::from(bytes.u32(Endian::Big, at).ok_or_else(early)?);
                let name = u64::from(bytes.u32(Endian::Big, at + 4).ok_or_else(early)?);
                let name = text(bytes, header.strings.saturating_add(name));
                call(path.get(1..).unwrap_or_default(), &name, bytes.slice(at + 8, length))?;
                at = at.saturating_add(8 + length).next_multiple_of(4);
            }
            NOTHING => {}
            _ => return Err(bad("its structure holds an unknown token")),
        }
    }
}

/// A name, up to its NUL.
fn text(bytes: &Bytes<'_>, at: u64) -> Vec<u8> {
    let head = bytes.head(at, 256);
    head.split(|byte| *byte == 0).next().unwrap_or_default().to_vec()
}

/// The external data of the images of a FIT, by the names of their nodes.
fn externals(bytes: &Bytes<'_>, header: &Header) -> BTreeMap<Vec<u8>, External> {
    let mut found: BTreeMap<Vec<u8>, External> = BTreeMap::new();
    let end = properties(bytes, header, &mut |path, name, value| {
        let [first, node] = path else { return Ok(()) };
        let Some(number) = value.u32(Endian::Big, 0).map(u64::from).filter(|_| first == b"images") else {
            return Ok(());
        };
        match name {
            b"data-offset" => found.entry(node.clone()).or_default().offset = Some(number),
            b"data-position" => found.entry(node.clone()).or_default().position = Some(number),
            b"data-size" => found.entry(node.clone()).or_default().size = Some(number),
            _ => {}
        }
        Ok(())
    });
    if end.is_ok() { found } else { BTreeMap::new() }
}

impl External {
    /// Offsets count from the end of the tree, rounded up to four bytes.
    fn place(&self, header: &Header) -> Option<(u64, u64)> {
        let base = header.length.next_multiple_of(4);
        let at = self.position.or(self.offset.map(|offset| base.saturating_add(offset)))?;
        Some((at, self.size?))
    }
}

/// The length of a FIT with the data behind it.
fn fit_bytes(bytes: &Bytes<'_>, header: &Header) -> u64 {
    let places = externals(bytes, header).into_values().filter_map(|external| external.place(header));
    places.map(|(at, size)| at.saturating_add(size)).fold(header.length, u64::max)
}

fn walk(bytes: &Bytes<'_>, door: &mut Door<'_, '_>) -> Result<(), Halt> {
    let header = Header::read(bytes).ok_or_else(|| bad("its header makes no sense"))?;
    properties(bytes, &header, &mut |path, name, value| {
        door.step()?;
        let is_image = matches!(path, [first, _] if first == b"images") && name == b"data";
        if !is_image && value.length() < PART_BYTES_MIN {
            return Ok(());
        }
        let mut full = path.to_vec();
        if !is_image {
            full.push(name.to_vec());
        }
        door.offer_part(&String::from_utf8_lossy(&full.join(&b'/')), value)
    })?;
    for (name, external) in externals(bytes, &header) {
        if let Some((at, size)) = external.place(&header) {
            let full = format!("images/{}", String::from_utf8_lossy(&name));
            door.offer_part(&full, bytes.slice(at, size))?;
        }
    }
    Ok(())
}
