//! Reads advisories in OSV form (schema 1.7, <https://ossf.github.io/osv-schema/>) from files.
//!
//! In: bytes or paths: one advisory, a JSON array of them, or one in each line (JSON Lines); a folder is read with all
//! `.json` and `.jsonl` files below it. Out: advisories in the words of the model. Refuses: what the schema forbids, and
//! everything beyond its [`Limits`]; the error names the place as a JSON pointer, and has a hint. A file is read wholly or
//! not at all, and a refused file never stops the others.
//!
//! # What OSV has no field for
//! Whether a weakness is exploited stands in the advisory's `database_specific`, all of it optional:
//! ```json
//! "database_specific": {
//!   "kev": true,
//!   "epss": 0.42,
//!   "cisa_exploitation": "active",
//!   "ssvc": { "exploitation": "active", "automatable": "yes", "technical_impact": "total" }
//! }
//! ```
//! `kev` says that the weakness is in CISA's catalogue of known exploited vulnerabilities, which makes it `active`; `epss`
//! is the probability, 0 to 1, of exploitation within 30 days as the Exploit Prediction Scoring System has it.
//! Exploitation is `none`, `poc` (also `public poc`, `public-poc`) or `active`, and the worst of the three fields counts.
//! Automatable is `yes` or `no`, technical impact `partial` or `total`.

mod ecosystem;
mod error;
mod import;
mod limits;
mod node;
mod osv;

pub mod gmp;
pub mod scan;

pub use error::FeedError;
pub use import::{Import, read_osv_path};
pub use limits::Limits;
pub use osv::read_osv;
