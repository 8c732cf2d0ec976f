//! Builds the corpus: `corpus/<class>/<pair>/{old,new}`, and a manifest of where each file comes from.
//!
//! In: a pair of the table. Out: its two files with their versions, sizes and digests; a pair that is there is not
//! touched. Refuses: a pair whose versions are not served, whose file is not in the package, or whose files are equal.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use super::fetch::{Depot, Live, find, quiet, text_of, write};
use super::images;
use super::pairs::{Pair, Place, Source, Step};
use crate::run::{finish, say};

/// A file of the corpus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sample {
    /// Where it lies.
    pub path: PathBuf,
    /// Which version it is.
    pub version: String,
    /// Its size, in bytes.
    pub bytes: u64,
    /// Its SHA-256, in hexadecimal digits.
    pub digest: String,
}

/// A pair that is there.
#[derive(Debug, Clone)]
pub(crate) struct Built {
    /// What the table says of it.
    pub pair: Pair,
    /// The version that devices have.
    pub old: Sample,
    /// The version that they get.
    pub new: Sample,
}

impl Built {
    /// Class and name.
    pub(crate) fn title(&self) -> String {
        format!("{}/{}", self.pair.class, self.pair.name)
    }
}

/// The corpus, in its folder.
#[derive(Debug)]
pub(crate) struct Corpus {
    top: PathBuf,
    depot: Depot,
}

impl Corpus {
    /// Opens the corpus below a folder.
    pub(crate) fn new(top: &Path) -> Self {
        Self { top: top.to_path_buf(), depot: Depot::new(top) }
    }

    /// Returns what fetches packages.
    pub(crate) fn depot(&self) -> &Depot {
        &self.depot
    }

    /// Returns a pair; builds it when it is not there.
    pub(crate) fn pair(&mut self, pair: &Pair) -> Result<Built> {
        let place = self.top.join("corpus").join(pair.class.word()).join(&pair.name);
        if let Some(built) = read_origin(&place, pair) {
            return Ok(built);
        }
        say(&format!("corpus: building {}/{} …", pair.class, pair.name));
        fs::create_dir_all(&place).with_context(|| format!("make {}", place.display()))?;
        // Built beside its place, so that nobody who reads a pair sees half of it.
        let building = self.top.join("building");
        fs::create_dir_all(&building).with_context(|| format!("make {}", building.display()))?;
        let versions = self.fill(pair, &building)?;
        for name in ["old", "new"] {
            let from = building.join(name);
            fs::rename(&from, place.join(name)).with_context(|| format!("move {}", from.display()))?;
        }
        let sample = |name: &str, version: &str| -> Result<Sample> {
            let path = place.join(name);
            let digest = digest(&path)?;
            let bytes = fs::metadata(&path).with_context(|| format!("look at {}", path.display()))?.len();
            Ok(Sample { path, version: version.to_owned(), bytes, digest })
        };
        let [old_version, new_version] = &versions;
        let built =
            Built { pair: pair.clone(), old: sample("old", old_version)?, new: sample("new", new_version)? };
        ensure!(built.old.digest != built.new.digest, "both versions hold the same file");
        let rows = [&built.old, &built.new]
            .map(|sample| format!("{}\t{}\t{}\n", sample.version, sample.bytes, sample.digest));
        write(&place.join("origin"), format!("{}\n{}", pair.line, rows.concat()))?;
        Ok(built)
    }

    /// Writes old and new; returns their versions.
    fn fill(&mut self, pair: &Pair, place: &Path) -> Result<[String; 2]> {
        let [old, new] = &pair.versions;
        let folders =
            match &pair.source {
                Source::Npm(package) => [self.depot.npm(package, old)?, self.depot.npm(package, new)?]
                    .map(|folder| (folder, None)),
                Source::Pypi(package) => [self.depot.pypi(package, old)?, self.depot.pypi(package, new)?]
                    .map(|folder| (folder, None)),
                Source::Deb { architecture, package } => {
                    let live = self.depot.live(architecture, &[package.as_str()])?;
                    let [old, new] = choose(&live, pair)?;
                    let folder = |live: &Live| self.depot.deb(architecture, &live.package, &live.version);
                    [(folder(&old)?, Some(old.version)), (folder(&new)?, Some(new.version))]
                }
                Source::RootFs(image) => {
                    for (name, choice) in [("old", old), ("new", new)] {
                        let root = images::root(&mut self.depot, &self.top.join("root"), choice)?;
                        images::pack(&root, *image, &place.join(name))?;
                    }
                    return Ok(pair.versions.clone());
                }
            };
        let mut versions = Vec::new();
        let sides = [("old", old), ("new", new)];
        for (((folder, found), from), (name, wanted)) in folders.iter().zip(&pair.places).zip(sides) {
            let target = place.join(name);
            copy_file(folder, from, &target).with_context(|| format!("{wanted}: {}", from.path))?;
            do_step(pair.step, &target)?;
            // Two versions of a file may lie in one package: then the file says which.
            let by_place = (pair.places.first() != pair.places.last()).then(|| two_last_parts(&from.path));
            versions.push(found.clone().or(by_place).unwrap_or_else(|| wanted.clone()));
        }
        <[String; 2]>::try_from(versions).ok().context("a pair has two versions")
    }
}

fn two_last_parts(path: &str) -> String {
    let parts: Vec<&str> = path.rsplit('/').take(2).collect();
    parts.into_iter().rev().collect::<Vec<_>>().join("/")
}

/// Reads what was built before; nothing when the table says something else by now.
fn read_origin(place: &Path, pair: &Pair) -> Option<Built> {
    let text = fs::read_to_string(place.join("origin")).ok()?;
    let mut lines = text.lines();
    if lines.next() != Some(pair.line.as_str()) {
        return None;
    }
    let mut sample = |name: &str| -> Option<Sample> {
        let mut columns = lines.next()?.split('\t');
        let (version, bytes, digest) = (columns.next()?, columns.next()?, columns.next()?);
        let sample = Sample {
            path: place.join(name),
            version: version.to_owned(),
            bytes: bytes.parse().ok()?,
            digest: digest.to_owned(),
        };
        fs::metadata(&sample.path).is_ok_and(|metadata| metadata.len() == sample.bytes).then_some(sample)
    };
    Some(Built { old: sample("old")?, new: sample("new")?, pair: pair.clone() })
}

/// Chooses the two versions: those of the table, or, when one is no longer served, the two newest that are.
pub(crate) fn choose(live: &[Live], pair: &Pair) -> Result<[Live; 2]> {
    let [old, new] = &pair.versions;
    let wanted = |version: &String| live.iter().find(|live| live.version == *version).cloned();
    if let (Some(old), Some(new)) = (wanted(old), wanted(new)) {
        return Ok([old, new]);
    }
    let mut versions: Vec<&Live> = live.iter().collect();
    versions.dedup_by(|a, b| a.version == b.version);
    let (newest, older) = versions.split_last().context("no version is served")?;
    let before = if pair.is_jump() { older.first() } else { older.last() };
    let Some(before) = before else { bail!("only version {} is served", newest.version) };
    say(&format!(
        "corpus: {}: {old} and {new} are not both served; taking {} and {}",
        pair.name, before.version, newest.version
    ));
    Ok([(*before).clone(), (*newest).clone()])
}

fn copy_file(folder: &Path, from: &Place, target: &Path) -> Result<()> {
    let found = find(folder, &from.path)?;
    let [path] = found.as_slice() else { bail!("{} files of this name instead of 1", found.len()) };
    let Some(member) = &from.member else {
        fs::copy(path, target).with_context(|| format!("copy {}", path.display()))?;
        return Ok(());
    };
    let unpacked = path.with_extension("members");
    if !unpacked.exists() {
        finish(quiet("python3").args(["-m", "zipfile", "-e"]).arg(path).arg(&unpacked))?;
    }
    fs::copy(unpacked.join(member), target).with_context(|| format!("copy {member}"))?;
    Ok(())
}

fn do_step(step: Step, path: &Path) -> Result<()> {
    match step {
        Step::Keep => Ok(()),
        Step::ZeroBtf => {
            let mut image = fs::read(path).with_context(|| format!("read {}", path.display()))?;
            let zeroed = images::zero_btf(&mut image);
            ensure!(zeroed == 1, "{zeroed} BTF sections instead of 1");
            write(path, &image)
        }
        Step::Gzip => {
            let packed = path.with_extension("gz");
            finish(quiet("gzip").args(["-9", "--no-name", "--force"]).arg(path))?;
            fs::rename(&packed, path).with_context(|| format!("move {}", packed.display()))
        }
    }
}

/// Returns the SHA-256 of a file.
pub(crate) fn digest(path: &Path) -> Result<String> {
    let text = text_of(quiet("sha256sum").arg("--").arg(path))?;
    Ok(text.trim_start_matches('\\').split_whitespace().next().context("no digest")?.to_owned())
}

#[cfg(test)]
mod tests;
