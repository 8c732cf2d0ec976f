//! One module a group of tables: how its values are written and read.

pub(crate) mod advisories;
pub(crate) mod cases;
pub(crate) mod devices;
pub(crate) mod directives;
pub(crate) mod events;
pub(crate) mod firmware;
pub(crate) mod patches;
pub(crate) mod products;
pub(crate) mod releases;
pub(crate) mod rollouts;
pub(crate) mod scans;
pub(crate) mod settings;
pub(crate) mod shields;
