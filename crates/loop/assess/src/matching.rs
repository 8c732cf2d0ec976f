//! Which advisories apply to a firmware.
//!
//! In: an analysed firmware and advisories. Out: findings, sorted, each with the sentence that says why. Refuses: to match
//! by name alone. Type, namespace and name of the package URL must agree; a component without a version and a
//! withdrawn advisory never match.
//!
//! Two conventions of package URLs are honoured, so that distributions match rightly:
//! - An advisory for `?arch=source` names a source package (OSV does so for Debian, Ubuntu and Alpine). It is held against
//!   the source that the component tells in its qualifier `upstream` (`upstream=openssl` or `upstream=openssl@3.0.11-1`),
//!   and against the component's own name only when it tells none.
//! - Where both sides tell a release in `distro` (`debian-12`, `alpine-3.19`), the releases must agree: a fix for Debian 12
//!   says nothing of Debian 11.

use std::collections::{BTreeMap, BTreeSet};

use warden_model::advisory::{Advisory, Affected, VersionRange};
use warden_model::case::Finding;
use warden_model::firmware::{Component, Firmware};
use warden_model::purl::Purl;

use crate::versions::Scheme;

/// The name of a package without version, qualifiers and subpath, as it is compared.
type Package<'a> = (&'a str, Option<&'a str>, String);

/// Which packages a name can mean.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    /// The package as it is installed.
    Installed,
    /// The source package that it was built from.
    Source,
    /// Either: the component tells no source.
    Either,
}

/// A component under one of its names.
struct Part<'a> {
    component: &'a Component,
    role: Role,
    name: &'a str,
    version: &'a str,
}

/// Returns the findings of a firmware, sorted: at most one for each component and advisory. A firmware that has not
/// been analysed has none.
pub fn findings(firmware: &Firmware, advisories: &[Advisory]) -> Vec<Finding> {
    let index = index(advisories);
    let mut found: BTreeMap<(&Purl, &str), Finding> = BTreeMap::new();
    for component in firmware.components.iter().flatten() {
        for part in parts(component) {
            let package = package(&component.purl, part.name);
            for (advisory, affected) in index.get(&package).into_iter().flatten() {
                let Some(finding) = meet(firmware, &part, advisory, affected) else { continue };
                let known =
                    found.entry((&component.purl, advisory.id.as_str())).or_insert_with(|| finding.clone());
                // Of two entries that apply, the one that knows a fix helps more.
                if known.fixed_in.is_none() && finding.fixed_in.is_some() {
                    *known = finding;
                }
            }
        }
    }
    let sorted: BTreeSet<Finding> = found.into_values().collect();
    sorted.into_iter().collect()
}

fn index(advisories: &[Advisory]) -> BTreeMap<Package<'_>, Vec<(&Advisory, &Affected)>> {
    let mut index: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for advisory in advisories.iter().filter(|advisory| advisory.withdrawn.is_none()) {
        for affected in &advisory.affected {
            let package = package(&affected.package, &affected.package.name);
            index.entry(package).or_default().push((advisory, affected));
        }
    }
    index
}

/// Python names are equal when they differ only in case and in `_` for `-` (package URL types, `pypi`).
fn package<'a>(purl: &'a Purl, name: &str) -> Package<'a> {
    let name =
        if purl.kind == "pypi" { name.to_ascii_lowercase().replace('_', "-") } else { name.to_owned() };
    (&purl.kind, purl.namespace.as_deref(), name)
}

/// The names under which a component can be meant: its own, and that of the source package it was built from.
fn parts(component: &Component) -> Vec<Part<'_>> {
    let (name, version) = (component.purl.name.as_str(), component.version.as_str());
    let Some(upstream) = component.purl.qualifiers.get("upstream") else {
        return vec![Part { component, role: Role::Either, name, version }];
    };
    // The source has a version of its own where a package was built again without a change.
    let (source, source_version) = upstream.rsplit_once('@').unwrap_or((upstream, version));
    vec![
        Part { component, role: Role::Installed, name, version },
        Part { component, role: Role::Source, name: source, version: source_version },
    ]
}

fn meet(firmware: &Firmware, part: &Part<'_>, advisory: &Advisory, affected: &Affected) -> Option<Finding> {
    if part.version.is_empty()
        || !speaks_of(affected, part)
        || !releases_agree(&affected.package, &part.component.purl)
    {
        return None;
    }
    let scheme = Scheme::of(&affected.package.kind);
    let (how, fixed_in) =
        by_range(scheme, affected, part.version).or_else(|| by_name(scheme, affected, part.version))?;
    let Part { component, role, name, version } = part;
    let source = match role {
        Role::Source => format!(", built from {name} {version},"),
        Role::Installed | Role::Either => String::new(),
    };
    Some(Finding {
        image: firmware.image,
        product: firmware.product.clone(),
        advisory: advisory.id.clone(),
        component: component.purl.clone(),
        path: component.evidence.first().map(|evidence| evidence.path.clone()).unwrap_or_default(),
        reason: format!(
            "{} {}{source} is affected by {}: {} {how}.",
            component.name, component.version, advisory.id, affected.package
        ),
        fixed_in,
    })
}

fn speaks_of(affected: &Affected, part: &Part<'_>) -> bool {
    let is_for_source = affected.package.qualifiers.get("arch").is_some_and(|arch| arch == "source");
    match part.role {
        Role::Either => true,
        Role::Installed => !is_for_source,
        Role::Source => is_for_source,
    }
}

/// The range that holds the version, in words, and the fix that ends it.
fn by_range(scheme: Scheme, affected: &Affected, version: &str) -> Option<(String, Option<String>)> {
    let range = affected.ranges.iter().find(|range| holds(scheme, range, version))?;
    let from = match range.introduced.as_str() {
        "0" => "from the first version".to_owned(),
        introduced => format!("from {introduced}"),
    };
    let until = match (&range.fixed, &range.last_affected) {
        (Some(fixed), _) => format!("until {fixed}, which has the fix"),
        (None, Some(last)) => format!("up to and including {last}"),
        (None, None) => "with no fix known".to_owned(),
    };
    Some((format!("{from} {until}"), range.fixed.clone()))
}

/// The version among those named one by one, in words, and the next fix that any range knows.
fn by_name(scheme: Scheme, affected: &Affected, version: &str) -> Option<(String, Option<String>)> {
    let named = affected.versions.iter().find(|named| scheme.compare(named, version).is_eq())?;
    let fixes = affected.ranges.iter().filter_map(|range| range.fixed.as_ref());
    let later = fixes.filter(|fixed| scheme.compare(fixed, version).is_gt());
    let next = later.min_by(|a, b| scheme.compare(a, b)).cloned();
    Some((format!("in version {named}, named one by one"), next))
}

/// OSV schema, "Evaluation": from the introducing version on, before the fixed one or up to the last affected one.
fn holds(scheme: Scheme, range: &VersionRange, version: &str) -> bool {
    let is_in = range.introduced == "0" || scheme.compare(&range.introduced, version).is_le();
    let is_before_fix = range.fixed.as_deref().is_none_or(|fixed| scheme.compare(version, fixed).is_lt());
    let is_before_end =
        range.last_affected.as_deref().is_none_or(|last| scheme.compare(version, last).is_le());
    is_in && is_before_fix && is_before_end
}

/// Releases that both sides tell must be the same as far as the shorter one goes: `debian-12` fits `debian-12.5`.
fn releases_agree(a: &Purl, b: &Purl) -> bool {
    match (release(a), release(b)) {
        (Some(a), Some(b)) => a.split('.').zip(b.split('.')).all(|(a, b)| a == b),
        (None, _) | (_, None) => true,
    }
}

/// The number of the distribution's release, from `debian-12`, `alpine-v3.19`, `12` or a code name.
fn release(purl: &Purl) -> Option<String> {
    let distro = purl.qualifiers.get("distro")?.to_ascii_lowercase();
    let last = distro.rsplit('-').next().unwrap_or_default();
    let known = CODE_NAMES.iter().find(|(name, _)| *name == last).map(|(_, number)| (*number).to_owned());
    let number = last.trim_start_matches('v');
    known.or_else(|| number.starts_with(|c: char| c.is_ascii_digit()).then(|| number.to_owned()))
}

/// Code names that stand in package URLs instead of numbers.
const CODE_NAMES: &[(&str, &str)] = &[
    ("stretch", "9"),
    ("buster", "10"),
    ("bullseye", "11"),
    ("bookworm", "12"),
    ("trixie", "13"),
    ("forky", "14"),
    ("bionic", "18.04"),
    ("focal", "20.04"),
    ("jammy", "22.04"),
    ("noble", "24.04"),
];

#[cfg(test)]
mod tests;
