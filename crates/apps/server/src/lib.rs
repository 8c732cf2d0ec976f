//! The server: it speaks the device protocol, answers people and programs, and turns the loop.
//!
//! In: requests of devices (mutual TLS, hawkBit DDI v1, EST), requests of people and programs (REST), logs of sensors.
//! Out: orders, signed metadata, artifacts, alerts, shields, and a reason for each of them. Refuses: devices that it
//! does not know, metadata that the offline keys have not signed, and a database that is newer than itself.

pub mod api;
pub mod clock;
pub mod config;
pub mod context;
pub mod device;
pub mod patches;
pub mod problem;
pub mod repository;
pub mod setup;
pub mod turn;

mod listen;
mod lock;
mod scan;
mod serve;
#[cfg(test)]
mod testing;

pub use config::{Config, PatchConfig};
pub use context::Context;
pub use listen::Peer;
pub use serve::{Listening, serve};
