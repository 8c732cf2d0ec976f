//! Builders, a fake clock, fixtures for tests.
