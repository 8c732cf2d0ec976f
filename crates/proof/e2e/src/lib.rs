//! Real binaries and real peers: the demo's story, and what the end-to-end tests need to run parts of it.
//!
//! In: the built binaries, and what this machine has. Out: a fleet of real processes, a server with a real database, and
//! a client of its API. Refuses nothing: it is never shipped.

pub mod api;
pub mod binaries;
pub mod browser;
pub mod firmware;
pub mod fleet;
pub mod process;
pub mod proxy;
pub mod server;
pub mod story;
pub mod talk;
pub mod traffic;
