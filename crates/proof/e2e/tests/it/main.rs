//! End-to-end tests: real processes, a real database, a real browser.

mod bad_input;
mod crash;
mod scan;
mod story;
