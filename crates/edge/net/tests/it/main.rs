//! The real `nft` on real rulesets, and real logs from the file system to alerts.

#[cfg(test)]
mod corpus;
#[cfg(test)]
mod ruleset;
