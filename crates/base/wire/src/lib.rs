//! What travels between processes: the device protocol, the device's state report, REST types, the filter language.
//!
//! In: bytes and text from outside. Out: checked values, and domain values where a conversion exists. Refuses: what is
//! malformed, too long, or of a version that it does not know. Devices in the field keep old versions alive for years,
//! so everything here has a version, and unknown fields are ignored.

pub mod ddi;
pub mod filter;
pub mod page;
pub mod problem;
pub mod report;
pub mod rest;
