//! A self test: an advisory that must be found, and two that must not.
//!
//! In: nothing. Out: nothing, or what matching got wrong. A server that starts with matching broken would report a safe
//! fleet; it must refuse to start instead.

use thiserror::Error;
use warden_model::advisory::{Advisory, Affected, Automatable, Exploitation, VersionRange};
use warden_model::firmware::{Component, Evidence, Firmware, Method, Version, VersionError};
use warden_model::purl::Purl;
use warden_model::{AdvisoryId, ByteCount, IdError, ProductId, Sha256Digest, Timestamp};

use crate::matching::findings;

/// What the self test found to be broken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CanaryError {
    /// The ids of the test cannot be made.
    #[error("the self test of matching cannot make its ids")]
    Id(#[from] IdError),
    /// The version of the test cannot be made.
    #[error("the self test of matching cannot make its version")]
    Version(#[from] VersionError),
    /// The advisory that applies was not found.
    #[error("matching missed an advisory that applies")]
    Missed,
    /// An advisory that does not apply was found.
    #[error("matching found an advisory that does not apply: {why}")]
    FalseAlarm {
        /// Why it does not apply.
        why: &'static str,
    },
}

/// Makes a firmware with a component that the advisory names.
pub fn canary() -> Result<(Firmware, Advisory), CanaryError> {
    let package = Purl::new("generic", "fleetwarden-canary", None);
    let version = "1.0.9";
    let path = "usr/lib/fleetwarden-canary".to_owned();
    let component = Component {
        name: package.name.clone(),
        version: version.to_owned(),
        purl: Purl { version: Some(version.to_owned()), ..package.clone() },
        cpe: None,
        evidence: vec![Evidence { path, method: Method::PackageDatabase, detail: version.to_owned() }],
    };
    let firmware = Firmware {
        image: Sha256Digest([0; 32]),
        product: ProductId::new("fleetwarden-canary")?,
        version: Version::new("1")?,
        size: ByteCount(0),
        added_at: Timestamp(0),
        components: Some(vec![component]),
    };
    // Compared as text, 1.0.9 would be newer than 1.0.10.
    let range =
        VersionRange { introduced: "0".to_owned(), fixed: Some("1.0.10".to_owned()), last_affected: None };
    let advisory = Advisory {
        id: AdvisoryId::new("FLEETWARDEN-CANARY-1")?,
        aliases: Vec::new(),
        summary: "an advisory that must always be found".to_owned(),
        published: Timestamp(0),
        modified: Timestamp(0),
        withdrawn: None,
        cvss: None,
        exploitation: Exploitation::None,
        automatable: Some(Automatable::No),
        technical_impact: None,
        in_kev: false,
        epss: None,
        affected: vec![Affected { package, ranges: vec![range], versions: Vec::new() }],
        known_at: Timestamp(0),
    };
    Ok((firmware, advisory))
}

/// Checks that matching finds the canary, and finds it neither withdrawn nor fixed.
pub fn check() -> Result<(), CanaryError> {
    let (mut firmware, advisory) = canary()?;
    let advisories = [advisory.clone()];
    if findings(&firmware, &advisories).len() != 1 {
        return Err(CanaryError::Missed);
    }
    let withdrawn = [Advisory { withdrawn: Some(Timestamp(0)), ..advisory }];
    if !findings(&firmware, &withdrawn).is_empty() {
        return Err(CanaryError::FalseAlarm { why: "it was withdrawn" });
    }
    for component in firmware.components.iter_mut().flatten() {
        "1.0.10".clone_into(&mut component.version);
    }
    if !findings(&firmware, &advisories).is_empty() {
        return Err(CanaryError::FalseAlarm { why: "the component has the fix" });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_canary_sings() {
        assert_eq!(super::check(), Ok(()));
    }
}
