//! Reads advisories in OSV form from files.
