//! Checks rulesets with the real nft and tails logs across rotation.
//!
//! In: the text of a ruleset; the path of a log and a checkpoint. Out: what `nft` says; the lines that are new, each
//! exactly once, and the next checkpoint. Refuses: to touch the rules of the machine (a rehearsal happens in a network
//! namespace that vanishes), to wait without an end, and to hold a line or a batch without a bound.

pub mod nft;
pub mod tail;

pub use nft::{Checked, NftError, NftLimits, check_ruleset, rehearse_ruleset};
pub use tail::{Batch, Checkpoint, CheckpointError, Mark, Reached, Start, Tail, TailError, TailLimits};
