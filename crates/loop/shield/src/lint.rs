//! Our own checker of rule files: the last look before a sensor reads them.
//!
//! In: the text of a rule file. Out: nothing, or the first fault with its line. Refuses: unbalanced quotes, options
//! without an end, rules without `msg`, `sid`, `rev` or `metadata`, numbers that stand twice or lie outside our range,
//! patterns without a content to search for first, and bytes that are not printable ASCII. A rule engine that meets
//! such a rule skips it in silence (`ruleset-reload-rules` answers OK all the same), so it must not come that far.

use std::collections::BTreeSet;

use thiserror::Error;

use crate::ips::{SID_FIRST, SID_LAST};

/// A fault in a rule file.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("line {line} of the rule file: {fault}")]
pub struct LintError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong.
    pub fault: Fault,
}

/// What is wrong with a rule.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Fault {
    /// A byte that is not printable ASCII.
    #[error("it holds a byte that is not printable ASCII")]
    Byte,
    /// The header is not `action protocol source port -> destination port (`.
    #[error("its header is not `action protocol source port -> destination port (`")]
    Header,
    /// A quote without its partner.
    #[error("a quote is not closed")]
    Quote,
    /// The options do not end with `;)`.
    #[error("its options do not end with `;)`")]
    End,
    /// An option that must stand exactly once.
    #[error("`{option}` must stand once, and stands {times} times")]
    Times {
        /// The option.
        option: &'static str,
        /// How often it stands.
        times: usize,
    },
    /// A number that is none, or outside the range.
    #[error("its `{option}` is not a number in its range")]
    Number {
        /// The option.
        option: &'static str,
    },
    /// The rule number stands twice.
    #[error("rule number {sid} stands twice")]
    TwiceSid {
        /// The number.
        sid: u32,
    },
    /// A pattern that would be tried on each packet.
    #[error("it has a pattern and no content to search for first")]
    SlowPattern,
}

/// Checks a whole rule file; lines that are empty or start with `#` are passed over.
pub fn lint(text: &str) -> Result<(), LintError> {
    let mut seen = BTreeSet::new();
    for (index, rule) in text.lines().enumerate() {
        if rule.is_empty() || rule.starts_with('#') {
            continue;
        }
        let at = |fault| LintError { line: index + 1, fault };
        let sid = check_rule(rule).map_err(at)?;
        if !seen.insert(sid) {
            return Err(at(Fault::TwiceSid { sid }));
        }
    }
    Ok(())
}

fn check_rule(rule: &str) -> Result<u32, Fault> {
    if !rule.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
        return Err(Fault::Byte);
    }
    let (header, options) = rule.split_once('(').ok_or(Fault::Header)?;
    check_header(header)?;
    let options = split_options(options)?;
    for option in ["msg", "metadata"] {
        value_of(&options, option)?;
    }
    let number = |option: &'static str, from: u32, to: u32| {
        let value = value_of(&options, option)?;
        value.parse().ok().filter(|value| (from..=to).contains(value)).ok_or(Fault::Number { option })
    };
    number("rev", 1, u32::MAX)?;
    let has = |name: &str| options.iter().any(|option| name_of(option) == name);
    if has("pcre") && !has("content") {
        return Err(Fault::SlowPattern);
    }
    number("sid", SID_FIRST, SID_LAST)
}

fn check_header(header: &str) -> Result<(), Fault> {
    let words: Vec<&str> = header.split_whitespace().collect();
    match words.as_slice() {
        ["alert" | "drop", "tcp" | "udp" | "http" | "dns" | "modbus", _, _, "->", _, _] => Ok(()),
        _ => Err(Fault::Header),
    }
}

/// Splits at each `;` outside quotes; a backslash keeps the next character from having a meaning.
fn split_options(text: &str) -> Result<Vec<String>, Fault> {
    let mut options = Vec::new();
    let mut option = String::new();
    let mut quoted = false;
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match c {
            '\\' => {
                option.push(c);
                option.extend(characters.next());
            }
            '"' => {
                quoted = !quoted;
                option.push(c);
            }
            // Suricata ends an option at a bare `;` even inside quotes: a fault here.
            ';' if quoted => return Err(Fault::Quote),
            ';' => options.push(std::mem::take(&mut option).trim().to_owned()),
            ')' if !quoted => {
                let ended = option.trim().is_empty() && characters.next().is_none();
                return if ended { Ok(options) } else { Err(Fault::End) };
            }
            _ => option.push(c),
        }
    }
    Err(if quoted { Fault::Quote } else { Fault::End })
}

fn name_of(option: &str) -> &str {
    option.split_once(':').map_or(option, |(name, _)| name)
}

fn value_of<'a>(options: &'a [String], name: &'static str) -> Result<&'a str, Fault> {
    let values: Vec<&str> = options
        .iter()
        .filter_map(|o| o.split_once(':'))
        .filter(|(n, _)| *n == name)
        .map(|(_, v)| v)
        .collect();
    match values.as_slice() {
        [value] => Ok(value),
        _ => Err(Fault::Times { option: name, times: values.len() }),
    }
}

#[cfg(test)]
mod tests {
    use super::{Fault, LintError, lint};

    const GOOD: &str = r#"drop tcp any any -> [10.0.0.1] 23 (msg:"a"; flow:to_server; metadata:fw_vp vp-1; sid:1500004; rev:1;)"#;

    fn check(rule: &str, fault: Fault) {
        assert_eq!(lint(rule), Err(LintError { line: 1, fault }), "{rule}");
    }

    #[test]
    fn a_good_rule_passes() {
        assert_eq!(lint(&format!("# a comment\n\n{GOOD}\n")), Ok(()));
    }

    #[test]
    fn faults_are_named() {
        check(&GOOD.replace("drop", "reject"), Fault::Header);
        check(&GOOD.replace(" -> ", " <> "), Fault::Header);
        check(&GOOD.replace("\"a\"", "\"a"), Fault::Quote);
        check(&GOOD.replace("\"a\"", "\"a;b\""), Fault::Quote);
        check(&GOOD.replace("\"a\"", "\"\u{e4}\""), Fault::Byte);
        check(&GOOD.replace("rev:1;)", "rev:1)"), Fault::End);
        check(&GOOD.replace("rev:1;)", "rev:1;) x"), Fault::End);
        check(&GOOD.replace("rev:1;", ""), Fault::Times { option: "rev", times: 0 });
        check(&GOOD.replace("rev:1;", "rev:1; sid:1;"), Fault::Times { option: "sid", times: 2 });
        check(&GOOD.replace("1500004", "1499999"), Fault::Number { option: "sid" });
        check(&GOOD.replace("rev:1", "rev:0"), Fault::Number { option: "rev" });
        check(&GOOD.replace("flow:to_server", "pcre:\"/a/\""), Fault::SlowPattern);
        let twice = LintError { line: 2, fault: Fault::TwiceSid { sid: 1_500_004 } };
        assert_eq!(lint(&format!("{GOOD}\n{GOOD}")), Err(twice));
    }
}
