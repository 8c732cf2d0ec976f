//! Version order: which of two versions is the newer one, by the rules of their ecosystem.
//!
//! In: an ecosystem (as OSV writes it) or a purl type, and two version texts. Out: their order, a total preorder over all
//! texts, broken ones included: matching sorts and bisects with it. Refuses nothing; what a grammar does not know is
//! compared as text, in a place that the scheme defines.

mod apk;
mod dpkg;
mod generic;
mod maven;
mod nuget;
mod pep440;
mod rpm;
mod semver;

use std::cmp::Ordering;

/// The rules by which versions are ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scheme {
    /// Debian policy 5.6.12: epoch, upstream version, revision; `~` sorts before everything. Opkg uses it too.
    Dpkg,
    /// Alpine's apk-tools: `1.2.3a_rc1-r0`.
    Apk,
    /// RPM: epoch, version, release; `~` before and `^` after.
    Rpm,
    /// Semantic versioning 2.0.0, read leniently: `v1.2` is `1.2.0`.
    Semver,
    /// Python's PEP 440.
    Pep440,
    /// Maven's `ComparableVersion`: numbers and words, `alpha` to `sp`, in lists.
    Maven,
    /// Semantic versioning with up to four numbers, as `NuGet` has it.
    Nuget,
    /// Dotted numbers with letters (`1.0.2k`) and words for what comes before a release (`rc1`).
    Generic,
}

impl Scheme {
    /// Returns the scheme of a purl type or of an OSV ecosystem, whose release after the colon does not count.
    /// What is not known has [`Scheme::Generic`].
    pub fn of(ecosystem_or_purl_type: &str) -> Self {
        let name = ecosystem_or_purl_type.split(':').next().unwrap_or_default().trim().to_ascii_lowercase();
        match name.as_str() {
            "deb" | "debian" | "ubuntu" | "opkg" | "echo" => Self::Dpkg,
            "apk" | "alpine" | "wolfi" | "chainguard" | "alpaquita" | "minimos" => Self::Apk,
            "rpm" | "red hat" | "rocky linux" | "almalinux" | "suse" | "opensuse" | "mageia"
            | "openeuler" | "photon os" | "azure linux" => Self::Rpm,
            "semver" | "npm" | "cargo" | "crates.io" | "golang" | "go" | "hex" | "pub" | "swift"
            | "swifturl" => Self::Semver,
            "pypi" => Self::Pep440,
            "maven" => Self::Maven,
            "nuget" => Self::Nuget,
            _ => Self::Generic,
        }
    }

    /// Compares two versions.
    pub fn compare(self, a: &str, b: &str) -> Ordering {
        match self {
            Self::Dpkg => dpkg::compare(a, b),
            Self::Apk => apk::compare(a, b),
            Self::Rpm => rpm::compare(a, b),
            Self::Semver => semver::compare(a, b),
            Self::Pep440 => pep440::compare(a, b),
            Self::Maven => maven::compare(a, b),
            Self::Nuget => nuget::compare(a, b),
            Self::Generic => generic::compare(a, b),
        }
    }
}

/// Compares two versions by the rules of an ecosystem (`Debian:12`, `crates.io`) or of a purl type (`deb`, `cargo`).
pub fn compare(ecosystem_or_purl_type: &str, a: &str, b: &str) -> Ordering {
    Scheme::of(ecosystem_or_purl_type).compare(a, b)
}

/// A number of any length, without its leading zeros: compared by length, then by digits, it can never overflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Number<'a> {
    digits: usize,
    text: &'a str,
}

impl<'a> Number<'a> {
    fn new(digits: &'a str) -> Self {
        let text = digits.trim_start_matches('0');
        Self { digits: text.len(), text }
    }

    fn is_zero(self) -> bool {
        self.digits == 0
    }
}

/// Splits off the longest start whose characters all fit.
fn split_while(text: &str, fits: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !fits(c)).unwrap_or(text.len()))
}

fn is_digit(c: char) -> bool {
    c.is_ascii_digit()
}

/// Splits off a decimal epoch and its colon; a text without one has epoch 0.
fn split_epoch(text: &str) -> (Number<'_>, &str) {
    match text.split_once(':') {
        Some((epoch, rest)) if !epoch.is_empty() && epoch.chars().all(is_digit) => (Number::new(epoch), rest),
        Some(_) | None => (Number::new(""), text),
    }
}

#[cfg(test)]
mod tests;
