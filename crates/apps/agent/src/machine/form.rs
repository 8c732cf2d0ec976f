//! How domain types stand in the journal's JSON: texts in their canonical spelling, numbers as numbers.

use serde::{Deserialize, Serialize};
use warden_model::Generation;

use super::output::Channel;

/// [`Generation`] as a number.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Generation")]
pub(super) struct GenerationForm(u64);

/// [`Channel`] as a word.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Channel", rename_all = "kebab-case")]
pub(super) enum ChannelForm {
    /// See [`Channel::Deployment`].
    Deployment,
    /// See [`Channel::Cancel`].
    Cancel,
}

/// A type with one canonical spelling.
pub(super) mod text {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(crate) fn serialize<T: Display, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(value)
    }

    pub(crate) fn deserialize<'de, T, D>(from: D) -> Result<T, D::Error>
    where
        T: FromStr,
        T::Err: Display,
        D: Deserializer<'de>,
    {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

/// The same, where it may be absent.
pub(super) mod text_maybe {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    #[expect(clippy::ref_option, reason = "serde gives the field by reference")]
    pub(crate) fn serialize<T: Display, S: Serializer>(value: &Option<T>, to: S) -> Result<S::Ok, S::Error> {
        value.as_ref().map(ToString::to_string).serialize(to)
    }

    pub(crate) fn deserialize<'de, T, D>(from: D) -> Result<Option<T>, D::Error>
    where
        T: FromStr,
        T::Err: Display,
        D: Deserializer<'de>,
    {
        Option::<String>::deserialize(from)?.map(|text| text.parse().map_err(D::Error::custom)).transpose()
    }
}

/// A state report in its own versioned wire form, as text inside the journal.
pub(super) mod report {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use warden_model::report::StateReport;

    #[expect(clippy::borrowed_box, reason = "serde gives the field by reference")]
    pub(crate) fn serialize<S: Serializer>(report: &Box<StateReport>, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&String::from_utf8_lossy(&warden_wire::report::write(report)))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Box<StateReport>, D::Error> {
        let text = String::deserialize(from)?;
        warden_wire::report::read(text.as_bytes()).map(Box::new).map_err(D::Error::custom)
    }
}
