//! Components and advisories to ranked cases with deadlines.
//!
//! In: what is inside the firmware, what the world says is weak, and what depends on each device. Out: findings (an
//! advisory applies to a firmware), cases (a weakness on a device, with a priority, a deadline and the reasons as data),
//! remedies (what a release would close) and the time to protected. Refuses: to guess. A component without a version, a
//! package that merely has the same name in another ecosystem, and a withdrawn advisory never make a finding.
//!
//! Reading order: [`versions`] and [`matching`] say what is affected, [`cvss`], [`ssvc`] and [`decide`](mod@decide) how
//! soon to act, [`cases`](mod@cases) who is concerned, [`remedies`](mod@remedies) what helps and
//! [`protected`] how far the fleet has come. [`hosts`] and [`sightings`] bring in what vulnerability scanners saw. [`canary`] proves on every start that matching still works.

pub mod canary;
pub mod cases;
pub mod cvss;
pub mod decide;
pub mod hosts;
pub mod matching;
pub mod protected;
pub mod remedies;
pub mod sightings;
pub mod ssvc;
pub mod versions;

pub use cases::{Fleet, case_id, cases};
pub use decide::{DeviceFacts, Mitigation, decide};
pub use matching::findings;
pub use protected::{Progress, Protected, time_to_protected};
pub use remedies::{Remedy, remedies};
