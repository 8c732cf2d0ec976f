//! Builders and fixtures for tests and for the demo: firmware images made on the spot, domain values with sane defaults.
//!
//! In: the few values that a test is about. Out: complete ones. Refuses nothing: it is never shipped.

pub mod image;
pub mod net;
pub mod values;
