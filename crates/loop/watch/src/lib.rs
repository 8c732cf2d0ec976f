//! Network logs and a baseline to alerts.
//!
//! In: lines of a Suricata `eve.json` and of Zeek logs, which device had which address when, what each product has used
//! before. Out: observations, and alerts with a reason for destinations that the product never used. Refuses: lines that
//! are too long or malformed, each with its place and without stopping the stream; and memory without a bound. Reading
//! files is the work of `warden-net`; keeping the baseline is the work of `warden-store`.

pub mod baseline;
pub mod bindings;
pub mod destination;
pub mod eve;
pub mod line;
pub mod names;
pub mod observed;
mod text;
pub mod zeek;

pub use baseline::{Baseline, BaselineError, Entry, Learned, Phase, ProductPhase, rule_alert};
pub use bindings::Bindings;
pub use destination::{Class, Destination, DestinationError};
pub use eve::read_eve;
pub use line::{LINE_BYTES_MAX, Line, LineError, Tally};
pub use names::Names;
pub use observed::{Flow, Name, NameSource, Names as NamesSeen, Observed, RuleHit, Transport};
pub use zeek::{ZeekLog, ZeekReader};
