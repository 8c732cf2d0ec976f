//! Names, versions and what apt prints.

use super::{Live, Suite, fits, read_madison};

#[test]
fn a_star_stands_for_any_text_and_a_question_mark_for_one_character() {
    for (name, pattern, expected) in [
        ("libc.so.6", "libc.so.6", true),
        ("libc.so.6", "libc.so.*", true),
        ("mfg_gu_59d115a3a_40m.bin", "mfg_gu_?????????_40m.bin", true),
        ("mfg_gu_59d115a3a_40m_autoboot.bin", "mfg_gu_?????????_40m.bin", false),
        ("linux-image-6.1.0-56-cloud-arm64-unsigned", "linux-image-*-cloud-arm64-unsigned", true),
        ("linux-image-6.1.0-56-cloud-arm64-dbg", "linux-image-*-cloud-arm64-unsigned", false),
        ("", "*", true),
        ("", "?", false),
        ("größe", "gr??e", true),
    ] {
        assert_eq!(fits(name, pattern), expected, "{name} {pattern}");
    }
}

#[test]
fn a_line_of_madison_names_the_suite() {
    let line =
        |suite: &str| format!("   libssl3 | 3.0.22-1 | http://mirror/debian {suite}/main arm64 Packages");
    for (suite, expected) in [
        ("bookworm", Suite::Main),
        ("bookworm-security", Suite::Security),
        ("bookworm-updates", Suite::Updates),
    ] {
        let expected =
            Live { package: "libssl3".to_owned(), version: "3.0.22-1".to_owned(), suite: expected };
        assert_eq!(read_madison(&line(suite)), Some(expected));
    }
    assert_eq!(read_madison("libssl3 | 3.0.22-1 | http://mirror/debian bookworm/main Sources"), None);
    assert_eq!(read_madison(""), None);
}
