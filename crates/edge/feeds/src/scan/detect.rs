//! Which scanner's report it is, by its content: names of files lie.
//!
//! In: the beginning of a report. Out: its form. Refuses: what is no report, with what it seems to be and what to do instead.

use std::cell::RefCell;
use std::fmt;
use std::io::BufRead as _;
use std::rc::Rc;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use warden_model::scan::Scanner;

use super::bytes::{Meter, Text};
use super::csv::Records;
use super::error::ScanError;
use super::limits::ScanLimits;
use super::xml::{Step, Walk};
use super::{Source, rewind};

/// The forms that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Nessus, XML, version 2.
    NessusXml,
    /// Nessus and other products of Tenable, CSV.
    NessusCsv,
    /// OpenVAS, XML.
    OpenVasXml,
    /// OpenVAS, CSV.
    OpenVasCsv,
    /// Nmap, XML.
    NmapXml,
    /// Nuclei, JSON.
    Nuclei,
    /// SARIF.
    Sarif,
}

impl Form {
    /// Returns whose report it is.
    pub(super) fn scanner(self) -> Scanner {
        match self {
            Self::NessusXml | Self::NessusCsv => Scanner::Nessus,
            Self::OpenVasXml | Self::OpenVasCsv => Scanner::OpenVas,
            Self::NmapXml => Scanner::Nmap,
            Self::Nuclei => Scanner::Nuclei,
            Self::Sarif => Scanner::Sarif,
        }
    }
}

const KNOWN: &str =
    "Nessus (.nessus version 2, CSV), OpenVAS (XML, CSV), Nmap (-oX), nuclei (-j) and SARIF 2.1.0 are read";

/// Finds out the form; the source stands at its beginning afterwards.
pub(super) fn detect(source: &mut dyn Source, limits: &ScanLimits) -> Result<Form, ScanError> {
    rewind(source)?;
    let mut start = [0; 2];
    let got = source.read(&mut start).map_err(|source| ScanError::Read { source })?;
    if matches!(start, [0xff, 0xfe] | [0xfe, 0xff]) && got == 2 {
        return Err(ScanError::Encoding);
    }
    rewind(source)?;
    let mut bytes: &mut dyn Source = source;
    let (mut text, meter) = Text::new(&mut bytes, limits);
    let first = first_char(&mut text, &meter, limits)?;
    let form = match first {
        None => Err(ScanError::Empty),
        Some(b'<') => xml(text, meter, limits),
        Some(b'{' | b'[') => json(text, &meter, limits),
        Some(_) => csv(text, meter, limits),
    };
    rewind(source)?;
    form
}

/// Passes over white space, and returns the character behind without taking it.
fn first_char(text: &mut Text<'_>, meter: &Meter, limits: &ScanLimits) -> Result<Option<u8>, ScanError> {
    loop {
        let have = match text.fill_buf() {
            Ok(have) => have,
            Err(source) => return Err(meter.over(limits).unwrap_or(ScanError::Read { source })),
        };
        if have.is_empty() {
            return Ok(None);
        }
        let blank = have.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        let first = have.get(blank).copied();
        text.consume(blank);
        if first.is_some() {
            return Ok(first);
        }
    }
}

fn xml(text: Text<'_>, meter: Rc<Meter>, limits: &ScanLimits) -> Result<Form, ScanError> {
    let mut walk = Walk::new(text, meter, limits);
    let root = match walk.step()? {
        Step::Open(root) => root,
        Step::Close(_) | Step::End => return Err(ScanError::Empty),
    };
    let unknown = |hint: &'static str| {
        let name: String = root.name.chars().take(64).collect();
        Err(ScanError::Unknown { found: format!("XML whose first element is <{name}>"), hint })
    };
    match root.name.as_str() {
        "NessusClientData_v2" => Ok(Form::NessusXml),
        "NessusClientData" => {
            unknown("that is version 1 of Nessus' reports, given up in 2009: export as .nessus (version 2)")
        }
        "ReportHost" | "ReportItem" | "HostProperties" | "NessusReport" => {
            unknown("that is a piece of a Nessus report: export the whole report as .nessus")
        }
        "nmaprun" => Ok(Form::NmapXml),
        "get_reports_response" | "get_report_response" | "get_scan_report_response" | "omp" | "gmp" => {
            Ok(Form::OpenVasXml)
        }
        "report" if is_openvas(&root, &mut walk)? => Ok(Form::OpenVasXml),
        "result" | "results" => {
            unknown("that is a piece of an OpenVAS report: export the whole report as XML")
        }
        "host" | "port" => unknown("that is a piece of an Nmap report: take the whole file that -oX writes"),
        "testsuites" | "testsuite" => {
            unknown("that is a JUnit report; nuclei and others write JSON or SARIF too")
        }
        _ => unknown(KNOWN),
    }
}

/// Other programs have reports too: that of OpenVAS names its format, or holds a report or results right inside.
fn is_openvas(root: &super::xml::Element, walk: &mut Walk<'_>) -> Result<bool, ScanError> {
    if root.attribute("format_id").is_some() || root.attribute("content_type").is_some() {
        return Ok(true);
    }
    loop {
        match walk.step()? {
            Step::Open(child) if matches!(child.name.as_str(), "report" | "results" | "gmp" | "omp") => {
                return Ok(true);
            }
            Step::Open(_) => walk.skip()?,
            Step::Close(_) | Step::End => return Ok(false),
        }
    }
}

fn csv(text: Text<'_>, meter: Rc<Meter>, limits: &ScanLimits) -> Result<Form, ScanError> {
    let records = Records::new(text, meter, limits)?;
    let has = |name: &str| records.has(name);
    if has("nvt oid") || (has("nvt name") && has("ip")) {
        return Ok(Form::OpenVasCsv);
    }
    if has("plugin id") || (has("plugin") && has("plugin name")) || has("definition.id") || has("plugin.id") {
        return Ok(Form::NessusCsv);
    }
    let found = "text without the header of a scanner's CSV".to_owned();
    Err(ScanError::Unknown { found, hint: KNOWN })
}

fn json(text: Text<'_>, meter: &Meter, limits: &ScanLimits) -> Result<Form, ScanError> {
    let keys = RefCell::new(Keys::default());
    let mut reader = serde_json::Deserializer::from_reader(text);
    // An error may be our own sign that enough was seen.
    let outcome = Peek(&keys).deserialize(&mut reader);
    let keys = keys.into_inner();
    if let Some(form) = keys.form {
        return Ok(form);
    }
    if let Err(error) = outcome {
        return Err(json_error(&error, meter, limits));
    }
    let (found, hint) = match keys.other {
        Some((found, hint)) => (found.to_owned(), hint),
        None if keys.names.is_empty() => ("JSON without any item".to_owned(), KNOWN),
        None => (format!("JSON with {}", keys.names.join(", ")), KNOWN),
    };
    Err(ScanError::Unknown { found, hint })
}

/// Makes an error out of one of the JSON parser.
pub(super) fn json_error(error: &serde_json::Error, meter: &Meter, limits: &ScanLimits) -> ScanError {
    if let Some(over) = meter.over(limits) {
        return over;
    }
    if error.is_eof() {
        return ScanError::Cut { inside: format!("line {}", error.line()) };
    }
    let why = error.to_string();
    let why = why.split(" at line ").next().unwrap_or_default().chars().take(200).collect();
    ScanError::Json { line: error.line(), column: error.column(), why }
}

/// What the names of the first object's fields say.
#[derive(Default)]
struct Keys {
    form: Option<Form>,
    other: Option<(&'static str, &'static str)>,
    names: Vec<String>,
}

impl Keys {
    fn see(&mut self, name: &str) {
        match name {
            "runs" => self.form = Some(Form::Sarif),
            "template-id" | "templateID" | "template_id" | "matcher-status" => self.form = Some(Form::Nuclei),
            "bomFormat" | "spdxVersion" => {
                self.other =
                    Some(("a software bill of materials", "it belongs to a firmware, not to a scan"));
            }
            "document" => {
                self.other = Some(("a CSAF document", "`fleetwarden advisory import` reads advisories"));
            }
            "@context" => {
                self.other = Some(("an OpenVEX document", "it says what is not affected; it is no scan"));
            }
            "banner" | "kex" => {
                self.other = Some(("a report of ssh-audit", "nmap --script ssh2-enum-algos sees the same"));
            }
            _ => {}
        }
        if self.names.len() < 5 {
            self.names.push(name.chars().take(32).collect());
        }
    }
}

/// Looks at the names of the fields of the first object, alone or in an array.
struct Peek<'a>(&'a RefCell<Keys>);

impl<'de> DeserializeSeed<'de> for Peek<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Peek<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object, or an array of objects")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            self.0.borrow_mut().see(&name);
            if self.0.borrow().form.is_some() {
                return Err(A::Error::custom("enough was seen"));
            }
            map.next_value::<IgnoredAny>()?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        seq.next_element_seed(Peek(self.0))?;
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }
}
