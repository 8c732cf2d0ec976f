//! The tests of the planner: tables of situations, stories, and fleets by chance.
//!
//! In: scenes. Out: nothing. Refuses: a plan without a reason.

mod apply;
mod assign;
mod chance;
mod command;
mod explain;
mod lint;
mod plan;
mod report;
mod story;
