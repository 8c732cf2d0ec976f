//! Packages of npm, Python and Debian, fetched once and unpacked once.
//!
//! In: package and version; the registries are those that npm, pip and apt are set up with. Out: folders with what the
//! package holds. Refuses: versions that are no longer served; what that means is for the caller to decide.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::run::{finish, say};

/// A Debian package that can be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Live {
    /// Its name.
    pub package: String,
    /// Its version.
    pub version: String,
    /// Where it is served from.
    pub suite: Suite,
}

/// The part of a Debian release that serves a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Suite {
    /// The release itself.
    Main,
    /// Security updates.
    Security,
    /// Other updates.
    Updates,
}

/// The folder of everything that was fetched.
#[derive(Debug)]
pub(crate) struct Depot {
    top: PathBuf,
    listed: BTreeSet<String>,
}

impl Depot {
    /// Opens the depot in a folder.
    pub(crate) fn new(top: &Path) -> Self {
        Self { top: top.to_path_buf(), listed: BTreeSet::new() }
    }

    /// Fetches and unpacks a package of the npm registry.
    pub(crate) fn npm(&self, package: &str, version: &str) -> Result<PathBuf> {
        let name = format!("{}-{version}", package.trim_start_matches('@').replace('/', "-"));
        self.once(&self.top.join("fetch/npm").join(name), |place| {
            let wanted = format!("{package}@{version}");
            finish(quiet("npm").args(["pack", "--silent", &wanted]).current_dir(place))?;
            unpack_archive(place)
        })
    }

    /// Fetches and unpacks a package of the Python package index; the source of it when there is no choice.
    pub(crate) fn pypi(&self, package: &str, version: &str) -> Result<PathBuf> {
        let pip = self.venv()?.join("bin/pip");
        self.once(&self.top.join("fetch/pypi").join(format!("{package}-{version}")), |place| {
            let wanted = format!("{package}=={version}");
            let mut command = quiet(&pip.display().to_string());
            command.args(["download", "--quiet", "--no-deps", "--no-build-isolation"]);
            // Its wheels leave out the test data, which is what the corpus wants.
            if package == "detools" {
                command.args(["--no-binary", package]);
            }
            finish(command.args(["--dest", ".", &wanted]).current_dir(place))?;
            unpack_archive(place)
        })
    }

    /// Returns the virtual environment of the peers in Python; makes it when it is not there.
    pub(crate) fn venv(&self) -> Result<PathBuf> {
        let place = self.top.join("venv");
        if !place.join("ready").exists() {
            fs::create_dir_all(&self.top).with_context(|| format!("make {}", self.top.display()))?;
            finish(quiet("python3").args(["-m", "venv"]).arg(&place))?;
            let mut pip = quiet(&place.join("bin/pip").display().to_string());
            pip.args(["install", "--quiet", "setuptools", "wheel"]);
            finish(pip.args(super::tools::PYTHON_PACKAGES))?;
            write(&place.join("ready"), "")?;
        }
        Ok(place)
    }

    /// Lists the Debian packages of these names that can be had; `*` stands for a part of a name.
    pub(crate) fn live(&mut self, architecture: &str, packages: &[&str]) -> Result<Vec<Live>> {
        if self.listed.insert(architecture.to_owned()) {
            say(&format!("corpus: asking apt what it has for {architecture} …"));
            let mut update = self.apt("apt-get", architecture)?;
            // A repository that does not know this architecture must not keep the others from being read.
            let status = update.arg("update").status().context("start apt-get update")?;
            if !status.success() {
                say(&format!("corpus: apt-get update for {architecture} ended with {status}"));
            }
        }
        let mut names = Vec::new();
        for package in packages {
            if let Some((start, _)) = package.split_once('*') {
                let known = text_of(self.apt("apt-cache", architecture)?.args(["pkgnames", start]))?;
                names.extend(known.lines().filter(|name| fits(name, package)).map(str::to_owned));
            } else {
                names.push((*package).to_owned());
            }
        }
        let table = text_of(self.apt("apt-cache", architecture)?.arg("madison").args(&names))?;
        let mut live: Vec<Live> = table.lines().filter_map(read_madison).collect();
        live.sort_by(|a, b| compare_versions(&a.version, &b.version));
        Ok(live)
    }

    /// Fetches Debian packages; returns the archives in the order of what was asked for.
    pub(crate) fn debs(&self, architecture: &str, wanted: &[(String, String)]) -> Result<Vec<PathBuf>> {
        let home = self.top.join("fetch/deb").join(architecture);
        fs::create_dir_all(&home).with_context(|| format!("make {}", home.display()))?;
        let missing: Vec<String> = wanted
            .iter()
            .filter(|(package, version)| !deb_place(&home, package, version).exists())
            .map(|(package, version)| format!("{package}={version}"))
            .collect();
        if !missing.is_empty() {
            say(&format!("corpus: fetching {} Debian packages for {architecture} …", missing.len()));
            let arriving = home.join("arriving");
            fs::create_dir_all(&arriving).with_context(|| format!("make {}", arriving.display()))?;
            finish(self.apt("apt-get", architecture)?.arg("download").args(&missing).current_dir(&arriving))?;
            for archive in list(&arriving)? {
                let field = |name| text_of(quiet("dpkg-deb").arg("-f").arg(&archive).arg(name));
                let place = deb_place(&home, field("Package")?.trim(), field("Version")?.trim());
                fs::rename(&archive, &place).with_context(|| format!("move {}", archive.display()))?;
            }
        }
        Ok(wanted.iter().map(|(package, version)| deb_place(&home, package, version)).collect())
    }

    /// Fetches and unpacks one Debian package.
    pub(crate) fn deb(&self, architecture: &str, package: &str, version: &str) -> Result<PathBuf> {
        let archives = self.debs(architecture, &[(package.to_owned(), version.to_owned())])?;
        let archive = archives.first().context("no archive arrived")?;
        self.once(&archive.with_extension("unpacked"), |place| {
            finish(quiet("dpkg-deb").arg("-x").arg(archive).arg(place))
        })
    }

    /// apt with lists of its own, so that other architectures can be asked for without changing this system.
    fn apt(&self, program: &str, architecture: &str) -> Result<Command> {
        let home = self.top.join("apt").join(architecture);
        for folder in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(home.join(folder)).with_context(|| format!("make {}", home.display()))?;
        }
        if !home.join("status").exists() {
            write(&home.join("status"), "")?;
        }
        let mut command = quiet(program);
        command.arg("-qq");
        for (option, value) in [
            ("APT::Architecture", architecture.to_owned()),
            ("APT::Architectures", architecture.to_owned()),
            ("Dir::State::Lists", home.join("lists").display().to_string()),
            ("Dir::State::status", home.join("status").display().to_string()),
            ("Dir::Cache", home.join("cache").display().to_string()),
            ("APT::Sandbox::User", "root".to_owned()),
        ] {
            command.arg(format!("-o{option}={value}"));
        }
        Ok(command)
    }

    /// Fills a folder, unless it is there already; a folder that was filled by half is never taken for a full one.
    fn once(&self, place: &Path, fill: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
        if !place.exists() {
            let half = self.top.join("half");
            if half.exists() {
                fs::remove_dir_all(&half).with_context(|| format!("remove {}", half.display()))?;
            }
            fs::create_dir_all(&half).with_context(|| format!("make {}", half.display()))?;
            fill(&half)?;
            let home = place.parent().context("a folder without a parent")?;
            fs::create_dir_all(home).with_context(|| format!("make {}", home.display()))?;
            fs::rename(&half, place).with_context(|| format!("move {}", place.display()))?;
        }
        Ok(place.to_path_buf())
    }
}

/// A command that says nothing on stdout.
pub(crate) fn quiet(program: &str) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null()).stdout(Stdio::null()).env("LC_ALL", "C");
    command
}

/// Runs a command and returns what it prints on stdout.
pub(crate) fn text_of(command: &mut Command) -> Result<String> {
    let shown = command.get_program().display().to_string();
    let output = command.stdout(Stdio::piped()).stderr(Stdio::piped()).output();
    let output = output.with_context(|| format!("start {shown}"))?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        bail!("{shown} ended with {}: {complaint}", output.status);
    }
    String::from_utf8(output.stdout).with_context(|| format!("read what {shown} printed"))
}

/// Writes a file whole.
pub(crate) fn write(path: &Path, content: impl AsRef<[u8]>) -> Result<()> {
    fs::write(path, content).with_context(|| format!("write {}", path.display()))
}

/// Lists a folder, sorted.
pub(crate) fn list(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("list {}", folder.display()))?;
    let mut paths = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>()?;
    paths.sort();
    Ok(paths)
}

fn deb_place(home: &Path, package: &str, version: &str) -> PathBuf {
    home.join(format!("{package}_{}.deb", version.replace(':', "%3a")))
}

/// Unpacks the one archive that arrived in a folder.
fn unpack_archive(place: &Path) -> Result<()> {
    let archives = list(place)?;
    let [archive] = archives.as_slice() else { bail!("{} archives arrived instead of 1", archives.len()) };
    let is_tar = archive.extension().is_some_and(|extension| extension == "gz" || extension == "tgz");
    let mut command = if is_tar { quiet("tar") } else { quiet("python3") };
    command.args(if is_tar { ["-x", "-z", "-f"].as_slice() } else { ["-m", "zipfile", "-e"].as_slice() });
    command.arg(archive);
    if !is_tar {
        command.arg(place);
    }
    finish(command.current_dir(place))?;
    fs::remove_file(archive).with_context(|| format!("remove {}", archive.display()))
}

/// Reads a line of `apt-cache madison`: name | version | address suite/component architecture kind.
pub(crate) fn read_madison(line: &str) -> Option<Live> {
    let mut columns = line.split('|').map(str::trim);
    let (package, version, origin) = (columns.next()?, columns.next()?, columns.next()?);
    let suite = origin.split_whitespace().nth(1)?.split('/').next()?;
    if !origin.ends_with("Packages") {
        return None;
    }
    let suite = match suite {
        suite if suite.ends_with("-security") => Suite::Security,
        suite if suite.ends_with("-updates") => Suite::Updates,
        _ => Suite::Main,
    };
    Some(Live { package: package.to_owned(), version: version.to_owned(), suite })
}

/// Compares two Debian versions the way dpkg does.
pub(crate) fn compare_versions(a: &str, b: &str) -> Ordering {
    let holds = |relation: &str| {
        let status = quiet("dpkg").args(["--compare-versions", a, relation, b]).status();
        status.is_ok_and(|status| status.success())
    };
    match (a == b, a != b && holds("lt")) {
        (true, _) => Ordering::Equal,
        (false, true) => Ordering::Less,
        (false, false) => Ordering::Greater,
    }
}

/// Whether a name fits a pattern, in which `*` stands for any text and `?` for any character.
pub(crate) fn fits(name: &str, pattern: &str) -> bool {
    let mut rest = pattern.chars();
    match rest.next() {
        None => name.is_empty(),
        Some('*') => {
            let rest = rest.as_str();
            let ends = name.char_indices().map(|(at, _)| at).chain([name.len()]);
            ends.filter_map(|at| name.get(at..)).any(|tail| fits(tail, rest))
        }
        Some(wanted) => {
            let mut tail = name.chars();
            let found = tail.next();
            (found == Some(wanted) || (wanted == '?' && found.is_some()))
                && fits(tail.as_str(), rest.as_str())
        }
    }
}

/// Finds the paths below a folder that fit a pattern, part by part.
pub(crate) fn find(folder: &Path, pattern: &str) -> Result<Vec<PathBuf>> {
    let mut found = vec![folder.to_path_buf()];
    for part in pattern.split('/').filter(|part| !part.is_empty()) {
        let mut next = Vec::new();
        for place in found.iter().filter(|place| place.is_dir()) {
            let inside = list(place)?.into_iter();
            next.extend(inside.filter(|path| {
                path.file_name().and_then(|name| name.to_str()).is_some_and(|name| fits(name, part))
            }));
        }
        found = next;
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
