//! The pages, one module each.

pub(crate) mod advisory;
pub(crate) mod alerts;
pub(crate) mod device;
pub(crate) mod devices;
pub(crate) mod now;
pub(crate) mod release;
pub(crate) mod releases;
pub(crate) mod risk;
pub(crate) mod rollout;
pub(crate) mod rollouts;
pub(crate) mod scans;
pub(crate) mod shields;

use serde::Deserialize;

/// What stands behind the path of a list.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct ListQuery {
    /// The filter.
    pub(crate) filter: Option<String>,
    /// Where the page before ended.
    pub(crate) after: Option<String>,
}
