//! Matching an image with advisories, without any server.

use std::path::PathBuf;

use warden_assess::findings;
use warden_feeds::{Limits, read_osv_path};
use warden_model::firmware::Firmware;

use super::Matched;
use crate::failure::{Exit, Failure, chain};
use crate::session::now;

/// Matches a firmware with the advisories below some paths; nothing when no path is given.
pub(super) fn matched(firmware: &Firmware, paths: &[PathBuf]) -> Result<Option<Matched>, Failure> {
    if paths.is_empty() {
        return Ok(None);
    }
    let mut advisories = Vec::new();
    let mut refused = Vec::new();
    for path in paths {
        let import = read_osv_path(path, now(), &Limits::default()).map_err(|error| {
            let exit = if path.exists() { Exit::Invalid } else { Exit::NotFound };
            Failure::new(exit, chain(&error)).hint(error.hint())
        })?;
        advisories.extend(import.advisories);
        refused.extend(import.refused.into_iter().map(|(path, error)| (path, chain(&error))));
    }
    let found = findings(firmware, &advisories);
    Ok(Some(Matched { advisories: advisories.len(), refused, findings: found }))
}

/// Says whether matching still works: a made-up weak component must meet its made-up advisory.
pub(crate) fn check_matching() -> Result<(), String> {
    warden_assess::canary::check().map_err(|error| chain(&error))
}
