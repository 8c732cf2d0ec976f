//! The pairs that everything starts from: small images of each kind that is unpacked, and their patches in all profiles.
//!
//! In: nothing but a folder for the tools of the system. Out: pairs with patches. Refuses nothing: file systems whose tool
//! is not installed are left out.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};
use warden_delta::{Made, MakeLimits, Profile, make};
use warden_kit::image::RootFs;

use crate::chance::Chance;
use crate::patch::Patch;

/// A pair of images.
#[derive(Debug, Clone)]
pub(crate) struct Pair {
    pub(crate) old: Vec<u8>,
    pub(crate) new: Vec<u8>,
    /// Its patches, one a profile.
    pub(crate) patches: Vec<Patch>,
}

/// Makes all pairs.
pub(crate) fn pairs(folder: &Path) -> Result<Vec<Pair>> {
    let mut pairs = Vec::new();
    let mut add = |name, old: Vec<u8>, new: Vec<u8>| -> Result<()> {
        let mut patches = Vec::new();
        for profile in [Profile::Linux, Profile::Mcu, Profile::Fast] {
            let limits = MakeLimits { profile, ..MakeLimits::default() };
            if let Made::Patch(patch) = make(&old, &new, &limits).context(name)? {
                patches.push(Patch::read(&patch).context("a patch that was just made")?);
            }
        }
        pairs.push(Pair { old, new, patches });
        Ok(())
    };
    let noise = Chance::of(1, 1).bytes(40_000);
    let moved =
        [noise.get(20_000..).unwrap_or_default(), b"new", noise.get(..20_000).unwrap_or_default()].concat();
    add("moved noise", noise.clone(), moved)?;
    add("text", text(0, 30_000), text(1, 30_000))?;
    let (old, new) = program()?;
    add("program", old, new)?;
    for (name, pack) in PACKERS {
        let image = |version| -> Result<Vec<u8>> {
            let front = [noise.get(..900).unwrap_or_default(), b"front"].concat();
            Ok([front, pack(&text(version, 60_000))?, b"behind".to_vec()].concat())
        };
        add(name, image(0)?, image(1)?)?;
    }
    let nested = |version| -> Result<Vec<u8>> {
        let inner = zstd_frame(&text(version, 50_000))?;
        zstd_frame(&[noise.get(..3_000).unwrap_or_default(), &inner[..], &text(9, 4_000)].concat())
    };
    add("nested", nested(0)?, nested(1)?)?;
    let tree = |version| {
        RootFs::new()
            .file("bin/tool", 0o755, text(version, 50_000))
            .file("lib/same", 0o644, text(7, 30_000))
            .file("etc/version", 0o644, format!("{version}"))
            .squashfs()
            .context("make a squashfs")
    };
    add("squashfs", tree(0)?, tree(1)?)?;
    for (name, program, arguments) in FILE_SYSTEMS {
        if let (Some(old), Some(new)) =
            (packed(folder, (name, program, arguments), 0)?, packed(folder, (name, program, arguments), 1)?)
        {
            add(name, old, new)?;
        }
    }
    Ok(pairs)
}

type Pack = fn(&[u8]) -> Result<Vec<u8>>;

const PACKERS: [(&str, Pack); 3] = [("gzip", gzip), ("xz", xz), ("zstd", zstd_frame)];

/// File systems by the tools of the system; `IMAGE` and `TREE` stand for the paths.
const FILE_SYSTEMS: [(&str, &str, &[&str]); 4] = [
    ("squashfs xz", "mksquashfs", &["TREE", "IMAGE", "-comp", "xz", "-noappend", "-quiet", "-no-progress"]),
    (
        "squashfs lz4",
        "mksquashfs",
        &["TREE", "IMAGE", "-comp", "lz4", "-Xhc", "-noappend", "-quiet", "-no-progress"],
    ),
    ("erofs", "mkfs.erofs", &["-zlz4hc", "-T0", "IMAGE", "TREE"]),
    ("ext4", "mkfs.ext4", &["-q", "-F", "-d", "TREE", "IMAGE", "512"]),
];

/// Packs a small tree with a tool. Tools write times and chance into an image, so each is made once for a folder.
fn packed(
    folder: &Path,
    (name, program, arguments): (&str, &str, &[&str]),
    version: u8,
) -> Result<Option<Vec<u8>>> {
    let (tree, image) = (folder.join("tree"), folder.join(format!("{name} {version}")));
    if image.exists() {
        return Ok(Some(fs::read(&image)?));
    }
    fs::create_dir_all(tree.join("bin"))?;
    fs::write(tree.join("bin/tool"), text(version, 50_000))?;
    fs::write(tree.join("same"), text(7, 20_000))?;
    let place = |argument: &&str| match *argument {
        "TREE" => tree.clone().into_os_string(),
        "IMAGE" => image.clone().into_os_string(),
        other => other.into(),
    };
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let status = Command::new(program)
        .args(arguments.iter().map(place))
        .env("PATH", path)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if !status.is_ok_and(|status| status.success()) {
        return Ok(None);
    }
    Ok(Some(fs::read(&image)?))
}

/// Words by chance; another version has another word now and then, and some more at the end.
fn text(version: u8, len: usize) -> Vec<u8> {
    let mut chance = Chance::of(7, 7);
    let mut text = Vec::new();
    while text.len() < len {
        let word = chance.next();
        let word = if version > 0 && word.is_multiple_of(97) { word ^ u64::from(version) } else { word };
        text.extend(format!("{:x} ", word % 5_000).into_bytes());
    }
    text.extend(vec![b'0' + version; 20 + usize::from(version)]);
    text
}

/// A stretch of this very program, and the same with a function grown: real code with real addresses.
fn program() -> Result<(Vec<u8>, Vec<u8>)> {
    let own = fs::read(std::env::current_exe()?).context("read the own program")?;
    let old = own.get(..own.len().min(96 << 10)).unwrap_or_default().to_vec();
    let (front, back) = old.split_at(old.len() / 2);
    let new = [front, &[0x90; 48], back].concat();
    Ok((old, new))
}

fn gzip(plain: &[u8]) -> Result<Vec<u8>> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
    packer.write_all(plain)?;
    Ok(packer.finish()?)
}

fn xz(plain: &[u8]) -> Result<Vec<u8>> {
    let mut packer = liblzma::write::XzEncoder::new(Vec::new(), 6);
    packer.write_all(plain)?;
    Ok(packer.finish()?)
}

fn zstd_frame(plain: &[u8]) -> Result<Vec<u8>> {
    Ok(zstd::encode_all(plain, 3)?)
}
