//! CSV (RFC 4180), record by record.
//!
//! In: text with `,`, `;` or tabs between the fields; the first record tells which. Out: records as fields by column name.
//! Refuses: records and columns above their limits, quotes that never close. Records shorter than the header have empty fields
//! at their end, as spreadsheets write them.

use std::collections::BTreeMap;
use std::io::BufRead;
use std::rc::Rc;

use super::bytes::{Meter, Text};
use super::error::ScanError;
use super::limits::ScanLimits;

/// A CSV on its way.
pub(super) struct Records<'a> {
    text: Text<'a>,
    meter: Rc<Meter>,
    limits: ScanLimits,
    separator: u8,
    columns: BTreeMap<String, usize>,
    number: u64,
}

/// A record: its fields by the names of the columns, in lower case.
pub(super) struct Record<'a> {
    columns: &'a BTreeMap<String, usize>,
    fields: Vec<String>,
}

impl Record<'_> {
    /// Returns the first field that is there and not empty, of columns that mean the same.
    pub(super) fn first(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| {
            let field = self.fields.get(*self.columns.get(*name)?)?.trim();
            (!field.is_empty()).then_some(field)
        })
    }
}

impl<'a> Records<'a> {
    /// Reads the header.
    pub(super) fn new(text: Text<'a>, meter: Rc<Meter>, limits: &ScanLimits) -> Result<Self, ScanError> {
        let columns = BTreeMap::new();
        let mut records = Self { text, meter, limits: *limits, separator: b',', columns, number: 0 };
        let line = records.first_line()?;
        let count = |separator: u8| line.split(|byte| *byte == separator).count();
        let most = [b',', b';', b'\t'].into_iter().max_by_key(|separator| count(*separator));
        records.separator = most.unwrap_or(b',');
        let header = records.fields()?.unwrap_or_default();
        for (index, name) in header.iter().enumerate() {
            // Of two columns with the same name the first one counts.
            records.columns.entry(name.trim().to_ascii_lowercase()).or_insert(index);
        }
        Ok(records)
    }

    /// Says whether there is a column with a name, in lower case.
    pub(super) fn has(&self, name: &str) -> bool {
        self.columns.contains_key(name)
    }

    /// Looks at the first line without taking it; header names have no line ends.
    fn first_line(&mut self) -> Result<Vec<u8>, ScanError> {
        let have = self.text.fill_buf().map_err(|source| ScanError::Read { source })?;
        Ok(have.split(|byte| *byte == b'\n').next().unwrap_or_default().to_vec())
    }

    /// Returns the next record; empty lines are passed over.
    pub(super) fn record(&mut self) -> Result<Option<Record<'_>>, ScanError> {
        loop {
            let Some(fields) = self.fields()? else { return Ok(None) };
            if fields.iter().any(|field| !field.trim().is_empty()) {
                return Ok(Some(Record { columns: &self.columns, fields }));
            }
        }
    }

    fn fields(&mut self) -> Result<Option<Vec<String>>, ScanError> {
        self.meter.begin_item();
        self.number = self.number.saturating_add(1);
        let mut line = Line::default();
        loop {
            let have = match self.text.fill_buf() {
                Ok(have) => have,
                Err(source) => {
                    return Err(self.meter.over(&self.limits).unwrap_or(ScanError::Read { source }));
                }
            };
            if have.is_empty() {
                return line.at_end(self.number);
            }
            let mut used = 0;
            let mut is_whole = false;
            for byte in have {
                used += 1;
                is_whole = line.feed(*byte, self.separator);
                if is_whole || line.fields.len() > self.limits.columns {
                    break;
                }
            }
            self.text.consume(used);
            if line.fields.len() > self.limits.columns {
                return Err(ScanError::over("a record of more columns", self.limits.columns));
            }
            if is_whole {
                return Ok(Some(line.fields()));
            }
        }
    }
}

/// Where the reader stands in a field.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum Place {
    /// Before its first byte.
    #[default]
    Start,
    /// In a field without quotes.
    Plain,
    /// Between quotes.
    Quoted,
    /// Behind a quote that ends the field, or is the first half of a doubled one.
    AfterQuote,
}

/// A record that is being read.
#[derive(Default)]
struct Line {
    fields: Vec<Vec<u8>>,
    field: Vec<u8>,
    place: Place,
    has_begun: bool,
}

impl Line {
    /// Takes a byte, and says whether the record is whole.
    fn feed(&mut self, byte: u8, separator: u8) -> bool {
        self.has_begun = true;
        match (self.place, byte) {
            (Place::Quoted, b'"') => self.place = Place::AfterQuote,
            (Place::Quoted, byte) => self.field.push(byte),
            (Place::Start, b'"') => self.place = Place::Quoted,
            (Place::AfterQuote, b'"') => {
                self.field.push(b'"');
                self.place = Place::Quoted;
            }
            (Place::Start | Place::Plain | Place::AfterQuote, b'\n') => {
                self.end_field();
                return true;
            }
            (Place::Start | Place::Plain | Place::AfterQuote, b'\r') => {}
            (Place::Start | Place::Plain | Place::AfterQuote, byte) if byte == separator => self.end_field(),
            (Place::Start | Place::Plain | Place::AfterQuote, byte) => {
                self.field.push(byte);
                self.place = Place::Plain;
            }
        }
        false
    }

    fn end_field(&mut self) {
        self.fields.push(std::mem::take(&mut self.field));
        self.place = Place::Start;
    }

    fn at_end(mut self, number: u64) -> Result<Option<Vec<String>>, ScanError> {
        if !self.has_begun {
            return Ok(None);
        }
        if self.place == Place::Quoted {
            let why = "ends inside of quotes".to_owned();
            return Err(ScanError::Csv { record: number, why });
        }
        self.end_field();
        Ok(Some(self.fields()))
    }

    fn fields(self) -> Vec<String> {
        self.fields.into_iter().map(|field| String::from_utf8_lossy(&field).into_owned()).collect()
    }
}
