//! Templates of virtual patches: kinds of weakness that a rule can hold off.
//!
//! In: parameters that a person or an advisory gives. Out: checked parameters. Refuses: parameters that could not stand
//! in a request, and so can only be a mistake or an attack on the rule file.

use thiserror::Error;

/// Longest HTTP path of a template, in bytes: paths of device web interfaces are below 100, and the content of a rule
/// may have at most 255.
pub const PATH_BYTES_MAX: usize = 200;

/// Longest parameter name, in bytes: the longest in public exploits is below 40.
pub const PARAMETER_BYTES_MAX: usize = 64;

/// Most domains of one virtual patch: it has four rule numbers.
pub const DOMAINS_MAX: usize = 4;

/// A parameter that cannot stand in a template.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TemplateError {
    /// It is no path.
    #[error("{text:?} is no HTTP path: `/`, then up to {PATH_BYTES_MAX} letters, digits and `/._~-`")]
    Path {
        /// The text, cut to 64 characters.
        text: String,
    },
    /// It is no parameter name.
    #[error(
        "{text:?} is no parameter name: 1 to {PARAMETER_BYTES_MAX} letters, digits and `._-` are allowed"
    )]
    Parameter {
        /// The text, cut to 64 characters.
        text: String,
    },
    /// It is no domain name.
    #[error("{text:?} is no domain name with at least two labels (RFC 1035 section 2.3.1)")]
    Domain {
        /// The text, cut to 64 characters.
        text: String,
    },
}

fn cut(text: &str) -> String {
    text.chars().take(64).collect()
}

/// The path of a web interface.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct HttpPath(String);

impl HttpPath {
    /// Checks a text and makes it a path.
    pub fn new(text: &str) -> Result<Self, TemplateError> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"/._~-".contains(&b);
        let fits = text.starts_with('/') && text.len() <= PATH_BYTES_MAX && text.bytes().all(plain);
        if fits { Ok(Self(text.to_owned())) } else { Err(TemplateError::Path { text: cut(text) }) }
    }

    /// Returns the path.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The name of a form or query parameter.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ParameterName(String);

impl ParameterName {
    /// Checks a text and makes it a parameter name.
    pub fn new(text: &str) -> Result<Self, TemplateError> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
        let fits = (1..=PARAMETER_BYTES_MAX).contains(&text.len()) && text.bytes().all(plain);
        if fits { Ok(Self(text.to_owned())) } else { Err(TemplateError::Parameter { text: cut(text) }) }
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A domain name, in lower case, without the final dot.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DomainName(String);

impl DomainName {
    /// Checks a text and makes it a domain name. A single label is refused: it would block a whole top-level domain.
    pub fn new(text: &str) -> Result<Self, TemplateError> {
        let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        let label_fits = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        let fits = name.len() <= 253 && name.contains('.') && name.split('.').all(label_fits);
        if fits { Ok(Self(name)) } else { Err(TemplateError::Domain { text: cut(text) }) }
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What the value of a parameter looks like when nobody attacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueShape {
    /// A host name or address: letters, digits, `.`, `:`, `_`, `-`.
    HostName,
    /// A whole number.
    Number,
    /// Letters, digits, `_`, `-`.
    Word,
}

/// A kind of weakness that a rule can hold off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Template {
    /// Commands put into a parameter of the web interface (CWE-78).
    HttpCommandInjection {
        /// The vulnerable page.
        path: HttpPath,
        /// The parameter that ends up in a shell.
        parameter: ParameterName,
        /// What its value looks like.
        shape: ValueShape,
        /// How long its value may be, in bytes; 1 to 1,024 are kept, more is cut to 1,024.
        value_bytes_max: u16,
    },
    /// A telnet or debug port without a proper login (CWE-306).
    OpenPort {
        /// The TCP port.
        port: u16,
    },
    /// Domains that only the attacker's software asks for.
    BadDomains {
        /// The domains, at most [`DOMAINS_MAX`]; names below them are blocked as well.
        domains: Vec<DomainName>,
    },
    /// Modbus writes from anybody but the allowed peers (CWE-306): the protocol knows no login.
    ModbusWrite,
}

#[cfg(test)]
mod tests {
    use super::{DomainName, HttpPath, ParameterName};

    #[test]
    fn parameters_that_could_end_a_rule_are_refused() {
        for text in ["", "ping", "/a b", "/a\"b", "/a;b", "/a\\b", "/a|b", "/ä", "/a\n"] {
            assert!(HttpPath::new(text).is_err(), "{text:?}");
        }
        assert!(HttpPath::new(&format!("/{}", "a".repeat(200))).is_err());
        assert_eq!(HttpPath::new("/cgi-bin/ping.cgi").unwrap().as_str(), "/cgi-bin/ping.cgi");
        for text in ["", "a=b", "a&b", "a;b", "a b"] {
            assert!(ParameterName::new(text).is_err(), "{text:?}");
        }
        for text in ["", "com", ".", "a..b", "-a.com", "a.com\"; sid:1;", "ü.com"] {
            assert!(DomainName::new(text).is_err(), "{text:?}");
        }
        assert_eq!(DomainName::new("Evil.Example.").unwrap().as_str(), "evil.example");
    }
}
