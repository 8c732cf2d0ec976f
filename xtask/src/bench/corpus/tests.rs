//! Which versions are taken.

use super::choose;
use crate::bench::fetch::{Live, Suite};
use crate::bench::pairs::read_pairs;

fn check(name: &str, served: &[&str], expected: Result<[&str; 2], &str>) {
    let text = format!("elf {name} - deb:arm64:libssl3 2 3 usr/lib/x -");
    let pair = read_pairs(&text).unwrap().remove(0);
    let live = |version: &&str| Live {
        package: "libssl3".to_owned(),
        version: (*version).to_owned(),
        suite: Suite::Main,
    };
    let live: Vec<Live> = served.iter().map(live).collect();
    match (choose(&live, &pair), expected) {
        (Ok(chosen), Ok(expected)) => assert_eq!(chosen.map(|live| live.version), expected, "{served:?}"),
        (Err(error), Err(expected)) => assert!(error.to_string().contains(expected), "{served:?}: {error}"),
        (chosen, _) => panic!("{served:?}: {chosen:?}"),
    }
}

#[test]
fn the_versions_of_the_table_are_taken_while_they_are_served() {
    check("ssl", &["1", "2", "3", "4"], Ok(["2", "3"]));
    check("ssl-jump", &["1", "2", "3", "4"], Ok(["2", "3"]));
}

#[test]
fn the_two_newest_stand_in_for_what_is_gone() {
    check("ssl", &["1", "3", "4", "5"], Ok(["4", "5"]));
    check("ssl", &["4", "5", "5"], Ok(["4", "5"]));
}

#[test]
fn oldest_and_newest_stand_in_for_a_jump_that_is_gone() {
    check("ssl-jump", &["1", "3", "4"], Ok(["1", "4"]));
}

#[test]
fn one_version_is_no_pair() {
    check("ssl", &["4"], Err("only version 4"));
    check("ssl", &[], Err("no version"));
}
