//! A way through a SARIF file that holds one rule or result in memory at a time.

use std::cell::{Cell, RefCell};
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::super::Source;
use super::super::bytes::{Meter, Text};
use super::super::detect::json_error;
use super::super::error::ScanError;
use super::super::limits::ScanLimits;

/// What stands in the file.
pub(super) enum Found<'a> {
    /// The name of a tool.
    Tool(&'a str),
    /// A rule, and its place among the rules of its tool.
    Rule(usize, &'a Value),
    /// A result.
    Result(&'a Value),
}

type Each<'a> = dyn FnMut(usize, Found<'_>) -> Result<(), ScanError> + 'a;

/// Goes through a file; `each` gets everything with the number of its run.
pub(super) fn visit(
    source: &mut dyn Source,
    limits: &ScanLimits,
    each: &mut Each<'_>,
) -> Result<(), ScanError> {
    let (text, meter) = Text::new(source, limits);
    let state = State {
        each: RefCell::new(each),
        failed: RefCell::new(None),
        meter: &meter,
        run: Cell::new(0),
        has_runs: Cell::new(false),
    };
    let mut reader = serde_json::Deserializer::from_reader(text);
    let outcome =
        At { place: Place::Top, state: &state }.deserialize(&mut reader).and_then(|()| reader.end());
    if let Some(error) = state.failed.take() {
        return Err(error);
    }
    outcome.map_err(|error| json_error(&error, &meter, limits))?;
    if state.has_runs.get() {
        return Ok(());
    }
    Err(ScanError::Unknown {
        found: "SARIF without runs".to_owned(),
        hint: "export the report again: SARIF 2.1.0 has its results in runs",
    })
}

/// What all places share.
struct State<'a, 'b> {
    each: RefCell<&'a mut Each<'b>>,
    failed: RefCell<Option<ScanError>>,
    meter: &'a Meter,
    run: Cell<usize>,
    has_runs: Cell<bool>,
}

impl State<'_, '_> {
    fn found<E: serde::de::Error>(&self, found: Found<'_>) -> Result<(), E> {
        self.meter.begin_item();
        let outcome = (self.each.borrow_mut())(self.run.get(), found);
        outcome.map_err(|error| {
            self.failed.replace(Some(error));
            E::custom("an object was refused")
        })
    }
}

/// Where the reader stands.
#[derive(Clone, Copy)]
enum Place {
    Top,
    Runs,
    Run,
    Tool,
    Driver,
    Rules,
    Results,
}

struct At<'a, 'b, 'c> {
    place: Place,
    state: &'a State<'b, 'c>,
}

impl<'de> DeserializeSeed<'de> for At<'_, '_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for At<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.place {
            Place::Top | Place::Run | Place::Tool | Place::Driver => "an object",
            Place::Runs | Place::Rules | Place::Results => "an array",
        })
    }

    /// `"results": null` says that the tool did not look (§3.14.23); other lists may be null too.
    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let state = self.state;
        while let Some(name) = map.next_key::<String>()? {
            let place = match (self.place, name.as_str()) {
                (Place::Top, "runs") => Place::Runs,
                (Place::Run, "tool") => Place::Tool,
                (Place::Run, "results") => Place::Results,
                (Place::Tool, "driver") => Place::Driver,
                (Place::Driver, "rules") => Place::Rules,
                (Place::Driver, "name") => {
                    let tool: Value = map.next_value()?;
                    state.found(Found::Tool(tool.as_str().unwrap_or_default()))?;
                    continue;
                }
                (Place::Runs | Place::Rules | Place::Results, _) => {
                    return Err(A::Error::custom("an object where an array is expected"));
                }
                (Place::Top | Place::Run | Place::Tool | Place::Driver, _) => {
                    map.next_value::<IgnoredAny>()?;
                    state.meter.begin_item();
                    continue;
                }
            };
            map.next_value_seed(At { place, state })?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let state = self.state;
        match self.place {
            Place::Runs => {
                state.has_runs.set(true);
                while seq.next_element_seed(At { place: Place::Run, state })?.is_some() {
                    state.run.set(state.run.get().saturating_add(1));
                }
            }
            Place::Rules => {
                let mut index = 0;
                while let Some(rule) = seq.next_element::<Value>()? {
                    state.found(Found::Rule(index, &rule))?;
                    index += 1;
                }
            }
            Place::Results => {
                while let Some(result) = seq.next_element::<Value>()? {
                    state.found(Found::Result(&result))?;
                }
            }
            Place::Top | Place::Run | Place::Tool | Place::Driver => {
                return Err(A::Error::custom("an array where an object is expected"));
            }
        }
        Ok(())
    }
}
