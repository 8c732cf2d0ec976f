//! Components and advisories to ranked cases with deadlines.
