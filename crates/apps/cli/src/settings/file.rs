//! Configuration files: TOML in, checked keys and texts out; refuses unknown keys and large files.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use warden_model::ByteCount;

use super::{SETTINGS, Takes};
use crate::failure::{Exit, Failure};

/// Largest file that is read: all settings with long comments take 10 KiB.
pub(crate) const FILE_BYTES_MAX: ByteCount = ByteCount::kib(256);

/// A configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConfigFile {
    /// Where it lies.
    pub(crate) path: PathBuf,
    /// Its values by key.
    pub(crate) values: BTreeMap<String, Vec<String>>,
}

/// Returns the places of configuration files, the strongest first. `home` and `config_home` come from the environment.
pub(crate) fn places(config_home: Option<&str>, home: Option<&str>) -> Vec<PathBuf> {
    // XDG Base Directory Specification: `$XDG_CONFIG_HOME` must be absolute, and is `$HOME/.config` when it is not set.
    let config_home = config_home.filter(|path| path.starts_with('/')).map(PathBuf::from);
    let config_home = config_home
        .or_else(|| home.filter(|path| !path.is_empty()).map(|home| Path::new(home).join(".config")));
    let personal = config_home.map(|folder| folder.join("fleetwarden/config.toml"));
    let mut places = vec![PathBuf::from("fleetwarden.toml")];
    places.extend(personal);
    places.push(PathBuf::from("/etc/fleetwarden/config.toml"));
    places
}

impl ConfigFile {
    /// Reads a file; nothing when it is not there.
    pub(crate) fn read(path: &Path) -> Result<Option<Self>, Failure> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                return Ok(None);
            }
            Err(error) => return Err(Failure::file("read", path, &error)),
        };
        let mut text = String::new();
        let read = file.take(FILE_BYTES_MAX.0 + 1).read_to_string(&mut text);
        let length = read.map_err(|error| Failure::file("read", path, &error))?;
        if u64::try_from(length).is_ok_and(|length| length > FILE_BYTES_MAX.0) {
            let message =
                format!("the configuration file {} is larger than {FILE_BYTES_MAX}", path.display());
            return Err(Failure::new(Exit::Invalid, message));
        }
        Self::parse(path, &text).map(Some)
    }

    /// Reads the text of a file.
    pub(crate) fn parse(path: &Path, text: &str) -> Result<Self, Failure> {
        let refuse = |why: String| {
            Failure::new(Exit::Invalid, format!("the configuration file {}: {why}", path.display()))
                .hint("`fleetwarden reference configuration` lists all keys")
        };
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
            let message: Vec<&str> = error.message().lines().collect();
            refuse(message.join(" "))
        })?;
        let mut values = BTreeMap::new();
        collect("", &table, &mut values).map_err(refuse)?;
        Ok(Self { path: path.to_owned(), values })
    }
}

fn collect(
    prefix: &str,
    table: &toml::Table,
    values: &mut BTreeMap<String, Vec<String>>,
) -> Result<(), String> {
    for (name, value) in table {
        let key = format!("{prefix}{name}");
        if let toml::Value::Table(inner) = value
            && prefix.is_empty()
        {
            collect(&format!("{key}."), inner, values)?;
            continue;
        }
        if !SETTINGS.iter().any(|setting| setting.key == key) {
            return Err(format!("there is no setting {key:?}"));
        }
        let texts = match value {
            toml::Value::Array(parts) => {
                parts.iter().map(|part| text_of(&key, part)).collect::<Result<_, _>>()?
            }
            one => vec![text_of(&key, one)?],
        };
        values.insert(key, texts);
    }
    Ok(())
}

/// Says whether a setting takes a number, which has no unit and needs no quotes.
fn is_count(key: &str) -> bool {
    SETTINGS.iter().any(|setting| setting.key == key && setting.takes == Takes::Count)
}

fn text_of(key: &str, value: &toml::Value) -> Result<String, String> {
    match value {
        toml::Value::String(text) => Ok(text.clone()),
        toml::Value::Boolean(true) => Ok("yes".to_owned()),
        toml::Value::Boolean(false) => Ok("no".to_owned()),
        toml::Value::Integer(number) if is_count(key) => Ok(number.to_string()),
        toml::Value::Integer(_)
        | toml::Value::Float(_)
        | toml::Value::Datetime(_)
        | toml::Value::Array(_)
        | toml::Value::Table(_) => {
            Err(format!("{key} is a text in quotes, numbers with their unit: poll = \"5min\""))
        }
    }
}
