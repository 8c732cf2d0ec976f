//! The heart of a patch: how the bytes of a new file follow from those of an old one.
//!
//! In: an old file by random access, a coded stream, memory that the caller lends. Out: the new file, block by block.
//! Refuses: whatever leaves the old file, the new file or the lent memory. Everything is integer arithmetic, so that
//! each processor computes the same; nothing allocates and nothing needs an operating system.
#![no_std]

#[cfg(test)]
extern crate std;

pub mod atlas;
pub mod chart;
pub mod coder;
pub mod coin;
pub mod flash;
pub mod head;
pub mod mixing;
pub mod model;
pub mod part;
pub mod plain;
pub mod predict;
mod repeats;
mod tables;
