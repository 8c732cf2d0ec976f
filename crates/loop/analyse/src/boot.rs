//! What boot loaders and flashing tools read: headers around kernels and file systems, and kernels themselves.
//!
//! In: images. Out: their parts through the door, as windows where they lie there as they are. Refuses headers whose
//! checksums are wrong where they have some.

pub(crate) mod android;
pub(crate) mod fdt;
pub(crate) mod hex;
pub(crate) mod kernel;
pub(crate) mod mcu;
pub(crate) mod trx;
pub(crate) mod uefi;
pub(crate) mod uimage;
