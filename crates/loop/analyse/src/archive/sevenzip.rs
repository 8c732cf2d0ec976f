//! 7z archives: copy, LZMA, LZMA2, deflate and bzip2, with the filters for programs.
//!
//! In: an archive. Out: its entries. Refuses encrypted archives, and methods other than those.
//!
//! Layout as in the LZMA SDK's "7zFormat.txt".

mod folder;
mod header;

use std::io::{self, Read};

use crate::bytes::{Bytes, Fields};
use crate::decode::crc;
use crate::door::{Content, Door, Found, FoundKind};
use crate::error::{Halt, bad};
use crate::format::{Carve, Claim, Format, Unpack};
use header::{Header, Member, Streams};

pub(crate) static FORMAT: Format = Format {
    name: "7z",
    extension: "7z",
    magics: &[(0, b"7z\xbc\xaf\x27\x1c")],
    carve: Carve::Anywhere,
    claim: |bytes| {
        let start = Start::read(bytes)?;
        Some(Claim::new("7z", start.at.checked_add(start.size)?))
    },
    unpack: Unpack::Tree(walk),
};

/// Largest header, unpacked: 64 MiB hold the names of 200,000 files many times over.
const HEADER_BYTES_MAX: u64 = 64 << 20;

/// Where the header is: at the end.
struct Start {
    at: u64,
    size: u64,
}

impl Start {
    fn read(bytes: &Bytes<'_>) -> Option<Self> {
        let head = bytes.array::<32>(0)?;
        let fields = Fields::little(&head);
        let at = fields.u64(12).checked_add(32)?;
        (crc::ethernet(fields.slice(12, 20)) == fields.u32(8)).then(|| Self { at, size: fields.u64(20) })
    }
}

fn walk(bytes: &Bytes<'_>, door: &mut Door<'_, '_>) -> Result<(), Halt> {
    let start = Start::read(bytes).ok_or_else(|| bad("its first header makes no sense"))?;
    if start.size == 0 {
        return Ok(());
    }
    let mut raw = bytes.vec(start.at, start.size.min(HEADER_BYTES_MAX))?;
    // A packed header describes where another one is; real archives do that once.
    for _ in 0..4 {
        match header::read(&raw, door)? {
            Header::Packed(streams) => {
                let folder = streams.folders.first().ok_or_else(|| bad("its header is packed in nothing"))?;
                let size = folder.unpacked();
                if size > HEADER_BYTES_MAX {
                    return Err(bad("its header is too long"));
                }
                raw.clear();
                folder::open(bytes, folder, &streams)?.read_to_end(&mut raw)?;
                if raw.len() as u64 != size {
                    return Err(bad("its header ends early"));
                }
            }
            Header::Plain { streams, members } => return offer_all(bytes, &streams, &members, door),
        }
    }
    Err(bad("its header is packed again and again"))
}

fn offer_all(
    bytes: &Bytes<'_>,
    streams: &Streams,
    members: &[Member],
    door: &mut Door<'_, '_>,
) -> Result<(), Halt> {
    let (with, without): (Vec<&Member>, Vec<&Member>) = members.iter().partition(|member| member.has_content);
    for member in without {
        let kind = if member.is_directory { FoundKind::Directory } else { FoundKind::File { size: 0 } };
        door.offer_bare(Found { path: member.name.clone(), mode: member.mode, owner: None, kind })?;
    }
    let mut with = with.into_iter();
    for folder in &streams.folders {
        let opened = folder::open(bytes, folder, streams);
        let mut reader = match opened {
            Ok(reader) => reader,
            Err(halt) => {
                // All that is packed in this folder is lost, and nothing else.
                let name = with
                    .by_ref()
                    .take(folder.sizes.len())
                    .last()
                    .map_or_else(Vec::new, |member| member.name.clone());
                door.tolerate(&name, Err(halt))?;
                continue;
            }
        };
        for size in &folder.sizes {
            let Some(member) = with.next() else { return Err(bad("it packs more than it names")) };
            let mut content = reader.by_ref().take(*size);
            let kind = FoundKind::File { size: *size };
            let found = Found { path: member.name.clone(), mode: member.mode, owner: None, kind };
            if member.mode & 0o170_000 == 0o120_000 {
                let mut target = Vec::new();
                content.by_ref().take(4096).read_to_end(&mut target)?;
                door.offer_bare(Found { kind: FoundKind::Symlink { target }, ..found })?;
            } else {
                door.offer(found, Content::Stream(&mut content))?;
            }
            io::copy(&mut content, &mut io::sink())?;
            if content.limit() > 0 {
                return Err(bad("it ends early"));
            }
        }
    }
    Ok(())
}
