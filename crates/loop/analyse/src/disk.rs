//! Disks, and the file systems of disks and discs that have no module of their own at the top.
//!
//! In: images. Out: partitions as windows, and trees. Refuses tables that lead outside.

pub(crate) mod erofs;
pub(crate) mod fat;
pub(crate) mod iso;
pub(crate) mod minix;
pub(crate) mod named;
pub(crate) mod partitions;
