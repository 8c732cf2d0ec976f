//! What may be believed: signed update metadata, identities, verification.
