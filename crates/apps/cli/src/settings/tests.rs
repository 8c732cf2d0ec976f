//! Which value wins, and what is refused.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::{ConfigFile, Origin, SETTINGS, Settings, Takes, places};
use crate::failure::Exit;

fn file(path: &str, text: &str) -> ConfigFile {
    ConfigFile::parse(Path::new(path), text).unwrap()
}

fn environment(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

#[test]
fn the_nearest_source_wins() {
    let files = || {
        vec![
            file("fleetwarden.toml", "server = \"https://project\"\n[serve]\npoll = \"1min\""),
            file("/etc/x.toml", "server = \"https://etc\"\nanswer-time = \"5s\""),
        ]
    };
    let check = |settings: &Settings, key: &str, text: &str, origin: Origin| {
        let setting = SETTINGS.iter().find(|setting| setting.key == key).unwrap();
        let value = settings.value(setting);
        assert_eq!((value.texts.join("|").as_str(), value.origin), (text, origin), "{key}");
    };
    let flags = BTreeMap::from([("server", vec!["https://flag".to_owned()])]);
    let variables = environment(&[("FLEETWARDEN_SERVER", "https://env"), ("FLEETWARDEN_SERVE_ZEEK", "a:b")]);
    let all = Settings::new(flags, variables.clone(), files()).unwrap();
    check(&all, "server", "https://flag", Origin::Flag("--server".to_owned()));
    check(&all, "serve.zeek", "a|b", Origin::Environment("FLEETWARDEN_SERVE_ZEEK".to_owned()));
    check(&all, "serve.poll", "1min", Origin::File(PathBuf::from("fleetwarden.toml")));
    check(&all, "answer-time", "5s", Origin::File(PathBuf::from("/etc/x.toml")));
    check(&all, "serve.turn", "10s", Origin::Default);
    check(&all, "token", "", Origin::Default);
    let no_flags = Settings::new(BTreeMap::new(), variables, files()).unwrap();
    check(&no_flags, "server", "https://env", Origin::Environment("FLEETWARDEN_SERVER".to_owned()));
    let only_files = Settings::new(BTreeMap::new(), BTreeMap::new(), files()).unwrap();
    check(&only_files, "server", "https://project", Origin::File(PathBuf::from("fleetwarden.toml")));
}

#[test]
fn a_value_that_does_not_fit_is_refused_with_its_origin() {
    let refused = |settings: Result<Settings, crate::failure::Failure>| settings.unwrap_err();
    let failure = refused(Settings::new(
        BTreeMap::new(),
        environment(&[("FLEETWARDEN_SERVE_POLL", "often")]),
        Vec::new(),
    ));
    assert_eq!(failure.exit, Exit::Invalid);
    assert!(failure.message.contains("environment FLEETWARDEN_SERVE_POLL"), "{}", failure.message);
    let plain = file("f.toml", "server = \"http://plain\"");
    let failure = refused(Settings::new(BTreeMap::new(), BTreeMap::new(), vec![plain]));
    assert!(failure.message.contains("file f.toml"), "{}", failure.message);
}

#[test]
fn a_file_with_unknown_keys_is_refused() {
    let check = |text: &str, why: &str| {
        let failure = ConfigFile::parse(Path::new("f.toml"), text).unwrap_err();
        assert_eq!(failure.exit, Exit::Invalid, "{text}");
        assert!(failure.message.contains(why), "{text}: {}", failure.message);
    };
    check("sever = \"https://x\"", "there is no setting \"sever\"");
    check("[serve]\npole = \"5s\"", "there is no setting \"serve.pole\"");
    check("[serve.poll]\nx = 1", "in quotes");
    check("[serve]\npoll = 5", "in quotes");
    check("server = ", "f.toml");
    let number = ConfigFile::parse(Path::new("f.toml"), "[serve]\npatch-builds = 2").unwrap();
    assert_eq!(number.values["serve.patch-builds"], ["2"], "a number without a unit needs no quotes");
    assert!(
        ConfigFile::parse(Path::new("f.toml"), "[serve]\nzeek = [\"a\", \"b\"]\ndrill-loopback = true")
            .is_ok()
    );
}

#[test]
fn files_are_looked_for_in_three_places() {
    let check = |config_home: Option<&str>, home: Option<&str>, expected: &[&str]| {
        let expected: Vec<PathBuf> = expected.iter().map(PathBuf::from).collect();
        assert_eq!(places(config_home, home), expected);
    };
    let etc = "/etc/fleetwarden/config.toml";
    check(Some("/c"), Some("/h"), &["fleetwarden.toml", "/c/fleetwarden/config.toml", etc]);
    check(Some("relative"), Some("/h"), &["fleetwarden.toml", "/h/.config/fleetwarden/config.toml", etc]);
    check(None, None, &["fleetwarden.toml", etc]);
}

#[test]
fn every_default_fits_and_every_name_is_there_once() {
    let keys: BTreeSet<&str> = SETTINGS.iter().map(|setting| setting.key).collect();
    let variables: BTreeSet<String> = SETTINGS.iter().map(super::Setting::variable).collect();
    assert_eq!((keys.len(), variables.len()), (SETTINGS.len(), SETTINGS.len()));
    assert!(Settings::new(BTreeMap::new(), BTreeMap::new(), Vec::new()).is_ok());
    assert!(Takes::Url.check("https://").is_err());
    assert!(Takes::Address.check("localhost:1").is_err());
    assert!(Takes::YesNo.check("maybe").is_err());
}

#[test]
fn a_missing_file_is_no_failure_and_a_large_one_is() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(ConfigFile::read(&folder.path().join("none.toml")).unwrap(), None);
    let large = folder.path().join("large.toml");
    std::fs::write(&large, "#".repeat(300 * 1024)).unwrap();
    assert_eq!(ConfigFile::read(&large).unwrap_err().exit, Exit::Invalid);
}
