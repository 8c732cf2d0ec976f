//! What the command line of the benchmark takes.

use super::pairs::Class;
use super::{Options, Whom};

fn read(text: &str) -> anyhow::Result<Options> {
    let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
    Options::read(&words)
}

#[test]
fn options_choose_pairs_and_tools() {
    let options = read("--class elf --pair nginx-arm64 --only-ours --binary ./x").unwrap();
    assert_eq!((options.class, options.whom), (Some(Class::Elf), Whom::Ours));
    assert_eq!(options.pair.as_deref(), Some("nginx-arm64"));
    assert!(!options.is_whole());
    for (text, whom) in
        [("", Whom::All), ("--only-peers", Whom::Peers), ("--list", Whom::List), ("--corpus", Whom::Nobody)]
    {
        let options = read(text).unwrap();
        assert_eq!(options.whom, whom, "{text}");
        assert!(options.is_whole());
    }
}

#[test]
fn unknown_options_are_refused() {
    for (text, complaint) in
        [("--fast", "is no option"), ("--class", "needs a value"), ("--class toys", "is no class")]
    {
        let error = read(text).unwrap_err().to_string();
        assert!(error.contains(complaint), "{text}: {error}");
    }
}
