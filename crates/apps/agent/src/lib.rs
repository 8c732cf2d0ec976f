//! The device side of Fleetwarden.
//!
//! [`machine`] is the decision: a state machine without input and output, which the simulator drives too. [`device`]
//! is the device (slots, journal, boot control, health checks), [`server`] the other end (DDI, signed metadata,
//! enrolment), [`driver`] carries out for the machine what it asks of both. The binary only reads the command line.
//!
//! Invariant: nothing in [`device`] needs [`server`]. A device boots, proves, confirms and turns back alone.

pub mod device;
pub mod driver;
pub mod machine;
pub mod server;
