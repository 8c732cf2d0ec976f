//! Firmware images made on the spot: SquashFS root file systems, the same bytes each time.

use std::collections::BTreeMap;
use std::io::{self, Cursor};

use backhand::compression::Compressor;
use backhand::{FilesystemCompressor, FilesystemWriter, NodeHeader};

/// A root file system under construction.
#[derive(Debug, Clone, Default)]
pub struct RootFs {
    files: BTreeMap<String, (u16, Vec<u8>)>,
    links: BTreeMap<String, String>,
}

impl RootFs {
    /// Starts an empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file; `path` from the top, without leading slash; `mode` as in `chmod`.
    #[must_use]
    pub fn file(mut self, path: &str, mode: u16, bytes: impl Into<Vec<u8>>) -> Self {
        self.files.insert(path.to_owned(), (mode, bytes.into()));
        self
    }

    /// Adds a symbolic link.
    #[must_use]
    pub fn link(mut self, path: &str, target: &str) -> Self {
        self.links.insert(path.to_owned(), target.to_owned());
        self
    }

    /// Adds all that another tree has.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        self.files.extend(other.files);
        self.links.extend(other.links);
        self
    }

    /// Adds a health check that the agent runs after the first boot; `script` is the body of a shell script.
    #[must_use]
    pub fn health_check(self, name: &str, script: &str) -> Self {
        self.file(&format!("etc/fleetwarden/health.d/{name}"), 0o755, format!("#!/bin/sh\n{script}\n"))
    }

    /// Writes the SquashFS image (version 4.0, gzip, blocks of 128 KiB, times and owners zero).
    pub fn squashfs(&self) -> io::Result<Vec<u8>> {
        let mut writer = FilesystemWriter::default();
        writer.set_time(0);
        writer.set_block_size(128 * 1024);
        writer.set_compressor(FilesystemCompressor::new(Compressor::Gzip, None).map_err(io::Error::other)?);
        writer.set_root_mode(0o755);
        let folder = NodeHeader::new(0o755, 0, 0, 0);
        for (path, (mode, bytes)) in &self.files {
            push_parents(&mut writer, path, folder)?;
            let header = NodeHeader::new(*mode, 0, 0, 0);
            writer.push_file(Cursor::new(bytes.clone()), path, header).map_err(io::Error::other)?;
        }
        for (path, target) in &self.links {
            push_parents(&mut writer, path, folder)?;
            writer.push_symlink(target, path, NodeHeader::new(0o777, 0, 0, 0)).map_err(io::Error::other)?;
        }
        let mut image = Cursor::new(Vec::new());
        writer.write(&mut image).map_err(io::Error::other)?;
        Ok(image.into_inner())
    }
}

fn push_parents(writer: &mut FilesystemWriter<'_, '_, '_>, path: &str, header: NodeHeader) -> io::Result<()> {
    match path.rsplit_once('/') {
        Some((parent, _)) => writer.push_dir_all(parent, header).map_err(io::Error::other),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::RootFs;

    #[test]
    fn the_same_tree_makes_the_same_bytes() {
        let tree = || RootFs::new().file("bin/tool", 0o755, vec![7; 300_000]).health_check("10-tool", "true");
        let image = tree().squashfs().unwrap();
        assert_eq!(image, tree().squashfs().unwrap());
        assert!(image.starts_with(b"hsqs"));
    }
}
