//! The device side: a sans-I/O state machine and its I/O.
