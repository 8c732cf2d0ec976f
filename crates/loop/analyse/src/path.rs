//! Paths inside images, checked.
//!
//! In: names as they stand in an archive. Out: [`CleanPath`]. Refuses names that lead out of the image or that no
//! device could hold.

use std::fmt;

use thiserror::Error;

/// Longest path, in bytes. Linux stops at 4,096; no path in the Debian archive exceeds 300, and every path is held.
pub(crate) const PATH_BYTES_MAX: usize = 1024;

/// Most names in a path. 64: the deepest real trees stay below 30; this also ends directories that contain themselves.
pub(crate) const PATH_DEPTH_MAX: usize = 64;

/// A path inside an image: relative, UTF-8, without empty names, `.`, `..` and NUL.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CleanPath(String);

/// What is wrong with a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Error)]
pub enum PathError {
    /// It names the root or nothing.
    #[error("the path is empty")]
    Empty,
    /// It starts with `/`.
    #[error("the path is absolute")]
    Absolute,
    /// It holds `..`.
    #[error("the path climbs out with `..`")]
    Climbs,
    /// It holds a NUL byte.
    #[error("the path holds a NUL byte")]
    Nul,
    /// It is not UTF-8.
    #[error("the path is not UTF-8")]
    NotUtf8,
    /// It is longer than 1,024 bytes.
    #[error("the path is longer than {PATH_BYTES_MAX} bytes")]
    TooLong,
    /// It has more names than 64.
    #[error("the path has more than {PATH_DEPTH_MAX} names")]
    TooDeep,
}

impl CleanPath {
    /// Checks a path; `./`, doubled and trailing slashes are taken away first.
    pub fn new(text: &str) -> Result<Self, PathError> {
        Self::from_bytes(text.as_bytes())
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, PathError> {
        if bytes.len() > PATH_BYTES_MAX {
            return Err(PathError::TooLong);
        }
        if bytes.contains(&0) {
            return Err(PathError::Nul);
        }
        if bytes.first() == Some(&b'/') {
            return Err(PathError::Absolute);
        }
        let text = std::str::from_utf8(bytes).map_err(|_| PathError::NotUtf8)?;
        let names: Vec<&str> = text.split('/').filter(|name| !matches!(*name, "" | ".")).collect();
        if names.contains(&"..") {
            return Err(PathError::Climbs);
        }
        if names.len() > PATH_DEPTH_MAX {
            return Err(PathError::TooDeep);
        }
        if names.is_empty() { Err(PathError::Empty) } else { Ok(Self(names.join("/"))) }
    }

    /// Returns the path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the paths of the directories above, the nearest first.
    pub(crate) fn ancestors(&self) -> impl Iterator<Item = &str> {
        std::iter::successors(self.0.rsplit_once('/'), |(above, _)| above.rsplit_once('/'))
            .map(|(above, _)| above)
    }

    /// Says whether a link from here to `target` leads above the root of the image. Absolute targets stay inside: a
    /// device resolves them against its own root.
    pub(crate) fn link_climbs_out(&self, target: &str) -> bool {
        let mut depth = if target.starts_with('/') { 0 } else { self.ancestors().count() };
        for name in target.split('/') {
            match name {
                "" | "." => {}
                ".." => match depth.checked_sub(1) {
                    Some(above) => depth = above,
                    None => return true,
                },
                _ => depth += 1,
            }
        }
        false
    }
}

impl fmt::Display for CleanPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Makes hostile bytes fit to be shown: escaped, and cut to 200 characters.
pub(crate) fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).escape_default().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::{CleanPath, PathError};

    #[test]
    fn takes_what_stays_inside_and_refuses_the_rest() {
        let check = |text: &str, wanted: Result<&str, PathError>| {
            assert_eq!(
                CleanPath::new(text).as_ref().map(CleanPath::as_str),
                wanted.as_ref().copied(),
                "{text:?}"
            );
        };
        check("etc/passwd", Ok("etc/passwd"));
        check("./usr//lib/./libc.so/", Ok("usr/lib/libc.so"));
        check("...", Ok("..."));
        check("", Err(PathError::Empty));
        check("././", Err(PathError::Empty));
        check("/etc/passwd", Err(PathError::Absolute));
        check("../etc/passwd", Err(PathError::Climbs));
        check("a/../../b", Err(PathError::Climbs));
        check("a\0b", Err(PathError::Nul));
        check(&"a/".repeat(65), Err(PathError::TooDeep));
        check(&"a".repeat(1025), Err(PathError::TooLong));
        assert_eq!(CleanPath::from_bytes(b"\xff"), Err(PathError::NotUtf8));
    }

    #[test]
    fn tells_links_that_leave_the_image() {
        let link = CleanPath::new("usr/bin/sh").unwrap();
        for inside in ["busybox", "/bin/busybox", "../../bin/busybox", "../lib/../bin/x"] {
            assert!(!link.link_climbs_out(inside), "{inside}");
        }
        for outside in ["../../../etc/shadow", "/../etc/shadow", "a/../../../../x"] {
            assert!(link.link_climbs_out(outside), "{outside}");
        }
    }
}
