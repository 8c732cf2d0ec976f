//! ar archives: packages of Debian (.deb), some of opkg (.ipk), and static libraries.
//!
//! In: an archive. Out: its members, as windows. Refuses members that lead outside.
//!
//! Layout as in "ar(5)" of FreeBSD: GNU keeps long names in a member `//`, BSD in front of the content.

use crate::bytes::Bytes;
use crate::door::Door;
use crate::error::{Halt, bad};
use crate::format::{Carve, Claim, Format, Unpack};

pub(crate) static FORMAT: Format = Format {
    name: "ar",
    extension: "ar",
    magics: &[(0, b"!<arch>\n")],
    carve: Carve::Anywhere,
    claim: |bytes| {
        let mut at = MAGIC;
        let mut label = "ar";
        let mut index = 0;
        while let Some(member) = Member::read(bytes, at) {
            if index == 0 && member.name == "debian-binary" {
                label = "ar (Debian package)";
            }
            at = member.end;
            index += 1;
        }
        Some(Claim::new(label, at.min(bytes.length())))
    },
    unpack: Unpack::Tree(walk),
};

/// Bytes of the magic number.
const MAGIC: u64 = 8;

/// Bytes of the header of a member.
const HEAD: u64 = 60;

struct Member {
    name: String,
    start: u64,
    size: u64,
    end: u64,
}

impl Member {
    fn read(bytes: &Bytes<'_>, at: u64) -> Option<Self> {
        let head = bytes.array::<60>(at)?;
        let text = |from: usize, to: usize| {
            let field = head.get(from..to).unwrap_or_default();
            std::str::from_utf8(field).ok().map(|text| text.trim_end().to_owned())
        };
        let size: u64 = text(48, 58)?.parse().ok()?;
        let start = at + HEAD;
        let end = start.checked_add(size)?.next_multiple_of(2);
        head.ends_with(b"`\n").then_some(Self { name: text(0, 16)?, start, size, end })
    }
}

fn walk(bytes: &Bytes<'_>, door: &mut Door<'_, '_>) -> Result<(), Halt> {
    let mut at = MAGIC;
    let mut long_names = Bytes::of(Vec::new());
    while at + HEAD <= bytes.length() {
        door.step()?;
        let member = Member::read(bytes, at).ok_or_else(|| bad("a member has no header"))?;
        let mut content = bytes.slice(member.start, member.size);
        at = member.end;
        let name = match member.name.as_str() {
            "//" => {
                long_names = content;
                continue;
            }
            // The table of symbols of a library.
            "/" | "/SYM64/" | "__.SYMDEF" => continue,
            name => match (name.strip_prefix("#1/"), name.strip_prefix('/')) {
                (Some(length), _) => {
                    let length = length.parse().unwrap_or(0);
                    let name = content.head(0, length);
                    content = content.from(length);
                    String::from_utf8_lossy(&name).trim_end_matches('\0').to_owned()
                }
                (None, Some(offset)) => {
                    let offset = offset.parse().unwrap_or(0);
                    let name = long_names.head(offset, 1024);
                    let name = name.split(|byte| *byte == b'\n').next().unwrap_or_default();
                    String::from_utf8_lossy(name).trim_end_matches('/').to_owned()
                }
                (None, None) => name.trim_end_matches('/').to_owned(),
            },
        };
        if content.length() < member.size.min(1) {
            return Err(bad("a member leads outside"));
        }
        door.offer_part(&name, content)?;
    }
    Ok(())
}
