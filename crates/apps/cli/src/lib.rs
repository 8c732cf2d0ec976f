//! The fleetwarden command.
