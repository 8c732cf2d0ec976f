//! Whatever the bytes: no panic, and what is listed is in order.

use proptest::prelude::*;

use super::build::{bzimage, cpio, elf, fit, sample, sparse, tar_entry, uimage, zimage, zip, zip_entry};
use super::*;

/// Beginnings that look promising, and lead nowhere.
pub(super) const MAGICS: &[&[u8]] = &[
    &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3],
    &[0x1f, 0x8b, 8, 8, 1, 1, 1, 1, 0, 3],
    &[0xfd, 0x37, 0x7a, 0x58, 0x5a, 0, 0, 4, 0xe6, 0xd6, 0xb4, 0x46],
    &[0x5d, 0, 0, 0x80, 0, 255, 255, 255, 255, 255, 255, 255, 255, 0],
    &[0x28, 0xb5, 0x2f, 0xfd, 0, 0x58],
    &[4, 0x22, 0x4d, 0x18, 0x64, 0x40, 0xa7, 1, 0, 0, 0x80],
    &[2, 0x21, 0x4c, 0x18, 0xff, 0xff, 0x7f, 0],
    &[0xd0, 0x0d, 0xfe, 0xed, 0, 1, 0, 0],
    &[0x3a, 0xff, 0x26, 0xed, 1, 0, 0, 0, 28, 0, 12, 0, 4, 0, 0, 0, 1, 1, 1, 1, 1, 1, 3, 0],
    b"070701",
    b"hsqs",
    b"PK\x03\x04",
    b"\x7fELF\x02\x01\x01",
    &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0],
];

/// One image of every kind.
fn images() -> Vec<Vec<u8>> {
    let gzip = sample("gzip -9n");
    let tar = [tar_entry("a", &gzip, b'0'), tar_entry("b", b"22 path=some/long/path\n", b'x'), vec![0; 1024]]
        .concat();
    let zipped = zip(&[zip_entry("a", &gzip, (0, 0), 45), zip_entry("b", &gzip[10..37], (8, 8), 1260)]);
    vec![
        cpio(&[("a", &gzip), ("b", &tar)]),
        fit(&[("kernel", &gzip)], &[]).0,
        fit(&[], &[("kernel", &gzip), ("other", &zipped)]).0,
        uimage(&gzip, 2),
        uimage(&[&[0, 0, 0, 45, 0, 0, 0, 0][..], &gzip].concat(), 4),
        bzimage(&gzip),
        zimage(&sample("lz4 -l -9")),
        sparse(),
        elf(&gzip),
        elf(&gzip[1..]),
        [b"!<arch>\nname/           0           0     0     100644  45        `\n", &gzip[..]].concat(),
        tar,
        zipped,
    ]
}

#[test]
fn every_image_may_be_cut_anywhere() {
    for image in images() {
        for len in 0..image.len() {
            look(&image[..len]);
        }
    }
}

#[test]
fn places_outside_the_image_hold_nothing() {
    let image = sample("gzip -9n");
    for start in [45, 46, 1 << 40, u64::MAX] {
        let mut layout = Layout::default();
        assert_eq!(look_streams(&image, start, &mut layout, &|_, _, _| None), None);
        carve(&image, start, u64::MAX, &mut layout, &|_, _, _| None);
        carve(&image, 0, 0, &mut layout, &|_, _, _| None);
        assert_eq!(layout, Layout::default());
    }
}

#[test]
fn containers_are_stacked_only_so_deep() {
    let mut image = cpio(&[("leaf", b"bytes")]);
    for _ in 0..20 {
        image = cpio(&[("c", &image)]);
    }
    let (layout, _) = look(&image);
    assert_eq!(layout.files.len(), 1);
    assert_eq!(layout.files[0].path, "c/c/c/c/c/c");
    // Wrappers have no members, but take room on the stack, too.
    let mut image = sample("gzip -9n");
    for _ in 0..1_000 {
        image = uimage(&image, 2);
    }
    let (layout, _) = look(&image);
    assert_eq!(show(&layout), "Gzip 64000+45>1260\n<gzip> = #0[0+1260]");
}

#[test]
fn magics_strewn_over_an_image_cost_little() {
    for magic in MAGICS {
        carved(&magic.repeat(300_000 / magic.len()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn changed_images_are_in_order(
        kind in 0_usize..13,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut image = images()[kind].clone();
        for (place, byte) in changes {
            let place = place.index(image.len());
            image[place] = byte;
        }
        look(&image);
        carved(&image);
    }

    #[test]
    fn any_bytes_are_in_order(bytes in prop::collection::vec(any::<u8>(), 0..600), kind in 0_usize..13, at in 0_usize..200) {
        let image = images()[kind].clone();
        look(&bytes);
        let at = at.min(bytes.len());
        carved(&[&bytes[..at], &image, &bytes[at..]].concat());
    }
}
