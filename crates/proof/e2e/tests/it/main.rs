//! End-to-end tests: real processes, a real database, a real browser.

mod crash;
mod story;
