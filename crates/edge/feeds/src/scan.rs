//! Reads the reports of vulnerability scanners.
//!
//! In: bytes: Nessus (version 2 XML, CSV), OpenVAS (XML of both generations, also as an answer of its management protocol,
//! and CSV), Nmap XML, nuclei (JSON, JSON Lines), SARIF 2.1.0; which one it is, is told by the content. Out: items one by
//! one, while the report is read, and at its end the hosts and what was looked at. Memory grows with the number of hosts and
//! checks, never with the size of the report. Refuses: everything beyond its [`ScanLimits`], XML that defines entities,
//! reports that end early, and files that are something else, with what to do instead.

mod bytes;
mod collect;
mod csv;
mod detect;
mod error;
mod limits;
mod nessus;
mod nessus_csv;
mod nmap;
mod nuclei;
mod openvas;
mod openvas_csv;
mod sarif;
mod text;
mod xml;

use std::io::{Read, Seek};

use warden_model::scan::{ScanItem, ScanReport};

use bytes::Text;
use collect::Collector;
use detect::Form;
use xml::{Step, Walk};

pub(crate) use xml::Element;

pub use error::ScanError;
pub use limits::ScanLimits;

/// Where a report comes from: it is read from its beginning, more than once where its form needs that.
pub trait Source: Read + Seek {}

impl<T: Read + Seek> Source for T {}

/// Reads a report: `each` gets its items in the order of the report, and the rest comes at the end. What was given to `each`
/// before an error must be forgotten.
pub fn read_scan(
    source: &mut dyn Source,
    limits: &ScanLimits,
    each: &mut dyn FnMut(ScanItem),
) -> Result<ScanReport, ScanError> {
    let form = detect::detect(source, limits)?;
    let mut collector = Collector::new(form.scanner(), limits, each);
    match form {
        Form::NessusXml => nessus::read(source, &mut collector),
        Form::NessusCsv => nessus_csv::read(source, &mut collector),
        Form::OpenVasXml => openvas::read(source, &mut collector),
        Form::OpenVasCsv => openvas_csv::read(source, &mut collector),
        Form::NmapXml => nmap::read(source, &mut collector),
        Form::Nuclei => nuclei::read(source, &mut collector),
        Form::Sarif => sarif::read(source, &mut collector),
    }?;
    Ok(collector.end())
}

/// Reads a small XML document as a whole.
pub(crate) fn read_element(mut bytes: &[u8], limits: &ScanLimits) -> Result<Element, ScanError> {
    let (text, meter) = Text::new(&mut bytes, limits);
    let mut walk = Walk::new(text, meter, limits);
    match walk.step()? {
        Step::Open(root) => walk.whole(root),
        Step::Close(_) | Step::End => Err(ScanError::Empty),
    }
}

fn rewind(source: &mut dyn Source) -> Result<(), ScanError> {
    source.rewind().map_err(|source| ScanError::Read { source })
}

#[cfg(test)]
mod tests;
