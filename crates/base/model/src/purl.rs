//! Package URLs: the standard name of a package, <https://github.com/package-url/purl-spec>.

mod rules;

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::str::FromStr;

use thiserror::Error;

/// Longest package URL that is read, in bytes. The longest in public advisory data is below 300; 2 KiB is the length
/// that every URL reader accepts.
pub const PURL_BYTES_MAX: usize = 2048;

/// How much of a wrong text an error shows, in characters.
const TEXT_CHARS_MAX: usize = 128;

/// The type of Git repositories.
const GIT: &str = "git";

/// A package URL: `pkg:type/namespace/name@version?qualifiers#subpath`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Purl {
    /// The package type in lower case, for instance `deb`, `generic`, `pypi`.
    pub kind: String,
    /// The namespace, its segments separated by `/`, for instance `debian`.
    pub namespace: Option<String>,
    /// The name of the package.
    pub name: String,
    /// The version; absent when the URL names all versions.
    pub version: Option<String>,
    /// The qualifiers in the order of their keys, for instance `arch=amd64`.
    pub qualifiers: BTreeMap<String, String>,
    /// The path inside the package.
    pub subpath: Option<String>,
}

/// A text that is no package URL.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{text:?} is no package URL such as pkg:deb/debian/busybox@1.35.0: {why}")]
pub struct PurlError {
    /// The text, cut to 128 characters.
    pub text: String,
    /// What is wrong with it.
    pub why: &'static str,
}

impl Purl {
    /// Makes the URL of a package without namespace, qualifiers and subpath.
    pub fn new(kind: &str, name: &str, version: Option<&str>) -> Self {
        Self {
            kind: kind.to_ascii_lowercase(),
            namespace: None,
            name: name.to_owned(),
            version: version.map(str::to_owned),
            qualifiers: BTreeMap::new(),
            subpath: None,
        }
    }

    /// Returns the same URL in a namespace.
    #[must_use]
    pub fn in_namespace(mut self, namespace: &str) -> Self {
        self.namespace = Some(namespace.to_owned());
        self
    }

    /// Brings a URL that was put together from its parts to its canonical form, as reading does: the case of names that
    /// have none, and what the type demands.
    ///
    /// # Errors
    /// When a part has characters that it must not have, or the type demands or forbids something else.
    pub fn canonical(self) -> Result<Self, PurlError> {
        let text = self.to_string();
        check_kind(&self.kind)
            .and_then(|()| check_parts(&self))
            .and_then(|()| rules::canonical(self))
            .map_err(|why| PurlError { text: text.chars().take(TEXT_CHARS_MAX).collect(), why })
    }

    /// Says whether both URLs name the same package, whatever its version, qualifiers and subpath.
    pub fn names_same_package(&self, other: &Self) -> bool {
        self.kind == other.kind && self.namespace == other.namespace && self.name == other.name
    }
}

/// Characters that stand for themselves in a package URL ("Character encoding" of the specification).
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'~' | b':')
}

fn write_encoded(f: &mut fmt::Formatter<'_>, text: &str, also_plain: &[u8]) -> fmt::Result {
    for byte in text.bytes() {
        if is_plain(byte) || also_plain.contains(&byte) {
            f.write_char(char::from(byte))?;
        } else {
            write!(f, "%{byte:02X}")?;
        }
    }
    Ok(())
}

impl fmt::Display for Purl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pkg:{}/", self.kind)?;
        if let Some(namespace) = &self.namespace {
            write_encoded(f, namespace, b"/")?;
            f.write_char('/')?;
        }
        write_encoded(f, &self.name, if self.kind == GIT { b"/" } else { b"" })?;
        if let Some(version) = &self.version {
            f.write_char('@')?;
            write_encoded(f, version, b"")?;
        }
        for (index, (key, value)) in self.qualifiers.iter().enumerate() {
            write!(f, "{}{key}=", if index == 0 { '?' } else { '&' })?;
            write_encoded(f, value, b"")?;
        }
        if let Some(subpath) = &self.subpath {
            f.write_char('#')?;
            write_encoded(f, subpath, b"/")?;
        }
        Ok(())
    }
}

fn decode(text: &str) -> Result<String, &'static str> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit =
            || rest.next().and_then(|b| char::from(b).to_digit(16)).ok_or("a % without two hex digits");
        let value = digit()? * 16 + digit()?;
        bytes.push(u8::try_from(value).map_err(|_| "a % without two hex digits")?);
    }
    String::from_utf8(bytes).map_err(|_| "the text behind % is not UTF-8")
}

fn segments(text: &str) -> Result<Option<String>, &'static str> {
    let parts: Vec<String> =
        text.split('/').filter(|s| !s.is_empty()).map(decode).collect::<Result<_, _>>()?;
    Ok(if parts.is_empty() { None } else { Some(parts.join("/")) })
}

fn parse_qualifiers(text: &str) -> Result<BTreeMap<String, String>, &'static str> {
    let mut qualifiers = BTreeMap::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').ok_or("a qualifier without =")?;
        if !is_key(key) {
            return Err("a qualifier key with characters that are not allowed");
        }
        let value = decode(value)?;
        if !value.is_empty() && qualifiers.insert(key.to_ascii_lowercase(), value).is_some() {
            return Err("a qualifier that stands twice");
        }
    }
    Ok(qualifiers)
}

/// Splits and decodes from the right, as "How to parse a purl string" of the specification says.
fn parse(text: &str) -> Result<Purl, &'static str> {
    if text.len() > PURL_BYTES_MAX {
        return Err("it is longer than 2048 bytes");
    }
    let rest = text.strip_prefix("pkg:").ok_or("it does not start with pkg:")?;
    let (rest, subpath) = match rest.rsplit_once('#') {
        Some((rest, subpath)) => (rest, segments(subpath)?),
        None => (rest, None),
    };
    let (rest, qualifiers) = match rest.rsplit_once('?') {
        Some((rest, qualifiers)) => (rest, parse_qualifiers(qualifiers)?),
        None => (rest, BTreeMap::new()),
    };
    let (kind, rest) = rest.trim_matches('/').split_once('/').ok_or("it has no name")?;
    check_kind(kind)?;
    // An `@` before the last `/` belongs to a namespace such as npm's `@scope`.
    let (path, version) = match rest.rsplit_once('@') {
        Some((path, version)) if !version.contains('/') => {
            if path.is_empty() || path.ends_with('/') {
                return Err("it has no name");
            }
            (path, Some(decode(version)?))
        }
        _ => (rest, None),
    };
    let path = path.trim_matches('/');
    // The names of Git repositories have slashes; their namespace is a host.
    let split = if kind.eq_ignore_ascii_case(GIT) { path.split_once('/') } else { path.rsplit_once('/') };
    let (namespace, name) = match split {
        Some((namespace, name)) => (segments(namespace)?, decode(name)?),
        None => (None, decode(path)?),
    };
    let version = version.filter(|version| !version.is_empty());
    let purl = Purl { kind: kind.to_ascii_lowercase(), namespace, name, version, qualifiers, subpath };
    check_parts(&purl)?;
    rules::canonical(purl)
}

/// "The package type is composed of ASCII letters and numbers, period, plus and dash, and cannot start with a number".
fn check_kind(kind: &str) -> Result<(), &'static str> {
    let is_fit = kind.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'+' | b'-'));
    if kind.is_empty() || !is_fit || kind.starts_with(|c: char| c.is_ascii_digit()) {
        return Err("its type has characters that are not allowed");
    }
    Ok(())
}

fn check_parts(purl: &Purl) -> Result<(), &'static str> {
    if purl.name.is_empty() {
        return Err("it has no name");
    }
    if purl.qualifiers.keys().all(|key| is_key(key)) {
        Ok(())
    } else {
        Err("a qualifier key with characters that are not allowed")
    }
}

fn is_key(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
}

impl FromStr for Purl {
    type Err = PurlError;

    fn from_str(text: &str) -> Result<Self, PurlError> {
        parse(text).map_err(|why| PurlError { text: text.chars().take(TEXT_CHARS_MAX).collect(), why })
    }
}

#[cfg(test)]
mod tests;
