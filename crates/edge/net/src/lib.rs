//! Checks rulesets with the real nft and tails logs across rotation.
