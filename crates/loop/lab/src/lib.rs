//! Scenarios and observations of virtual devices to a verdict.
