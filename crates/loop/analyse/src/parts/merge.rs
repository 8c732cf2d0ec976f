//! Collects components and merges what is the same.
//!
//! In: packages, notes and version texts with their places. Out: components, each once, sorted, with sorted evidence.
//! Refuses more evidence than [`EVIDENCE_MAX`] for one component.

use std::collections::BTreeMap;

use warden_model::firmware::{Component, Evidence, Method};
use warden_model::purl::Purl;

use super::content::Look;
use super::packages::{self, Database, Distribution, Package};
use super::products::Product;

/// Most evidence that is kept for one component: a version text may stand in every program of an image.
const EVIDENCE_MAX: usize = 32;

/// Most components of one image. 50,000: ten times a full desktop.
const COMPONENTS_MAX: usize = 50_000;

/// What was found so far.
#[derive(Default)]
pub(crate) struct Collection {
    components: BTreeMap<Purl, Component>,
    /// Packages wait until the whole root file system was seen, because os-release may come last.
    packages: Vec<(String, Package)>,
}

impl Collection {
    /// Takes a package database; returns how many packages it lists.
    pub(crate) fn take_database(&mut self, database: Database, path: &str, text: &str) {
        let room = COMPONENTS_MAX.saturating_sub(self.packages.len());
        let packages = packages::read(database, text).into_iter().take(room);
        self.packages.extend(packages.map(|package| (path.to_owned(), package)));
    }

    /// Ends a root file system: its packages are those of its distribution.
    pub(crate) fn settle_packages(&mut self, packages_before: usize, distribution: &Distribution) {
        let from = packages_before.min(self.packages.len());
        for (path, package) in self.packages.split_off(from) {
            let purl = package.purl(distribution);
            let detail = super::detail(&format!("{} {}", package.name, package.version));
            let cpe = package.cpe();
            let evidence = Evidence { path, method: Method::PackageDatabase, detail };
            self.add(package.name, package.version, purl, cpe, evidence);
        }
    }

    /// Returns how many packages wait for their distribution.
    pub(crate) fn packages_waiting(&self) -> usize {
        self.packages.len()
    }

    /// Takes what the content of a file told.
    pub(crate) fn take_look(&mut self, path: &str, look: Look) {
        if let Some(package) = look.notes.package {
            let evidence = Evidence { path: path.to_owned(), method: Method::ElfNote, detail: package.text };
            self.add(package.name, package.version, package.purl, None, evidence);
        }
        for (product, version, text) in look.products {
            let Product { name, cpe: vendor_and_product, .. } = product;
            let purl = Purl::new("generic", name, Some(&version));
            let cpe = cpe(vendor_and_product, &version);
            let detail = super::detail(&text);
            let evidence = Evidence { path: path.to_owned(), method: Method::VersionString, detail };
            self.add((*name).to_owned(), version, purl, Some(cpe), evidence);
        }
    }

    fn add(&mut self, name: String, version: String, purl: Purl, cpe: Option<String>, evidence: Evidence) {
        if !self.components.contains_key(&purl) && self.components.len() >= COMPONENTS_MAX {
            return;
        }
        let component = self.components.entry(purl.clone()).or_insert_with(|| Component {
            name,
            version,
            purl,
            cpe: None,
            evidence: Vec::new(),
        });
        component.cpe = component.cpe.take().or(cpe);
        if component.evidence.len() < EVIDENCE_MAX && !component.evidence.contains(&evidence) {
            component.evidence.push(evidence);
        }
    }

    /// Returns the components, sorted by name, version and package URL.
    pub(crate) fn finish(mut self) -> Vec<Component> {
        self.settle_packages(0, &Distribution::default());
        let mut components: Vec<Component> = self.components.into_values().collect();
        for component in &mut components {
            component.evidence.sort();
        }
        components.sort();
        components
    }
}

/// Makes a CPE 2.3 formatted string (NIST IR 7695, section 6.2); `pN` of a version is the update of its own field.
pub(super) fn cpe(vendor_and_product: &str, version: &str) -> String {
    let part = if vendor_and_product == "linux:linux_kernel" { 'o' } else { 'a' };
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (version, update) = match version.rsplit_once('p') {
        Some((version, patch)) if is_number(patch) => (version, format!("p{patch}")),
        _ => (version, "*".to_owned()),
    };
    format!("cpe:2.3:{part}:{}:{}:{update}:*:*:*:*:*:*", quoted(vendor_and_product, ":"), quoted(version, ""))
}

/// Quotes with a backslash what is neither letter, digit, dot, dash nor underscore (section 6.2.2).
fn quoted(text: &str, also_plain: &str) -> String {
    let mut quoted = String::new();
    for character in text.chars().filter(|character| !character.is_control()) {
        if !character.is_alphanumeric()
            && !matches!(character, '.' | '-' | '_')
            && !also_plain.contains(character)
        {
            quoted.push('\\');
        }
        quoted.push(character);
    }
    quoted
}
