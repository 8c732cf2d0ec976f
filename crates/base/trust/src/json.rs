//! Strict JSON: bytes in, a value out; refuses duplicate keys, floats, integers beyond 64 bits, deep nesting and
//! trailing bytes, because two readers that resolve those differently would believe different things.

use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use thiserror::Error;

/// Deepest nesting that is read. TUF metadata with delegations nests 8 levels; 32 leaves room for other makers' extras
/// and is far from any stack's end.
pub(crate) const DEPTH_MAX: usize = 32;

/// JSON that cannot be believed to mean one thing only.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{detail}")]
pub(crate) struct JsonError {
    /// What is wrong, and where.
    pub(crate) detail: String,
}

pub(crate) fn parse(bytes: &[u8]) -> Result<Value, JsonError> {
    let error = |source: serde_json::Error| JsonError { detail: source.to_string() };
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = Strict { room: DEPTH_MAX }.deserialize(&mut reader).map_err(error)?;
    reader.end().map_err(error)?;
    Ok(value)
}

/// Reads one value with `room` levels below it.
struct Strict {
    room: usize,
}

impl Strict {
    fn below<E: de::Error>(&self) -> Result<usize, E> {
        self.room.checked_sub(1).ok_or_else(|| E::custom(format!("nests deeper than {DEPTH_MAX} levels")))
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without floats")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        // Integers beyond 64 bits arrive here too.
        Err(E::custom(format!("holds {value}, which is no 64-bit integer")))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E: de::Error>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let room = self.below()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Strict { room })? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let room = self.below()?;
        let mut object = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let value = entries.next_value_seed(Strict { room })?;
            if object.contains_key(&key) {
                let key: String = key.chars().take(64).collect();
                return Err(de::Error::custom(format!("holds the key {key:?} twice")));
            }
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::{DEPTH_MAX, parse};

    fn check(text: &str, refusal: Option<&str>) {
        match (parse(text.as_bytes()), refusal) {
            (Ok(value), None) => assert_eq!(value, serde_json::from_str::<serde_json::Value>(text).unwrap()),
            (Err(error), Some(part)) => assert!(error.detail.contains(part), "{text}: {error}"),
            (outcome, _) => panic!("{text}: {outcome:?}"),
        }
    }

    #[test]
    fn only_json_with_one_meaning_is_read() {
        check(r#"{"a": [1, -2, true, null, "x"], "b": {}}"#, None);
        check(r#"{"a": 1, "a": 2}"#, Some("twice"));
        check(r#"{"a": {"b": 1, "\u0062": 2}}"#, Some("twice"));
        check("[1.0]", Some("no 64-bit integer"));
        check("[1e3]", Some("no 64-bit integer"));
        check("[-0]", Some("no 64-bit integer"));
        check("[18446744073709551616]", Some("no 64-bit integer"));
        check("{} {}", Some("trailing"));
        check("{}x", Some("trailing"));
        check("{", Some("EOF"));
        check("", Some("EOF"));
        check(&format!("{}{}", "[".repeat(DEPTH_MAX), "]".repeat(DEPTH_MAX)), None);
        check(&format!("{}{}", "[".repeat(DEPTH_MAX + 1), "]".repeat(DEPTH_MAX + 1)), Some("deeper"));
        check(&"[".repeat(100_000), Some("deeper"));
    }
}
