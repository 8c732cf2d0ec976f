//! The words of the domain, as types.
//!
//! In: nothing but values. Out: typed ids, units, and the nouns of the loop (product, device, firmware, component,
//! advisory, finding, case, release, rollout, directive, alert, shield). Refuses: input and output, clocks, chance,
//! storage and JSON (the crates `wire` and `store` convert).

mod words;

pub mod advisory;
pub mod alert;
pub mod case;
pub mod device;
pub mod digest;
pub mod event;
pub mod firmware;
pub mod id;
pub mod product;
pub mod purl;
pub mod release;
pub mod report;
pub mod rollout;
pub mod savings;
pub mod scan;
pub mod shield;
pub mod stage;
pub mod unit;

pub use digest::Sha256Digest;
pub use id::{
    ActionId, AdvisoryId, AlertId, CaseId, DeviceId, HardwareId, IdError, ProductId, ReleaseId, RolloutId,
    ScanId, SegmentId, ShieldId,
};
pub use stage::Stage;
pub use unit::{ByteCount, Generation, PerMille, Seconds, Timestamp};
pub use words::UnknownWord;
