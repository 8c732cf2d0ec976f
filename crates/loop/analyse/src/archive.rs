//! Archives that are read from anywhere, and packages of distributions.
//!
//! In: archives. Out: their entries through the door. Refuses tables that lead outside, and encrypted entries.

pub(crate) mod ar;
pub(crate) mod rpm;
pub(crate) mod sevenzip;
pub(crate) mod zip;
