//! Geometric means by example.

use super::{geometric, number, ratio};

#[test]
fn the_mean_of_ratios_is_geometric() {
    for (ratios, expected, count) in [
        (vec![0.5], 0.5, 1),
        (vec![0.5, 2.0], 1.0, 2),
        (vec![0.25, 1.0], 0.5, 2),
        (vec![1.0, 10.0, 100.0], 10.0, 3),
        (vec![0.0, f64::NAN, f64::INFINITY, -1.0, 0.1], 0.1, 1),
    ] {
        let (mean, number) = geometric(ratios.clone()).unwrap();
        assert!((mean - expected).abs() < 1e-9 && number == count, "{ratios:?}: {mean} of {number}");
    }
}

#[test]
fn nothing_has_no_mean() {
    for ratios in [vec![], vec![0.0], vec![f64::NAN]] {
        assert_eq!(geometric(ratios), None);
    }
    assert_eq!(ratio(1.0, 0.0), None);
    assert_eq!(ratio(number(3), number(4)), Some(0.75));
}
