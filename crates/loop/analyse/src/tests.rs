//! Images made by hand and by the writers of the libraries, whole, damaged and hostile, through the public functions.

mod build;
mod containers;
mod formats;
mod hostile;
mod made;
mod parts;
mod sbom;

use std::io::Cursor;

use crate::{AnalyseError, Analysis, Limits, analyse};

/// Analyses bytes with the default limits.
fn analysed(image: &[u8]) -> Result<Analysis, AnalyseError> {
    analyse(Box::new(Cursor::new(image)), &Limits::default())
}

/// Returns the paths of all files.
fn paths(analysis: &Analysis) -> Vec<&str> {
    analysis.files.iter().map(|file| file.path.as_str()).collect()
}

/// Returns the package URLs of all components.
fn purls(analysis: &Analysis) -> Vec<String> {
    analysis.components.iter().map(|component| component.purl.to_string()).collect()
}
