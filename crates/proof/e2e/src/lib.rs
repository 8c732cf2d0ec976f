//! Real binaries and real peers.
