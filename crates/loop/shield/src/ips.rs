//! Suricata rules, built from typed parts.
//!
//! In: hosts, buffers, contents and patterns as types. Out: rules and the rule file. Refuses: to put a byte from outside
//! into a rule unescaped, and to write a file that [`crate::lint`] does not accept.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::IpAddr;

use warden_model::AdvisoryId;

use crate::lint::{LintError, lint};
use crate::policy::{Prefix, Protocol};

/// The first rule number that we use: the upper half of the range for local rules (1,000,000 to 1,999,999).
pub const SID_FIRST: u32 = 1_500_000;

/// The last rule number that we use.
pub const SID_LAST: u32 = 1_999_999;

/// Rules of one virtual patch: its numbers are `SID_FIRST + 4 * patch + variant`.
pub(crate) const VARIANTS_MAX: u32 = 4;

/// The number of a virtual patch; its rules' numbers follow from it and stay the same for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PatchNumber(u32);

impl PatchNumber {
    /// The first number that a person may give; those below belong to the coarse rules, one for each known service.
    pub const FIRST: u32 = 100;
    /// The last number whose rules stay within [`SID_LAST`].
    pub const LAST: u32 = (SID_LAST - SID_FIRST - (VARIANTS_MAX - 1)) / VARIANTS_MAX;

    /// Makes a number that a person gives: [`Self::FIRST`] to [`Self::LAST`].
    pub fn new(number: u32) -> Option<Self> {
        (Self::FIRST..=Self::LAST).contains(&number).then_some(Self(number))
    }

    /// Makes the number of a coarse rule.
    pub(crate) const fn coarse(number: u8) -> Self {
        Self(if (number as u32) < Self::FIRST { number as u32 } else { 0 })
    }

    /// Returns the number.
    pub const fn get(self) -> u32 {
        self.0
    }

    fn sid(self, variant: u32) -> u32 {
        SID_FIRST + self.0 * VARIANTS_MAX + variant.min(VARIANTS_MAX - 1)
    }
}

/// What a rule does when it matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It only tells: to see for a time whom a rule would hit.
    Shadow,
    /// It drops.
    Enforce,
}

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IpsRule {
    /// Its number; unique in the file.
    pub sid: u32,
    /// Its revision: the generation of the policy that made it.
    pub rev: u32,
    /// The rule, one line.
    pub text: String,
    /// The advisories that it covers; sorted.
    pub covers: Vec<AdvisoryId>,
}

/// Writes the rule file, sorted by rule number, after the checker has accepted each rule.
pub fn rule_file(rules: &[IpsRule]) -> Result<String, LintError> {
    let mut sorted: Vec<&IpsRule> = rules.iter().collect();
    sorted.sort_by_key(|rule| rule.sid);
    let mut text = format!("# Virtual patches: {} rules.\n", sorted.len());
    for rule in sorted {
        text.push_str(&rule.text);
        text.push('\n');
    }
    lint(&text)?;
    Ok(text)
}

/// The hosts on one side of a rule.
pub(crate) enum Hosts<'a> {
    Any,
    These(&'a BTreeSet<IpAddr>),
    AllBut(&'a [Prefix]),
}

impl std::fmt::Display for Hosts<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let list = |items: Vec<String>| items.join(",");
        match self {
            Self::These(hosts) => write!(f, "[{}]", list(hosts.iter().map(ToString::to_string).collect())),
            // "All but nobody" is everybody; Suricata takes no empty list.
            Self::Any | Self::AllBut([]) => f.write_str("any"),
            Self::AllBut(peers) => write!(f, "![{}]", list(peers.iter().map(ToString::to_string).collect())),
        }
    }
}

/// What the header of a rule names as protocol.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Layer {
    Transport(Protocol),
    Http,
    Dns,
    Modbus,
}

impl Layer {
    fn word(self) -> &'static str {
        match self {
            Self::Transport(protocol) => protocol.word(),
            Self::Http => "http",
            Self::Dns => "dns",
            Self::Modbus => "modbus",
        }
    }
}

/// A pattern for `pcre`, of fixed parts and escaped literals.
pub(crate) struct Pattern(String);

impl Pattern {
    pub(crate) fn new() -> Self {
        Self(String::new())
    }

    /// Adds syntax that stands in our own source.
    pub(crate) fn syntax(mut self, part: &'static str) -> Self {
        self.0.push_str(part);
        self
    }

    pub(crate) fn number(mut self, number: u16) -> Self {
        self.0.push_str(&number.to_string());
        self
    }

    /// Adds text from outside: everything but letters and digits becomes `\xHH`, so that it can end neither the
    /// pattern nor the option (a bare `;` or `"` ends the rule's option, even inside a pattern).
    pub(crate) fn literal(mut self, text: &str) -> Self {
        for byte in text.bytes() {
            if byte.is_ascii_alphanumeric() {
                self.0.push(char::from(byte));
            } else {
                push(&mut self.0, format_args!("\\x{byte:02x}"));
            }
        }
        self
    }
}

/// A rule while it is written. Options keep their order: a sticky buffer holds for all that follows it.
pub(crate) struct Rule {
    text: String,
}

impl Rule {
    pub(crate) fn new(mode: Mode, layer: Layer, from: &Hosts<'_>, to: &Hosts<'_>, port: Option<u16>) -> Self {
        let action = match mode {
            Mode::Shadow => "alert",
            Mode::Enforce => "drop",
        };
        let port = port.map_or("any".to_owned(), |port| port.to_string());
        Self { text: format!("{action} {} {from} any -> {to} {port} (", layer.word()) }
    }

    /// Adds the message: what is not plain becomes `_`.
    pub(crate) fn message(mut self, text: &str) -> Self {
        self.text.push_str("msg:\"FW ");
        for c in text.chars().take(120) {
            let plain =
                c.is_ascii_alphanumeric() || matches!(c, ' ' | '.' | ',' | '_' | '-' | '/' | '(' | ')');
            self.text.push(if plain { c } else { '_' });
        }
        self.text.push_str("\"; ");
        self
    }

    /// Adds an option that stands in our own source.
    pub(crate) fn option(mut self, option: &'static str) -> Self {
        self.text.push_str(option);
        self.text.push_str("; ");
        self
    }

    /// Adds a content: everything but letters, digits and `.`, `/`, `-`, `_`, `=` becomes `|HH|`.
    pub(crate) fn content(mut self, content: &str) -> Self {
        self.text.push_str("content:\"");
        for byte in content.bytes() {
            if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'/' | b'-' | b'_' | b'=') {
                self.text.push(char::from(byte));
            } else {
                push(&mut self.text, format_args!("|{byte:02X}|"));
            }
        }
        self.text.push_str("\"; ");
        self
    }

    pub(crate) fn pcre(mut self, pattern: &Pattern) -> Self {
        push(&mut self.text, format_args!("pcre:\"/{}/\"; ", pattern.0));
        self
    }

    /// Ends the rule. `fw_cve` and `fw_vp` come back in each alert's metadata: they tie a hit to its advisory.
    pub(crate) fn finish(
        mut self,
        patch: PatchNumber,
        variant: u32,
        rev: u32,
        covers: &[AdvisoryId],
    ) -> IpsRule {
        for advisory in covers {
            if let Some(number) = advisory.as_str().strip_prefix("CVE-") {
                push(&mut self.text, format_args!("reference:cve,{number}; "));
            }
        }
        let mut metadata = format!("fw_vp vp-{}", patch.get());
        for advisory in covers {
            push(&mut metadata, format_args!(", fw_cve {advisory}"));
        }
        let sid = patch.sid(variant);
        push(&mut self.text, format_args!("metadata:{metadata}; sid:{sid}; rev:{rev};)"));
        IpsRule { sid, rev, text: self.text, covers: covers.to_vec() }
    }
}

/// Writing into a `String` cannot fail.
fn push(text: &mut String, part: std::fmt::Arguments<'_>) {
    if text.write_fmt(part).is_err() {
        debug_assert!(false, "a String takes every text");
    }
}
