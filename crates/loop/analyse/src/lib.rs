//! Firmware bytes to component list and software bill of materials.
