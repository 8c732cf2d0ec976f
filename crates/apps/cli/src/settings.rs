//! Settings, and where each value comes from.
//!
//! In: flags, environment, configuration files. Out: one value for each setting with its origin; the first that has one
//! wins: flag, `FLEETWARDEN_*` variable, `./fleetwarden.toml`, `$XDG_CONFIG_HOME/fleetwarden/config.toml`,
//! `/etc/fleetwarden/config.toml`, default. Refuses: unknown keys in files, values that do not fit, files above
//! [`file::FILE_BYTES_MAX`].

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use warden_model::{ByteCount, PerMille, Seconds};

use crate::failure::{Exit, Failure};

mod file;
mod list;
#[cfg(test)]
mod tests;

pub(crate) use file::{ConfigFile, places};
pub(crate) use list::{SETTINGS, Setting, Takes};

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The command line.
    Flag(String),
    /// An environment variable.
    Environment(String),
    /// A configuration file.
    File(PathBuf),
    /// Nobody said anything.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => write!(f, "flag {flag}"),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Default => f.write_str("default"),
        }
    }
}

/// A value and where it comes from. A setting that takes one value has none or one text here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Value {
    /// The texts.
    pub(crate) texts: Vec<String>,
    /// Where they come from.
    pub(crate) origin: Origin,
}

/// Flags as they were given: the key of the setting, and its values.
pub(crate) type Flags = BTreeMap<&'static str, Vec<String>>;

/// All sources of values, the strongest first.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settings {
    flags: Flags,
    environment: BTreeMap<String, String>,
    files: Vec<ConfigFile>,
}

impl Settings {
    /// Puts the sources together; the first file is the strongest. Refuses values that do not fit.
    pub(crate) fn new(
        flags: Flags,
        environment: BTreeMap<String, String>,
        files: Vec<ConfigFile>,
    ) -> Result<Self, Failure> {
        let settings = Self { flags, environment, files };
        for setting in SETTINGS {
            let value = settings.value(setting);
            for text in &value.texts {
                setting.takes.check(text).map_err(|why| {
                    Failure::new(
                        Exit::Invalid,
                        format!("the setting {} ({}): {why}", setting.key, value.origin),
                    )
                    .hint("`fleetwarden config show --origin` shows where each value comes from")
                })?;
            }
        }
        Ok(settings)
    }

    /// Returns the value of a setting; without any text when there is neither a value nor a default.
    pub(crate) fn value(&self, setting: &Setting) -> Value {
        if let Some(texts) = self.flags.get(setting.key) {
            return Value { texts: texts.clone(), origin: Origin::Flag(setting.flag()) };
        }
        if let Some(text) = self.environment.get(&setting.variable()).filter(|text| !text.is_empty()) {
            let texts = if setting.takes == Takes::Paths {
                text.split(':').filter(|part| !part.is_empty()).map(str::to_owned).collect()
            } else {
                vec![text.clone()]
            };
            return Value { texts, origin: Origin::Environment(setting.variable()) };
        }
        for file in &self.files {
            if let Some(texts) = file.values.get(setting.key) {
                return Value { texts: texts.clone(), origin: Origin::File(file.path.clone()) };
            }
        }
        Value {
            texts: setting.default.iter().map(|text| (*text).to_owned()).collect(),
            origin: Origin::Default,
        }
    }

    fn find(&self, key: &str) -> Value {
        let setting = SETTINGS.iter().find(|setting| setting.key == key);
        setting.map_or(Value { texts: Vec::new(), origin: Origin::Default }, |setting| self.value(setting))
    }

    /// Returns the texts of a setting.
    pub(crate) fn texts(&self, key: &str) -> Vec<String> {
        self.find(key).texts
    }

    /// Returns the text of a setting, where there is one.
    pub(crate) fn text(&self, key: &str) -> Option<String> {
        self.texts(key).into_iter().next()
    }

    /// Returns a path, where there is one.
    pub(crate) fn path(&self, key: &str) -> Option<PathBuf> {
        self.text(key).map(PathBuf::from)
    }

    /// Returns a path that must be there.
    pub(crate) fn needed_path(&self, key: &str) -> Result<PathBuf, Failure> {
        self.path(key).ok_or_else(|| needed(key))
    }

    /// Returns a span of time.
    pub(crate) fn seconds(&self, key: &str) -> Result<Seconds, Failure> {
        let text = self.text(key).ok_or_else(|| needed(key))?;
        crate::span::seconds(&text).map_err(|why| Failure::new(Exit::Invalid, why))
    }

    /// Returns a size.
    pub(crate) fn bytes(&self, key: &str) -> Result<ByteCount, Failure> {
        let text = self.text(key).ok_or_else(|| needed(key))?;
        crate::span::bytes(&text).map_err(|why| Failure::new(Exit::Invalid, why))
    }

    /// Returns a share.
    pub(crate) fn share(&self, key: &str) -> Result<PerMille, Failure> {
        let text = self.text(key).ok_or_else(|| needed(key))?;
        crate::span::share(&text).map_err(|why| Failure::new(Exit::Invalid, why))
    }

    /// Returns a number.
    pub(crate) fn count(&self, key: &str) -> Result<u32, Failure> {
        let text = self.text(key).ok_or_else(|| needed(key))?;
        crate::span::count(&text).map_err(|why| Failure::new(Exit::Invalid, why))
    }

    /// Returns an address.
    pub(crate) fn address(&self, key: &str) -> Result<SocketAddr, Failure> {
        let text = self.text(key).ok_or_else(|| needed(key))?;
        text.parse().map_err(|_| {
            Failure::new(Exit::Invalid, format!("{text:?} is no address such as 127.0.0.1:8443"))
        })
    }

    /// Says whether the answer of a setting is `yes`.
    pub(crate) fn is_yes(&self, key: &str) -> bool {
        self.text(key).is_some_and(|text| text == "yes")
    }
}

fn needed(key: &str) -> Failure {
    let setting = SETTINGS.iter().find(|setting| setting.key == key);
    let (flag, variable) = setting.map(|setting| (setting.flag(), setting.variable())).unwrap_or_default();
    Failure::new(Exit::Usage, format!("the setting {key} is needed"))
        .hint(format!("give {flag}, or set {variable}"))
}
