//! XML, element by element: the reader stays small, whatever the size of the report.
//!
//! In: text. Out: steps through the document, and whole small elements where a report's item begins. Refuses: entities other
//! than the five of XML 1.0 §4.6, documents that define some, nesting and elements above their limits, documents that end
//! early.

use std::rc::Rc;

use quick_xml::XmlVersion;
use quick_xml::errors::{Error, IllFormedError, SyntaxError};
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::reader::Reader;

use super::bytes::{Meter, Text};
use super::error::ScanError;
use super::limits::ScanLimits;

/// An element with all that is inside.
#[derive(Debug, Default)]
pub(crate) struct Element {
    pub(crate) name: String,
    attributes: Vec<(String, String)>,
    text: String,
    children: Vec<Element>,
}

impl Element {
    /// Returns an attribute.
    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.trim())
    }

    /// Returns the text that stands directly inside.
    pub(crate) fn text(&self) -> &str {
        self.text.trim()
    }

    /// Returns the first child with a name.
    pub(crate) fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// Returns the children with a name.
    pub(crate) fn children<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// Returns all children.
    pub(crate) fn all(&self) -> &[Self] {
        &self.children
    }

    /// Returns the text of a child, where it has some.
    pub(crate) fn text_of(&self, name: &str) -> Option<&str> {
        let named = self.children.iter().filter(|child| child.name == name);
        named.map(Self::text).find(|text| !text.is_empty())
    }
}

/// One step through a document.
#[derive(Debug)]
pub(super) enum Step {
    /// An element begins; it has its attributes, and neither text nor children yet.
    Open(Element),
    /// The element with this name ends.
    Close(String),
    /// The document has ended.
    End,
}

/// A walk through a document.
pub(super) struct Walk<'a> {
    reader: Reader<Text<'a>>,
    meter: Rc<Meter>,
    limits: ScanLimits,
    buffer: Vec<u8>,
    open: Vec<String>,
}

impl<'a> Walk<'a> {
    /// Begins at the beginning.
    pub(super) fn new(text: Text<'a>, meter: Rc<Meter>, limits: &ScanLimits) -> Self {
        let mut reader = Reader::from_reader(text);
        // `<a/>` is told as `<a></a>`, so that readers have one form to know.
        reader.config_mut().expand_empty_elements = true;
        Self { reader, meter, limits: *limits, buffer: Vec::new(), open: Vec::new() }
    }

    /// Returns the name of the element that the present one stands in; `above(0)` is the present one itself.
    pub(super) fn above(&self, steps: usize) -> &str {
        self.open.iter().rev().nth(steps).map_or("", String::as_str)
    }

    /// Goes on to the next element that begins or ends.
    pub(super) fn step(&mut self) -> Result<Step, ScanError> {
        loop {
            self.meter.begin_item();
            match self.event()? {
                Piece::Open(element) => return Ok(Step::Open(element)),
                Piece::Close(name) => return Ok(Step::Close(name)),
                Piece::Text(_) | Piece::Nothing => {}
                Piece::End => return Ok(Step::End),
            }
        }
    }

    /// Reads an element that has just begun to its end.
    pub(super) fn whole(&mut self, element: Element) -> Result<Element, ScanError> {
        self.meter.begin_item();
        let mut stack = vec![element];
        let mut nodes = 0_usize;
        loop {
            match self.event()? {
                Piece::Open(child) => {
                    nodes += 1;
                    if nodes > self.limits.nodes {
                        return Err(ScanError::over("an item of more XML elements", self.limits.nodes));
                    }
                    stack.push(child);
                }
                Piece::Text(text) => {
                    if let Some(last) = stack.last_mut() {
                        last.text.push_str(&text);
                    }
                }
                Piece::Close(_) => {
                    let Some(done) = stack.pop() else { return Ok(Element::default()) };
                    match stack.last_mut() {
                        Some(parent) => parent.children.push(done),
                        None => return Ok(done),
                    }
                }
                Piece::Nothing => {}
                Piece::End => return Err(self.cut()),
            }
        }
    }

    /// Passes over an element that has just begun.
    pub(super) fn skip(&mut self) -> Result<(), ScanError> {
        let depth = self.open.len();
        loop {
            match self.step()? {
                Step::Close(_) if self.open.len() < depth => return Ok(()),
                Step::Open(_) | Step::Close(_) => {}
                Step::End => return Err(self.cut()),
            }
        }
    }

    fn cut(&self) -> ScanError {
        ScanError::Cut { inside: format!("<{}>", self.above(0)) }
    }

    fn event(&mut self) -> Result<Piece, ScanError> {
        self.buffer.clear();
        let piece = match self.reader.read_event_into(&mut self.buffer) {
            Ok(event) => piece(&event, &self.meter, &self.limits)?,
            Err(error) => return Err(self.refused(&error)),
        };
        match &piece {
            Piece::Open(element) => {
                if self.open.len() >= self.limits.depth {
                    return Err(ScanError::over("XML elements nested deeper", self.limits.depth));
                }
                self.open.push(element.name.clone());
            }
            Piece::Close(_) => {
                self.open.pop();
            }
            Piece::End if !self.open.is_empty() => return Err(self.cut()),
            Piece::End | Piece::Text(_) | Piece::Nothing => {}
        }
        Ok(piece)
    }

    fn refused(&self, error: &Error) -> ScanError {
        if let Some(over) = self.meter.over(&self.limits) {
            return over;
        }
        match error {
            Error::Io(source) => {
                ScanError::Read { source: std::io::Error::new(source.kind(), source.to_string()) }
            }
            Error::Syntax(SyntaxError::UnclosedDoctype | SyntaxError::UnclosedTag)
            | Error::IllFormed(IllFormedError::MissingEndTag(_)) => self.cut(),
            error => ScanError::Xml { at: self.meter.total(), why: error.to_string() },
        }
    }
}

/// What one event of the parser comes to.
enum Piece {
    Open(Element),
    Close(String),
    Text(String),
    Nothing,
    End,
}

fn piece(event: &Event<'_>, meter: &Meter, limits: &ScanLimits) -> Result<Piece, ScanError> {
    Ok(match event {
        Event::Start(start) | Event::Empty(start) => Piece::Open(open(start, meter, limits)?),
        Event::End(end) => Piece::Close(end.name().as_ref().to_owned()),
        Event::Text(text) => Piece::Text(text.xml10_content().into_owned()),
        Event::CData(text) => Piece::Text(text.xml10_content().into_owned()),
        Event::GeneralRef(reference) => Piece::Text(resolve(reference, meter)?),
        // A document type that defines something stands in brackets (XML 1.0 §2.8); scanners have only its name.
        Event::DocType(text) if text.as_ref().contains(['[', '%']) => {
            return Err(ScanError::Entity { at: meter.total() });
        }
        Event::DocType(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) => Piece::Nothing,
        Event::Eof => Piece::End,
    })
}

fn resolve(reference: &BytesRef<'_>, meter: &Meter) -> Result<String, ScanError> {
    if reference.is_char_ref() {
        // A reference to a character that XML forbids, which scanners write where a banner held control characters.
        let char = reference.resolve_char_ref().ok().flatten().unwrap_or(char::REPLACEMENT_CHARACTER);
        return Ok(char.to_string());
    }
    let text = quick_xml::escape::resolve_xml_entity(reference.as_ref());
    text.map(str::to_owned).ok_or_else(|| ScanError::Entity { at: meter.total() })
}

fn open(start: &BytesStart<'_>, meter: &Meter, limits: &ScanLimits) -> Result<Element, ScanError> {
    let mut element = Element { name: start.name().as_ref().to_owned(), ..Element::default() };
    let wrong = |why: String| ScanError::Xml { at: meter.total(), why };
    // The parser's own check for doubles takes time in the square of their number; the first one counts here.
    for attribute in start.attributes().with_checks(false) {
        let attribute = attribute.map_err(|error| wrong(error.to_string()))?;
        if element.attributes.len() >= limits.attributes {
            return Err(ScanError::over("an XML element of more attributes", limits.attributes));
        }
        let value = attribute.normalized_value(XmlVersion::Explicit1_0);
        let value = match value {
            Ok(value) => value.into_owned(),
            Err(Error::Escape(quick_xml::escape::EscapeError::UnrecognizedEntity(..))) => {
                return Err(ScanError::Entity { at: meter.total() });
            }
            // Control characters by their number, as in `resolve`.
            Err(_) => attribute.value.clone().into_owned(),
        };
        element.attributes.push((attribute.key.as_ref().to_owned(), value));
    }
    Ok(element)
}
