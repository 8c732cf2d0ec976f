//! The simulator's tests: golden stories, and the swarm.

// `cfg(test)` is always true here; it tells clippy that the helpers are tests too and may unwrap and panic.
#[cfg(test)]
mod language;
#[cfg(test)]
mod rules;
#[cfg(test)]
mod stories;
#[cfg(test)]
mod swarm;
