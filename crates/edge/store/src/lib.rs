//! SQLite and artifacts on disk: the only place that knows how state is kept.
//!
//! In: whole domain values, committed in one transaction; queries with a filter and a page. Out: domain values; events
//! as they are committed. Refuses: databases of a newer version, values that it cannot read back (with table, column
//! and row), one-time secrets that were used before, artifacts above their limit.

mod artifacts;
mod condition;
mod counts;
mod error;
mod form;
mod heartbeats;
mod people;
mod row;
mod savings;
mod schema;
mod sql;
mod store;
mod table;
mod write;

pub use artifacts::{ARTIFACT_BYTES_MAX, ArtifactError, ArtifactWriter, Artifacts, Hashes, Stored};
pub use counts::Counts;
pub use error::StoreError;
pub use heartbeats::{HeartbeatPolicy, Heartbeats};
pub use people::{ApiToken, EnrolmentGrant, EnrolmentRefused, LinkUse, SessionState};
pub use savings::SavingsOf;
pub use store::Store;
pub use table::directives::{DirectiveState, Feedback, StoredDirective, UpdateCost};
pub use table::events::EventScope;
pub use table::releases::{LabOutcome, LabRun};
pub use table::scans::{AddressHeld, ScanHost, StoredScan};
pub use write::Write;

#[cfg(test)]
mod tests;
