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
//!   "cisa_exploitation": "active",
//!   "ssvc": { "exploitation": "active", "automatable": "yes", "technical_impact": "total" }
//! }
//! ```
//! `kev` says that the weakness is in CISA's catalogue of known exploited vulnerabilities, which makes it `active`.
//! Exploitation is `none`, `poc` (also `public poc`, `public-poc`) or `active`, and the worst of the three fields counts.
//! Automatable is `yes` or `no`. Technical impact is `partial` or `total`; it is checked, and not kept, because the
//! deployer table does not ask for it.

mod ecosystem;
mod error;
mod import;
mod limits;
mod node;
mod osv;

pub use error::FeedError;
pub use import::{Import, read_osv_path};
pub use limits::Limits;
pub use osv::read_osv;
