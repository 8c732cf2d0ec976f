//! What a bootloader does with this crate, from outside: the example of `docs/guide/microcontrollers.md`, run.

// `cfg(test)` is always true here; it tells clippy that the helpers are tests too and may unwrap.
#[cfg(test)]
mod bootloader;
#[cfg(test)]
mod maker;
