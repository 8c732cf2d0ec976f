//! Flattened device trees, and the FIT images of U-Boot, which are such trees with images in them.
//!
//! In: an image and a place. Out: the images of a FIT as files, each looked into; a plain device tree as one file.
//! Refuses a tree whose blocks do not lie inside it, that is nested too deep, or that does not end.

use super::Scan;
use super::bytes::{be32, length, round_up, slice, tail, text};

/// How deep nodes may be nested: real trees have up to ten levels.
const NODES_DEEP_MAX: usize = 32;

/// The most images of a FIT: one with a device tree for each of a vendor's boards has a few hundred.
const IMAGES_MAX: usize = 4_096;

/// The longest property that can be an image's data, in bytes.
const TOTAL_BYTES_MAX: u64 = 1 << 30;

/// An image of a FIT, as far as its node has been read.
#[derive(Default)]
struct Image {
    name: String,
    data: Option<(u64, u64)>,
    offset: Option<u64>,
    position: Option<u64>,
    len: Option<u64>,
}

/// Looks for a device tree (Devicetree Specification 0.4 section 5); returns where it ends.
pub(super) fn look(scan: &mut Scan<'_>, image: &[u8], start: u64) -> Option<u64> {
    if be32(image, start)? != 0xd00d_feed {
        return None;
    }
    let field = |index: u64| be32(image, start + 4 * index);
    let (total, version) = (field(1)?, field(5)?);
    let tree_end = start.checked_add(total).filter(|end| *end <= length(image))?;
    let inside = |offset: u64, len: u64| offset >= 40 && offset + len <= total;
    let (structure, structure_len) = (field(2)?, field(9)?);
    let (strings, strings_len) = (field(3)?, field(8)?);
    let fits = inside(structure, structure_len) && inside(strings, strings_len);
    if !(17..=32).contains(&version) || !fits || total > TOTAL_BYTES_MAX {
        return None;
    }
    let names = slice(image, start + strings, strings_len)?;
    let images = walk(scan, image, start + structure, start + structure + structure_len, names)?;
    // Data outside the tree counts from its end, at a multiple of four bytes (FIT section "external data").
    let outside = round_up(total, 4)?;
    let mut parts = images.iter().filter_map(|part| place(part, start, outside)).collect::<Vec<_>>();
    parts.sort_unstable();
    let mut listed = start;
    for (at, len, name) in parts {
        // Parts that share bytes, as none do in earnest, are listed once.
        if at >= listed && scan.member(image, name.to_owned(), at, len).is_some() {
            listed = at + len;
        }
    }
    let end = tree_end.max(listed);
    if images.is_empty() && scan.members == 0 {
        let pieces = vec![super::Piece::Raw { start, len: total }];
        scan.add("<device tree>".to_owned(), pieces)?;
    }
    Some(end)
}

/// Returns where an image's data lies, how long it is, and its name.
fn place(part: &Image, start: u64, outside: u64) -> Option<(u64, u64, &str)> {
    let (at, len) = match (part.data, part.position, part.offset) {
        (Some(data), _, _) => data,
        (None, Some(position), _) => (start.checked_add(position)?, part.len?),
        (None, None, Some(offset)) => (start.checked_add(outside)?.checked_add(offset)?, part.len?),
        (None, None, None) => return None,
    };
    (len > 0).then_some((at, len, part.name.as_str()))
}

/// Walks over the structure block; returns the children of `/images`.
fn walk(scan: &mut Scan<'_>, image: &[u8], from: u64, to: u64, names: &[u8]) -> Option<Vec<Image>> {
    let mut path = Vec::<String>::new();
    let mut images = Vec::<Image>::new();
    let mut at = from;
    while at < to {
        scan.meter.step()?;
        let token = be32(image, at)?;
        at += 4;
        match token {
            // FDT_BEGIN_NODE
            1 => {
                let name = name_at(image, at)?;
                at = round_up(at + length(name) + 1, 4)?;
                path.push(text(name));
                let [_, parent, child] = path.as_slice() else {
                    if path.len() > NODES_DEEP_MAX {
                        return None;
                    }
                    continue;
                };
                if parent == "images" && images.len() < IMAGES_MAX {
                    images.push(Image { name: child.clone(), ..Image::default() });
                }
            }
            // FDT_END_NODE
            2 => {
                path.pop()?;
            }
            // FDT_PROP
            3 => {
                let (len, name) = (be32(image, at)?, be32(image, at + 4)?);
                let value = at + 8;
                at = round_up(value.checked_add(len).filter(|end| *end <= to)?, 4)?;
                if let ([_, parent, _], Some(part)) = (path.as_slice(), images.last_mut())
                    && parent == "images"
                {
                    part.set(image, tail(names, name)?, value, len);
                }
            }
            // FDT_NOP
            4 => {}
            // FDT_END
            9 => return path.is_empty().then_some(images),
            _ => return None,
        }
    }
    None
}

impl Image {
    fn set(&mut self, image: &[u8], name: &[u8], value: u64, len: u64) {
        let number = || be32(image, value).filter(|_| len == 4);
        if name.starts_with(b"data\0") {
            self.data = Some((value, len));
        } else if name.starts_with(b"data-offset\0") {
            self.offset = number();
        } else if name.starts_with(b"data-position\0") {
            self.position = number();
        } else if name.starts_with(b"data-size\0") {
            self.len = number();
        }
    }
}

/// The longest name of a node with its unit address: the specification's 31 and 31, and room for what builders write.
const NAME_BYTES_MAX: usize = 256;

/// Returns the name of a node, without its NUL.
fn name_at(image: &[u8], at: u64) -> Option<&[u8]> {
    let rest = tail(image, at)?;
    let end = rest.iter().take(NAME_BYTES_MAX).position(|byte| *byte == 0)?;
    rest.get(..end)
}
