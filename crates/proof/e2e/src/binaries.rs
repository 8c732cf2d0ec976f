//! Where the built binaries are.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

/// The binaries of the product.
#[derive(Debug, Clone)]
pub struct Binaries {
    /// The `fleetwarden` command.
    pub fleetwarden: PathBuf,
    /// The device agent.
    pub agent: PathBuf,
}

impl Binaries {
    /// Finds the binaries beside this one, or one folder above (test binaries lie in `deps`).
    pub fn find() -> Result<Self> {
        let own = std::env::current_exe().context("find the own binary")?;
        let folder = own.parent().unwrap_or(Path::new("."));
        let folder = if folder.ends_with("deps") { folder.parent().unwrap_or(folder) } else { folder };
        let binaries =
            Self { fleetwarden: folder.join("fleetwarden"), agent: folder.join("fleetwarden-agent") };
        for binary in [&binaries.fleetwarden, &binaries.agent] {
            ensure!(
                binary.exists(),
                "{} is not built\nhint: cargo build --workspace --bins",
                binary.display()
            );
        }
        Ok(binaries)
    }
}
