//! Advisories: what the world says is weak.

use crate::purl::Purl;
use crate::words::words;
use crate::{AdvisoryId, PerMille, Timestamp};

words! {
    /// How far exploitation has come: "Exploitation" of CISA SSVC.
    pub enum Exploitation: "exploitation" {
        /// Nothing is known.
        None = "none",
        /// Anybody can find a proof of concept.
        PublicPoc = "public-poc",
        /// It is used against somebody.
        Active = "active",
    }
}

words! {
    /// Whether an attacker can automate the first steps: "Automatable" of CISA SSVC.
    pub enum Automatable: "automatable" {
        /// Each target needs hand work.
        No = "no",
        /// A worm could do it.
        Yes = "yes",
    }
}

words! {
    /// How much of the component an attacker gets: "Technical Impact" of CISA SSVC.
    pub enum TechnicalImpact: "technical impact" {
        /// Some of it.
        Partial = "partial",
        /// All of it.
        Total = "total",
    }
}

/// From which version to which a package is affected; the versions are in the ecosystem's own order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionRange {
    /// The first affected version; `0` means from the beginning (OSV schema, "events").
    pub introduced: String,
    /// The first version that is not affected any more; absent while there is no fix.
    pub fixed: Option<String>,
    /// The last version known to be affected, where no fix is named.
    pub last_affected: Option<String>,
}

/// A package that an advisory names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Affected {
    /// The package, without a version.
    pub package: Purl,
    /// The affected ranges.
    pub ranges: Vec<VersionRange>,
    /// Affected versions named one by one.
    pub versions: Vec<String>,
}

/// An advisory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advisory {
    /// Names it.
    pub id: AdvisoryId,
    /// Its other names.
    pub aliases: Vec<AdvisoryId>,
    /// What it says, in one line.
    pub summary: String,
    /// When it was published.
    pub published: Timestamp,
    /// When it was last changed.
    pub modified: Timestamp,
    /// When it was taken back; a withdrawn advisory affects nothing.
    pub withdrawn: Option<Timestamp>,
    /// Its CVSS vector, of the newest version that it has one of.
    pub cvss: Option<String>,
    /// How far exploitation has come.
    pub exploitation: Exploitation,
    /// Whether it can be automated, where the publisher says so; else it follows from the vector.
    pub automatable: Option<Automatable>,
    /// How much an attacker gets, where the publisher says so; else it follows from the vector.
    pub technical_impact: Option<TechnicalImpact>,
    /// Whether it is in CISA's catalogue of known exploited vulnerabilities (KEV).
    pub in_kev: bool,
    /// How likely it is to be exploited within 30 days, as the Exploit Prediction Scoring System (EPSS) has it.
    pub epss: Option<PerMille>,
    /// What it affects.
    pub affected: Vec<Affected>,
    /// When we learned of it: the clock of time to protected starts here.
    pub known_at: Timestamp,
}
