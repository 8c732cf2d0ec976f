//! What the tables of the corpus may say.

use super::{Class, Image, Source, Step, read_pairs, read_rootfs};

#[test]
fn the_tables_of_the_tree_are_in_order() {
    let pairs = read_pairs(include_str!("../../../bench/pairs.txt")).unwrap();
    assert!(pairs.len() >= 20, "{} pairs", pairs.len());
    for class in Class::ALL {
        assert!(pairs.iter().any(|pair| pair.class == class), "no pair of class {class}");
    }
    let rootfs = read_rootfs(include_str!("../../../bench/rootfs.txt"));
    assert!(rootfs.packages.len() >= 40, "{} packages", rootfs.packages.len());
    assert!(rootfs.removed.iter().all(|path| !path.starts_with('/') && !path.contains("..")));
}

#[test]
fn a_line_becomes_a_pair() {
    let text = "# a comment\n\nmcu hub arm-cortex-m4 npm:@a/b 1.0 1.1 build/hub.zip!base.bin -\n\
                kernel image-jump - deb:arm64:linux-* 1 2 boot/a*|boot/b* zero-btf\n\
                compressed sq - rootfs:squashfs-xz main security - gzip\n";
    let pairs = read_pairs(text).unwrap();
    let [hub, kernel, squashfs] = pairs.as_slice() else { panic!("{pairs:?}") };
    assert_eq!(hub.source, Source::Npm("@a/b".to_owned()));
    assert_eq!(hub.hint.as_deref(), Some("arm-cortex-m4"));
    assert_eq!(hub.places[0].path, "build/hub.zip");
    assert_eq!(hub.places[1].member.as_deref(), Some("base.bin"));
    assert_eq!((hub.step, hub.is_jump()), (Step::Keep, false));
    let expected = Source::Deb { architecture: "arm64".to_owned(), package: "linux-*".to_owned() };
    assert_eq!(kernel.source, expected);
    assert_eq!([&kernel.places[0].path, &kernel.places[1].path], ["boot/a*", "boot/b*"]);
    assert_eq!((kernel.step, kernel.is_jump(), kernel.hint.is_none()), (Step::ZeroBtf, true, true));
    assert_eq!(squashfs.source, Source::RootFs(Image::Squashfs("xz")));
    assert_eq!(squashfs.step, Step::Gzip);
}

#[test]
fn a_bad_line_is_refused_with_its_number() {
    for (line, complaint) in [
        ("mcu a - npm:b 1 2 c", "7 columns instead of 8"),
        ("toy a - npm:b 1 2 c -", "\"toy\" is no class"),
        ("mcu a - npm 1 2 c -", "\"npm\" is no source"),
        ("mcu a - cpan:b 1 2 c -", "\"cpan\" is no kind of source"),
        ("mcu a - deb:b 1 2 c -", "names no architecture"),
        ("mcu a - rootfs:zip 1 2 c -", "\"zip\" is no kind of image"),
        ("mcu a - npm:b 1 2 c shred", "\"shred\" is no step"),
        ("mcu x - npm:b 1 2 c -", "stands there twice"),
    ] {
        let text = format!("mcu x - npm:b 1 2 c -\n{line}\n");
        let error = format!("{:#}", read_pairs(&text).unwrap_err());
        assert!(error.contains(complaint) && error.starts_with("line 2"), "{line}: {error}");
    }
}
