//! The table of the corpus: which pairs there are, and where their files come from.
//!
//! In: the text of `bench/pairs.txt` and `bench/rootfs.txt`. Out: pairs, packages. Refuses: a line with more or fewer
//! columns, words that are unknown, two pairs of one name.

use std::collections::BTreeSet;
use std::fmt;

use anyhow::{Context, Result, bail};

/// What kind of image a pair is; the geometric means are taken by class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    /// Images of microcontrollers.
    Mcu,
    /// Programs and libraries.
    Elf,
    /// Kernels that are not packed.
    Kernel,
    /// Whatever is packed.
    Compressed,
    /// File systems and archives that are not packed.
    RawFs,
}

impl Class {
    /// All classes, in the order of the report.
    pub(crate) const ALL: [Self; 5] = [Self::Mcu, Self::Elf, Self::Kernel, Self::Compressed, Self::RawFs];

    /// The word in the table.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Mcu => "mcu",
            Self::Elf => "elf",
            Self::Kernel => "kernel",
            Self::Compressed => "compressed",
            Self::RawFs => "rawfs",
        }
    }

    /// Reads the word in the table.
    pub(crate) fn read(word: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|class| class.word() == word)
            .with_context(|| format!("{word:?} is no class"))
    }
}

impl fmt::Display for Class {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.word())
    }
}

/// A kind of image that a root file system is put into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Image {
    /// SquashFS, packed with this.
    Squashfs(&'static str),
    /// EROFS, packed with LZ4.
    Erofs,
    /// ext4.
    Ext4,
    /// tar.
    Tar,
}

/// Where the two files come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// A package of the npm registry.
    Npm(String),
    /// A package of the Python package index.
    Pypi(String),
    /// A Debian package; `*` stands for a part of its name.
    Deb {
        /// The architecture, as Debian calls it.
        architecture: String,
        /// The package.
        package: String,
    },
    /// The root file system of `rootfs.txt`.
    RootFs(Image),
}

/// What is done to a file before it becomes part of the corpus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing.
    Keep,
    /// The BTF section of a kernel becomes zeros: what a kernel without BTF would look like.
    ZeroBtf,
    /// It is packed by gzip -9.
    Gzip,
}

/// A file inside of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// Its path; `*` and `?` stand for parts of a name.
    pub path: String,
    /// The member, when the path names a zip archive.
    pub member: Option<String>,
}

/// A pair of the corpus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pair {
    /// Its class.
    pub class: Class,
    /// Its name, unique.
    pub name: String,
    /// The data format that detools has for the processor.
    pub hint: Option<String>,
    /// Where it comes from.
    pub source: Source,
    /// The wanted version, or the choice of versions, of old and new.
    pub versions: [String; 2],
    /// The file in the old and in the new package.
    pub places: [Place; 2],
    /// What is done to both.
    pub step: Step,
    /// The line of the table: what was built from another line is built anew.
    pub line: String,
}

impl Pair {
    /// Whether the pair leaps over versions.
    pub(crate) fn is_jump(&self) -> bool {
        self.name.ends_with("-jump")
    }
}

/// Reads the table.
pub(crate) fn read_pairs(text: &str) -> Result<Vec<Pair>> {
    let mut names = BTreeSet::new();
    let mut pairs = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let pair = read_pair(line).with_context(|| format!("line {}", number + 1))?;
        if !names.insert((pair.class, pair.name.clone())) {
            bail!("line {}: {} stands there twice", number + 1, pair.name);
        }
        pairs.push(pair);
    }
    Ok(pairs)
}

fn read_pair(line: &str) -> Result<Pair> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let &[class, name, hint, source, old, new, file, step] = words.as_slice() else {
        bail!("{} columns instead of 8", words.len());
    };
    let (old_file, new_file) = file.split_once('|').unwrap_or((file, file));
    Ok(Pair {
        class: Class::read(class)?,
        name: name.to_owned(),
        hint: (hint != "-").then(|| hint.to_owned()),
        source: read_source(source)?,
        versions: [old.to_owned(), new.to_owned()],
        places: [read_place(old_file), read_place(new_file)],
        step: match step {
            "-" => Step::Keep,
            "zero-btf" => Step::ZeroBtf,
            "gzip" => Step::Gzip,
            other => bail!("{other:?} is no step"),
        },
        line: words.join(" "),
    })
}

fn read_place(text: &str) -> Place {
    match text.split_once('!') {
        Some((path, member)) => Place { path: path.to_owned(), member: Some(member.to_owned()) },
        None => Place { path: text.to_owned(), member: None },
    }
}

fn read_source(text: &str) -> Result<Source> {
    let (kind, rest) = text.split_once(':').with_context(|| format!("{text:?} is no source"))?;
    Ok(match kind {
        "npm" => Source::Npm(rest.to_owned()),
        "pypi" => Source::Pypi(rest.to_owned()),
        "deb" => {
            let (architecture, package) =
                rest.split_once(':').with_context(|| format!("{text:?} names no architecture"))?;
            Source::Deb { architecture: architecture.to_owned(), package: package.to_owned() }
        }
        "rootfs" => Source::RootFs(match rest {
            "squashfs-xz" => Image::Squashfs("xz"),
            "squashfs-gzip" => Image::Squashfs("gzip"),
            "squashfs-zstd" => Image::Squashfs("zstd"),
            "erofs-lz4hc" => Image::Erofs,
            "ext4" => Image::Ext4,
            "tar" => Image::Tar,
            other => bail!("{other:?} is no kind of image"),
        }),
        other => bail!("{other:?} is no kind of source"),
    })
}

/// What the root file system is made of.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RootFs {
    /// The packages.
    pub packages: Vec<String>,
    /// What is removed after unpacking.
    pub removed: Vec<String>,
}

/// Reads the list of packages.
pub(crate) fn read_rootfs(text: &str) -> RootFs {
    let mut rootfs = RootFs { packages: Vec::new(), removed: Vec::new() };
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        match line.strip_prefix("- ") {
            Some(path) => rootfs.removed.push(path.trim().to_owned()),
            None => rootfs.packages.extend(line.split_whitespace().map(str::to_owned)),
        }
    }
    rootfs
}

#[cfg(test)]
mod tests;
