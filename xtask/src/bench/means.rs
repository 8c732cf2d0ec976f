//! Geometric means: the fair mean of ratios.
//!
//! In: ratios. Out: their geometric mean, and how a ratio is shown. Refuses: what is not above zero is left out.

/// Returns the geometric mean and the number of ratios in it; nothing without any.
pub(crate) fn geometric(ratios: impl IntoIterator<Item = f64>) -> Option<(f64, usize)> {
    let mut logarithms = 0.0;
    let mut number = 0_u32;
    for ratio in ratios {
        if ratio.is_finite() && ratio > 0.0 {
            logarithms += ratio.ln();
            number += 1;
        }
    }
    if number == 0 {
        return None;
    }
    let count = usize::try_from(number).ok()?;
    Some(((logarithms / f64::from(number)).exp(), count))
}

/// Returns a / b, when there is such a number.
pub(crate) fn ratio(a: f64, b: f64) -> Option<f64> {
    let ratio = a / b;
    (ratio.is_finite() && ratio > 0.0).then_some(ratio)
}

/// Turns a size into a number to calculate ratios with: exact up to 2^53 bytes.
#[expect(clippy::cast_precision_loss, reason = "files of the corpus are far below 2^53 bytes")]
pub(crate) fn number(bytes: u64) -> f64 {
    bytes as f64
}

#[cfg(test)]
mod tests;
