//! File keys: signing, the device certificate authority, TLS identities.
