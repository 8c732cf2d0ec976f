//! The databases of package managers: dpkg, opkg, apk; and what the distribution is.
//!
//! In: texts. Out: packages. Refuses paragraphs without name or version, and packages that are not installed.

use std::collections::BTreeMap;

use warden_model::purl::Purl;

/// Largest database that is read. 32 MiB: the status of a desktop with 5,000 packages has 6 MiB.
pub(crate) const DATABASE_BYTES_MAX: u64 = 32 << 20;

/// Most packages of one database; the Debian archive has 70,000, and nobody installs all of them.
const PACKAGES_MAX: usize = 100_000;

/// A kind of package database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Database {
    /// `var/lib/dpkg/status`: all packages, with their state.
    Dpkg,
    /// `var/lib/dpkg/status.d/*`: a file a package, all installed ("distroless" images).
    DpkgDirectory,
    Opkg,
    Apk,
}

/// Returns the kind of the database at a path inside a root file system.
pub(crate) fn database_at(path: &str) -> Option<Database> {
    match path {
        "var/lib/dpkg/status" => Some(Database::Dpkg),
        "usr/lib/opkg/status" | "var/lib/opkg/status" => Some(Database::Opkg),
        "lib/apk/db/installed" | "usr/lib/apk/db/installed" => Some(Database::Apk),
        // Beside each paragraph lies a list of checksums.
        _ if path.starts_with("var/lib/dpkg/status.d/") && !path.ends_with(".md5sums") => {
            Some(Database::DpkgDirectory)
        }
        _ => None,
    }
}

/// Says whether a path is that of os-release(5).
pub(crate) fn is_os_release(path: &str) -> bool {
    matches!(path, "etc/os-release" | "usr/lib/os-release")
}

/// What os-release(5) says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Distribution {
    id: Option<String>,
    version_id: Option<String>,
}

impl Distribution {
    pub(crate) fn read(text: &str) -> Self {
        let field = |key: &str| {
            let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
            let value = value.trim().trim_matches(['"', '\'']);
            let fits = !value.is_empty()
                && value.len() <= 64
                && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
            fits.then(|| value.to_ascii_lowercase())
        };
        Self { id: field("ID"), version_id: field("VERSION_ID") }
    }
}

/// An installed package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Package {
    database: Database,
    pub(super) name: String,
    pub(super) version: String,
    architecture: Option<String>,
    /// The source package, where it has another name: advisories of distributions name sources.
    source: Option<String>,
    cpe: Option<String>,
}

impl Package {
    /// Makes the package URL ("Known purl types": deb, opkg, apk). `upstream` and `distro` are the qualifiers in use for
    /// the source package and the release.
    pub(super) fn purl(&self, distribution: &Distribution) -> Purl {
        let id = distribution.id.as_deref();
        let (kind, namespace) = match self.database {
            Database::Dpkg | Database::DpkgDirectory => ("deb", Some(id.unwrap_or("debian"))),
            Database::Apk => ("apk", Some(id.unwrap_or("alpine"))),
            Database::Opkg => ("opkg", None),
        };
        let mut purl = Purl::new(kind, &self.name, Some(&self.version));
        if let Some(namespace) = namespace {
            purl = purl.in_namespace(namespace);
        }
        let distro = match (namespace, id, &distribution.version_id) {
            (Some(_), Some(id), Some(version)) => Some(format!("{id}-{version}")),
            _ => None,
        };
        let qualifiers =
            [("arch", self.architecture.clone()), ("distro", distro), ("upstream", self.source.clone())];
        for (key, value) in qualifiers {
            if let Some(value) = value {
                purl.qualifiers.insert(key.to_owned(), value);
            }
        }
        purl
    }

    /// Makes a CPE 2.3 name of the `CPE-ID` that OpenWrt writes (`cpe:/a:vendor:product`).
    pub(super) fn cpe(&self) -> Option<String> {
        let mut parts = self.cpe.as_deref()?.strip_prefix("cpe:/a:")?.split(':');
        let (vendor, product) = (parts.next()?, parts.next()?);
        let release = self.version.rsplit_once('-').map_or(self.version.as_str(), |(version, _)| version);
        let fits = [vendor, product].iter().all(|part| !part.is_empty() && part.is_ascii());
        fits.then(|| super::merge::cpe(&format!("{vendor}:{product}"), release))
    }
}

/// Reads a database.
pub(crate) fn read(database: Database, text: &str) -> Vec<Package> {
    let paragraphs = paragraphs(text, database);
    paragraphs.filter_map(|fields| package(database, &fields)).take(PACKAGES_MAX).collect()
}

/// Splits at empty lines; continuation lines belong to fields that nobody asks for (deb822(5)).
fn paragraphs(text: &str, database: Database) -> impl Iterator<Item = BTreeMap<String, &str>> {
    let mut lines = text.lines().peekable();
    std::iter::from_fn(move || {
        lines.peek()?;
        let mut fields = BTreeMap::new();
        for line in lines.by_ref().take_while(|line| !line.trim().is_empty()) {
            if line.starts_with([' ', '\t']) {
                continue;
            }
            if let Some((key, value)) = line.split_once(':') {
                // apk's keys are single letters of either case.
                let key = if database == Database::Apk { key.to_owned() } else { key.to_ascii_lowercase() };
                fields.entry(key).or_insert_with(|| value.trim());
            }
        }
        Some(fields)
    })
}

fn package(database: Database, fields: &BTreeMap<String, &str>) -> Option<Package> {
    let field = |key: &str| fields.get(key).copied().filter(|value| fits(value)).map(str::to_owned);
    let package = match database {
        Database::Apk => Package {
            database,
            name: field("P")?,
            version: field("V")?,
            architecture: field("A"),
            source: field("o"),
            cpe: None,
        },
        Database::Dpkg | Database::DpkgDirectory | Database::Opkg => Package {
            database,
            name: field("package")?,
            version: field("version")?,
            architecture: field("architecture"),
            source: field("source").map(|source| source_of(&source)),
            cpe: field("cpe-id"),
        },
    };
    // "want flag state": only the state says whether its files are there (dpkg-query(1)).
    let state = fields.get("status").and_then(|status| status.split_whitespace().nth(2));
    let is_installed = match (database, state) {
        (_, Some(state)) => matches!(
            state,
            "installed" | "unpacked" | "half-configured" | "triggers-pending" | "triggers-awaited"
        ),
        (Database::Dpkg | Database::Opkg, None) => false,
        (Database::DpkgDirectory | Database::Apk, None) => true,
    };
    let source = package.source.clone().filter(|source| *source != package.name);
    is_installed.then_some(Package { source, ..package })
}

/// Turns `name (version)`, which dpkg writes where the source has a version of its own, into `name@version`: advisories
/// count in the source's versions.
fn source_of(source: &str) -> String {
    match source.split_once(' ') {
        Some((name, version)) => format!("{name}@{}", version.trim().trim_matches(['(', ')'])),
        None => source.to_owned(),
    }
}

/// Longest value that is taken over: names and versions of packages stay far below.
fn fits(value: &str) -> bool {
    (1..=256).contains(&value.len()) && !value.chars().any(char::is_control)
}
