//! Golden stories: commands in, text out. A person must be able to read each line and find its reason.

use std::collections::BTreeSet;
use std::path::Path;

const STORIES: &[(&str, &str)] = &[
    ("a-good-day", include_str!("../../stories/a-good-day.txt")),
    ("bad-release", include_str!("../../stories/bad-release.txt")),
    ("failing-device", include_str!("../../stories/failing-device.txt")),
    ("out-of-support", include_str!("../../stories/out-of-support.txt")),
    ("pause-and-resume", include_str!("../../stories/pause-and-resume.txt")),
    ("power-and-network", include_str!("../../stories/power-and-network.txt")),
    ("stale-order", include_str!("../../stories/stale-order.txt")),
    ("window-over-midnight", include_str!("../../stories/window-over-midnight.txt")),
];

/// The seed of all stories: they differ by what they tell, not by chance.
const SEED: u64 = 1;

#[test]
fn stories_are_told_as_they_were() {
    for (name, text) in STORIES {
        let (told, end) = warden_sim::story::tell(text, SEED);
        insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!(*name, told);
        });
        // After the comparison, so that a story under work can be read to the point where it broke.
        assert!(end.is_ok(), "{name}: {}", end.unwrap_err());
    }
}

#[test]
fn every_story_is_told() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("stories");
    let there: BTreeSet<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    let told: BTreeSet<String> = STORIES.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(there, told);
}
