//! Domain values with sane defaults; a test changes the fields that it is about.

use std::collections::BTreeSet;

use warden_model::device::{Criticality, DataSensitivity, Device, Running, UpdateState};
use warden_model::firmware::Version;
use warden_model::product::{Exposure, Product};
use warden_model::{DeviceId, Generation, HardwareId, ProductId, Sha256Digest, Timestamp};

/// The moment at which all stories begin: 2026-11-22T08:00:00Z.
pub const START: Timestamp = Timestamp(1_795_334_400_000);

/// Returns a digest that stands for image number `n`.
pub fn digest(n: u8) -> Sha256Digest {
    Sha256Digest([n; 32])
}

/// Returns a firmware as a device names it.
///
/// # Panics
/// When the version is no version.
pub fn running(n: u8, version: &str) -> Running {
    Running { image: digest(n), version: version.parse::<Version>().unwrap_or_else(|error| panic_on(&error)) }
}

/// Returns a product with one board, supported, in a filtered network.
///
/// # Panics
/// When the id is no id.
pub fn product(id: &str) -> Product {
    Product {
        id: id.parse::<ProductId>().unwrap_or_else(|error| panic_on(&error)),
        name: id.to_owned(),
        boards: BTreeSet::from(["board-1".parse::<HardwareId>().unwrap_or_else(|error| panic_on(&error))]),
        support_ends: None,
        exposure: Exposure::Controlled,
    }
}

/// Returns a standard device of a product, which runs image 1 in version 1.0.
///
/// # Panics
/// When an id is no id.
pub fn device(id: &str, product: &str) -> Device {
    Device {
        id: id.parse::<DeviceId>().unwrap_or_else(|error| panic_on(&error)),
        product: product.parse().unwrap_or_else(|error| panic_on(&error)),
        hardware: "board-1".parse().unwrap_or_else(|error| panic_on(&error)),
        criticality: Criticality::Standard,
        sensitivity: DataSensitivity::Internal,
        segment: None,
        address: None,
        installed: Some(running(1, "1.0")),
        confirmed: Some(running(1, "1.0")),
        state: UpdateState::Idle,
        generation: Generation(0),
        slot: None,
        report_counter: 0,
        enrolled_at: START,
        last_seen: Some(START),
    }
}

#[expect(
    clippy::panic,
    reason = "a builder is used in tests alone: a wrong literal is a mistake of the test"
)]
fn panic_on(error: &dyn std::error::Error) -> ! {
    panic!("{error}")
}
