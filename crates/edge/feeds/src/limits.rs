//! How much of a feed is read: it comes from outside.

use warden_model::ByteCount;

/// Limits of an import. The defaults hold every file of osv.dev with room to spare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Largest file. The largest single advisory of osv.dev (a kernel, with all its versions) is below 10 MiB; a file
    /// is held in memory several times over while it is read.
    pub file: ByteCount,
    /// Most advisories in one file. More belong into several files, so that one bad record does not refuse them all.
    pub advisories: usize,
    /// Most packages that one advisory names. A kernel advisory of a distribution names some hundreds.
    pub affected: usize,
    /// Most ranges of one package. Each supported branch has one; no project has hundreds of branches.
    pub ranges: usize,
    /// Most events of one range, in which there are two for each branch that was fixed.
    pub events: usize,
    /// Most versions of one package that are named one by one. Chromium, the largest, has some ten thousand tags.
    pub versions: usize,
    /// Most aliases of one advisory: one for each database that has it.
    pub aliases: usize,
    /// Longest version or package name, in bytes; Go's module paths are the longest and stay below 256.
    pub text_bytes: usize,
    /// Longest summary that is kept, in characters; a longer one is cut, because it is for people only.
    pub summary_chars: usize,
    /// Most files below a folder: the whole of osv.dev has about 300,000.
    pub files: usize,
    /// Deepest folder below the given one, in steps; exports are sorted by ecosystem and package at most.
    pub depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            file: ByteCount::mib(32),
            advisories: 50_000,
            affected: 5_000,
            ranges: 200,
            events: 1_000,
            versions: 50_000,
            aliases: 200,
            text_bytes: 1_024,
            summary_chars: 300,
            files: 500_000,
            depth: 16,
        }
    }
}
