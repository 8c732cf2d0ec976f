//! Choices of versions, and kernels without BTF.

use super::{choose, zero_btf};
use crate::bench::fetch::{Live, Suite};

#[test]
fn each_choice_takes_its_version() {
    let live = |version: &str, suite| Live { package: "a".to_owned(), version: version.to_owned(), suite };
    // Oldest first, as apt's versions are sorted.
    let fresh = [live("1", Suite::Updates), live("2", Suite::Main), live("3", Suite::Security)];
    let stale = [live("1", Suite::Security), live("2", Suite::Main)];
    let only_main = [live("2", Suite::Main)];
    for (served, choice, expected) in [
        (fresh.as_slice(), "main", "2"),
        (&fresh, "security", "3"),
        (&fresh, "oldest", "1"),
        (&fresh, "newest", "3"),
        (&stale, "security", "2"),
        (&stale, "newest", "2"),
        (&only_main, "security", "2"),
        (&only_main, "oldest", "2"),
    ] {
        let served: Vec<&Live> = served.iter().collect();
        assert_eq!(choose(&served, choice).as_deref(), Some(expected), "{choice} of {served:?}");
    }
    assert_eq!(choose(&[], "newest"), None);
}

#[test]
fn only_a_kernel_sized_btf_section_becomes_zeros() {
    for (types, expected) in [(150_000_u32, 1), (16, 0)] {
        let mut image = vec![7_u8; 100];
        image.extend([0x9f, 0xeb, 1, 0, 24, 0, 0, 0]);
        for field in [0, types, types, 8] {
            image.extend(field.to_le_bytes());
        }
        image.extend(vec![9; 150_008]);
        image.extend([7; 50]);
        let before = image.clone();
        assert_eq!(zero_btf(&mut image), expected);
        assert_eq!(image == before, expected == 0);
        assert!(image[..100].iter().all(|byte| *byte == 7) && image.ends_with(&[7; 50]));
        assert_eq!(image[100..150_100].iter().all(|byte| *byte == 0), expected == 1);
    }
    // A header that ends with the image, and a length that points behind its end.
    assert_eq!(zero_btf(&mut [0x9f, 0xeb, 1, 0, 24, 0, 0, 0, 0, 0]), 0);
    let mut bomb = vec![0x9f, 0xeb, 1, 0, 24, 0, 0, 0, 0, 0, 0, 0];
    bomb.extend([0xff; 12]);
    assert_eq!(zero_btf(&mut bomb), 0);
}
