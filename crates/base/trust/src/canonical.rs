//! OLPC canonical JSON: a JSON value in, the bytes that signatures cover out; refuses floats.
//!
//! TUF signs this form (TUF 1.0.34 §4.2), not RFC 8785: only `"` and `\` are escaped, every other character stands as
//! itself. Such bytes are signed but never stored: with a line break inside a string they are no JSON any more.

use serde_json::Value;
use thiserror::Error;

use crate::json::DEPTH_MAX;

/// A value that has no canonical form.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CanonicalError {
    /// The value holds a number that is no 64-bit integer.
    #[error("{number} is no 64-bit integer, and canonical JSON has no other numbers")]
    Float {
        /// The number.
        number: String,
    },
    /// The value nests too deep.
    #[error("the value nests deeper than {DEPTH_MAX} levels")]
    TooDeep,
}

/// Returns the canonical form of a value: keys sorted by their bytes, no white space.
pub fn to_canonical(value: &Value) -> Result<Vec<u8>, CanonicalError> {
    let mut out = Vec::new();
    write(value, DEPTH_MAX, &mut out)?;
    Ok(out)
}

fn write(value: &Value, room: usize, out: &mut Vec<u8>) -> Result<(), CanonicalError> {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(number) if number.is_i64() || number.is_u64() => {
            out.extend_from_slice(number.to_string().as_bytes());
        }
        Value::Number(number) => return Err(CanonicalError::Float { number: number.to_string() }),
        Value::String(text) => write_text(text, out),
        Value::Array(items) => {
            let room = room.checked_sub(1).ok_or(CanonicalError::TooDeep)?;
            out.push(b'[');
            for (place, item) in items.iter().enumerate() {
                separate(place, out);
                write(item, room, out)?;
            }
            out.push(b']');
        }
        Value::Object(object) => {
            let room = room.checked_sub(1).ok_or(CanonicalError::TooDeep)?;
            // Sorted here and not left to the map: its order depends on a feature of `serde_json`.
            let mut entries: Vec<(&String, &Value)> = object.iter().collect();
            entries.sort_unstable_by_key(|(key, _)| *key);
            out.push(b'{');
            for (place, (key, item)) in entries.into_iter().enumerate() {
                separate(place, out);
                write_text(key, out);
                out.push(b':');
                write(item, room, out)?;
            }
            out.push(b'}');
        }
    }
    Ok(())
}

fn separate(place: usize, out: &mut Vec<u8>) {
    if place > 0 {
        out.push(b',');
    }
}

fn write_text(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in text.bytes() {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::{CanonicalError, to_canonical};

    fn check(value: &Value, expected: &str) {
        assert_eq!(to_canonical(value).unwrap(), expected.as_bytes());
    }

    #[test]
    fn keys_are_sorted_and_only_quotes_and_backslashes_escaped() {
        check(&json!({"b": 1, "a": [true, null, -7]}), r#"{"a":[true,null,-7],"b":1}"#);
        check(&json!("line\nbreak \"and\" \\ é \u{1}"), "\"line\nbreak \\\"and\\\" \\\\ é \u{1}\"");
        check(&json!(u64::MAX), "18446744073709551615");
        check(&json!({"é": 1, "z": 2, "Z": 3}), r#"{"Z":3,"z":2,"é":1}"#);
    }

    #[test]
    fn floats_and_deep_values_have_no_canonical_form() {
        assert_eq!(to_canonical(&json!([1.5])), Err(CanonicalError::Float { number: "1.5".into() }));
        let deep = (0..40).fold(json!(1), |inner, _| json!([inner]));
        assert_eq!(to_canonical(&deep), Err(CanonicalError::TooDeep));
    }

    proptest! {
        #[test]
        fn an_independent_encoder_agrees(keys in prop::collection::btree_map(".{0,8}", ".{0,8}", 0..6), n: i64) {
            let value = json!({"texts": keys, "number": n});
            let theirs = sigstore_tuf::canonical_json::to_canonical_bytes(&value).unwrap();
            prop_assert_eq!(to_canonical(&value).unwrap(), theirs);
        }
    }
}
